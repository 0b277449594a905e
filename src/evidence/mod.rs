//! Where in the picture was each word seen? Draws it: the photo, its winning patches lit and
//! outlined, one colour a word, and below the words with what each adds to the score.
//!
//! Takes pixels and words, gives pixels; knows no index, no model and no file. The letters are those
//! of Noto Sans Mono (SIL Open Font License), as bitmaps of the crate `noto-sans-mono-bitmap`: a few
//! hundred kilobytes, smooth edges, no font file to find and no rasteriser to carry.
#![forbid(unsafe_code)]

mod canvas;
mod layout;

use std::io::Write;

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

use crate::ingest::Pixels;
use canvas::Canvas;

/// A word of the query, what it adds to the score, and the patches in which it was seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Word {
    /// The word.
    pub label: String,
    /// What it adds to the score, as it is shown.
    pub value: f64,
    /// Row and column of each winning patch, from 0.
    pub patches: Vec<(u8, u8)>,
}

/// A finished drawing: RGB, 8 bits a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawing {
    canvas: Canvas,
}

/// Draws `words` on a picture that the model saw as `grid` × `grid` patches.
///
/// `title` is the query as typed, `total` its score. The heaviest words get a colour each, the rest
/// is summed in one line, so that the lines add up to the total. The picture's longer side becomes 896 to
/// 1,280 pixels.
#[must_use]
pub fn draw(picture: &Pixels, grid: usize, title: &str, total: f64, words: &[Word]) -> Drawing {
    let mut heaviest: Vec<&Word> = words.iter().collect();
    heaviest.sort_by(|a, b| b.value.total_cmp(&a.value));
    Drawing { canvas: layout::compose(picture, grid.max(1), title, total, &heaviest) }
}

impl Drawing {
    /// Pixels from left to right.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.canvas.width()
    }

    /// Pixels from top to bottom.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.canvas.height()
    }

    /// The pixels row by row, three bytes each.
    #[must_use]
    pub fn rgb(&self) -> &[u8] {
        self.canvas.rgb()
    }

    /// Writes the drawing as a PNG file.
    ///
    /// # Errors
    /// What the writer says.
    pub fn write_png(&self, out: impl Write) -> std::io::Result<()> {
        PngEncoder::new(out)
            .write_image(self.rgb(), self.width(), self.height(), ExtendedColorType::Rgb8)
            .map_err(|error| match error {
                image::ImageError::IoError(error) => error,
                other => std::io::Error::other(other),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(width: u32, height: u32) -> Pixels {
        let bytes = usize::try_from(width * height * 3).unwrap();
        Pixels::new(width, height, vec![128; bytes]).unwrap()
    }

    fn word(label: &str, value: f64, patches: &[(u8, u8)]) -> Word {
        Word { label: label.into(), value, patches: patches.to_vec() }
    }

    #[test]
    fn a_small_photo_is_enlarged_and_a_large_one_reduced() {
        let words = [word("dog", 2.0, &[(3, 3)])];
        let small = draw(&grey(64, 48), 7, "dog", 2.0, &words);
        assert_eq!(small.width(), 896);
        assert!(small.height() > 672, "the legend stands below the photo");
        assert_eq!(draw(&grey(2000, 1000), 7, "dog", 2.0, &words).width(), 1280);
    }

    #[test]
    fn a_winning_patch_is_lit_and_the_others_are_dimmed() {
        let drawing = draw(&grey(980, 980), 7, "dog", 2.0, &[word("dog", 2.0, &[(3, 3)])]);
        let at = |x: usize, y: usize| drawing.rgb()[(y * 980 + x) * 3 + 1];
        assert!(at(500, 530) > 90, "{}", at(500, 530));
        assert!(at(50, 900) < 90, "{}", at(50, 900));
    }

    #[test]
    fn the_same_explanation_gives_the_same_bytes() {
        let words = [word("dog", 2.0, &[(0, 0)]), word("snow", 1.0, &[(0, 0), (6, 6)])];
        let bytes = || {
            let mut png = Vec::new();
            draw(&grey(300, 200), 7, "dog snow", 3.0, &words).write_png(&mut png).unwrap();
            png
        };
        assert_eq!(bytes(), bytes());
        assert!(bytes().starts_with(b"\x89PNG"));
    }

    #[test]
    fn odd_input_is_drawn_too() {
        let odd = word("鳥\u{1b}[2J and a very long label that goes on and on", 1e9, &[(200, 9)]);
        let words: Vec<Word> = std::iter::repeat_n(odd, 60).collect();
        for (width, height) in [(1, 1), (1, 3000), (3000, 1)] {
            let drawing = draw(&grey(width, height), 7, &"query ".repeat(99), -1.0, &words);
            assert!(drawing.width() >= 640 && drawing.height() < 3000);
        }
        assert_eq!(draw(&grey(10, 10), 0, "", 0.0, &[]).width(), 896);
    }
}
