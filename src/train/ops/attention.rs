//! Scaled dot-product attention of all heads (Vaswani et al., arXiv 1706.03762, section 3.2.1), as one operator.

use std::cell::RefCell;

use candle_core::{CpuStorage, CustomOp3, D, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::{Floats, Sequences, floats, gradient_of};
use crate::encode::ops::{View, exp_of_negative, multiply};

thread_local! {
    /// One head's probabilities and their gradients.
    static SCRATCH: RefCell<(Vec<f32>, Vec<f32>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// `softmax(q · kᵀ ÷ √d) · v` within each sequence: three tensors [rows, channels] → [rows, channels].
/// Heads share the channels equally and lie side by side.
///
/// # Errors
/// Shapes that do not fit.
pub fn attention(
    query: &Tensor,
    key: &Tensor,
    value: &Tensor,
    heads: usize,
    sequences: &Sequences,
) -> Result<Tensor> {
    let (rows, channels) = query.dims2()?;
    let fits = key.dims() == query.dims() && value.dims() == query.dims();
    let divides = heads > 0 && channels > 0 && channels.is_multiple_of(heads);
    if !divides || rows != sequences.rows() || !fits || sequences.has_empty() {
        bail!("attention of {heads} heads on {:?}", query.dims());
    }
    if query.device().is_cpu() {
        let op = Attention { heads, sequences: sequences.clone() };
        return query.contiguous()?.apply_op3(&key.contiguous()?, &value.contiguous()?, op);
    }
    plain(query, key, value, heads, sequences)
}

fn plain(
    query: &Tensor,
    key: &Tensor,
    value: &Tensor,
    heads: usize,
    sequences: &Sequences,
) -> Result<Tensor> {
    let channels = query.dim(1)?;
    let outputs = sequences.ranges().map(|range| {
        let part = |x: &Tensor| {
            let x = x.narrow(0, range.start, range.len())?;
            x.reshape((range.len(), heads, channels / heads))?.transpose(0, 1)?.contiguous()
        };
        let (query, key, value) = (part(query)?, part(key)?, part(value)?);
        #[expect(clippy::cast_precision_loss, reason = "a head is some 32 to 128 wide")]
        let scale = 1.0 / ((channels / heads) as f64).sqrt();
        let scores = (query.matmul(&key.t()?)? * scale)?;
        let scores = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?.detach())?.exp()?;
        let shares = scores.broadcast_div(&scores.sum_keepdim(D::Minus1)?)?;
        shares.matmul(&value)?.transpose(0, 1)?.reshape((range.len(), channels))
    });
    Tensor::cat(&outputs.collect::<Result<Vec<_>>>()?, 0)
}

struct Attention {
    heads: usize,
    sequences: Sequences,
}

/// One sequence; slices of one head begin at its first channel.
struct Sequence<'a> {
    query: &'a [f32],
    key: &'a [f32],
    value: &'a [f32],
    positions: usize,
    channels: usize,
    width: usize,
}

impl Sequence<'_> {
    fn heads(&self) -> impl Iterator<Item = usize> + use<> {
        (0..self.channels).step_by(self.width)
    }

    /// The channels of one head, of any tensor of this shape.
    fn part<'a>(&self, rows: &'a [f32], head: usize) -> View<'a> {
        View::spaced(&rows[head..], self.positions, self.width, self.channels)
    }

    fn square<'a>(&self, values: &'a [f32]) -> View<'a> {
        View::by_rows(values, self.positions, self.positions)
    }

    fn scale(&self) -> f32 {
        #[expect(clippy::cast_precision_loss, reason = "a head is some 32 to 128 wide")]
        let width = self.width as f32;
        1.0 / width.sqrt()
    }

    /// The probabilities of one head, [positions, positions].
    fn shares(&self, head: usize, shares: &mut Vec<f32>) {
        shares.resize(self.positions * self.positions, 0.0);
        let key = self.part(self.key, head).transposed();
        multiply(self.part(self.query, head), key, shares, self.positions);
        let scale = self.scale();
        pulp::Arch::new().dispatch(|| {
            for row in shares.chunks_exact_mut(self.positions) {
                let largest = row.iter().fold(f32::NEG_INFINITY, |a, &b| if b > a { b } else { a });
                row.iter_mut().for_each(|x| *x = exp_of_negative((*x - largest) * scale));
                let total = 1.0 / row.iter().sum::<f32>();
                row.iter_mut().for_each(|x| *x *= total);
            }
        });
    }

    fn forward(&self, out: &mut [f32]) {
        SCRATCH.with_borrow_mut(|(shares, _)| {
            for head in self.heads() {
                self.shares(head, shares);
                let value = self.part(self.value, head);
                multiply(self.square(shares), value, &mut out[head..], self.channels);
            }
        });
    }

    /// With probabilities `P` and `g` for the output: `∂v = Pᵀ · g`; with `dP = g · vᵀ` and
    /// `dS = P ∘ (dP − Σ P ∘ dP) ÷ √d`: `∂q = dS · k`, `∂k = dSᵀ · q`.
    fn backward(&self, grad: &[f32], [to_query, to_key, to_value]: [&mut [f32]; 3]) {
        let channels = self.channels;
        SCRATCH.with_borrow_mut(|(shares, scores)| {
            for head in self.heads() {
                self.shares(head, shares);
                let grad = self.part(grad, head);
                multiply(self.square(shares).transposed(), grad, &mut to_value[head..], channels);
                scores.resize(shares.len(), 0.0);
                let value = self.part(self.value, head).transposed();
                multiply(grad, value, scores, self.positions);
                self.softmax_back(shares, scores);
                let (query, key) = (self.part(self.query, head), self.part(self.key, head));
                multiply(self.square(scores), key, &mut to_query[head..], channels);
                let scores = self.square(scores).transposed();
                multiply(scores, query, &mut to_key[head..], channels);
            }
        });
    }

    fn softmax_back(&self, shares: &[f32], scores: &mut [f32]) {
        let scale = self.scale();
        let rows = scores.chunks_exact_mut(self.positions);
        for (scores, shares) in rows.zip(shares.chunks_exact(self.positions)) {
            let mean: f32 = scores.iter().zip(shares).map(|(g, p)| g * p).sum();
            scores.iter_mut().zip(shares).for_each(|(g, p)| *g = p * (*g - mean) * scale);
        }
    }
}

