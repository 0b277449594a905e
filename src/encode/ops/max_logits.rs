//! Vocabulary logits and their maximum over positions (STAIR, equation 2), without the whole table.

use std::cell::RefCell;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use pulp::{Simd, WithSimd};

use super::bytes::{ByteMatrix, ByteRows};
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
/// 100 positions × 5,829 tokens would be 2.3 MB a picture to write and read again.
pub(crate) struct MaxLogits<'a> {
    /// Token embeddings [vocabulary, hidden].
    pub(crate) embeddings: &'a Matrix,
    /// The rows that count, ascending.
    pub(crate) outputs: &'a [u16],
    /// A bias for each of `outputs`.
    pub(crate) bias: &'a [f32],
    /// The embeddings of `outputs`, where positions are to be rounded to bytes.
    pub(crate) bytes: Option<&'a ByteEmbeddings>,
}

/// The 8-bit embeddings of the output tokens, some at a time, so that their logits stay in the second cache.
pub(crate) struct ByteEmbeddings(Vec<ByteMatrix>);

/// Tokens of a part of [`ByteEmbeddings`]: with 400 positions, 200 KB of logits.
const PART: usize = 128;

impl ByteEmbeddings {
    /// The rows `outputs` of `embeddings`; none if they are not of 8 bits.
    pub(crate) fn new(embeddings: &Matrix, outputs: &[u16]) -> Option<Self> {
        let parts = outputs.chunks(PART).map(|part| rows_of(embeddings, part));
        parts.collect::<Option<_>>().map(Self)
    }
}

fn rows_of(embeddings: &Matrix, ids: &[u16]) -> Option<ByteMatrix> {
    let (values, scales) = embeddings.bytes()?;
    let row = |id: usize| &values[id * embeddings.columns()..][..embeddings.columns()];
    let values: Vec<i8> = ids.iter().flat_map(|&id| row(usize::from(id))).copied().collect();
    let scales: Vec<f32> = ids.iter().map(|&id| scales[usize::from(id)]).collect();
    Some(ByteMatrix::new(&values, &scales))
}

impl MaxLogits<'_> {
    /// `hidden` [batch, positions, hidden] → [batch, 2, outputs]: the maxima, and the positions
    /// that won (the first one on a tie), as floats.
    pub(crate) fn forward(&self, hidden: &Tensor) -> Result<Tensor> {
        hidden.apply_op1_no_bwd(self)
    }

    /// `hidden` [1, positions, hidden] → the logits of some of `outputs`, at every position.
    pub(crate) fn at_positions(&self, hidden: &Tensor, outputs: &[usize]) -> Result<Vec<Vec<f32>>> {
        if outputs.is_empty() {
            return Ok(Vec::new());
        }
        let width = self.embeddings.columns();
        let ids: Vec<u16> = outputs.iter().map(|&output| self.outputs[output]).collect();
        let hidden: Vec<f32> = hidden.flatten_all()?.to_vec1()?;
        let positions = hidden.len() / width;
        let mut logits = vec![0.0; ids.len() * positions];
        if let Some(matrix) = self.bytes.and_then(|_| rows_of(self.embeddings, &ids)) {
            let mut rows = ByteRows::default();
            rows.fill(&hidden, width);
            matrix.multiply(&rows, &mut logits);
            logits = transpose(&logits, ids.len());
        } else {
            let mut embeddings = vec![0.0; ids.len() * width];
            self.read(&ids, &mut embeddings);
            let hidden = View::by_rows(&hidden, positions, width).transposed();
            multiply(View::by_rows(&embeddings, ids.len(), width), hidden, &mut logits, positions);
        }
        let biased = logits.chunks_exact(positions).zip(outputs).map(|(logits, &output)| {
            logits.iter().map(|logit| logit + self.bias[output]).collect()
        });
        Ok(biased.collect())
    }

    /// As floats: few positions, so embeddings are read in the order in which they are stored.
    fn as_floats(&self, hidden: &[f32], positions: usize, out: &mut [f32]) {
        let (width, tokens) = (self.embeddings.columns(), self.outputs.len());
        let all = hidden.len() / width;
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
    }

    fn as_bytes(&self, parts: &ByteEmbeddings, hidden: &[f32], positions: usize, out: &mut [f32]) {
        let (tokens, width) = (self.outputs.len(), self.embeddings.columns());
        let all = hidden.len() / width;
        let mut rows = ByteRows::default();
        rows.fill(hidden, width);
        let mut logits = Vec::new();
        let mut start = 0;
        for part in &parts.0 {
            let range = start..start + part.outputs();
            start = range.end;
            logits.resize(all * range.len(), 0.0);
            part.multiply(&rows, &mut logits);
            let pictures = logits.chunks_exact(positions * range.len());
            for (out, logits) in out.chunks_exact_mut(2 * tokens).zip(pictures) {
                let (best, winner) = out.split_at_mut(tokens);
                let (best, winner) = (&mut best[range.clone()], &mut winner[range.clone()]);
                pulp::Arch::new().dispatch(|| maxima(logits, best, winner));
            }
        }
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

/// The maximum and the winner of each token, whose `logits` of a position lie side by side.
#[inline(always)]
fn maxima(logits: &[f32], best: &mut [f32], winner: &mut [f32]) {
    best.fill(f32::NEG_INFINITY);
    for (position, logits) in logits.chunks_exact(best.len()).enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "a position is below 256")]
        let position = position as f32;
        for ((best, winner), &logit) in best.iter_mut().zip(winner.iter_mut()).zip(logits) {
            let is_better = logit > *best;
            *best = if is_better { logit } else { *best };
            *winner = if is_better { position } else { *winner };
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
        match self.bytes {
            Some(parts) => self.as_bytes(parts, hidden, positions, &mut out),
            None => self.as_floats(hidden, positions, &mut out),
        }
        for out in out.chunks_exact_mut(2 * tokens) {
            out.iter_mut().zip(self.bias).for_each(|(best, bias)| *best += bias);
        }
        Ok((CpuStorage::F32(out), Shape::from((batch, 2, tokens))))
    }
}

