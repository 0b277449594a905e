//! Which weights are kept, and as which whole numbers.

use sightword_index::{SparseVector, TokenId, VectorError};

use super::saturation::Saturation;

/// Tokens by rising id with their weights, all above 0.
pub type TokenWeights = Vec<(TokenId, f32)>;

/// The whole number that stands for a weight: `round(weight · scale)`, at most 255; 0 is dropped by
/// whoever stores it.
#[must_use]
pub fn quantise(weight: f32, scale: f32) -> u8 {
    // `as` saturates at 0 and 255 and takes NaN to 0, which is what is meant.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let impact = (weight * scale).round() as u8;
    impact
}

/// Weights by rising token as a vector of whole numbers.
///
/// # Errors
/// [`VectorError`] when tokens do not rise.
pub fn to_vector(
    weights: impl IntoIterator<Item = (TokenId, f32)>,
    scale: f32,
) -> Result<SparseVector, VectorError> {
    let impacts = weights.into_iter().map(|(token, weight)| (token, quantise(weight, scale)));
    SparseVector::new(impacts.filter(|(_, impact)| *impact > 0))
}

/// A kept token: its place among the output tokens, and its weight.
pub(crate) struct Kept {
    pub(crate) at: usize,
    pub(crate) weight: f32,
}

/// How the pooled logits of a tower become weights.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pruning {
    /// Tokens kept at the most.
    pub(crate) keep: usize,
    pub(crate) saturation: Saturation,
    /// From 0 to 1; see [`length_factor`].
    pub(crate) length_norm: f32,
}

/// The weights of pooled logits, in the order of the output tokens: saturated, the strongest kept, and
/// evened out by length. Of equally strong ones the first is kept, so that the choice never depends on
/// a sort.
pub(crate) fn strongest(logits: &[f32], pruning: Pruning) -> Vec<Kept> {
    let Pruning { keep, saturation, length_norm } = pruning;
    let positive = logits.iter().enumerate().filter(|&(_, &logit)| logit > 0.0);
    let mut kept: Vec<Kept> =
        positive.map(|(at, &logit)| Kept { at, weight: saturation.weight(logit) }).collect();
    if kept.len() > keep {
        let stronger = |a: &Kept, b: &Kept| b.weight.total_cmp(&a.weight).then(a.at.cmp(&b.at));
        kept.select_nth_unstable_by(keep, stronger);
        kept.truncate(keep);
        kept.sort_unstable_by_key(|kept| kept.at);
    }
    let factor = length_factor(&kept, length_norm);
    kept.iter_mut().for_each(|kept| kept.weight *= factor);
    kept
}

/// The length that [`length_factor`] leaves as it is, about that of a picture of the default model.
/// Another one would multiply all weights alike.
pub(crate) const PIVOT: f32 = 4.0;

/// What evens weights out by their length, the root of the sum of their squares: `(PIVOT / length)^exponent`,
/// by which all are multiplied. Otherwise a picture or text of much weight altogether would be found by too many others
/// (pivoted length normalisation; Singhal, Buckley and Mitra, SIGIR 1996, section 3). At 0 nothing
/// changes; at 1 scores are cosines.
pub(crate) fn length_factor(kept: &[Kept], exponent: f32) -> f32 {
    let length = kept.iter().map(|kept| kept.weight * kept.weight).sum::<f32>().sqrt();
    if length > 0.0 { (PIVOT / length).powf(exponent) } else { 1.0 }
}
