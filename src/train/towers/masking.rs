//! Which words and patches are hidden in a step.

use candle_core::{Device, Result, Tensor};
use rand::Rng;
use rand::seq::index::sample;

use crate::train::Random;

/// Texts of which some words are hidden.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaskedWords {
    /// Token ids, `[MASK]` where a word is hidden.
    pub ids: Vec<Vec<u16>>,
    /// The hidden words' rows among the rows of all texts.
    pub rows: Vec<u32>,
    /// What was hidden, as `target` names it.
    pub targets: Vec<u32>,
}

/// Hides a share of the words, as BERT does (arXiv 1810.04805, section 3.1), but always by `[MASK]`.
///
/// Only what `target` gives a number is hidden: for masked language modelling the word's place among the
/// output tokens. The first and the last token, `[CLS]` and `[SEP]`, never are.
pub fn mask_words(
    ids: &[Vec<u16>],
    share: f32,
    mask_token: u16,
    target: impl Fn(u16) -> Option<u32>,
    random: &mut Random,
) -> MaskedWords {
    let mut masked = MaskedWords { ids: ids.to_vec(), rows: Vec::new(), targets: Vec::new() };
    let mut row = 0;
    for ids in &mut masked.ids {
        let last = ids.len().saturating_sub(1);
        for (place, id) in ids.iter_mut().enumerate() {
            // Drawn for every token, so that the choice does not depend on `target`.
            let hide = random.random::<f32>() < share && place != 0 && place != last;
            if let Some(target) = target(*id).filter(|_| hide) {
                *id = mask_token;
                masked.rows.push(row);
                masked.targets.push(target);
            }
            row += 1;
        }
    }
    masked
}

/// Chooses `kept` of each picture's patches: [pictures, kept], u32, rising.
///
/// # Errors
/// What the device says.
pub fn sample_patches(
    pictures: usize,
    patches: usize,
    kept: usize,
    random: &mut Random,
    device: &Device,
) -> Result<Tensor> {
    let kept = kept.min(patches);
    let mut chosen: Vec<u32> = Vec::with_capacity(pictures * kept);
    for _ in 0..pictures {
        let mut picture: Vec<usize> = sample(random, patches, kept).into_vec();
        picture.sort_unstable();
        for patch in picture {
            chosen.push(u32::try_from(patch)?);
        }
    }
    Tensor::from_vec(chosen, (pictures, kept), device)
}

/// Chooses the patches that are hidden, `hidden` of each picture: their numbers in the whole batch,
/// [pictures · hidden], u32, rising.
///
/// # Errors
/// What the device says.
pub fn mask_patches(
    pictures: usize,
    patches: usize,
    hidden: usize,
    random: &mut Random,
    device: &Device,
) -> Result<Tensor> {
    super::row_ids(&sample_patches(pictures, patches, hidden, random, device)?, patches)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_words_are_told_with_row_and_target() {
        let ids = vec![vec![1, 10, 11, 2], vec![1, 12, 10, 13, 2]];
        let output = |id| [(10, 0), (12, 1), (13, 2)].into_iter().find(|o| o.0 == id).map(|o| o.1);
        let masked = mask_words(&ids, 1.0, 99, output, &mut Random::seeded(1, 0));
        assert_eq!(masked.ids, [vec![1, 99, 11, 2], vec![1, 99, 99, 99, 2]]);
        assert_eq!(masked.rows, [1, 5, 6, 7]);
        assert_eq!(masked.targets, [0, 1, 0, 2]);
        let all = mask_words(&ids, 1.0, 99, |_| Some(0), &mut Random::seeded(1, 0));
        assert_eq!(all.ids, [vec![1, 99, 99, 2], vec![1, 99, 99, 99, 2]], "the ends never are");
    }

    #[test]
    fn about_the_share_is_hidden_and_one_seed_hides_the_same() {
        let ids = vec![vec![7; 1_002]; 10];
        let hide = |seed| mask_words(&ids, 0.15, 99, |_| Some(0), &mut Random::seeded(seed, 0));
        let count = hide(1).rows.len();
        assert!((1_350..1_650).contains(&count), "{count} of 10,000");
        assert_eq!(hide(1), hide(1));
        assert_ne!(hide(1), hide(2));
    }

    #[test]
    fn sampled_patches_are_different_ones_of_each_picture() {
        let keep = sample_patches(3, 49, 30, &mut Random::seeded(1, 0), &Device::Cpu).unwrap();
        for patches in keep.to_vec2::<u32>().unwrap() {
            assert!(patches.is_sorted_by(|a, b| a < b) && patches[29] < 49);
        }
    }
}
