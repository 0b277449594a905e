//! Sums of products of bytes, in the instructions that x86 processors have for them.
//!
//! Weights lie in strips of sixteen outputs: four inputs of each output side by side, then the next
//! four. An instruction takes four inputs of a row, multiplies them with the weights of eight or
//! sixteen outputs, and adds the four products of each to a sum of 32 bits.

use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_set1_epi16,
};
use std::array::from_fn;

use super::bytes::GROUP;

/// Outputs of a strip.
const STRIP: usize = 16;

/// The weights of a strip for one group of inputs: [output, input].
type Step = [i8; STRIP * GROUP];

/// What does the sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kernel {
    /// Intel's servers since Cascade Lake, AMD since Zen 4.
    Avx512Vnni,
    /// Intel since Alder Lake, AMD since Zen 5.
    AvxVnni,
    /// Intel since Haswell, AMD since Excavator.
    Avx2,
}

impl Kernel {
    /// The fastest first.
    pub(super) const ALL: [Self; 3] = [Self::Avx512Vnni, Self::AvxVnni, Self::Avx2];

    /// Whether this processor has its instructions.
    pub(super) fn is_there(self) -> bool {
        match self {
            Self::Avx512Vnni => {
                is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni")
            }
            Self::AvxVnni => {
                is_x86_feature_detected!("avx2") && is_x86_feature_detected!("avxvnni")
            }
            Self::Avx2 => is_x86_feature_detected!("avx2"),
        }
    }

    /// Writes every sum.
    fn compute(self, product: &mut Product<'_>) {
        assert!(self.is_there(), "{self:?} on another processor");
        match self {
            // SAFETY: the processor has the instructions.
            Self::Avx512Vnni => unsafe { avx512_vnni::compute(product) },
            // SAFETY: as above.
            Self::AvxVnni => unsafe { avx_vnni::compute(product) },
            // SAFETY: as above.
            Self::Avx2 => unsafe { avx2::compute(product) },
        }
    }
}

/// Weights in strips.
pub(super) struct Strips {
    /// [strip, group of inputs]; what is beyond the matrix is 0.
    steps: Vec<Step>,
    groups: usize,
    outputs: usize,
}

impl Strips {
    /// Lays out `values` [outputs, inputs].
    pub(super) fn new(values: &[i8], inputs: usize) -> Self {
        let (groups, outputs) = (inputs.div_ceil(GROUP), values.len() / inputs);
        let mut steps = vec![[0; STRIP * GROUP]; outputs.div_ceil(STRIP) * groups];
        for (output, row) in values.chunks_exact(inputs).enumerate() {
            let strip = &mut steps[output / STRIP * groups..][..groups];
            for (group, step) in row.chunks(GROUP).zip(strip) {
                step[output % STRIP * GROUP..][..group.len()].copy_from_slice(group);
            }
        }
        Self { steps, groups, outputs }
    }

    /// The sums of each row, as floats [rows, outputs]. A row of `x` has [`GROUP`] bytes for each group
    /// of inputs, none above 127.
    pub(super) fn multiply(&self, kernel: Kernel, x: &[u8], out: &mut [f32]) {
        let (x, _) = x.as_chunks();
        assert_eq!(
            x.len() / self.groups * self.outputs,
            out.len(),
            "a sum for each row and output"
        );
        kernel.compute(&mut Product { strips: self, x, out });
    }

    fn count(&self) -> usize {
        self.outputs.div_ceil(STRIP)
    }

    fn strip(&self, number: usize) -> &[Step] {
        &self.steps[number * self.groups..][..self.groups]
    }
}

/// Rows by strips, and where their sums go, row by row.
struct Product<'a> {
    strips: &'a Strips,
    /// [row, group of inputs].
    x: &'a [[u8; GROUP]],
    out: &'a mut [f32],
}

impl Product<'_> {
    fn rows(&self) -> usize {
        self.x.len() / self.strips.groups
    }

    fn row(&self, number: usize) -> &[[u8; GROUP]] {
        &self.x[number * self.strips.groups..][..self.strips.groups]
    }

    /// Where a row's sums of a strip go; the last strip may have fewer than [`STRIP`].
    fn sums(&mut self, row: usize, strip: usize) -> &mut [f32] {
        let outputs = self.strips.outputs;
        let row = &mut self.out[row * outputs..][..outputs];
        &mut row[strip * STRIP..outputs.min((strip + 1) * STRIP)]
    }
}

