//! Products of rows, rounded to bytes, and matrices of 8-bit weights.
//!
//! Four times as many products of bytes fit an instruction as of floats. Rows are rounded in the same
//! way everywhere: a processor without such instructions multiplies the same whole numbers as floats,
//! so a picture's vector does not depend on the processor, but for the last bits of sums.

#[cfg(target_arch = "x86_64")]
use super::dot::{Kernel, Strips};
use super::linear::transpose;
use super::multiply::{View, multiply};

/// The largest byte of a row: AVX2 adds two products in 16 bits, where they must fit (2 · 127 · 127).
/// On photos, 255 gives nothing more.
const LARGEST: u8 = 127;

/// Products that are added at once: rows are filled up to a multiple of it.
pub(super) const GROUP: usize = 4;

/// Rows of numbers as bytes from 0 to [`LARGEST`]: `x ≈ (byte − zero) · step`.
#[derive(Default)]
pub(super) struct ByteRows {
    width: usize,
    bytes: Vec<u8>,
    scales: Vec<Scale>,
}

/// Step and zero of a row.
#[derive(Debug, Clone, Copy, Default)]
struct Scale {
    step: f32,
    /// The byte that stands for 0.
    zero: f32,
}

impl ByteRows {
    /// Rounds `x`, rows of `width` floats; what was here before is gone.
    pub(super) fn fill(&mut self, x: &[f32], width: usize) {
        let rows = x.len() / width;
        self.width = width.next_multiple_of(GROUP);
        // What fills a row up meets weights of 0, so it may hold anything.
        self.bytes.resize(rows * self.width, 0);
        self.scales.resize(rows, Scale::default());
        let out = self.bytes.chunks_exact_mut(self.width).zip(&mut self.scales);
        pulp::Arch::new().dispatch(|| {
            for (x, (bytes, scale)) in x.chunks_exact(width).zip(out) {
                *scale = round(x, bytes);
            }
        });
    }
}

/// A row → its bytes. Its range includes 0, which stays exactly 0.
#[inline(always)]
fn round(x: &[f32], out: &mut [u8]) -> Scale {
    /// 1.5 · 2²³: a small number that is added to it is rounded to a whole one, in the last bits.
    const ROUNDER: f32 = 12_582_912.0;
    let (smallest, largest) = range(x);
    let step = ((largest - smallest) / f32::from(LARGEST)).max(f32::MIN_POSITIVE);
    let inverse = 1.0 / step;
    let zero = (-smallest * inverse).round_ties_even();
    let most = f32::from(LARGEST) - zero;
    for (out, &x) in out.iter_mut().zip(x) {
        let x = x * inverse;
        let x = if x < most { x } else { most };
        let [byte, ..] = (x + (zero + ROUNDER)).to_bits().to_le_bytes();
        *out = byte;
    }
    Scale { step, zero }
}

/// The smallest and the largest of a row and of 0, in 16 lanes: one after the other could not become
/// SIMD.
#[inline(always)]
fn range(x: &[f32]) -> (f32, f32) {
    let (mut smallest, mut largest) = ([0.0_f32; 16], [0.0_f32; 16]);
    for x in x.chunks(16) {
        for ((smallest, largest), &x) in smallest.iter_mut().zip(&mut largest).zip(x) {
            *smallest = if x < *smallest { x } else { *smallest };
            *largest = if x > *largest { x } else { *largest };
        }
    }
    (smallest.into_iter().fold(0.0, f32::min), largest.into_iter().fold(0.0, f32::max))
}

/// A matrix of 8-bit weights, laid out for the processor.
pub(super) struct ByteMatrix {
    weights: Layout,
    /// The scale of each output, and the sum of its weights.
    scales: Vec<f32>,
    totals: Vec<f32>,
}

enum Layout {
    #[cfg(target_arch = "x86_64")]
    Strips(Kernel, Strips),
    /// Whole numbers as floats, [inputs up to a multiple of [`GROUP`], outputs].
    Floats(Vec<f32>),
}

impl ByteMatrix {
    /// `values` [outputs, inputs] and the scale of each output.
    pub(super) fn new(values: &[i8], scales: &[f32]) -> Self {
        let inputs = values.len() / scales.len();
        let total = |row: &[i8]| row.iter().map(|&value| f32::from(value)).sum();
        Self {
            weights: Layout::new(values, inputs),
            scales: scales.to_vec(),
            totals: values.chunks_exact(inputs).map(total).collect(),
        }
    }

    /// The number of outputs.
    pub(super) fn outputs(&self) -> usize {
        self.scales.len()
    }

