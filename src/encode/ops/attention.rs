//! Scaled dot-product attention of all heads: `softmax(q · kᵀ / √d) · v`.

use std::cell::RefCell;

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};
use pulp::{Simd, WithSimd};

use super::activation::exp_of_negative;
use super::multiply::{View, multiply};

thread_local! {
    /// One head's keys, transposed, and its scores.
    static SCRATCH: RefCell<(Vec<f32>, Vec<f32>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// Attention of each query to all keys, those of the same sequence or of another. Heads lie side by
/// side in the channels, as the linear layers give them, so that nothing is moved first.
pub(crate) struct Attention {
    /// The number of heads; they share the channels equally.
    pub(crate) heads: usize,
}

impl Attention {
    /// `query` [batch, queries, channels], `key` and `value` [batch, positions, channels] → the shape
    /// of `query`.
    pub(crate) fn forward(&self, query: &Tensor, key: &Tensor, value: &Tensor) -> Result<Tensor> {
        query.apply_op3_no_bwd(key, value, self)
    }

    /// One head of one sequence; the slices begin at the head's first channel.
    fn head(&self, sequence: [&[f32]; 3], out: &mut [f32], channels: usize) {
        let width = channels / self.heads;
        let [query, key, value] = sequence;
        // The last row of a slice lacks the channels before the head's first.
        let (queries, positions) = (query.len().div_ceil(channels), key.len().div_ceil(channels));
        let by_rows = |part, rows| View::spaced(part, rows, width, channels);
        SCRATCH.with_borrow_mut(|(keys, scores)| {
            keys.resize(width * positions, 0.0);
            scores.resize(queries * positions, 0.0);
            for (row, key) in key.chunks(channels).enumerate() {
                for (channel, &value) in key[..width].iter().enumerate() {
                    keys[channel * positions + row] = value;
                }
            }
            let keys = View::by_rows(keys, width, positions);
            multiply(by_rows(query, queries), keys, scores, positions);
            pulp::Arch::new().dispatch(Softmax { rows: scores, width: positions, head: width });
            let shares = View::by_rows(scores, queries, positions);
            multiply(shares, by_rows(value, positions), out, channels);
        });
    }
}

/// `softmax(row / √head)` of each row, in place.
struct Softmax<'a> {
    rows: &'a mut [f32],
    width: usize,
    head: usize,
}

impl WithSimd for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        #[expect(clippy::cast_precision_loss, reason = "a head is some 32 to 128 wide")]
        let scale = 1.0 / (self.head as f32).sqrt();
        for row in self.rows.chunks_exact_mut(self.width) {
            let largest = row.iter().fold(f32::NEG_INFINITY, |a, &b| if b > a { b } else { a });
            row.iter_mut().for_each(|x| *x = exp_of_negative((*x - largest) * scale));
            let total = 1.0 / row.iter().sum::<f32>();
            row.iter_mut().for_each(|x| *x *= total);
        }
    }
}

impl CustomOp3 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        query: &CpuStorage,
        layout: &Layout,
        key: &CpuStorage,
        key_layout: &Layout,
        value: &CpuStorage,
        value_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (batch, queries, channels) = layout.shape().dims3()?;
        let (sequences, positions, width) = key_layout.shape().dims3()?;
        if (sequences, width) != (batch, channels) || value_layout.dims() != key_layout.dims() {
            bail!("attention takes queries, keys and values of one batch and width");
        }
        let query = super::floats(query, layout, "attention")?;
        let key = super::floats(key, key_layout, "attention")?;
        let value = super::floats(value, value_layout, "attention")?;
        let mut out = vec![0.0; query.len()];
        let width = channels / self.heads;
        for sequence in 0..batch {
            for head in 0..self.heads {
                let part = |rows: usize| {
                    sequence * rows * channels + head * width..(sequence + 1) * rows * channels
                };
                let (asking, seen) = (part(queries), part(positions));
                let parts = [&query[asking.clone()], &key[seen.clone()], &value[seen]];
                self.head(parts, &mut out[asking], channels);
            }
        }
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }
}
