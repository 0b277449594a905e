//! A depthwise convolution with TensorFlow's SAME padding, bias and ReLU6.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use pulp::{Simd, WithSimd};

use crate::encode::weights::Weights;

/// Channels done at once: four 512-bit registers of sums.
const LANES: usize = 64;

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
    fn position(&self, x: &[f32], row: usize, column: usize, out: &mut [f32]) {
        let whole = self.channels - self.channels % LANES;
        for channel in (0..whole).step_by(LANES) {
            self.lanes::<LANES>(x, row, column, channel, out);
        }
        let mut channel = whole;
        while channel + 16 <= self.channels {
            self.lanes::<16>(x, row, column, channel, out);
            channel += 16;
        }
        while channel + 8 <= self.channels {
            self.lanes::<8>(x, row, column, channel, out);
            channel += 8;
        }
        while channel < self.channels {
            self.lanes::<1>(x, row, column, channel, out);
            channel += 1;
        }
    }

    #[inline(always)]
    fn lanes<const N: usize>(
        &self,
        x: &[f32],
        row: usize,
        column: usize,
        channel: usize,
        out: &mut [f32],
    ) {
        let (tap_row, first_row, rows) = self.overlap(row);
        let (tap_column, first_column, columns) = self.overlap(column);
        let mut sums = [0.0f32; N];
        sums.copy_from_slice(&self.bias[channel..channel + N]);
        for r in 0..rows {
            for c in 0..columns {
                let tap = (tap_row + r) * self.kernel + tap_column + c;
                let at = ((first_row + r) * self.size + first_column + c) * self.channels + channel;
                let taps = &self.taps[tap * self.channels + channel..][..N];
                let values = &x[at..][..N];
                for lane in 0..N {
                    sums[lane] += values[lane] * taps[lane];
                }
            }
        }
        for (out, sum) in out[channel..channel + N].iter_mut().zip(sums) {
            *out = sum.clamp(0.0, 6.0);
        }
    }
}

/// One picture, as what `pulp` compiles for each instruction set.
struct Picture<'a> {
    filter: &'a Depthwise,
    x: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for Picture<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let (side, channels) = (self.filter.output_size(), self.filter.channels);
        for row in 0..side {
            for column in 0..side {
                let at = (row * side + column) * channels;
                self.filter.position(self.x, row, column, &mut self.out[at..at + channels]);
            }
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
        let mut out = vec![0.0; batch * area * channels];
        let pictures = x.chunks_exact(positions * channels);
        for (x, out) in pictures.zip(out.chunks_exact_mut(area * channels)) {
            pulp::Arch::new().dispatch(Picture { filter: self, x, out });
        }
        Ok((CpuStorage::F32(out), Shape::from((batch, area, channels))))
    }
}
