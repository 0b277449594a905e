//! How does a maximum of logits become a weight?

use serde::{Deserialize, Serialize};

/// What a token's maximum `x` over the positions becomes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[non_exhaustive]
pub enum Saturation {
    /// `ln(1 + relu(x))` (STAIR, arXiv 2301.13081, equation 2; SPLADE, arXiv 2107.05720, equation 1).
    #[default]
    #[serde(rename = "log1p")]
    Once,
    /// `ln(1 + ln(1 + relu(x)))`: that a word is there counts for more, how clearly for less.
    #[serde(rename = "log1p-log1p")]
    Twice,
}

impl Saturation {
    /// The weight, 0 or more; finite where `logit` is.
    #[must_use]
    pub fn weight(self, logit: f32) -> f32 {
        let once = logit.max(0.0).ln_1p();
        match self {
            Self::Once => once,
            Self::Twice => once.ln_1p(),
        }
    }
}
