//! A depthwise convolution with TensorFlow's SAME padding, bias and ReLU6.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use pulp::{Scalar, Simd, WithSimd};

use crate::encode::weights::Weights;

/// Neighbouring columns done at once: a weight is read once for all of them, and their sums and
/// inputs still fit the registers of the smallest instruction set.
const TILE: usize = 4;

/// One `kernel` × `kernel` filter a channel, on positions in rows of `size` (channels last).
pub(crate) struct Depthwise {
    channels: usize,
    kernel: usize,
    stride: usize,
    /// Side of the input.
    size: usize,
    /// [kernel · kernel, channels].
    taps: Vec<f32>,
    bias: Vec<f32>,
}

impl Depthwise {
    /// Reads `name.weight` [channels, 1, kernel, kernel] and `name.bias`.
    pub(crate) fn new(
        weights: &Weights,
        name: &str,
        channels: usize,
        (kernel, stride): (usize, usize),
        size: usize,
    ) -> std::result::Result<Self, String> {
        let area = kernel * kernel;
        let matrix = weights.matrix(&format!("{name}.weight"), channels, area)?;
        let mut filters = vec![0.0; channels * area];
        matrix.read(0..channels, &mut filters);
        let taps = (0..area).flat_map(|tap| {
            let filters = &filters;
            (0..channels).map(move |channel| filters[channel * area + tap])
        });
        let taps = taps.collect();
        let bias = weights.vector(&format!("{name}.bias"), channels)?;
        Ok(Self { channels, kernel, stride, size, taps, bias })
    }

    /// `x` [batch, size · size, channels] → [batch, out · out, channels].
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.apply_op1_no_bwd(self)
    }

    /// Side of the input.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Side of the output: ⌈size ÷ stride⌉.
    pub(crate) fn output_size(&self) -> usize {
        self.size.div_ceil(self.stride)
    }

    /// Rows (or columns) of padding before the first one; the larger half comes after the last.
    fn padding(&self) -> usize {
        ((self.output_size() - 1) * self.stride + self.kernel).saturating_sub(self.size) / 2
    }

    /// The taps that meet the picture at output row (or column) `at`: the first tap, the first
    /// input position, and how many follow.
    #[inline(always)]
    fn overlap(&self, at: usize) -> (usize, usize, usize) {
        let (start, padding) = (at * self.stride, self.padding());
        let first_tap = padding.saturating_sub(start);
        let first = (start + first_tap) - padding;
        (first_tap, first, (self.kernel - first_tap).min(self.size - first))
    }

    #[inline(always)]
    fn picture<S: Simd>(&self, simd: S, x: &[f32], out: &mut Vec<f32>) {
        let side = self.output_size();
        let (x, _) = S::as_simd_f32s(x);
        let mut line = vec![0.0; side * self.channels];
        for row in 0..side {
            let (outputs, _) = S::as_mut_simd_f32s(&mut line);
            let mut column = 0;
            while column < side {
                let last = (column + TILE - 1).min(side - 1);
                let is_inside = self.overlap(column).2 == self.kernel
                    && self.overlap(last).2 == self.kernel
                    && last - column == TILE - 1;
                if is_inside {
                    self.tile::<S, TILE>(simd, x, outputs, (row, column));
                    column += TILE;
                } else {
                    self.tile::<S, 1>(simd, x, outputs, (row, column));
                    column += 1;
                }
            }
            out.extend_from_slice(&line);
        }
    }

    /// `COLUMNS` outputs side by side in the line `out`. More than one must all have the whole kernel's width.
    #[inline(always)]
    fn tile<S: Simd, const COLUMNS: usize>(
        &self,
        simd: S,
        x: &[S::f32s],
        out: &mut [S::f32s],
        (row, column): (usize, usize),
    ) {
        let (taps, _) = S::as_simd_f32s(&self.taps);
        let (bias, _) = S::as_simd_f32s(&self.bias);
        let (tap_row, first_row, rows) = self.overlap(row);
        let (tap_column, first_column, columns) = self.overlap(column);
        let (zero, six) = (simd.splat_f32s(0.0), simd.splat_f32s(6.0));
        let depth = bias.len();
        let at_out = column * depth;
        for channel in 0..depth {
            let mut sums = [bias[channel]; COLUMNS];
            for r in 0..rows {
                for c in 0..columns {
                    let tap = (tap_row + r) * self.kernel + tap_column + c;
                    let weight = taps[tap * depth + channel];
                    let at = ((first_row + r) * self.size + first_column + c) * depth + channel;
                    for (n, sum) in sums.iter_mut().enumerate() {
                        let value = x[at + n * self.stride * depth];
                        *sum = simd.mul_add_e_f32s(value, weight, *sum);
                    }
                }
            }
            for (n, sum) in sums.into_iter().enumerate() {
                let sum = simd.min_f32s(simd.max_f32s(sum, zero), six);
                out[at_out + n * depth + channel] = sum;
            }
        }
    }
}

/// One picture, as what `pulp` compiles for each instruction set.
struct Picture<'a> {
    filter: &'a Depthwise,
    x: &'a [f32],
    out: &'a mut Vec<f32>,
}

impl WithSimd for Picture<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if self.filter.channels.is_multiple_of(S::F32_LANES) {
            self.filter.picture(simd, self.x, self.out);
        } else {
            self.filter.picture(Scalar::new(), self.x, self.out);
        }
    }
}

impl CustomOp1 for Depthwise {
    fn name(&self) -> &'static str {
        "depthwise"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = super::floats(storage, layout, self.name())?;
        let (batch, positions, channels) = layout.shape().dims3()?;
        if (positions, channels) != (self.size * self.size, self.channels) {
            bail!("depthwise takes {0} × {0} × {1}", self.size, self.channels);
        }
        let area = self.output_size() * self.output_size();
        let mut out = Vec::with_capacity(batch * area * channels);
        for x in x.chunks_exact(positions * channels) {
            pulp::Arch::new().dispatch(Picture { filter: self, x, out: &mut out });
        }
        Ok((CpuStorage::F32(out), Shape::from((batch, area, channels))))
    }
}
