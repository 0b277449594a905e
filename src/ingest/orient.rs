//! Turning a picture upright.

use super::Pixels;

/// How a picture is stored, by the numbers of EXIF: 1 is upright.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Orientation {
    /// Rows and columns are exchanged (first).
    transpose: bool,
    /// Left and right are exchanged (after that).
    mirror: bool,
    /// Top and bottom are exchanged (after that).
    flip: bool,
}

impl Orientation {
    pub(super) const UPRIGHT: Self = Self { transpose: false, mirror: false, flip: false };

    /// From the EXIF number; what is not 1 to 8 is taken as upright.
    pub(super) fn from_exif(number: u32) -> Self {
        let (transpose, mirror, flip) = match number {
            2 => (false, true, false),
            3 => (false, true, true),
            4 => (false, false, true),
            5 => (true, false, false),
            6 => (true, true, false),
            7 => (true, true, true),
            8 => (true, false, true),
            _ => (false, false, false),
        };
        Self { transpose, mirror, flip }
    }

    /// With left and right exchanged after all else.
    #[cfg(feature = "avif")]
    pub(super) fn then_mirrored(self) -> Self {
        Self { mirror: !self.mirror, ..self }
    }

    /// With top and bottom exchanged after all else.
    #[cfg(feature = "avif")]
    pub(super) fn then_flipped(self) -> Self {
        Self { flip: !self.flip, ..self }
    }

    /// The upright width and height of a picture stored with these.
    pub(super) fn upright_size(self, width: u32, height: u32) -> (u32, u32) {
        if self.transpose { (height, width) } else { (width, height) }
    }

    /// The picture upright.
    pub(super) fn apply(self, pixels: Pixels) -> Pixels {
        if self == Self::UPRIGHT {
            return pixels;
        }
        let (width, height) = self.upright_size(pixels.width(), pixels.height());
        let (stored, _) = pixels.rgb().as_chunks::<3>();
        let row = pixels.width() as usize;
        let (columns, rows) = (width as usize, height as usize);
        let mut rgb = Vec::with_capacity(stored.len() * 3);
        for y in 0..rows {
            let y = if self.flip { rows - 1 - y } else { y };
            for x in 0..columns {
                let x = if self.mirror { columns - 1 - x } else { x };
                let (x, y) = if self.transpose { (y, x) } else { (x, y) };
                rgb.extend_from_slice(&stored[y * row + x]);
            }
        }
        Pixels::new(width, height, rgb).unwrap_or(pixels)
    }
}
