//! Which weights are kept, and as which whole numbers.

use sightword_index::TokenId;

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

/// A kept token: its place among the output tokens, and its weight.
pub(crate) struct Kept {
    pub(crate) at: usize,
    pub(crate) weight: f32,
}

/// The weight of a token with this logit: `ln(1 + relu(logit))`.
pub(crate) fn weight_of(logit: f32) -> f32 {
    logit.max(0.0).ln_1p()
}

/// The `keep` strongest tokens of pooled logits, in the order of the output tokens. Of equally
/// strong ones the first is kept, so that the choice never depends on a sort.
pub(crate) fn strongest(logits: &[f32], keep: usize) -> Vec<Kept> {
    let positive = logits.iter().enumerate().filter(|&(_, &logit)| logit > 0.0);
    let mut kept: Vec<Kept> =
        positive.map(|(at, &logit)| Kept { at, weight: weight_of(logit) }).collect();
    if kept.len() > keep {
        let stronger = |a: &Kept, b: &Kept| b.weight.total_cmp(&a.weight).then(a.at.cmp(&b.at));
        kept.select_nth_unstable_by(keep, stronger);
        kept.truncate(keep);
        kept.sort_unstable_by_key(|kept| kept.at);
    }
    kept
}
