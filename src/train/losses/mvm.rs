//! Masked visual modelling: a hidden patch's frozen features from the rest of the picture (masked feature
//! prediction: Wei et al., arXiv 2112.09133).

use candle_core::{D, Result, Tensor};

/// Below it a vector has no direction.
const SMALLEST_NORM: f64 = 1e-8;

/// `1 − cos(predicted, target)`, the mean over hidden patches: both [patches, channels]. The cosine leaves
/// the features' scale to the backbone.
///
/// # Errors
/// Shapes that do not fit.
pub fn mvm(predicted: &Tensor, target: &Tensor) -> Result<Tensor> {
    let target = target.detach();
    let norm = |x: &Tensor| x.sqr()?.sum(D::Minus1)?.sqrt()?.maximum(SMALLEST_NORM);
    let product = (predicted * &target)?.sum(D::Minus1)?;
    let cosine = (product / (norm(predicted)? * norm(&target)?)?)?;
    1.0 - cosine.mean_all()?
}
