//! What a search would cost: FLOPs (Paria et al., arXiv 2004.05665, equation 4) and its variant that goes
//! by document frequency (DF-FLOPS, Porco et al., arXiv 2505.15070).

use candle_core::{Result, Tensor};

/// `Σ_v (mean_i z_iv)²` of weights `z` [batch, tokens]: the expected products of two random vectors. It
/// squares a mean over the batch, so its weight is to be tuned anew for another batch size.
///
/// # Errors
/// What the device says.
pub fn flops(z: &Tensor) -> Result<Tensor> {
    z.mean(0)?.sqr()?.sum_all()
}

/// `Σ_v w_v (mean_i z_iv)²` with `w = 1 ÷ (1 + (x^(log_α 2) − 1)^β)`: tokens that many vectors have cost
/// most.
///
/// `x` is `document_frequency` \[tokens\], the share (0 to 1) of vectors that have the token, measured now
/// and then. `w` rises from 0 at `x = 0` over 0.5 at `x = alpha` (0 to 1, both excluded) to 1 at `x = 1`;
/// `beta` is how steeply.
///
/// # Errors
/// Shapes that do not fit.
pub fn df_flops(z: &Tensor, document_frequency: &Tensor, alpha: f64, beta: f64) -> Result<Tensor> {
    // A token that is never used would be ∞ − 1; so small a share has the weight 0 as well.
    let share = document_frequency.detach().clamp(1e-9, 1.0)?;
    let distance = (share.powf(2_f64.ln() / alpha.ln())? - 1.0)?.relu()?;
    let weight = (distance.powf(beta)? + 1.0)?.recip()?;
    (z.mean(0)?.sqr()? * weight)?.sum_all()
}

/// `min(1, step ÷ ramp_steps)²`: the factor of a regulariser that begins slowly, so that vectors do not
/// collapse to nothing before they mean something (SPLADE, arXiv 2107.05720). 1 without a ramp.
#[must_use]
pub fn ramp(step: usize, ramp_steps: usize) -> f64 {
    if step >= ramp_steps {
        return 1.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "a run has some thousand steps")]
    let share = step as f64 / ramp_steps as f64;
    share * share
}
