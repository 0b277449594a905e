//! What stands where on the drawing.

use noto_sans_mono_bitmap::{FontWeight, RasterHeight};

use super::Word;
use super::canvas::{Canvas, Color, Face, Rect, dim, mix, whole};
use crate::ingest::{Pixels, resize};

/// The longer side of the photo in the drawing, in pixels.
const LONG_SIDE: std::ops::RangeInclusive<u32> = 896..=1280;
/// The legend needs this much, however narrow the photo.
const LEAST_WIDTH: u32 = 640;

/// One colour a word, the heaviest first; apart from each other for the colour-blind too, as far as
/// seven can be, and seen on dark and on light.
const COLORS: [Color; 7] = [
    [255, 176, 32],
    [64, 180, 255],
    [255, 100, 130],
    [72, 220, 150],
    [196, 140, 255],
    [240, 228, 80],
    [255, 140, 70],
];
const BACKGROUND: Color = [22, 24, 29];
const TRACK: Color = [44, 48, 57];
const BRIGHT: Color = [236, 239, 244];
const FAINT: Color = [150, 157, 170];

const HEADING: Face = Face { size: RasterHeight::Size20, weight: FontWeight::Bold };
const ROW: Face = Face { size: RasterHeight::Size20, weight: FontWeight::Regular };
const TAG: Face = Face { size: RasterHeight::Size16, weight: FontWeight::Bold };

const PADDING: u32 = 20;
const ROW_HEIGHT: u32 = 30;
const HEADING_HEIGHT: u32 = 40;
const TAG_HEIGHT: u32 = 20;
/// The longest label in the legend, in letters.
const LABEL_LETTERS: usize = 18;

/// The whole drawing; `words` are the heaviest first.
pub(super) fn compose(
    picture: &Pixels,
    grid: usize,
    title: &str,
    total: f64,
    words: &[&Word],
) -> Canvas {
    let (photo_width, photo_height) = photo_size(picture.width(), picture.height());
    let rows = u32::try_from(words.len().min(COLORS.len() + 1)).unwrap_or(0);
    let legend_height = PADDING * 2 + HEADING_HEIGHT + rows * ROW_HEIGHT;
    let width = photo_width.max(LEAST_WIDTH);
    let mut canvas = Canvas::new(width, photo_height + legend_height, BACKGROUND);
    let photo = Rect {
        x: ((width - photo_width) / 2) as f32,
        y: 0.0,
        width: photo_width as f32,
        height: photo_height as f32,
    };
    let pixels = resize(picture, photo_width, photo_height);
    canvas.paste(whole(photo.x), 0, photo_width, &pixels);
    light_patches(&mut canvas, photo, grid, words);
    legend(&mut canvas, photo_height + PADDING, title, total, words);
    canvas
}

/// The photo's size in the drawing: its shape is kept as far as whole pixels can.
fn photo_size(width: u32, height: u32) -> (u32, u32) {
    let long = width.max(height).max(1);
    let factor = f64::from(long.clamp(*LONG_SIDE.start(), *LONG_SIDE.end())) / f64::from(long);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 1280")]
    let side = |length: u32| (f64::from(length) * factor).round().max(1.0) as u32;
    (side(width), side(height))
}

/// The words that have a colour, with it.
fn coloured<'a>(words: &'a [&Word]) -> impl Iterator<Item = (&'a Word, Color)> {
    words.iter().copied().zip(COLORS)
}

/// Dims the photo but for the patches that won, and outlines and names these.
fn light_patches(canvas: &mut Canvas, photo: Rect, grid: usize, words: &[&Word]) {
    let patches = patches(grid, words);
    let lit: Vec<Rect> = patches.iter().map(|patch| cell(photo, grid, patch.place)).collect();
    canvas.shade(photo, |x, y, below| {
        let is_lit = lit.iter().any(|rect| rect.inset(1.0).distance(6.0, x, y) <= 0.0);
        if is_lit { below } else { dim(below, 0.62) }
    });
    for (patch, rect) in patches.iter().zip(&lit) {
        for ((_, color), depth) in patch.words.iter().zip(0u8..) {
            let rect = rect.inset(1.0 + 5.0 * f32::from(depth));
            canvas.fill(rect, 6.0, *color, 0.07);
            canvas.outline(rect.inset(-1.0), 7.0, 5.0, BACKGROUND);
            canvas.outline(rect, 6.0, 3.0, *color);
        }
    }
    for (patch, rect) in patches.iter().zip(&lit) {
        name_patch(canvas, photo, *rect, &patch.words);
    }
}

/// A patch and the words that were seen best in it, the heaviest first.
struct Patch<'a> {
    place: (u8, u8),
    words: Vec<(&'a Word, Color)>,
}

