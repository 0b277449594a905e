//! Depthwise convolution with TensorFlow's SAME padding, bias and ReLU6, in the layout
//! [channel, position, picture].
//!
//! For one channel it is a small matrix [positions out, positions in] times [positions in, pictures].
//! All its entries are taps of the filter, at most `kernel²` a row: only these are multiplied, each
//! with the same position of all pictures, which lie side by side.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::pointwise::{relu6_back, row_sums};
use super::{Floats, floats, gradient_of};

/// The sizes of a depthwise convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depthwise {
    /// Side of the filters.
    pub kernel: usize,
    /// Distance of neighbouring outputs.
    pub stride: usize,
    /// Side of the input's square of positions.
    pub size: usize,
}

/// An entry of the matrix: which tap leads from which input to which output.
#[derive(Clone, Copy)]
struct Entry {
    output: usize,
    input: usize,
    tap: usize,
}

impl Depthwise {
    /// Side of the output: ⌈size ÷ stride⌉.
    #[must_use]
    pub fn output_size(&self) -> usize {
        self.size.div_ceil(self.stride)
    }

    /// `x` [channels, size², pictures], `weight` [channels, 1, kernel, kernel], `bias` \[channels\]
    /// → [channels, output_size², pictures].
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn forward(&self, x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
        if x.device().is_cpu() {
            return x.contiguous()?.apply_op3(weight, bias, *self);
        }
        self.plain(x, weight, bias)
    }

    /// candle's convolution with one group a channel.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn plain(&self, x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
        let (channels, _, pictures) = x.dims3()?;
        let side = self.output_size();
        let (before, after) = self.padding();
        let x = x.permute((2, 0, 1))?.reshape((pictures, channels, self.size, self.size))?;
        let x = x.pad_with_zeros(2, before, after)?.pad_with_zeros(3, before, after)?;
        let y = x.conv2d(weight, 0, self.stride, 1, channels)?;
        let y = y.broadcast_add(&bias.reshape((1, channels, 1, 1))?)?.clamp(0_f32, 6_f32)?;
        y.reshape((pictures, channels, side * side))?.permute((1, 2, 0))?.contiguous()
    }

    /// Rows (or columns) of padding before the first one and after the last: the larger half comes after.
    #[must_use]
    pub fn padding(&self) -> (usize, usize) {
        let reach = (self.output_size() - 1) * self.stride + self.kernel;
        let padding = reach.saturating_sub(self.size);
        (padding / 2, padding - padding / 2)
    }

    /// Of one row (or column): which input is under which tap of which output.
    fn line(&self) -> Vec<Entry> {
        let (before, _) = self.padding();
        let taps = (0..self.output_size())
            .flat_map(|output| (0..self.kernel).map(move |tap| (output, tap)));
        taps.filter_map(|(output, tap)| {
            let input = (output * self.stride + tap).checked_sub(before)?;
            (input < self.size).then_some(Entry { output, input, tap })
        })
        .collect()
    }

    /// The matrix, sorted by output.
    fn entries(&self) -> Vec<Entry> {
        let (side, line) = (self.output_size(), self.line());
        let mut entries: Vec<Entry> = line
            .iter()
            .flat_map(|row| {
                line.iter().map(move |column| Entry {
                    output: row.output * side + column.output,
                    input: row.input * self.size + column.input,
                    tap: row.tap * self.kernel + column.tap,
                })
            })
            .collect();
        entries.sort_by_key(|entry| entry.output);
        entries
    }

    /// The input's gradient of one channel, and the filter's.
    fn channel_back(
        &self,
        [x, filter, grad]: [&[f32]; 3],
        entries: &[Entry],
        pictures: usize,
        to_x: &mut [f32],
        to_filter: &mut [f32],
    ) {
        for &Entry { output, input, tap } in entries {
            let grad = &grad[output * pictures..][..pictures];
            let weight = filter[tap];
            let input = input * pictures..(input + 1) * pictures;
            to_filter[tap] += dot(grad, &x[input.clone()]);
            to_x[input].iter_mut().zip(grad).for_each(|(x, g)| *x += weight * g);
        }
    }
}

