//! Layer norm (Ba et al., arXiv 1607.06450). candle-nn's has no backward.

use candle_core::{CpuStorage, CustomOp3, D, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::linear::add;
use super::{Floats, PART, floats, gradient_of};
use crate::encode::ops::sum;

/// `(x − mean) ÷ √(variance + eps) · weight + bias` of each row: `x` [.., channels] → the same shape.
///
/// # Errors
/// Shapes that do not fit.
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    if x.device().is_cpu() {
        return x.contiguous()?.apply_op3(weight, bias, LayerNorm { eps });
    }
    plain(x, weight, bias, eps)
}

fn plain(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    let normed = centred.broadcast_div(&(variance + eps)?.sqrt()?)?;
    normed.broadcast_mul(weight)?.broadcast_add(bias)
}

struct LayerNorm {
    eps: f64,
}

impl LayerNorm {
    /// The mean of a row and the factor that makes its variance 1.
    #[inline(always)]
    fn statistics(&self, row: &[f32]) -> (f32, f32) {
        let share = share(row.len());
        let mean = sum(row, |x| x) * share;
        let variance = sum(row, |x| (x - mean) * (x - mean)) * share;
        #[expect(clippy::cast_possible_truncation, reason = "1e-12 has a nearest f32")]
        let eps = self.eps as f32;
        (mean, 1.0 / (variance + eps).sqrt())
    }

    /// `∂x = s · (γg − mean(γg) − n · mean(γg · n))` with the normed row `n`, its factor `s` and the
    /// weight `γ`; adds `g · n` and `g` to the sums for weight and bias.
    #[inline(always)]
    fn row_back(&self, x: &mut [f32], grad: &[f32], weight: &[f32], sums: &mut [f32]) {
        let (mean, scale) = self.statistics(x);
        x.iter_mut().for_each(|x| *x = (*x - mean) * scale);
        let (to_weight, to_bias) = sums.split_at_mut(weight.len());
        to_weight.iter_mut().zip(&*x).zip(grad).for_each(|((sum, n), g)| *sum += n * g);
        add(to_bias, grad);
        let (mut along, mut across) = ([0.0; 16], [0.0; 16]);
        for ((n, g), w) in x.chunks(16).zip(grad.chunks(16)).zip(weight.chunks(16)) {
            for (lane, ((n, g), w)) in n.iter().zip(g).zip(w).enumerate() {
                along[lane] += g * w * n;
                across[lane] += g * w;
            }
        }
        let share = share(x.len());
        let along = along.iter().sum::<f32>() * share;
        let across = across.iter().sum::<f32>() * share;
        for ((n, g), w) in x.iter_mut().zip(grad).zip(weight) {
            *n = scale * (g * w - across - *n * along);
        }
    }
}

fn share(channels: usize) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "channels are some hundreds")]
    let share = 1.0 / channels as f32;
    share
}

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "train-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let weight = floats(weight, weight_layout, self.name())?;
        let bias = floats(bias, bias_layout, self.name())?;
        let width = weight.len();
        if layout.dims().last() != Some(&width) || bias.len() != width || width == 0 {
            bail!("norm takes {width} channels, not {:?}", layout.dims());
        }
        let mut rows = floats(x, layout, self.name())?.to_vec();
        rows.par_chunks_mut((PART / width + 1) * width).for_each(|rows| {
            pulp::Arch::new().dispatch(|| {
                for row in rows.chunks_exact_mut(width) {
                    let (mean, scale) = self.statistics(row);
                    for ((x, weight), bias) in row.iter_mut().zip(weight).zip(bias) {
                        *x = (*x - mean) * scale * weight + bias;
                    }
                }
            });
        });
        Ok((CpuStorage::F32(rows), layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let mut to_x = Floats::of(x)?.to_vec();
        let (grad, weights) = (Floats::of(&grad)?, Floats::of(weight)?);
        let (grad, weights): (&[f32], &[f32]) = (&grad, &weights);
        let width = weights.len();
        let part = (PART / width + 1) * width;
        // Sums of each part, added in order: the result does not depend on threads.
        let parts: Vec<Vec<f32>> = to_x
            .par_chunks_mut(part)
            .zip(grad.par_chunks(part))
            .map(|(rows, grad)| {
                let mut sums = vec![0.0; 2 * width];
                pulp::Arch::new().dispatch(|| {
                    for (row, grad) in rows.chunks_exact_mut(width).zip(grad.chunks_exact(width)) {
                        self.row_back(row, grad, weights, &mut sums);
                    }
                });
                sums
            })
            .collect();
        let mut sums = vec![0.0; 2 * width];
        parts.iter().for_each(|part| add(&mut sums, part));
        let to_bias = gradient_of(bias, sums.split_off(width))?;
        Ok((gradient_of(x, to_x)?, gradient_of(weight, sums)?, to_bias))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_same_gradients, random};
    use super::*;

    #[test]
    fn values_and_gradients_are_those_of_the_plain_graph() {
        for width in [5, 384] {
            let inputs = [random(&[3, 70, width], 1), random(&[width], 2), random(&[width], 3)];
            assert_same_gradients(
                &inputs,
                |v| layer_norm(&v[0], &v[1], &v[2], 1e-12),
                |v| plain(&v[0], &v[1], &v[2], 1e-12),
            );
        }
    }
}
