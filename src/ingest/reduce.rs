//! Fewer pixels where the model would not see the difference.
//!
//! A picture with both sides at least four times the model's input is brought to at least twice
//! the input by a power of two: enough left for the triangle filter of [`super::resize()`] to do
//! its work, and a decoded picture never fills memory however many wait in a queue.

use super::Pixels;

/// The power of two by which a picture of this size may be reduced: 1 for one of ordinary size.
pub(super) fn reduction(width: u32, height: u32, target: u32) -> u32 {
    let smaller = width.min(height);
    if smaller < target.saturating_mul(4) {
        return 1;
    }
    let enough = target.saturating_mul(2).max(1);
    let mut factor = 1;
    while factor < 1 << 16 && reduced(smaller, factor * 2) >= enough {
        factor *= 2;
    }
    factor
}

/// A side of so many pixels at 1/`factor` of its length, rounded: what stands over at the end is
/// left out or made a pixel, whichever shifts the rest less.
pub(super) fn reduced(side: u32, factor: u32) -> u32 {
    // Halves are rounded up. A side of less than half a square still has one pixel.
    ((u64::from(side) + u64::from(factor / 2)) / u64::from(factor))
        .max(1)
        .try_into()
        .unwrap_or(side)
}

/// The picture at 1/`factor` of its size: each pixel is the mean of a square of `factor` x
/// `factor`, or of what the picture has of it at the right and lower edge.
pub(super) fn reduce(pixels: Pixels, factor: u32) -> Pixels {
    if factor <= 1 {
        return pixels;
    }
    let (width, height) = (reduced(pixels.width(), factor), reduced(pixels.height(), factor));
    let row_bytes = pixels.width() as usize * 3;
    let mut rgb = Vec::with_capacity(width as usize * height as usize * 3);
    let mut sums = vec![[0_u64; 3]; width as usize];
    for rows in pixels.rgb().chunks(row_bytes * factor as usize).take(height as usize) {
        sums.fill([0; 3]);
        for row in rows.chunks_exact(row_bytes) {
            add_row(row, factor as usize, &mut sums);
        }
        let rows = (rows.len() / row_bytes) as u64;
        mean_into(&sums, rows, u64::from(factor), u64::from(pixels.width()), &mut rgb);
    }
    Pixels::new(width, height, rgb).unwrap_or(pixels)
}

/// The upper left part of this size, or the picture itself where it is smaller.
pub(super) fn crop(pixels: Pixels, width: u32, height: u32) -> Pixels {
    if (pixels.width(), pixels.height()) == (width, height) {
        return pixels;
    }
    let rows = pixels.rgb().chunks_exact(pixels.width() as usize * 3).take(height as usize);
    let rgb = rows.filter_map(|row| row.get(..width as usize * 3)).collect::<Vec<_>>().concat();
    Pixels::new(width, height, rgb).unwrap_or(pixels)
}

fn add_row(row: &[u8], factor: usize, sums: &mut [[u64; 3]]) {
    for (square, sum) in row.chunks(factor * 3).zip(sums) {
        let mut part = [0_u32; 3];
        for pixel in square.as_chunks::<3>().0 {
            for (channel, value) in part.iter_mut().zip(pixel) {
                *channel += u32::from(*value);
            }
        }
        for (total, channel) in sum.iter_mut().zip(part) {
            *total += u64::from(channel);
        }
    }
}

fn mean_into(sums: &[[u64; 3]], rows: u64, factor: u64, width: u64, rgb: &mut Vec<u8>) {
    let mut columns_left = width;
    for sum in sums {
        let count = rows * columns_left.min(factor);
        columns_left = columns_left.saturating_sub(factor);
        rgb.extend(sum.map(|total| u8::try_from((total + count / 2) / count).unwrap_or(u8::MAX)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pictures_of_four_times_the_target_are_reduced_and_to_twice_it_at_least() {
        assert_eq!(reduction(895, 4000, 224), 1);
        assert_eq!(reduction(896, 4000, 224), 2);
        assert_eq!(reduction(7008, 4672, 224), 8);
        assert_eq!(reduction(20_000, 20_000, 224), 32);
        assert_eq!(reduction(u32::MAX, u32::MAX, u32::MAX), 1);
        for side in (896..9000).step_by(7) {
            assert!(reduced(side, reduction(side, side, 224)) >= 448, "{side}");
        }
    }

    fn grey(width: u32, values: &[u8]) -> Pixels {
        let rgb: Vec<_> = values.iter().flat_map(|value| [*value; 3]).collect();
        Pixels::new(width, u32::try_from(values.len()).unwrap() / width, rgb).unwrap()
    }

    #[test]
    fn a_reduced_pixel_is_the_mean_of_its_square_also_at_the_edge() {
        let pixels = grey(3, &[0, 10, 20, 30, 40, 50, 60, 70, 80]);
        assert_eq!(reduce(pixels, 2), grey(2, &[20, 35, 65, 80]));
    }

    #[test]
    fn less_than_half_a_square_is_left_out() {
        let pixels = grey(5, &[0, 10, 20, 30, 200]);
        assert_eq!(reduce(pixels, 4), grey(1, &[15]));
    }

    #[test]
    fn a_crop_keeps_the_upper_left() {
        let pixels = grey(3, &[0, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(crop(pixels.clone(), 2, 2), grey(2, &[0, 1, 3, 4]));
        assert_eq!(crop(pixels.clone(), 4, 4), pixels);
    }
}
