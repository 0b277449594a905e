//! A linear layer on rows.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp3, D, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::{Floats, PART, floats, gradient};

/// `x · Wᵀ + b`: `x` [.., inputs], `weight` [outputs, inputs], `bias` \[outputs\] → [.., outputs].
///
/// # Errors
/// Shapes that do not fit.
pub fn linear(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    if x.device().is_cpu() {
        return x.contiguous()?.apply_op3(weight, bias, Linear);
    }
    x.broadcast_matmul(&weight.t()?)?.broadcast_add(bias)
}

struct Linear;

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "train-linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (outputs, inputs) = weight_layout.shape().dims2()?;
        let mut shape = x_layout.dims().to_vec();
        if shape.pop() != Some(inputs) || bias_layout.dims() != [outputs] {
            bail!("linear of {outputs} × {inputs} on {:?}", x_layout.dims());
        }
        let count = shape.iter().product();
        shape.push(outputs);
        let rows = Layout::contiguous_with_offset((count, inputs), x_layout.start_offset());
        let mut product =
            x.matmul(weight, (1, count, outputs, inputs), &rows, &weight_layout.transpose(0, 1)?)?;
        let bias = floats(bias, bias_layout, self.name())?;
        if let CpuStorage::F32(product) = &mut product {
            product.par_chunks_mut((PART / outputs + 1) * outputs).for_each(|rows| {
                for row in rows.chunks_exact_mut(outputs) {
                    row.iter_mut().zip(bias).for_each(|(y, b)| *y += b);
                }
            });
        }
        Ok((product, Shape::from(shape)))
    }

    /// `∂x = g · W`, `∂W = gᵀ · x`, `∂b = Σ g`.
    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?.flatten_to(D::Minus2)?;
        // Detached, so that the gradients do not keep the graph alive.
        let to_x = || grad.matmul(&weight.detach())?.reshape(x.shape());
        let to_weight = || grad.t()?.matmul(&x.detach().flatten_to(D::Minus2)?);
        let to_bias =
            || gradient(column_sums(&Floats::of(&grad)?, bias.elem_count()), bias.shape());
        Ok((
            x.track_op().then(to_x).transpose()?,
            weight.track_op().then(to_weight).transpose()?,
            bias.track_op().then(to_bias).transpose()?,
        ))
    }
}

/// The sum of the rows. Parts are added in their order, so that threads do not change the sum.
pub(super) fn column_sums(rows: &[f32], width: usize) -> Vec<f32> {
    let parts: Vec<Vec<f32>> = rows
        .par_chunks((PART / width + 1) * width)
        .map(|rows| {
            let mut sums = vec![0.0; width];
            rows.chunks_exact(width).for_each(|row| add(&mut sums, row));
            sums
        })
        .collect();
    let mut sums = vec![0.0; width];
    parts.iter().for_each(|part| add(&mut sums, part));
    sums
}

pub(super) fn add(sums: &mut [f32], row: &[f32]) {
    sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_same_gradients, random};
    use super::*;

    #[test]
    fn values_and_gradients_are_those_of_the_plain_graph() {
        let inputs = [random(&[3, 7, 5], 1), random(&[4, 5], 2), random(&[4], 3)];
        assert_same_gradients(
            &inputs,
            |v| linear(&v[0], &v[1], &v[2]),
            |v| v[0].broadcast_matmul(&v[1].t()?)?.broadcast_add(&v[2]),
        );
    }
}