#[cfg(test)]
mod tests {
    use safetensors::tensor::Dtype;

    use super::*;
    use crate::encode::weights::{Weights, serialise};
    use crate::train::ops::testing::random;

    const TOKENS: usize = 300;
    const WIDTH: usize = 12;
    const POSITIONS: usize = 7;

    fn embeddings() -> Matrix {
        let values = (0..TOKENS * WIDTH).map(|n| (n * n * 31 % 255).to_le_bytes()[0]).collect();
        let scales = (1..=TOKENS).flat_map(|n| (n as f32 * 1e-3).to_le_bytes()).collect();
        let file = serialise(&[
            ("e".into(), Dtype::I8, vec![TOKENS, WIDTH], values),
            ("e.scale".into(), Dtype::F32, vec![TOKENS], scales),
        ]);
        Weights::owned(file.unwrap()).unwrap().matrix("e", TOKENS, WIDTH).unwrap()
    }

    #[test]
    fn the_maximum_and_the_winner_are_those_of_each_token_at_every_position() {
        let embeddings = embeddings();
        let outputs: Vec<u16> = (0..300).filter(|id| id % 3 != 1).collect();
        let bias: Vec<f32> = random(&[outputs.len()], 1).to_vec1().unwrap();
        let hidden = random(&[2, POSITIONS, WIDTH], 2);
        let bytes = ByteEmbeddings::new(&embeddings, &outputs).unwrap();
        for bytes in [None, Some(&bytes)] {
            let op = MaxLogits { embeddings: &embeddings, outputs: &outputs, bias: &bias, bytes };
            let pooled: Vec<Vec<Vec<f32>>> = op.forward(&hidden).unwrap().to_vec3().unwrap();
            for (picture, pooled) in pooled.iter().enumerate() {
                let hidden = hidden.narrow(0, picture, 1).unwrap();
                let all: Vec<usize> = (0..outputs.len()).collect();
                let logits = op.at_positions(&hidden, &all).unwrap();
                let found = pooled[0].iter().zip(&pooled[1]).zip(logits);
                for (output, ((&most, &winner), logits)) in found.enumerate() {
                    let best = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                    let is_near = |logit: f32| (best - logit).abs() < 1e-5 * (1.0 + best.abs());
                    assert!(is_near(most), "{best} of token {output}, not {most}");
                    let won = (0_u16..).zip(&logits).find(|(at, _)| f32::from(*at) >= winner);
                    assert!(is_near(*won.unwrap().1), "{logits:?}, not {winner}");
                }
            }
        }
    }
}