/// The loops of a kernel, compiled for its instructions: `zero`, `load`, `splat`, `add` and `store`, of
/// the module in which this stands, do what a strip needs.
macro_rules! loops {
    ($features:literal) => {
        /// All rows, `ROWS` at a time, for `STRIPS` strips from `first` on.
        #[target_feature(enable = $features)]
        fn panel<const ROWS: usize, const STRIPS: usize>(product: &mut Product<'_>, first: usize) {
            let rows = product.rows();
            if rows < ROWS {
                (0..rows).for_each(|row| tile::<1, STRIPS>(product, row, first));
                return;
            }
            for row in (0..rows).step_by(ROWS) {
                // The last rows overlap the ones before: faster than one by one.
                tile::<ROWS, STRIPS>(product, row.min(rows - ROWS), first);
            }
        }

        #[target_feature(enable = $features)]
        #[inline]
        fn tile<const ROWS: usize, const STRIPS: usize>(
            product: &mut Product<'_>,
            row: usize,
            first: usize,
        ) {
            let rows: [&[[u8; GROUP]]; ROWS] = from_fn(|number| product.row(row + number));
            let strips: [&[Step]; STRIPS] = from_fn(|number| product.strips.strip(first + number));
            let mut sums = [[zero(); STRIPS]; ROWS];
            for group in 0..product.strips.groups {
                let weights = strips.map(|steps| load(&steps[group]));
                for (sums, row) in sums.iter_mut().zip(rows) {
                    let bytes = splat(i32::from_le_bytes(row[group]));
                    for (sum, weights) in sums.iter_mut().zip(weights) {
                        *sum = add(*sum, bytes, weights);
                    }
                }
            }
            for (number, sums) in sums.into_iter().enumerate() {
                for (strip, sum) in sums.into_iter().enumerate() {
                    store(sum, product.sums(row + number, first + strip));
                }
            }
        }
    };
}

mod avx512_vnni {
    use std::arch::x86_64::{
        __m512i, _mm512_cvtepi32_ps, _mm512_dpbusd_epi32 as add, _mm512_loadu_si512,
        _mm512_mask_storeu_ps, _mm512_set1_epi32 as splat, _mm512_setzero_si512 as zero,
    };

    use super::{GROUP, Product, STRIP, Step, from_fn};

    loops!("avx512f,avx512vnni");

