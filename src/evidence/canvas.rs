//! Pixels to draw on: rounded boxes, outlines and letters, with smooth edges.

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

/// Red, green, blue.
pub(super) type Color = [u8; 3];

/// An opaque RGB picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Canvas {
    width: u32,
    height: u32,
    rgb: Vec<u8>,
}

/// A box in pixels; the corners may lie between pixels or outside the canvas.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rect {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) width: f32,
    pub(super) height: f32,
}

impl Rect {
    /// The box with every side moved inwards.
    pub(super) fn inset(self, by: f32) -> Self {
        Self {
            x: self.x + by,
            y: self.y + by,
            width: (self.width - 2.0 * by).max(0.0),
            height: (self.height - 2.0 * by).max(0.0),
        }
    }

    /// Distance of a point to the edge of the box with round corners; negative inside.
    pub(super) fn distance(self, radius: f32, x: f32, y: f32) -> f32 {
        let radius = radius.min(self.width / 2.0).min(self.height / 2.0);
        let across = (x - self.x - self.width / 2.0).abs() - self.width / 2.0 + radius;
        let down = (y - self.y - self.height / 2.0).abs() - self.height / 2.0 + radius;
        let outside = across.max(0.0).hypot(down.max(0.0));
        outside + across.max(down).min(0.0) - radius
    }
}

/// How letters look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Face {
    pub(super) size: RasterHeight,
    pub(super) weight: FontWeight,
}

impl Face {
    /// Pixels that `letters` take in a line.
    pub(super) fn width_of(self, letters: usize) -> u32 {
        u32::try_from(letters * get_raster_width(self.weight, self.size)).unwrap_or(u32::MAX)
    }

    /// Letters that fit into a width.
    pub(super) fn letters_in(self, width: u32) -> usize {
        width as usize / get_raster_width(self.weight, self.size)
    }
}

impl Canvas {
    pub(super) fn new(width: u32, height: u32, color: Color) -> Self {
        let pixels = width as usize * height as usize;
        Self { width, height, rgb: color.repeat(pixels) }
    }

    pub(super) fn width(&self) -> u32 {
        self.width
    }

    pub(super) fn height(&self) -> u32 {
        self.height
    }

    pub(super) fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// Changes the pixel at (x, y), if there is one.
    fn change(&mut self, x: u32, y: u32, change: impl FnOnce(Color) -> Color) {
        if x < self.width && y < self.height {
            let at = (y as usize * self.width as usize + x as usize) * 3;
            let pixel = &mut self.rgb[at..at + 3];
            pixel.copy_from_slice(&change([pixel[0], pixel[1], pixel[2]]));
        }
    }

    /// Lays a picture of `width` pixels a row on the canvas.
    pub(super) fn paste(&mut self, left: u32, top: u32, width: u32, rgb: &[u8]) {
        for (y, row) in (top..).zip(rgb.chunks_exact(width as usize * 3)) {
            for (x, pixel) in (left..).zip(row.chunks_exact(3)) {
                self.change(x, y, |_| [pixel[0], pixel[1], pixel[2]]);
            }
        }
    }

    /// Fills a box with round corners; `opacity` from 0 to 1.
    pub(super) fn fill(&mut self, rect: Rect, radius: f32, color: Color, opacity: f32) {
        self.shade(rect, |x, y, below| {
            let coverage = (0.5 - rect.distance(radius, x, y)).clamp(0.0, 1.0);
            mix(below, color, coverage * opacity)
        });
    }

    /// Draws the inner edge of a box with round corners.
    pub(super) fn outline(&mut self, rect: Rect, radius: f32, thickness: f32, color: Color) {
        self.shade(rect, |x, y, below| {
            let depth = -rect.distance(radius, x, y);
            let coverage = (depth + 0.5).min(thickness - depth + 0.5).clamp(0.0, 1.0);
            mix(below, color, coverage)
        });
    }

    /// Changes each pixel around a box, given its centre and colour.
    pub(super) fn shade(&mut self, rect: Rect, shade: impl Fn(f32, f32, Color) -> Color) {
        let (right, bottom) = (rect.x + rect.width + 1.0, rect.y + rect.height + 1.0);
        for y in whole(rect.y - 1.0)..whole(bottom).min(self.height) {
            for x in whole(rect.x - 1.0)..whole(right).min(self.width) {
                self.change(x, y, |below| shade(x as f32 + 0.5, y as f32 + 0.5, below));
            }
        }
    }

    /// Writes a line of letters, its top left corner at (left, top). Letters that the font does not
    /// have become `?`.
    pub(super) fn write(&mut self, left: u32, top: u32, text: &str, face: Face, color: Color) {
        let mut x = left;
        for letter in text.chars() {
            let raster = get_raster(letter, face.weight, face.size)
                .or_else(|| get_raster('?', face.weight, face.size));
            for (y, row) in (top..).zip(raster.iter().flat_map(|raster| raster.rows())) {
                for (x, coverage) in (x..).zip(row) {
                    self.change(x, y, |below| mix(below, color, f32::from(*coverage) / 255.0));
                }
            }
            x = x.saturating_add(face.width_of(1));
        }
    }
}

/// `share` of `above` over the rest of `below`.
pub(super) fn mix(below: Color, above: Color, share: f32) -> Color {
    let channel = |at: usize| {
        let (below, above) = (f32::from(below[at]), f32::from(above[at]));
        byte(below + (above - below) * share)
    };
    [channel(0), channel(1), channel(2)]
}

/// Darker and less colourful, so that what is not changed stands out.
pub(super) fn dim(color: Color, brightness: f32) -> Color {
    let grey = (f32::from(color[0]) + 2.0 * f32::from(color[1]) + f32::from(color[2])) / 4.0;
    color.map(|channel| byte((f32::from(channel) * 0.4 + grey * 0.6) * brightness))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a byte")]
fn byte(value: f32) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}

/// The pixel in which a coordinate lies; 0 for what is left of or above the canvas.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates at 0")]
pub(super) fn whole(coordinate: f32) -> u32 {
    coordinate as u32
}
