//! Image-text contrast over sparse dot products: symmetric InfoNCE (CLIP, arXiv 2103.00020, section 2.3;
//! STAIR, arXiv 2301.13081, section 3.2) with soft targets.

use candle_core::{D, Result, Tensor};

use super::cross_entropy;
use crate::encode::PIVOT;

/// What the learned factor may reach (CLIP, section 2.5).
pub const LARGEST_SCALE: f64 = 100.0;

/// `z_i · z_t · e^log_scale` for all pairs: picture weights [pictures, tokens], text weights
/// [texts, tokens], a learned scalar → [pictures, texts]. The factor is at most [`LARGEST_SCALE`].
///
/// # Errors
/// Shapes that do not fit.
pub fn scaled_scores(pictures: &Tensor, texts: &Tensor, log_scale: &Tensor) -> Result<Tensor> {
    let scale = log_scale.minimum(LARGEST_SCALE.ln())?.exp()?;
    pictures.matmul(&texts.t()?)?.broadcast_mul(&scale)
}

/// Weights [rows, tokens], each row divided by its Euclidean length to the power `exponent`, as a model does
/// with its vectors ([`length_norm`](crate::encode::ModelConfig::length_norm)).
///
/// # Errors
/// What the device says.
pub fn evened(weights: &Tensor, exponent: f64) -> Result<Tensor> {
    if exponent == 0.0 {
        return Ok(weights.clone());
    }
    let pivot = f64::from(PIVOT * PIVOT);
    // The smallest addend keeps an empty row's gradient finite.
    let squared = ((weights.sqr()?.sum_keepdim(D::Minus1)? + 1e-6)? / pivot)?;
    weights.broadcast_mul(&squared.powf(-exponent / 2.0)?)
}

/// ITC: half the cross-entropy of each picture's row over the texts, half that of each text's column
/// over the pictures.
///
/// `scores` and `positives` are [pictures, texts]. A row of `positives` says how a picture's share is
/// spread over the texts that belong to it and sums to 1; a text's target is its column, made to sum to
/// 1. `smoothing` (0 to below 1) of each target is spread over all.
///
/// # Errors
/// Shapes that do not fit.
pub fn itc(scores: &Tensor, positives: &Tensor, smoothing: f64) -> Result<Tensor> {
    let by_text = positives.t()?.contiguous()?;
    let by_text = by_text.broadcast_div(&by_text.sum_keepdim(D::Minus1)?)?;
    let pictures = cross_entropy(scores, &smooth(positives, smoothing)?)?;
    let texts = cross_entropy(&scores.t()?.contiguous()?, &smooth(&by_text, smoothing)?)?;
    (pictures + texts)? / 2.0
}

fn smooth(target: &Tensor, smoothing: f64) -> Result<Tensor> {
    #[expect(clippy::cast_precision_loss, reason = "a batch is some thousands at most")]
    let count = target.dim(1)? as f64;
    target.affine(1.0 - smoothing, smoothing / count)
}