fn patches<'a>(grid: usize, words: &'a [&Word]) -> Vec<Patch<'a>> {
    let mut patches: Vec<Patch<'a>> = Vec::new();
    for (word, color) in coloured(words) {
        for &place in &word.patches {
            let exists = usize::from(place.0) < grid && usize::from(place.1) < grid;
            match patches.iter_mut().find(|patch| patch.place == place) {
                Some(patch) => patch.words.push((word, color)),
                None if exists => patches.push(Patch { place, words: vec![(word, color)] }),
                None => {}
            }
        }
    }
    patches
}

/// The part of the photo that a patch covers: the model saw the whole photo squeezed into a square.
fn cell(photo: Rect, grid: usize, (row, column): (u8, u8)) -> Rect {
    let (width, height) = (photo.width / grid as f32, photo.height / grid as f32);
    Rect {
        x: photo.x + width * f32::from(column),
        y: photo.y + height * f32::from(row),
        width,
        height,
    }
}

/// A tag per word inside the patch, below each other, as many as there is room for.
fn name_patch(canvas: &mut Canvas, photo: Rect, patch: Rect, words: &[(&Word, Color)]) {
    let inner = patch.inset(4.0 + 5.0 * (words.len() - 1) as f32);
    let (mut y, bottom) = (inner.y + 3.0, (patch.y + patch.height).max(patch.y + 24.0));
    for (word, color) in words {
        if y + TAG_HEIGHT as f32 > bottom {
            return;
        }
        let letters = TAG.letters_in(whole(photo.width / 2.0)).max(1);
        let label = shortened(&word.label, letters);
        let width = (TAG.width_of(label.chars().count()) + 10) as f32;
        let x = (inner.x + 3.0).min(photo.x + photo.width - width).max(photo.x);
        let tag = Rect { x, y, width, height: TAG_HEIGHT as f32 };
        canvas.fill(tag, 5.0, *color, 1.0);
        canvas.write(whole(x) + 5, whole(y) + 2, &label, TAG, BACKGROUND);
        y += TAG_HEIGHT as f32 + 3.0;
    }
}

/// The query and its score, a line for each word with a bar, and one for the rest.
fn legend(canvas: &mut Canvas, top: u32, title: &str, total: f64, words: &[&Word]) {
    let right = canvas.width() - PADDING;
    let score = format!("{total:.2}");
    let score_left = right.saturating_sub(HEADING.width_of(score.len()));
    let room = HEADING.letters_in(score_left.saturating_sub(PADDING * 2));
    canvas.write(PADDING, top, &shortened(title, room), HEADING, BRIGHT);
    canvas.write(score_left, top, &score, HEADING, BRIGHT);

    let largest = words.first().map_or(0.0, |word| word.value);
    let mut y = top + HEADING_HEIGHT;
    for (word, color) in coloured(words) {
        legend_row(canvas, y, &word.label, word.value, Some((color, largest)));
        y += ROW_HEIGHT;
    }
    let rest = words.get(COLORS.len()..).unwrap_or_default();
    if !rest.is_empty() {
        let sum: f64 = rest.iter().map(|word| word.value).sum();
        legend_row(canvas, y, &format!("{} more", rest.len()), sum, None);
    }
}

/// Swatch, label, bar, value. A line without colour has no bar.
fn legend_row(canvas: &mut Canvas, y: u32, label: &str, value: f64, bar: Option<(Color, f64)>) {
    let color = bar.map_or(TRACK, |(color, _)| color);
    let swatch = Rect { x: PADDING as f32, y: y as f32 + 4.0, width: 14.0, height: 14.0 };
    canvas.fill(swatch, 4.0, color, 1.0);
    let label_left = PADDING + 26;
    let ink = if bar.is_some() { BRIGHT } else { FAINT };
    canvas.write(label_left, y, &shortened(label, LABEL_LETTERS), ROW, ink);

    let right = canvas.width() - PADDING;
    let value_text = format!("{value:.2}");
    let value_left = right.saturating_sub(ROW.width_of(value_text.len()));
    canvas.write(value_left, y, &value_text, ROW, ink);

    let Some((color, largest)) = bar else { return };
    let bar_left = label_left + ROW.width_of(LABEL_LETTERS) + 12;
    let bar_right = right.saturating_sub(ROW.width_of(7));
    let full = bar_right.saturating_sub(bar_left) as f32;
    let track = Rect { x: bar_left as f32, y: y as f32 + 6.0, width: full, height: 10.0 };
    canvas.fill(track, 5.0, TRACK, 1.0);
    #[expect(clippy::cast_possible_truncation, reason = "a share of 1")]
    let share = if largest > 0.0 { (value / largest).clamp(0.0, 1.0) as f32 } else { 0.0 };
    let filled = Rect { width: (full * share).max(10.0_f32.min(full)), ..track };
    canvas.fill(filled, 5.0, mix(color, BACKGROUND, 0.1), 1.0);
}

/// At most so many letters; what is cut off is shown by two dots.
fn shortened(text: &str, letters: usize) -> String {
    if text.chars().count() <= letters {
        return text.to_owned();
    }
    text.chars().take(letters.saturating_sub(2)).chain("..".chars()).collect()
}
