//! Views of a photo: as it is, mirrored, and random crops with other light (Szegedy et al., arXiv
//! 1409.4842, section 6; colour as in Howard, arXiv 1312.5402).

use rand::Rng;

use crate::ingest::{Pixels, resize};

use super::random::Random;

/// The share of the photo that a crop shows.
const AREA: (f32, f32) = (0.45, 1.0);
/// How much a crop is stretched at the most: width to height, beside the photo's own.
const STRETCH: f32 = 1.33;
/// Brightness and contrast are multiplied by something in this range.
const LIGHT: (f32, f32) = (0.7, 1.3);
/// How often a crop is grey.
const GREY: f32 = 0.1;

/// View `number` of a photo as a square of `side` × `side` RGB8 pixels: 0 is plain, 1 mirrored, all
/// others are random crops, every second one mirrored.
pub(crate) fn view(photo: &Pixels, number: usize, side: u32, random: &mut Random) -> Vec<u8> {
    let mut pixels = match number {
        0 | 1 => resize(photo, side, side),
        _ => {
            let mut pixels = resize(&crop(photo, random), side, side);
            relight(&mut pixels, random);
            pixels
        }
    };
    if number % 2 == 1 {
        mirror(&mut pixels, side);
    }
    pixels
}

/// A number of a range.
fn within((from, to): (f32, f32), random: &mut Random) -> f32 {
    from + (to - from) * random.random::<f32>()
}

/// A random part of the photo.
fn crop(photo: &Pixels, random: &mut Random) -> Pixels {
    let area = within(AREA, random);
    let stretch = within((-STRETCH.ln(), STRETCH.ln()), random).exp();
    let width = part(photo.width(), (area * stretch).sqrt());
    let height = part(photo.height(), (area / stretch).sqrt());
    let left = random.random_range(0..=from_u32(photo.width() - width));
    let top = random.random_range(0..=from_u32(photo.height() - height));
    let row = from_u32(photo.width()) * 3;
    let rows = photo.rgb().chunks_exact(row).skip(top).take(from_u32(height));
    let columns = left * 3..(left + from_u32(width)) * 3;
    let cropped = rows.flat_map(|row| &row[columns.clone()]).copied().collect();
    // As many bytes as its size says, by construction.
    Pixels::new(width, height, cropped).unwrap_or_else(|_| photo.clone())
}

/// A part of a length: at least 1, at most all.
fn part(length: u32, share: f32) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    #[expect(clippy::cast_precision_loss, reason = "to a pixel or so")]
    let part = (length as f32 * share).round() as u32;
    part.clamp(1, length)
}

fn from_u32(number: u32) -> usize {
    // A photo's sides are far below 2^16.
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn mirror(pixels: &mut [u8], side: u32) {
    for row in pixels.chunks_exact_mut(from_u32(side) * 3) {
        row.as_chunks_mut::<3>().0.reverse();
    }
}

/// Other brightness and contrast, sometimes grey.
fn relight(pixels: &mut [u8], random: &mut Random) {
    let (brightness, contrast) = (within(LIGHT, random), within(LIGHT, random));
    let is_grey = random.random::<f32>() < GREY;
    #[expect(clippy::cast_precision_loss, reason = "a mean of bytes")]
    let mean = pixels.iter().map(|&v| f64::from(v)).sum::<f64>() / pixels.len().max(1) as f64;
    #[expect(clippy::cast_possible_truncation, reason = "0 to 255")]
    let middle = mean as f32 * brightness;
    for pixel in pixels.as_chunks_mut::<3>().0 {
        let mut light = pixel.map(|v| (f32::from(v) * brightness - middle) * contrast + middle);
        if is_grey {
            light = [light.iter().sum::<f32>() / 3.0; 3];
        }
        // `as` saturates at 0 and 255.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        let bytes = light.map(|v| v.round() as u8);
        *pixel = bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn photo() -> Pixels {
        let bytes = (0..8 * 6 * 3).map(|at| u8::try_from(at).unwrap()).collect();
        Pixels::new(8, 6, bytes).unwrap()
    }

    #[test]
    fn the_second_view_is_the_first_one_mirrored() {
        let [plain, mut mirrored] = [0, 1].map(|n| view(&photo(), n, 4, &mut Random::seeded(1, 1)));
        assert_ne!(plain, mirrored);
        mirror(&mut mirrored, 4);
        assert_eq!(plain, mirrored);
    }

    #[test]
    fn crops_have_the_size_asked_for_and_come_from_the_seed() {
        let of = |seed| view(&photo(), 2, 4, &mut Random::seeded(seed, 1));
        assert_eq!(of(1).len(), 4 * 4 * 3);
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }
}