    /// `out = x · Wᵀ`, row by row.
    pub(super) fn multiply(&self, x: &ByteRows, out: &mut [f32]) {
        match &self.weights {
            #[cfg(target_arch = "x86_64")]
            Layout::Strips(kernel, strips) => strips.multiply(*kernel, &x.bytes, out),
            Layout::Floats(weights) => {
                let floats: Vec<f32> = x.bytes.iter().map(|&byte| f32::from(byte)).collect();
                let rows = View::by_rows(&floats, x.scales.len(), x.width);
                let weights = View::by_rows(weights, x.width, self.outputs());
                multiply(rows, weights, out, self.outputs());
            }
        }
        pulp::Arch::new().dispatch(|| {
            for (row, &Scale { step, zero }) in out.chunks_exact_mut(self.outputs()).zip(&x.scales)
            {
                for ((sum, total), scale) in row.iter_mut().zip(&self.totals).zip(&self.scales) {
                    *sum = (*sum - zero * total) * (scale * step);
                }
            }
        });
    }
}

impl Layout {
    fn new(values: &[i8], inputs: usize) -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(kernel) = Kernel::ALL.into_iter().find(|kernel| kernel.is_there()) {
            return Self::Strips(kernel, Strips::new(values, inputs));
        }
        Self::floats(values, inputs)
    }

    fn floats(values: &[i8], inputs: usize) -> Self {
        let outputs = values.len() / inputs;
        let rows: Vec<f32> = values.iter().map(|&value| f32::from(value)).collect();
        let mut columns = transpose(&rows, inputs);
        columns.resize(outputs * inputs.next_multiple_of(GROUP), 0.0);
        Self::Floats(columns)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn rows(x: &[f32], width: usize) -> ByteRows {
        let mut rows = ByteRows::default();
        rows.fill(x, width);
        rows
    }

    proptest! {
        #[test]
        fn a_row_is_rounded_by_half_a_step_at_most_and_zero_by_nothing(
            mut x in vec(-50.0_f32..90.0, 1..200),
            scale in prop::sample::select(vec![1e-20_f32, 1e-3, 1.0, 1e10]),
        ) {
            x[0] = 0.0;
            x.iter_mut().for_each(|x| *x *= scale);
            let rows = rows(&x, x.len());
            let Scale { step, zero } = rows.scales[0];
            let values = rows.bytes.iter().map(|&byte| (f32::from(byte) - zero) * step);
            prop_assert_eq!(values.clone().next(), Some(0.0));
            for ((value, &byte), &x) in values.zip(&rows.bytes).zip(&x) {
                // Where the range ends in the middle between two steps, its end has no byte of its own.
                prop_assert!((value - x).abs() <= 0.501 * step, "{} for {}, step {}", value, x, step);
                prop_assert!(byte <= LARGEST);
            }
        }

        #[test]
        fn products_are_near_those_of_floats_and_the_same_in_every_layout(
            (inputs, x, values, scales) in (1_usize..80, 1_usize..9, 1_usize..40).prop_flat_map(
                |(inputs, rows, outputs)| (
                    Just(inputs),
                    vec(-6.0_f32..6.0, inputs * rows),
                    vec(-127..=127_i8, inputs * outputs),
                    vec(1e-4_f32..0.1, outputs),
                ),
            ),
        ) {
            let matrix = ByteMatrix::new(&values, &scales);
            let plain = ByteMatrix { weights: Layout::floats(&values, inputs), ..ByteMatrix::new(&values, &scales) };
            let rows = rows(&x, inputs);
            let mut products = vec![7.0; x.len() / inputs * scales.len()];
            let mut as_floats = products.clone();
            matrix.multiply(&rows, &mut products);
            plain.multiply(&rows, &mut as_floats);
            prop_assert_eq!(&products, &as_floats);
            let outputs = values.chunks_exact(inputs).zip(&scales);
            let pairs = x.chunks_exact(inputs).zip(&rows.scales).flat_map(|row| outputs.clone().map(move |output| (row, output)));
            for (((x, Scale { step, .. }), (weights, scale)), &product) in pairs.zip(&products) {
                let exact: f32 = x.iter().zip(weights).map(|(x, &weight)| x * f32::from(weight) * scale).sum();
                let sum: f32 = weights.iter().map(|&weight| f32::from(weight).abs() * scale).sum();
                prop_assert!((product - exact).abs() <= 0.51 * step * sum + 1e-4, "{} for {}", product, exact);
            }
        }
    }
}
