//! Element-wise functions that end a linear layer.

use pulp::{Simd, WithSimd};

/// What is applied to `x · Wᵀ + b`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activation {
    /// Nothing.
    None,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `x · Φ(x)`, with the error function, not its tanh approximation.
    Gelu,
}

/// `function(rows + bias + residual)`, in place: what ends a linear layer.
pub(crate) struct Finish<'a> {
    pub(crate) activation: Activation,
    /// Row-major, as wide as `bias`.
    pub(crate) rows: &'a mut [f32],
    pub(crate) bias: &'a [f32],
    /// Added too, where given: as long as `rows`.
    pub(crate) residual: Option<&'a [f32]>,
}

impl WithSimd for Finish<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        match (self.residual, self.activation) {
            (Some(residual), _) => add(self.rows, self.bias, residual),
            (None, Activation::None) => each(self.rows, self.bias, |x| x),
            (None, Activation::Relu6) => each(self.rows, self.bias, |x| x.clamp(0.0, 6.0)),
            (None, Activation::Gelu) => each(self.rows, self.bias, gelu),
        }
    }
}

#[inline(always)]
fn each(rows: &mut [f32], bias: &[f32], apply: impl Fn(f32) -> f32) {
    for row in rows.chunks_exact_mut(bias.len()) {
        row.iter_mut().zip(bias).for_each(|(x, b)| *x = apply(*x + b));
    }
}

/// In no model known does an activation follow a residual sum, so none is applied.
#[inline(always)]
fn add(rows: &mut [f32], bias: &[f32], residual: &[f32]) {
    let width = bias.len();
    for (row, more) in rows.chunks_exact_mut(width).zip(residual.chunks_exact(width)) {
        row.iter_mut().zip(bias).zip(more).for_each(|((x, b), more)| *x += b + more);
    }
}

/// `x · Φ(x)`.
#[inline(always)]
fn gelu(x: f32) -> f32 {
    x * normal_cdf(x)
}

/// `Φ(x) = 0.5 · (1 + erf(x / √2))`, with erf of Abramowitz and Stegun 7.1.26 (error below 1.5e-7).
#[inline(always)]
pub(crate) fn normal_cdf(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let poly = t
        * (0.254_829_6
            + t * (-0.284_496_74 + t * (1.421_413_7 + t * (-1.453_152 + t * 1.061_405_4))));
    let erf = 1.0 - poly * exp_of_negative(-z * z);
    0.5 * (1.0 + erf.copysign(x))
}

/// `eˣ` for `x ≤ 0` without a call, so that the loop around it becomes SIMD: `2ⁿ · 2ᶠ` with `2ᶠ` as
/// a polynomial (relative error below 2e-7); 0 below −87.
#[inline(always)]
pub(crate) fn exp_of_negative(x: f32) -> f32 {
    let scaled = (x * std::f32::consts::LOG2_E).max(-126.0);
    let whole = scaled.floor();
    let part = (scaled - whole) * std::f32::consts::LN_2;
    let poly = 1.0
        + part
            * (1.0
                + part
                    * (0.5
                        + part
                            * (1.0 / 6.0
                                + part
                                    * (1.0 / 24.0
                                        + part
                                            * (1.0 / 120.0
                                                + part * (1.0 / 720.0 + part / 5040.0))))));
    // `floor` and the cast below become SIMD; `exp` and `powi` would be calls.
    // A float whose exponent bits are `whole + 127` is 2^whole. `whole` is −126 to 0.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 127")]
    let exponent = (whole + 127.0) as u32;
    poly * f32::from_bits(exponent << 23)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gelu_is_that_of_the_error_function() {
        // Values of scipy.stats.norm.cdf(x) * x.
        let known = [
            (-6.0, -5.919_525_6e-9),
            (-3.0, -0.004_049_694),
            (-1.0, -0.158_655_26),
            (-0.1, -0.046_017_216),
            (0.0, 0.0),
            (0.5, 0.345_731_23),
            (2.0, 1.954_499_7),
            (10.0, 10.0),
        ];
        for (x, expected) in known {
            assert!((gelu(x) - expected).abs() < 1e-6, "gelu({x}) = {}", gelu(x));
        }
    }
}