/// `Σ a · b`, in 16 sums side by side: one after the other could not become SIMD.
#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; 16];
    for (a, b) in a.chunks(16).zip(b.chunks(16)) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b);
    }
    sums.iter().sum()
}

impl CustomOp3 for Depthwise {
    fn name(&self) -> &'static str {
        "train-depthwise"
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
        let (channels, positions, pictures) = layout.shape().dims3()?;
        let (area, taps) = (self.output_size().pow(2), self.kernel.pow(2));
        let filters = floats(weight, weight_layout, self.name())?;
        let bias = floats(bias, bias_layout, self.name())?;
        let fits = positions == self.size.pow(2)
            && filters.len() == channels * taps
            && bias.len() == channels;
        if !fits {
            bail!("{self:?} with {:?} on {:?}", weight_layout.dims(), layout.dims());
        }
        let x = floats(x, layout, self.name())?;
        let entries = self.entries();
        let mut out = vec![0.0; channels * area * pictures];
        out.par_chunks_mut(area * pictures)
            .zip(x.par_chunks(positions * pictures))
            .zip(filters.par_chunks(taps).zip(bias))
            .for_each(|((out, x), (filter, &bias))| {
                pulp::Arch::new().dispatch(|| {
                    out.fill(bias);
                    for &Entry { output, input, tap } in &entries {
                        let weight = filter[tap];
                        let sums = out[output * pictures..][..pictures].iter_mut();
                        let x = &x[input * pictures..][..pictures];
                        sums.zip(x).for_each(|(sum, x)| *sum += weight * x);
                    }
                    out.iter_mut().for_each(|y| *y = y.clamp(0.0, 6.0));
                });
            });
        Ok((CpuStorage::F32(out), Shape::from((channels, area, pictures))))
    }

    /// With the channel's matrix `D`: `∂x = Dᵀ · g`; the gradient of a tap is the sum over its entries
    /// of `g · xᵀ`.
    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (_, positions, pictures) = x.dims3()?;
        let (area, taps) = (self.output_size().pow(2), self.kernel.pow(2));
        let grad = relu6_back(y, grad)?;
        let (values, filters, grad) = (Floats::of(x)?, Floats::of(weight)?, Floats::of(&grad)?);
        let (mut to_x, mut to_weight) = (vec![0.0; values.len()], vec![0.0; filters.len()]);
        let entries = self.entries();
        to_x.par_chunks_mut(positions * pictures)
            .zip(to_weight.par_chunks_mut(taps))
            .zip(values.par_chunks(positions * pictures))
            .zip(filters.par_chunks(taps).zip(grad.par_chunks(area * pictures)))
            .for_each(|(((to_x, to_filter), x), (filter, grad))| {
                pulp::Arch::new().dispatch(|| {
                    self.channel_back([x, filter, grad], &entries, pictures, to_x, to_filter);
                });
            });
        let to_bias = row_sums(&grad, area * pictures);
        Ok((gradient_of(x, to_x)?, gradient_of(weight, to_weight)?, gradient_of(bias, to_bias)?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_same_gradients, random};
    use super::*;

    #[test]
    fn values_and_gradients_are_those_of_a_grouped_convolution() {
        for (kernel, stride, size) in [(3, 1, 5), (5, 1, 7), (3, 2, 6), (5, 2, 14), (5, 2, 7)] {
            let op = Depthwise { kernel, stride, size };
            let weight = (random(&[4, 1, kernel, kernel], 2) * 3.0).unwrap();
            let inputs =
                [(random(&[4, size * size, 3], 1) * 4.0).unwrap(), weight, random(&[4], 3)];
            assert_same_gradients(
                &inputs,
                |v| op.forward(&v[0], &v[1], &v[2]),
                |v| op.plain(&v[0], &v[1], &v[2]),
            );
        }
    }
}
