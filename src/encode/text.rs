//! The text tower: embeddings, transformer layers, vocabulary head.

use std::sync::Arc;

use candle_core::{Device, Result, Tensor};
use sightword_index::TokenId;

use super::bert::Layer;
use super::config::ModelConfig;
use super::head::{Head, Pooled, Words};
use super::ops::{Inputs, Norm};
use super::weights::{Matrix, Weights};

/// Token ids in, a pooled vector over the vocabulary out.
pub(crate) struct TextTower {
    layers: TextLayers,
    head: Head,
}

impl TextTower {
    pub(crate) fn new(
        weights: &Weights,
        config: &ModelConfig,
        words: &Arc<Words>,
    ) -> std::result::Result<Self, String> {
        Ok(Self {
            layers: TextLayers::new(weights, config, config.text.layers, words)?,
            head: Head::new(weights, "text", config, words, Inputs::Floats)?,
        })
    }

    /// Ids, `[CLS]` and `[SEP]` included → their pooled vector.
    pub(crate) fn forward(&self, ids: &[TokenId]) -> Result<Pooled> {
        let states = self.head.transform(&self.layers.states(ids)?)?;
        let mut pooled = self.head.pool(&states)?;
        Ok(pooled.swap_remove(0))
    }
}

/// Token ids in, a state for each token out: embeddings and transformer layers.
pub(crate) struct TextLayers {
    words: Arc<Words>,
    positions: Matrix,
    token_type: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
    max_tokens: usize,
}

impl TextLayers {
    /// Reads the tensors below `text`, `layers` layers of them; the token embeddings are those of `words`.
    pub(crate) fn new(
        weights: &Weights,
        config: &ModelConfig,
        layers: usize,
        words: &Arc<Words>,
    ) -> std::result::Result<Self, String> {
        let known = weights.info("text.positions")?.shape.first().copied().unwrap_or_default();
        let max_tokens = config.text.max_tokens;
        if known < max_tokens || max_tokens < 2 {
            return Err(format!("max_tokens is {max_tokens}, with {known} positions"));
        }
        Ok(Self {
            words: Arc::clone(words),
            positions: weights.matrix("text.positions", known, config.hidden)?,
            token_type: weights.vector("text.token_type", config.hidden)?,
            norm: Norm::new(weights, "text.embedding_norm", config.hidden, config.layer_norm_eps)?,
            layers: (0..layers)
                .map(|layer| format!("text.layers.{layer}"))
                .map(|layer| Layer::new(weights, &layer, config, Inputs::Floats))
                .collect::<std::result::Result<_, _>>()?,
            max_tokens,
        })
    }

    /// Ids, `[CLS]` and `[SEP]` included → [1, tokens, hidden]. What is beyond `max_tokens` is cut off,
    /// `[SEP]` too: so it was trained.
    pub(crate) fn states(&self, ids: &[TokenId]) -> Result<Tensor> {
        let mut x = self.norm.forward(&self.embed(ids)?)?;
        for layer in &self.layers {
            x = layer.forward(&x)?;
        }
        Ok(x)
    }

    fn embed(&self, ids: &[TokenId]) -> Result<Tensor> {
        let ids = &ids[..ids.len().min(self.max_tokens)];
        let width = self.token_type.len();
        let mut embedded = vec![0.0; ids.len() * width];
        let mut position = vec![0.0; width];
        for (at, (id, out)) in ids.iter().zip(embedded.chunks_exact_mut(width)).enumerate() {
            let row = usize::from(id.0);
            self.words.embeddings.read(row..row + 1, out);
            self.positions.read(at..at + 1, &mut position);
            let added = position.iter().zip(&self.token_type);
            out.iter_mut().zip(added).for_each(|(out, (a, b))| *out += a + b);
        }
        Tensor::from_vec(embedded, (1, ids.len(), width), &Device::Cpu)
    }
}
