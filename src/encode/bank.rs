//! How well does a text match pictures in general?
//!
//! Some texts score well with many pictures, and stand before better ones when a picture searches texts:
//! hubs. A bank of pictures shows how much of a hub a text is: the mean of the best scores that it has
//! with them. Its weights are divided by that mean to some power, so that what is left says how much
//! better than usual it matches. This is cross-domain similarity local scaling (Lample et al., ICLR 2018,
//! section 2.3) with a bank of training data (Bogolin et al., CVPR 2022, section 3.2), as a factor: a
//! vector stays a sparse vector, and a search costs nothing more.
//!
//! Pictures are not evened out so: a bank of captions takes photos like those of the captions for hubs,
//! and other photos for none.

use serde::{Deserialize, Serialize};

use super::weights::{Bytes, Weights};

/// A vector's weights are at most multiplied or divided by this: one that matches nothing in the bank
/// is not known to be a bad match of everything.
const MOST: f32 = 2.0;

/// How a model's bank of pictures is used, as `config.json` has it.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct BankConfig {
    /// How many of a text's best scores with the bank are looked at, 1 or more.
    pub best: usize,
    /// The mean of these that leaves a text as it is, above 0: about that of a typical one.
    pub usual: f32,
    /// The power, 0 (nothing changes) to 1.
    pub power: f32,
}

impl BankConfig {
    /// What is wrong with it, if anything is.
    pub(crate) fn problem(self) -> Option<String> {
        let Self { best, usual, power } = self;
        let right = best > 0 && usual.is_finite() && usual > 0.0 && (0.0..=1.0).contains(&power);
        (!right).then(|| format!("a bank of best {best}, usual {usual} and power {power}"))
    }
}

/// The vectors of typical pictures.
pub(crate) struct Bank {
    config: BankConfig,
    vocabulary: usize,
    /// Where each vector ends in the two columns.
    ends: Vec<usize>,
    tokens: Vec<u16>,
    impacts: Bytes,
}

impl Bank {
    /// Reads `bank.ends` (I32), `bank.tokens` (U16, below `vocabulary`) and `bank.impacts` (U8).
    pub(crate) fn new(
        weights: &Weights,
        config: BankConfig,
        vocabulary: usize,
    ) -> Result<Self, String> {
        let bank = Self {
            config,
            vocabulary,
            ends: weights.ends("bank.ends")?,
            tokens: weights.tokens("bank.tokens", vocabulary)?,
            impacts: weights.impacts("bank.impacts")?,
        };
        let postings = bank.tokens.len();
        if bank.ends.last() != Some(&postings) || bank.impacts.len() != postings {
            return Err(format!("bank.ends does not end with the last of {postings} impacts"));
        }
        Ok(bank)
    }

    /// What all weights of a text are to be multiplied by.
    pub(crate) fn factor(&self, weights: impl Iterator<Item = (u16, f32)>) -> f32 {
        let mean = self.best_scores(weights);
        // The sum of nothing is a zero below zero.
        if mean <= 0.0 {
            return MOST;
        }
        (self.config.usual / mean).powf(self.config.power).clamp(1.0 / MOST, MOST)
    }

    /// The mean of the best scores that a text has with the bank.
    pub(crate) fn best_scores(&self, weights: impl Iterator<Item = (u16, f32)>) -> f32 {
        let mut by_token = vec![0.0; self.vocabulary];
        weights.for_each(|(token, weight)| by_token[usize::from(token)] = weight);
        let score = |(start, end): (usize, usize)| {
            let postings = self.tokens[start..end].iter().zip(&self.impacts[start..end]);
            postings.map(|(token, impact)| by_token[usize::from(*token)] * f32::from(*impact)).sum()
        };
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let mut scores: Vec<f32> = starts.zip(self.ends.iter().copied()).map(score).collect();
        // A bank that was read has at least one vector, and at least one is looked at.
        let best = self.config.best.min(scores.len());
        scores.select_nth_unstable_by(best - 1, |a, b| b.total_cmp(a));
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        let count = best as f32;
        scores[..best].iter().sum::<f32>() / count
    }
}

#[cfg(test)]
mod tests;
