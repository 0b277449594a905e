//! A depthwise convolution with TensorFlow's SAME padding, bias and ReLU6, an output row at a time.

use std::array::from_fn;
use std::ops::Range;

use pulp::{Scalar, Simd, WithSimd};

use crate::encode::weights::Weights;

/// Neighbouring columns done at once: their sums and a row of weights fit the registers of the smallest
/// instruction set.
const TILE: usize = 4;

/// The largest side of a kernel.
const LARGEST_KERNEL: usize = 7;

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
    ) -> Result<Self, String> {
        if kernel > LARGEST_KERNEL {
            return Err(format!("{name} has {kernel} rows, and {LARGEST_KERNEL} are possible"));
        }
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

    pub(crate) fn channels(&self) -> usize {
        self.channels
    }

    /// Side of the kernel.
    pub(crate) fn kernel(&self) -> usize {
        self.kernel
    }

    /// Side of the input.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Side of the output: ⌈size ÷ stride⌉.
    pub(crate) fn output_size(&self) -> usize {
        self.size.div_ceil(self.stride)
    }

    /// The rows of the input that an output row needs.
    pub(crate) fn needs(&self, row: usize) -> Range<usize> {
        let (_, first, count) = self.overlap(row);
        first..first + count
    }

    /// An output row → `out` [output size, channels]. `x` [rows, size, channels] holds some rows of the
    /// input, row r at place r modulo their number; those that are needed are among them.
    pub(crate) fn row(&self, x: &[f32], row: usize, out: &mut [f32]) {
        pulp::Arch::new().dispatch(Row { filter: self, x, row, out });
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
    fn row_with<S: Simd>(&self, simd: S, x: &[f32], row: usize, out: &mut [f32]) {
        let held = x.len() / (self.size * self.channels);
        let (first_tap, first, count) = self.overlap(row);
        let mut places = [0; LARGEST_KERNEL];
        for (place, row) in places.iter_mut().zip(first..first + count) {
            *place = row % held;
        }
        let rows = Rows { x: S::as_simd_f32s(x).0, first_tap, places: &places[..count] };
        let (out, _) = S::as_mut_simd_f32s(out);
        match (self.kernel, self.stride) {
            (3, 1) => self.columns::<S, 3, 1>(simd, rows, out),
            (3, 2) => self.columns::<S, 3, 2>(simd, rows, out),
            (5, 1) => self.columns::<S, 5, 1>(simd, rows, out),
            (5, 2) => self.columns::<S, 5, 2>(simd, rows, out),
            _ => (0..self.output_size()).for_each(|column| self.one(simd, rows, out, column)),
        }
    }

    /// All columns of a row.
    #[inline(always)]
    fn columns<S: Simd, const KERNEL: usize, const STRIDE: usize>(
        &self,
        simd: S,
        rows: Rows<'_, S>,
        out: &mut [S::f32s],
    ) {
        let side = self.output_size();
        let is_inside = |column: usize| column < side && self.overlap(column).2 == KERNEL;
        let mut column = 0;
        while column < side {
            if is_inside(column) && is_inside(column + TILE - 1) {
                self.tile::<S, KERNEL, STRIDE>(simd, rows, out, column);
                column += TILE;
            } else {
                self.one(simd, rows, out, column);
                column += 1;
            }
        }
    }

    /// [`TILE`] outputs side by side that have the kernel's whole width: inputs are read once for all of
    /// them, and weights too.
    #[inline(always)]
    fn tile<S: Simd, const KERNEL: usize, const STRIDE: usize>(
        &self,
        simd: S,
        rows: Rows<'_, S>,
        out: &mut [S::f32s],
        column: usize,
    ) {
        let (taps, _) = S::as_simd_f32s(&self.taps);
        let (bias, _) = S::as_simd_f32s(&self.bias);
        let (_, first_column, _) = self.overlap(column);
        let depth = bias.len();
        for channel in 0..depth {
            let mut sums = [bias[channel]; TILE];
            for (tap_row, place) in (rows.first_tap..).zip(rows.places) {
                let tap = |c: usize| taps[(tap_row * KERNEL + c) * depth + channel];
                let weights: [S::f32s; KERNEL] = from_fn(tap);
                let at = (place * self.size + first_column) * depth + channel;
                for c in 0..(TILE - 1) * STRIDE + KERNEL {
                    let value = rows.x[at + c * depth];
                    for (n, sum) in sums.iter_mut().enumerate() {
                        if let Some(weight) = c.checked_sub(n * STRIDE).and_then(|c| weights.get(c))
                        {
                            *sum = simd.mul_add_e_f32s(value, *weight, *sum);
                        }
                    }
                }
            }
            for (n, sum) in sums.into_iter().enumerate() {
                out[(column + n) * depth + channel] = relu6(simd, sum);
            }
        }
    }

    /// One output, wherever it is.
    #[inline(always)]
    fn one<S: Simd>(&self, simd: S, rows: Rows<'_, S>, out: &mut [S::f32s], column: usize) {
        let (taps, _) = S::as_simd_f32s(&self.taps);
        let (bias, _) = S::as_simd_f32s(&self.bias);
        let (tap_column, first_column, columns) = self.overlap(column);
        let depth = bias.len();
        for channel in 0..depth {
            let mut sum = bias[channel];
            for (tap_row, place) in (rows.first_tap..).zip(rows.places) {
                for c in 0..columns {
                    let weight = taps[(tap_row * self.kernel + tap_column + c) * depth + channel];
                    let at = (place * self.size + first_column + c) * depth + channel;
                    sum = simd.mul_add_e_f32s(rows.x[at], weight, sum);
                }
            }
            out[column * depth + channel] = relu6(simd, sum);
        }
    }
}

#[inline(always)]
fn relu6<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    simd.min_f32s(simd.max_f32s(x, simd.splat_f32s(0.0)), simd.splat_f32s(6.0))
}

/// Rows of the input, of which those at `places` meet the rows of taps from `first_tap` on.
#[derive(Clone, Copy)]
struct Rows<'a, S: Simd> {
    x: &'a [S::f32s],
    first_tap: usize,
    places: &'a [usize],
}

/// A row, as what `pulp` compiles for each instruction set.
struct Row<'a> {
    filter: &'a Depthwise,
    x: &'a [f32],
    row: usize,
    out: &'a mut [f32],
}

impl WithSimd for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { filter, x, row, out } = self;
        if filter.channels.is_multiple_of(S::F32_LANES) {
            filter.row_with(simd, x, row, out);
        } else {
            filter.row_with(Scalar::new(), x, row, out);
        }
    }
}
