//! Late interaction: every token of a text looks for the patch that fits it best (FILIP,
//! arXiv 2111.07783, section 3.2; the pattern is ColBERT's, arXiv 2004.12832).
//!
//! With a text's states `h` from BERT layers and a picture's patches `f` from a backbone, unit vectors
//! `t = W_t h`, `p = W_p f + b_p`, and `z` of the whole text and the whole picture:
//!
//! `score = a · Σ_j g_j · max_i (t_j · p_i) + b · (z_text · z_picture)`
//!
//! The gates `g` are a softmax over the text's tokens, `[CLS]` left out: what a token counts for. They
//! are positive, so they and both scales are multiplied into the text's vectors beforehand.

use std::sync::Arc;

use candle_core::Tensor;
use half::slice::HalfFloatSliceExt;
use sightword_index::TokenId;

use super::config::LateConfig;
use super::{Features, Part, Question};
use crate::encode::ops::{Activation, Inputs, Linear, View, multiply};
use crate::encode::weights::Weights;
use crate::encode::{Backbone, ModelConfig, TextLayers, Words};

type Read<T> = Result<T, String>;

/// The sizes of what is kept of a picture and of a text: the vector of the whole first, then one for
/// each patch, or for each token but `[CLS]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// Of the vector of the whole.
    pub(crate) whole: usize,
    /// Of the vector of a patch or token.
    pub(crate) width: usize,
    /// Patches of a picture.
    pub(crate) patches: usize,
}

impl Sizes {
    pub(crate) fn feature_len(self) -> usize {
        self.whole + self.patches * self.width
    }
}

/// How well a text and a picture fit. `scratch` is room that is used again.
pub(crate) fn fit(sizes: Sizes, text: &[f32], picture: &[f32], scratch: &mut Vec<f32>) -> f32 {
    likeness(sizes, text, picture, scratch);
    let best = |row: &[f32]| row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let found: f32 = scratch.chunks_exact(sizes.patches).map(best).sum();
    found + of_the_whole(sizes, text, picture)
}

/// The parts of [`fit`]: each token's but `[CLS]`'s in their order, then that of the whole.
pub(crate) fn parts(sizes: Sizes, text: &[f32], picture: &[f32]) -> Vec<Part> {
    let mut scratch = Vec::new();
    likeness(sizes, text, picture, &mut scratch);
    let best = |(number, row): (usize, &[f32])| {
        let (patch, score) = row.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?;
        Some(Part { token: Some(number + 1), patch: Some(patch), score })
    };
    let rows = scratch.chunks_exact(sizes.patches).enumerate();
    let whole = Part { token: None, patch: None, score: of_the_whole(sizes, text, picture) };
    rows.filter_map(best).chain(std::iter::once(whole)).collect()
}

/// Every token against every patch, token by token.
fn likeness(sizes: Sizes, text: &[f32], picture: &[f32], out: &mut Vec<f32>) {
    let Sizes { whole, width, patches } = sizes;
    let (tokens, picture) = (&text[whole..], &picture[whole..]);
    let count = tokens.len() / width;
    out.clear();
    out.resize(count * patches, 0.0);
    let picture = View::by_rows(picture, patches, width);
    multiply(View::by_rows(tokens, count, width), picture.transposed(), out, patches);
}

fn of_the_whole(sizes: Sizes, text: &[f32], picture: &[f32]) -> f32 {
    text[..sizes.whole].iter().zip(&picture[..sizes.whole]).map(|(a, b)| a * b).sum()
}

/// What makes features of pictures.
pub(crate) struct PictureSide {
    backbone: Backbone,
    patch: Linear,
    /// How much each patch counts in the vector of the whole.
    pool: Linear,
    whole: Linear,
}

impl PictureSide {
    pub(crate) fn new(weights: &Weights, towers: &ModelConfig, config: &LateConfig) -> Read<Self> {
        let channels = towers.image.backbone.head;
        let linear = |name, outputs| {
            Linear::new(weights, name, (channels, outputs), Activation::None, Inputs::Floats)
        };
        Ok(Self {
            backbone: Backbone::new(weights, towers)?,
            patch: linear("picture.patch", config.width)?,
            pool: linear("picture.pool", 1)?,
            whole: linear("picture.whole", towers.hidden)?,
        })
    }

