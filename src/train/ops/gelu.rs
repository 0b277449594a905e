//! GELU with the error function (Hendrycks and Gimpel, arXiv 1606.08415), forward and backward each in one pass.

use std::f32::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::{Floats, PART, floats, gradient};
use crate::encode::ops::{exp_of_negative, normal_cdf};

/// `x · Φ(x)`, any shape.
///
/// # Errors
/// A tensor that is not of 32-bit floats.
pub fn gelu(x: &Tensor) -> Result<Tensor> {
    if x.device().is_cpu() { x.contiguous()?.apply_op1(Gelu) } else { x.gelu_erf() }
}

struct Gelu;

impl CustomOp1 for Gelu {
    fn name(&self) -> &'static str {
        "train-gelu"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut values = floats(x, layout, self.name())?.to_vec();
        values.par_chunks_mut(PART).for_each(|values| {
            pulp::Arch::new().dispatch(|| values.iter_mut().for_each(|x| *x *= normal_cdf(*x)));
        });
        Ok((CpuStorage::F32(values), layout.shape().clone()))
    }

    /// `Φ(x) + x · φ(x)`.
    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let grad = grad.contiguous()?;
        let (values, grad) = (Floats::of(x)?, Floats::of(&grad)?);
        let mut out = grad.to_vec();
        out.par_chunks_mut(PART).zip(values.par_chunks(PART)).for_each(|(out, values)| {
            pulp::Arch::new().dispatch(|| {
                let peak = 0.5 * FRAC_2_SQRT_PI * FRAC_1_SQRT_2; // 1 / √(2π)
                for (g, &x) in out.iter_mut().zip(values) {
                    *g *= normal_cdf(x) + x * peak * exp_of_negative(-0.5 * x * x);
                }
            });
        });
        Ok(Some(gradient(out, x.shape())?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_same_gradients, random};
    use super::*;

    #[test]
    fn values_and_gradients_are_those_of_the_plain_graph() {
        let x = (random(&[4, 50], 1) * 5.0).unwrap();
        assert_same_gradients(&[x], |v| gelu(&v[0]), |v| v[0].gelu_erf());
    }
}
