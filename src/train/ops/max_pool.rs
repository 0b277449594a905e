//! Logits of the vocabulary and their maximum over the positions of a sequence (STAIR, arXiv 2301.13081,
//! equation 2), without ever holding all logits.
//!
//! Only the winning position of a token receives a gradient, and most tokens receive next to none: so
//! the winners are not kept, but computed again for the tokens whose gradient is largest.

use std::cell::RefCell;
use std::ops::Range;

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::{Floats, Sequences, floats, gradient_of};
use crate::encode::ops::{View, multiply};

thread_local! {
    /// Embeddings of some tokens, and logits at every position.
    static SCRATCH: RefCell<(Vec<f32>, Vec<f32>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// Tokens done at once: their logits in [`TOGETHER`] sequences stay in the second cache.
const BLOCK: usize = 512;

/// Sequences done at once.
const TOGETHER: usize = 8;

/// For each sequence and token `v`: `max over its positions p of h_p · E_v`, plus `bias_v`.
///
/// `hidden` [rows, channels], `embeddings` [tokens, channels], `bias` \[tokens\] → [sequences, tokens].
/// Backwards, only the `gradients` entries of each sequence that have the largest gradient are taken;
/// `None` takes all, which is exact.
///
/// # Errors
/// Shapes that do not fit, and an empty sequence, which has no maximum.
pub fn max_logits(
    hidden: &Tensor,
    embeddings: &Tensor,
    bias: &Tensor,
    sequences: &Sequences,
    gradients: Option<usize>,
) -> Result<Tensor> {
    let ((rows, channels), (tokens, width)) = (hidden.dims2()?, embeddings.dims2()?);
    if rows != sequences.rows() || channels != width || bias.dims() != [tokens] {
        bail!("logits of {:?} on {:?}", embeddings.dims(), hidden.dims());
    }
    if sequences.has_empty() {
        bail!("an empty sequence has no maximum");
    }
    if hidden.device().is_cpu() {
        let op = MaxLogits { sequences: sequences.clone(), gradients };
        return hidden.contiguous()?.apply_op3(&embeddings.contiguous()?, bias, op);
    }
    plain_max_logits(hidden, embeddings, bias, sequences)
}

/// As [`max_logits`] with all gradients, by candle's own graph: it keeps every logit of every position.
///
/// # Errors
/// Shapes that do not fit.
pub fn plain_max_logits(
    hidden: &Tensor,
    embeddings: &Tensor,
    bias: &Tensor,
    sequences: &Sequences,
) -> Result<Tensor> {
    let embeddings = embeddings.t()?;
    let maxima = match sequences.common_length() {
        Some(length) => hidden.matmul(&embeddings)?.reshape(((), length, bias.dim(0)?))?.max(1)?,
        None => {
            let rows = |rows: Range<usize>| hidden.narrow(0, rows.start, rows.len());
            let maxima = sequences.ranges().map(|range| rows(range)?.matmul(&embeddings)?.max(0));
            Tensor::stack(&maxima.collect::<Result<Vec<_>>>()?, 0)?
        }
    };
    maxima.broadcast_add(bias)
}

struct MaxLogits {
    sequences: Sequences,
    gradients: Option<usize>,
}

/// A maximum that receives a gradient: a token of a sequence, and the row that won it.
#[derive(Clone, Copy)]
struct Winner {
    token: usize,
    row: usize,
    gradient: f32,
}

impl MaxLogits {
    /// The maxima of some sequences, which begin at row 0 of `hidden`.
    fn maxima(
        ranges: &[Range<usize>],
        hidden: &[f32],
        embeddings: &[f32],
        bias: &[f32],
        out: &mut [f32],
    ) {
        let tokens = bias.len();
        let width = embeddings.len() / tokens;
        let first = ranges.first().map_or(0, |range| range.start);
        let hidden = View::by_rows(hidden, hidden.len() / width, width);
        SCRATCH.with_borrow_mut(|(_, logits)| {
            for (start, block) in (0..tokens).step_by(BLOCK).zip(embeddings.chunks(BLOCK * width)) {
                let count = block.len() / width;
                logits.resize((hidden.rows() * count).max(logits.len()), 0.0);
                multiply(hidden, View::by_rows(block, count, width).transposed(), logits, count);
                for (range, out) in ranges.iter().zip(out.chunks_exact_mut(tokens)) {
                    let best = &mut out[start..start + count];
                    let rows = &logits[(range.start - first) * count..(range.end - first) * count];
                    best.copy_from_slice(&rows[..count]);
                    pulp::Arch::new().dispatch(|| {
                        for row in rows[count..].chunks_exact(count) {
                            best.iter_mut()
                                .zip(row)
                                .for_each(|(a, &b)| *a = if b > *a { b } else { *a });
                        }
                        best.iter_mut().zip(&bias[start..]).for_each(|(best, bias)| *best += bias);
                    });
                }
            }
        });
    }

    /// The tokens of one sequence that get a gradient, rising, with the gradient.
    fn chosen(&self, grad: &[f32]) -> Vec<(usize, f32)> {
        let mut chosen: Vec<(usize, f32)> =
            grad.iter().copied().enumerate().filter(|&(_, g)| g != 0.0).collect();
        if let Some(most) = self.gradients.filter(|&most| most < chosen.len()) {
            chosen.select_nth_unstable_by(most, |a, b| {
                b.1.abs().total_cmp(&a.1.abs()).then(a.0.cmp(&b.0))
            });
            chosen.truncate(most);
            chosen.sort_unstable_by_key(|&(token, _)| token);
        }
        chosen
    }

    /// Finds the winners of one sequence again, and adds `g · E_v` to the gradient of each winning row.
    fn sequence_back(
        &self,
        rows: &Range<usize>,
        [hidden, embeddings, grad]: [&[f32]; 3],
        to_hidden: &mut [f32],
    ) -> Vec<Winner> {
        let positions = rows.len();
        let width = hidden.len() / positions;
        let chosen = self.chosen(grad);
        let mut winners = Vec::with_capacity(chosen.len());
        SCRATCH.with_borrow_mut(|(block, logits)| {
            for chosen in chosen.chunks(BLOCK) {
                block.clear();
                for &(token, _) in chosen {
                    block.extend_from_slice(&embeddings[token * width..][..width]);
                }
                let count = chosen.len();
                logits.resize((positions * count).max(logits.len()), 0.0);
                let hidden = View::by_rows(hidden, positions, width);
                // Tokens by positions: the logits of a token then are side by side.
                multiply(
                    View::by_rows(block, count, width),
                    hidden.transposed(),
                    logits,
                    positions,
                );
                let tokens = logits.chunks_exact(positions).zip(block.chunks_exact(width));
                for (&(token, gradient), (logits, embedding)) in chosen.iter().zip(tokens) {
                    let position = first_largest(logits);
                    axpy(&mut to_hidden[position * width..][..width], gradient, embedding);
                    winners.push(Winner { token, row: rows.start + position, gradient });
                }
            }
        });
        winners
    }
}

fn first_largest(values: &[f32]) -> usize {
    let mut best = 0;
    for (at, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = at;
        }
    }
    best
}

/// `sums += factor · x`.
fn axpy(sums: &mut [f32], factor: f32, x: &[f32]) {
    sums.iter_mut().zip(x).for_each(|(sum, x)| *sum += factor * x);
}

/// Sums `g · h` of all winners of each token: [tokens, width]. Each token's winners are added in the
/// order of the sequences, so that threads do not change the sum.
fn to_embeddings(winners: &[Winner], hidden: &[f32], tokens: usize, width: usize) -> Vec<f32> {
    let mut by_token = winners.to_vec();
    by_token.sort_by_key(|winner| winner.token);
    let mut sums = vec![0.0; tokens * width];
    sums.par_chunks_mut(BLOCK * width).enumerate().for_each(|(block, sums)| {
        let first = block * BLOCK;
        let start = by_token.partition_point(|winner| winner.token < first);
        let end = by_token.partition_point(|winner| winner.token < first + BLOCK);
        for winner in &by_token[start..end] {
            let row = &hidden[winner.row * width..][..width];
            axpy(&mut sums[(winner.token - first) * width..][..width], winner.gradient, row);
        }
    });
    sums
}

impl CustomOp3 for MaxLogits {
    fn name(&self) -> &'static str {
        "train-max-logits"
    }

    fn cpu_fwd(
        &self,
        hidden: &CpuStorage,
        layout: &Layout,
        embeddings: &CpuStorage,
        embeddings_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let hidden = floats(hidden, layout, self.name())?;
        let embeddings = floats(embeddings, embeddings_layout, self.name())?;
        let bias = floats(bias, bias_layout, self.name())?;
        let (_, width) = layout.shape().dims2()?;
        let ranges: Vec<Range<usize>> = self.sequences.ranges().collect();
        let mut out = vec![0.0; ranges.len() * bias.len()];
        out.par_chunks_mut(TOGETHER * bias.len()).zip(ranges.par_chunks(TOGETHER)).for_each(
            |(out, ranges)| {
                let (start, end) = (ranges[0].start, ranges[ranges.len() - 1].end);
                let hidden = &hidden[start * width..end * width];
                Self::maxima(ranges, hidden, embeddings, bias, out);
            },
        );
        Ok((CpuStorage::F32(out), Shape::from((ranges.len(), bias.len()))))
    }

    fn bwd(
        &self,
        hidden: &Tensor,
        embeddings: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (tokens, width) = embeddings.dims2()?;
        let grad = grad.contiguous()?;
        let (rows, table, grad) =
            (Floats::of(hidden)?, Floats::of(embeddings)?, Floats::of(&grad)?);
        let mut to_hidden = vec![0.0; rows.len()];
        let ranges: Vec<Range<usize>> = self.sequences.ranges().collect();
        let winners: Vec<Vec<Winner>> = self
            .sequences
            .split(&mut to_hidden, width)
            .into_par_iter()
            .zip(&ranges)
            .zip(grad.par_chunks(tokens))
            .map(|((to_hidden, range), grad)| {
                let hidden = &rows[range.start * width..range.end * width];
                self.sequence_back(range, [hidden, &table, grad], to_hidden)
            })
            .collect();
        let winners = winners.concat();
        let mut to_bias = vec![0.0; tokens];
        winners.iter().for_each(|winner| to_bias[winner.token] += winner.gradient);
        let to_embeddings = to_embeddings(&winners, &rows, tokens, width);
        Ok((
            gradient_of(hidden, to_hidden)?,
            gradient_of(embeddings, to_embeddings)?,
            gradient_of(bias, to_bias)?,
        ))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Var;

    use super::super::testing::{assert_same_gradients, difference, random};
    use super::*;

    /// More tokens than are done at once.
    const TOKENS: usize = BLOCK + 37;

    #[test]
    fn with_all_gradients_it_is_the_plain_graph() {
        let (unequal, equal) = ([3, 1, 9, 4, 4, 4, 4, 4, 4, 3], [4; 10]);
        for sequences in [unequal, equal].map(Sequences::new) {
            let inputs = [random(&[40, 16], 1), random(&[TOKENS, 16], 2), random(&[TOKENS], 3)];
            assert_same_gradients(
                &inputs,
                |v| max_logits(&v[0], &v[1], &v[2], &sequences, None),
                |v| plain_max_logits(&v[0], &v[1], &v[2], &sequences),
            );
        }
    }

    /// The gradients of the three inputs when the pooled vectors get `grad`.
    fn gradients(pooled: &Tensor, grad: &Tensor, inputs: &[Var; 3]) -> Vec<Tensor> {
        let mut store = (pooled * grad).unwrap().sum_all().unwrap().backward().unwrap();
        inputs.iter().map(|input| store.remove(input).unwrap()).collect()
    }

    #[test]
    fn with_a_limit_it_is_the_plain_graph_on_the_largest_gradients() {
        let most = 20;
        let sequences = Sequences::equal(5, 6);
        let inputs = [random(&[30, 16], 1), random(&[TOKENS, 16], 2), random(&[TOKENS], 3)]
            .map(|tensor| Var::from_tensor(&tensor).unwrap());
        let [hidden, embeddings, bias] = &inputs;
        let grad = random(&[5, TOKENS], 4);
        let limited = max_logits(hidden, embeddings, bias, &sequences, Some(most)).unwrap();
        let limited = gradients(&limited, &grad, &inputs);

        let kept: Vec<f32> = grad
            .to_vec2::<f32>()
            .unwrap()
            .into_iter()
            .flat_map(|row| {
                let mut sizes: Vec<f32> = row.iter().map(|g| g.abs()).collect();
                sizes.sort_by(f32::total_cmp);
                let least = sizes[TOKENS - most];
                row.into_iter().map(move |g| if g.abs() >= least { g } else { 0.0 })
            })
            .collect();
        let kept = Tensor::from_vec(kept, grad.shape(), grad.device()).unwrap();
        let plain = plain_max_logits(hidden, embeddings, bias, &sequences).unwrap();
        for (limited, plain) in limited.iter().zip(gradients(&plain, &kept, &inputs)) {
            assert!(difference(limited, &plain) < 1e-6);
        }
    }

    #[test]
    fn an_empty_sequence_is_refused() {
        let (hidden, table, bias) = (random(&[2, 4], 1), random(&[3, 4], 2), random(&[3], 3));
        let error = max_logits(&hidden, &table, &bias, &Sequences::new([2, 0]), None).unwrap_err();
        assert!(error.to_string().contains("empty sequence"), "{error}");
    }
}