    /// Pictures as squares of RGB8 pixels of the towers' input size → their features.
    pub(crate) fn features(&self, pictures: &[&[u8]]) -> candle_core::Result<Vec<Features>> {
        let states = self.backbone.forward(pictures)?;
        let patches: Vec<Vec<Vec<f32>>> = self.patch.forward(&states)?.to_vec3()?;
        let gates: Vec<Vec<f32>> = self.pool.forward(&states)?.squeeze(2)?.to_vec2()?;
        let gates = gates.into_iter().map(|logits| softmax(&logits)).collect::<Vec<_>>();
        let (batch, positions, _) = states.dims3()?;
        let gates = Tensor::from_vec(gates.concat(), (batch, 1, positions), states.device())?;
        let pooled = gates.matmul(&states)?.squeeze(1)?;
        let wholes: Vec<Vec<f32>> = self.whole.forward(&pooled)?.to_vec2()?;
        let each = wholes.into_iter().zip(patches);
        let features = |(whole, patches): (Vec<f32>, Vec<Vec<f32>>)| {
            let vectors = std::iter::once(whole).chain(patches);
            let values = vectors.flat_map(|vector| scaled(vector, 1.0));
            Features(values.map(half::f16::from_f32).collect())
        };
        Ok(each.map(features).collect())
    }
}

/// What makes questions of texts.
pub(crate) struct TextSide {
    layers: TextLayers,
    token: Linear,
    gate: Linear,
    whole: Linear,
    token_scale: f32,
    sentence_scale: f32,
}

impl TextSide {
    /// The token embeddings are those of the first stage.
    pub(crate) fn new(
        weights: &Weights,
        towers: &ModelConfig,
        config: &LateConfig,
        words: &Arc<Words>,
    ) -> Read<Self> {
        let linear = |name, outputs| {
            Linear::new(weights, name, (towers.hidden, outputs), Activation::None, Inputs::Floats)
        };
        Ok(Self {
            layers: TextLayers::new(weights, towers, config.layers, words)?,
            token: linear("text.token", config.width)?,
            gate: linear("text.gate", 1)?,
            whole: linear("text.whole", towers.hidden)?,
            token_scale: config.token_scale,
            sentence_scale: config.sentence_scale,
        })
    }

    /// Ids, `[CLS]` and `[SEP]` included → the vectors that are compared with pictures'.
    pub(crate) fn question(&self, ids: &[TokenId]) -> candle_core::Result<Question> {
        let states = self.layers.states(ids)?;
        let whole: Vec<f32> = self.whole.forward(&states.mean(1)?)?.flatten_all()?.to_vec1()?;
        let mut values = scaled(whole, self.sentence_scale);
        let states = states.narrow(1, 1, states.dim(1)? - 1)?.contiguous()?;
        let gates: Vec<f32> = self.gate.forward(&states)?.flatten_all()?.to_vec1()?;
        let tokens: Vec<Vec<f32>> = self.token.forward(&states)?.squeeze(0)?.to_vec2()?;
        for (token, gate) in tokens.into_iter().zip(softmax(&gates)) {
            values.extend(scaled(token, gate * self.token_scale));
        }
        Ok(Question(values))
    }
}

/// The vector with length `length`.
fn scaled(mut vector: Vec<f32>, length: f32) -> Vec<f32> {
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-12);
    vector.iter_mut().for_each(|x| *x *= length / norm);
    vector
}

/// Shares of 1, as the exponentials of the logits.
fn softmax(logits: &[f32]) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut shares: Vec<f32> = logits.iter().map(|logit| (logit - largest).exp()).collect();
    let sum: f32 = shares.iter().sum();
    shares.iter_mut().for_each(|share| *share /= sum);
    shares
}

/// Features as 32-bit floats, into room that is used again.
pub(crate) fn widened<'a>(Features(features): &Features, room: &'a mut Vec<f32>) -> &'a [f32] {
    room.resize(features.len(), 0.0);
    features.convert_to_f32_slice(room);
    room
}

#[cfg(test)]
mod tests;
