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
    while smaller.div_ceil(factor * 2) >= enough && factor < 1 << 16 {
        factor *= 2;
    }
    factor
}

/// The picture at 1/`factor` of its size, rounded up: each pixel is the mean of a square of
/// `factor` x `factor`, or of what the picture has of it at the right and lower edge.
pub(super) fn reduce(pixels: Pixels, factor: u32) -> Pixels {
    if factor <= 1 {
        return pixels;
    }
    let (width, height) = (pixels.width().div_ceil(factor), pixels.height().div_ceil(factor));
    let row_bytes = pixels.width() as usize * 3;
    let mut rgb = Vec::with_capacity(width as usize * height as usize * 3);
    let mut sums = vec![[0_u64; 3]; width as usize];
    for rows in pixels.rgb().chunks(row_bytes * factor as usize) {
        sums.fill([0; 3]);
        for row in rows.chunks_exact(row_bytes) {
            add_row(row, factor as usize, &mut sums);
        }
        let rows = (rows.len() / row_bytes) as u64;
        mean_into(&sums, rows, u64::from(factor), u64::from(pixels.width()), &mut rgb);
    }
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
            assert!(side / reduction(side, side, 224) >= 447, "{side}");
        }
    }

    #[test]
    fn a_reduced_pixel_is_the_mean_of_its_square_also_at_the_edge() {
        let grey = |values: &[u8]| values.iter().flat_map(|value| [*value; 3]).collect::<Vec<_>>();
        let pixels = Pixels::new(3, 3, grey(&[0, 10, 20, 30, 40, 50, 60, 70, 80])).unwrap();
        let reduced = reduce(pixels, 2);
        assert_eq!((reduced.width(), reduced.height()), (2, 2));
        assert_eq!(reduced.rgb(), grey(&[20, 35, 65, 80]));
    }
}
