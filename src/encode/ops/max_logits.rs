//! Vocabulary logits and their maximum over positions (STAIR, equation 2), without the whole table.

use std::cell::RefCell;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use pulp::{Simd, WithSimd};

use super::linear::transpose;
use super::multiply::{View, multiply};
use crate::encode::weights::Matrix;

thread_local! {
    /// Embeddings of a block of tokens, and their logits at every position.
    static SCRATCH: RefCell<(Vec<f32>, Vec<f32>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// Tokens done at once: their embeddings (384 floats each) and logits stay in the second cache.
const BLOCK: usize = 256;

/// For each output token `v`: `max over positions p of h_p · E_v`, plus `bias_v`, and the winner.
///
/// 49 positions × 9,281 tokens would be 1.8 MB a picture to write and read again.
pub(crate) struct MaxLogits<'a> {
    /// Token embeddings [vocabulary, hidden].
    pub(crate) embeddings: &'a Matrix,
    /// The rows that count, ascending.
    pub(crate) outputs: &'a [u16],
    /// A bias for each of `outputs`.
    pub(crate) bias: &'a [f32],
}

impl MaxLogits<'_> {
    /// `hidden` [batch, positions, hidden] → [batch, 2, outputs]: the maxima, and the positions
    /// that won (the first one on a tie), as floats.
    pub(crate) fn forward(&self, hidden: &Tensor) -> Result<Tensor> {
        hidden.apply_op1_no_bwd(self)
    }

    fn read(&self, block: &[u16], embeddings: &mut [f32]) {
        let width = self.embeddings.columns();
        for (&id, out) in block.iter().zip(embeddings.chunks_exact_mut(width)) {
            self.embeddings.read(usize::from(id)..usize::from(id) + 1, out);
        }
    }
}

/// The maximum and the winner of each token's logits, which lie side by side.
struct Maxima<'a> {
    /// [tokens, positions of all pictures].
    logits: &'a [f32],
    /// Positions of all pictures, and the first one of this picture.
    row: usize,
    start: usize,
    positions: usize,
    best: &'a mut [f32],
    winner: &'a mut [f32],
}

impl WithSimd for Maxima<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let tokens = self.best.iter_mut().zip(self.winner.iter_mut());
        for ((best, winner), logits) in tokens.zip(self.logits.chunks_exact(self.row)) {
            let logits = &logits[self.start..self.start + self.positions];
            let largest = logits.iter().fold(f32::NEG_INFINITY, |a, &b| if b > a { b } else { a });
            let position = logits.iter().position(|&logit| logit >= largest).unwrap_or_default();
            #[expect(clippy::cast_precision_loss, reason = "a position is below 256")]
            let position = position as f32;
            (*best, *winner) = (largest, position);
        }
    }
}

impl CustomOp1 for MaxLogits<'_> {
    fn name(&self) -> &'static str {
        "max-logits"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let hidden = super::floats(storage, layout, self.name())?;
        let (batch, positions, width) = layout.shape().dims3()?;
        if width != self.embeddings.columns() {
            bail!("max-logits takes {} channels, not {width}", self.embeddings.columns());
        }
        let tokens = self.outputs.len();
        let mut out = vec![0.0; batch * 2 * tokens];
        let all = batch * positions;
        // Positions side by side: the logits of a token then are, too.
        let hidden = transpose(hidden, width);
        let hidden = View::by_rows(&hidden, width, all);
        SCRATCH.with_borrow_mut(|(embeddings, logits)| {
            for start in (0..tokens).step_by(BLOCK) {
                let block = &self.outputs[start..tokens.min(start + BLOCK)];
                embeddings.resize(block.len() * width, 0.0);
                logits.resize(block.len() * all, 0.0);
                self.read(block, embeddings);
                multiply(View::by_rows(embeddings, block.len(), width), hidden, logits, all);
                for (number, out) in out.chunks_exact_mut(2 * tokens).enumerate() {
                    let (best, winner) = out.split_at_mut(tokens);
                    let range = start..start + block.len();
                    pulp::Arch::new().dispatch(Maxima {
                        logits,
                        row: all,
                        start: number * positions,
                        positions,
                        best: &mut best[range.clone()],
                        winner: &mut winner[range],
                    });
                }
            }
        });
        for out in out.chunks_exact_mut(2 * tokens) {
            out.iter_mut().zip(self.bias).for_each(|(best, bias)| *best += bias);
        }
        Ok((CpuStorage::F32(out), Shape::from((batch, 2, tokens))))
    }
}