    #[target_feature(enable = "avx512f,avx512vnni")]
    pub(super) fn compute(product: &mut Product<'_>) {
        let strips = product.strips.count();
        // Panels of the same width where possible; their sums and weights fit 32 registers.
        let panel_width = strips.div_ceil(strips.div_ceil(4));
        for first in (0..strips).step_by(panel_width) {
            match panel_width.min(strips - first) {
                1 => panel::<12, 1>(product, first),
                2 => panel::<12, 2>(product, first),
                3 => panel::<8, 3>(product, first),
                _ => panel::<6, 4>(product, first),
            }
        }
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    fn load(weights: &Step) -> __m512i {
        // SAFETY: it reads these 64 bytes, wherever they begin.
        unsafe { _mm512_loadu_si512(std::ptr::from_ref(weights).cast()) }
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    fn store(sums: __m512i, out: &mut [f32]) {
        let mask = u16::MAX >> (STRIP - out.len().min(STRIP));
        let floats = _mm512_cvtepi32_ps(sums);
        // SAFETY: it writes as many floats as `out` is long, as the mask says, or sixteen.
        unsafe { _mm512_mask_storeu_ps(out.as_mut_ptr(), mask, floats) }
    }
}

/// A kernel of 256 bits, two vectors to a strip: how it adds, and how many rows it takes at a time.
macro_rules! half_strips {
    ($kernel:ident, $features:literal, $add:expr, $rows:literal) => {
        mod $kernel {
            use std::arch::x86_64::{
                __m256i, _mm256_cvtepi32_ps, _mm256_loadu_si256, _mm256_set1_epi32 as splat,
                _mm256_setzero_si256, _mm256_storeu_ps,
            };

            use super::{GROUP, Product, STRIP, Step, from_fn};

            loops!($features);

            #[target_feature(enable = $features)]
            pub(super) fn compute(product: &mut Product<'_>) {
                (0..product.strips.count()).for_each(|strip| panel::<$rows, 1>(product, strip));
            }

            #[target_feature(enable = $features)]
            #[inline]
            fn zero() -> [__m256i; 2] {
                [_mm256_setzero_si256(); 2]
            }

            #[target_feature(enable = $features)]
            #[inline]
            fn load(weights: &Step) -> [__m256i; 2] {
                let (halves, _) = weights.as_chunks::<32>();
                // SAFETY: it reads these 32 bytes, wherever they begin.
                let load = |half: &[i8; 32]| unsafe {
                    _mm256_loadu_si256(std::ptr::from_ref(half).cast())
                };
                [load(&halves[0]), load(&halves[1])]
            }

            #[target_feature(enable = $features)]
            #[inline]
            fn add([a, b]: [__m256i; 2], bytes: __m256i, [c, d]: [__m256i; 2]) -> [__m256i; 2] {
                [$add(a, bytes, c), $add(b, bytes, d)]
            }

            #[target_feature(enable = $features)]
            #[inline]
            fn store(sums: [__m256i; 2], out: &mut [f32]) {
                for (sums, out) in sums.into_iter().zip(out.chunks_mut(STRIP / 2)) {
                    let mut floats = [0.0; STRIP / 2];
                    // SAFETY: it writes these eight floats.
                    unsafe { _mm256_storeu_ps(floats.as_mut_ptr(), _mm256_cvtepi32_ps(sums)) };
                    out.copy_from_slice(&floats[..out.len()]);
                }
            }
        }
    };
}

half_strips!(avx_vnni, "avx2,avxvnni", std::arch::x86_64::_mm256_dpbusd_avx_epi32, 6);
half_strips!(avx2, "avx2", super::add_with_avx2, 4);

/// Two products to a sum of 16 bits, and two of these to one of 32 bits.
#[target_feature(enable = "avx2")]
#[inline]
fn add_with_avx2(sums: __m256i, bytes: __m256i, weights: __m256i) -> __m256i {
    let pairs = _mm256_maddubs_epi16(bytes, weights);
    _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss, reason = "whole numbers below 2²⁴")]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// The sums of all rows by each kernel that this processor has.
    fn sums(x: &[u8], values: &[i8], inputs: usize) -> Vec<Vec<f32>> {
        let strips = Strips::new(values, inputs);
        let padded: Vec<u8> = x
            .chunks_exact(inputs)
            .flat_map(|row| {
                row.iter().copied().chain(std::iter::repeat(99)).take(strips.groups * GROUP)
            })
            .collect();
        let kernels = Kernel::ALL.into_iter().filter(|kernel| kernel.is_there());
        let sums = kernels.map(|kernel| {
            let mut out = vec![0.5; x.len() / inputs * strips.outputs];
            strips.multiply(kernel, &padded, &mut out);
            out
        });
        sums.collect()
    }

    fn definition(x: &[u8], values: &[i8], inputs: usize) -> Vec<f32> {
        let dot = |row: &[u8], weights: &[i8]| -> i32 {
            row.iter().zip(weights).map(|(&x, &weight)| i32::from(x) * i32::from(weight)).sum()
        };
        let rows = x.chunks_exact(inputs);
        let sums = rows.flat_map(|row| {
            values.chunks_exact(inputs).map(move |weights| dot(row, weights) as f32)
        });
        sums.collect()
    }

    proptest! {
        #[test]
        fn every_kernel_adds_up_as_the_definition_says(
            (inputs, x, values) in (1_usize..70, 1_usize..30, 1_usize..150).prop_flat_map(
                |(inputs, rows, outputs)| (
                    Just(inputs),
                    vec(0..=127_u8, inputs * rows),
                    vec(-127..=127_i8, inputs * outputs),
                ),
            ),
        ) {
            let expected = definition(&x, &values, inputs);
            for sums in sums(&x, &values, inputs) {
                prop_assert_eq!(&sums, &expected);
            }
        }
    }

    #[test]
    fn the_largest_products_fit() {
        let (x, values) = (vec![127; 64], [vec![127; 64], vec![-127; 64]].concat());
        for sums in sums(&x, &values, 64) {
            assert_eq!(sums[..2], [1_032_256.0, -1_032_256.0]);
        }
    }
}