impl Attention {
    fn sequences<'a>(
        &self,
        [query, key, value]: [&'a [f32]; 3],
        channels: usize,
    ) -> Vec<Sequence<'a>> {
        let sequence = |rows: std::ops::Range<usize>| {
            let part = |values: &'a [f32]| &values[rows.start * channels..rows.end * channels];
            Sequence {
                query: part(query),
                key: part(key),
                value: part(value),
                positions: rows.len(),
                channels,
                width: channels / self.heads,
            }
        };
        self.sequences.ranges().map(sequence).collect()
    }
}

impl CustomOp3 for Attention {
    fn name(&self) -> &'static str {
        "train-attention"
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
        let query = floats(query, layout, self.name())?;
        let key = floats(key, key_layout, self.name())?;
        let value = floats(value, value_layout, self.name())?;
        let (_, channels) = layout.shape().dims2()?;
        let mut out = vec![0.0; query.len()];
        let sequences = self.sequences([query, key, value], channels);
        let outs = self.sequences.split(&mut out, channels);
        sequences.par_iter().zip(outs).for_each(|(sequence, out)| sequence.forward(out));
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let channels = q.dim(1)?;
        let grad = grad.contiguous()?;
        let grad = Floats::of(&grad)?;
        let (query, key, value) = (Floats::of(q)?, Floats::of(k)?, Floats::of(v)?);
        let [mut to_query, mut to_key, mut to_value] = [(); 3].map(|()| vec![0.0; grad.len()]);
        let split = |values| self.sequences.split(values, channels);
        let (queries, keys, values) =
            (split(&mut to_query), split(&mut to_key), split(&mut to_value));
        let grads: Vec<&[f32]> = self
            .sequences
            .ranges()
            .map(|rows| &grad[rows.start * channels..rows.end * channels])
            .collect();
        self.sequences([&query, &key, &value], channels)
            .par_iter()
            .zip(grads)
            .zip(queries.into_par_iter().zip(keys).zip(values))
            .for_each(|((sequence, grad), ((query, key), value))| {
                sequence.backward(grad, [query, key, value]);
            });
        Ok((gradient_of(q, to_query)?, gradient_of(k, to_key)?, gradient_of(v, to_value)?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_same_gradients, random};
    use super::*;

    #[test]
    fn values_and_gradients_are_those_of_the_plain_graph() {
        let sequences = Sequences::new([3, 1, 7, 20]);
        let inputs = [1, 2, 3].map(|seed| (random(&[31, 24], seed) * 2.0).unwrap());
        assert_same_gradients(
            &inputs,
            |v| attention(&v[0], &v[1], &v[2], 3, &sequences),
            |v| plain(&v[0], &v[1], &v[2], 3, &sequences),
        );
    }

    #[test]
    fn heads_that_do_not_share_the_channels_are_refused() {
        let x = random(&[4, 10], 1);
        assert!(attention(&x, &x, &x, 3, &Sequences::equal(2, 2)).is_err());
    }
}
