//! A layer norm over channels (Ba et al., arXiv 1607.06450).

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use pulp::{Simd, WithSimd};

use crate::encode::weights::Weights;

/// `(x − mean) ÷ √(variance + eps) · weight + bias` of each row.
pub(crate) struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    eps: f32,
}

impl Norm {
    /// Reads `name.weight` and `name.bias`.
    pub(crate) fn new(
        weights: &Weights,
        name: &str,
        channels: usize,
        eps: f64,
    ) -> std::result::Result<Self, String> {
        let vector = |part: &str| weights.vector(&format!("{name}.{part}"), channels);
        #[expect(clippy::cast_possible_truncation, reason = "1e-12 has a nearest f32")]
        let eps = eps as f32;
        Ok(Self { weight: vector("weight")?, bias: vector("bias")?, eps })
    }

    /// `x` [.., channels] → the same shape.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.apply_op1_no_bwd(self)
    }
}

struct Rows<'a> {
    norm: &'a Norm,
    rows: &'a mut [f32],
}

impl WithSimd for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let Norm { weight, bias, eps } = self.norm;
        #[expect(clippy::cast_precision_loss, reason = "channels are some hundreds")]
        let share = 1.0 / weight.len() as f32;
        for row in self.rows.chunks_exact_mut(weight.len()) {
            let mean = sum(row, |x| x) * share;
            let variance = sum(row, |x| (x - mean) * (x - mean)) * share;
            let scale = 1.0 / (variance + eps).sqrt();
            for ((x, weight), bias) in row.iter_mut().zip(weight).zip(bias) {
                *x = (*x - mean) * scale * weight + bias;
            }
        }
    }
}

/// `Σ f(x)`, in 16 sums side by side: one after the other could not become SIMD.
#[inline(always)]
pub(crate) fn sum(row: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0.0; 16];
    let (whole, rest) = row.as_chunks::<16>();
    for chunk in whole {
        sums.iter_mut().zip(chunk).for_each(|(sum, &x)| *sum += f(x));
    }
    sums.iter().sum::<f32>() + rest.iter().map(|&x| f(x)).sum::<f32>()
}

impl CustomOp1 for Norm {
    fn name(&self) -> &'static str {
        "norm"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        if layout.dims().last() != Some(&self.weight.len()) {
            bail!("norm takes {} channels, not {:?}", self.weight.len(), layout.dims());
        }
        let mut rows = super::floats(storage, layout, "norm")?.to_vec();
        pulp::Arch::new().dispatch(Rows { norm: self, rows: &mut rows });
        Ok((CpuStorage::F32(rows), layout.shape().clone()))
    }
}
