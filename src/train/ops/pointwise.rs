//! 1 × 1 convolutions as matrix products, in the layout [channel, position, picture].

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::{Floats, PART, floats, gradient};

/// `W · x + b`: `x` [inputs, positions, pictures], `weight` [outputs, inputs, 1, 1] or
/// [outputs, inputs], `bias` \[outputs\] → [outputs, positions, pictures].
///
/// # Errors
/// Shapes that do not fit.
pub fn pointwise(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    apply(x, weight, bias, Pointwise { relu6: false })
}

/// `min(max(W · x + b, 0), 6)`, otherwise as [`pointwise`].
///
/// # Errors
/// Shapes that do not fit.
pub fn pointwise_relu6(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    apply(x, weight, bias, Pointwise { relu6: true })
}

fn apply(x: &Tensor, weight: &Tensor, bias: &Tensor, op: Pointwise) -> Result<Tensor> {
    if x.device().is_cpu() {
        return x.contiguous()?.apply_op3(weight, bias, op);
    }
    plain(x, weight, bias, op.relu6)
}

fn plain(x: &Tensor, weight: &Tensor, bias: &Tensor, relu6: bool) -> Result<Tensor> {
    let (inputs, positions, pictures) = x.dims3()?;
    let weight = weight.reshape((bias.elem_count(), inputs))?;
    let y = weight.matmul(&x.reshape((inputs, positions * pictures))?)?;
    let y = y.broadcast_add(&bias.unsqueeze(1)?)?.reshape(((), positions, pictures))?;
    if relu6 { y.clamp(0_f32, 6_f32) } else { Ok(y) }
}

struct Pointwise {
    relu6: bool,
}

impl CustomOp3 for Pointwise {
    fn name(&self) -> &'static str {
        "train-pointwise"
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
        let (inputs, positions, pictures) = layout.shape().dims3()?;
        let bias = floats(bias, bias_layout, self.name())?;
        let (outputs, columns) = (bias.len(), positions * pictures);
        if floats(weight, weight_layout, self.name())?.len() != outputs * inputs {
            bail!("a 1 × 1 convolution {:?} on {:?}", weight_layout.dims(), layout.dims());
        }
        let matrix =
            Layout::contiguous_with_offset((outputs, inputs), weight_layout.start_offset());
        let x_layout = Layout::contiguous_with_offset((inputs, columns), layout.start_offset());
        let mut y = weight.matmul(x, (1, outputs, columns, inputs), &matrix, &x_layout)?;
        if let CpuStorage::F32(y) = &mut y {
            finish(y, bias, columns, self.relu6);
        }
        Ok((y, Shape::from((outputs, positions, pictures))))
    }

    /// `∂x = Wᵀ · g`, `∂W = g · xᵀ`, `∂b = Σ g`, where `g` is 0 beyond the bounds of ReLU6.
    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (outputs, inputs, columns) =
            (bias.elem_count(), x.dim(0)?, y.elem_count() / bias.elem_count());
        let grad = if self.relu6 { relu6_back(y, grad)? } else { grad.contiguous()? };
        let grad = grad.reshape((outputs, columns))?;
        // Detached, so that the gradients do not keep the graph alive.
        let to_x = || {
            let matrix = weight.detach().reshape((outputs, inputs))?;
            matrix.t()?.matmul(&grad)?.reshape(x.shape())
        };
        let to_weight = || {
            let rows = x.detach().reshape((inputs, columns))?;
            grad.matmul(&rows.t()?)?.reshape(weight.shape())
        };
        let to_bias = || gradient(row_sums(&Floats::of(&grad)?, columns), bias.shape());
        Ok((
            x.track_op().then(to_x).transpose()?,
            weight.track_op().then(to_weight).transpose()?,
            bias.track_op().then(to_bias).transpose()?,
        ))
    }
}

/// Adds each channel's bias, and bounds the sum.
fn finish(y: &mut [f32], bias: &[f32], columns: usize, relu6: bool) {
    y.par_chunks_mut(columns).zip(bias).for_each(|(row, &bias)| {
        if relu6 {
            row.iter_mut().for_each(|y| *y = (*y + bias).clamp(0.0, 6.0));
        } else {
            row.iter_mut().for_each(|y| *y += bias);
        }
    });
}

/// The gradient before ReLU6, from its result: 0 where it was cut off.
pub(super) fn relu6_back(y: &Tensor, grad: &Tensor) -> Result<Tensor> {
    let grad = grad.contiguous()?;
    let mut out = Floats::of(&grad)?.to_vec();
    let values = Floats::of(y)?;
    out.par_chunks_mut(PART).zip(values.par_chunks(PART)).for_each(|(out, values)| {
        for (g, &y) in out.iter_mut().zip(values) {
            *g = if y > 0.0 && y < 6.0 { *g } else { 0.0 };
        }
    });
    gradient(out, y.shape())
}

/// The sum of each row.
pub(super) fn row_sums(rows: &[f32], width: usize) -> Vec<f32> {
    rows.par_chunks(width).map(|row| crate::encode::ops::sum(row, |x| x)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_same_gradients, random};
    use super::*;

    #[test]
    fn values_and_gradients_are_those_of_the_plain_graph() {
        for relu6 in [false, true] {
            let weight = (random(&[7, 5, 1, 1], 2) * 4.0).unwrap();
            let inputs = [(random(&[5, 4, 3], 1) * 4.0).unwrap(), weight, random(&[7], 3)];
            assert_same_gradients(
                &inputs,
                |v| apply(&v[0], &v[1], &v[2], Pointwise { relu6 }),
                |v| plain(&v[0], &v[1], &v[2], relu6),
            );
        }
    }
}
