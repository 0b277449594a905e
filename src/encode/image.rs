//! The image tower: backbone, projection, positions, transformer layers, vocabulary head.

use std::sync::Arc;

use candle_core::{Device, Result, Tensor};

use super::bert::Layer;
use super::config::ModelConfig;
use super::efficientnet::Backbone;
use super::head::{Head, Pooled, Words};
use super::ops::{Activation, Inputs, Linear, Norm};
use super::weights::Weights;

/// Pixels in, a pooled vector over the vocabulary out.
pub(crate) struct ImageTower {
    backbone: Backbone,
    projection: Linear,
    positions: Tensor,
    norm: Norm,
    layers: Vec<Layer>,
    head: Head,
}

impl ImageTower {
    pub(crate) fn new(
        weights: &Weights,
        config: &ModelConfig,
        words: &Arc<Words>,
    ) -> std::result::Result<Self, String> {
        let hidden = config.hidden;
        let patches = config.image.grid * config.image.grid;
        let mut positions = vec![0.0; patches * hidden];
        weights.matrix("image.positions", patches, hidden)?.read(0..patches, &mut positions);
        let layers = 0..config.image.layers;
        Ok(Self {
            backbone: Backbone::new(weights, config)?,
            projection: Linear::new(
                weights,
                "image.projection",
                (config.image.backbone.head, hidden),
                Activation::None,
                Inputs::Bytes,
            )?,
            positions: Tensor::from_vec(positions, (patches, hidden), &Device::Cpu)
                .map_err(|error| error.to_string())?,
            norm: Norm::new(weights, "image.embedding_norm", hidden, config.layer_norm_eps)?,
            layers: layers
                .map(|layer| format!("image.layers.{layer}"))
                .map(|layer| Layer::new(weights, &layer, config, Inputs::Bytes))
                .collect::<std::result::Result<_, _>>()?,
            head: Head::new(weights, "image", config, words, Inputs::Bytes)?,
        })
    }

    /// Pictures as the config's square of RGB8 pixels → a pooled vector for each.
    pub(crate) fn forward(&self, pictures: &[&[u8]]) -> Result<Vec<Pooled>> {
        let states = self.states(&self.backbone.forward(pictures)?)?;
        self.head.pool(&self.head.transform(&states)?)
    }

    /// One picture: its pooled vector, and the logits of some output tokens, by their place among them, at
    /// each patch.
    pub(crate) fn patch_logits(
        &self,
        picture: &[u8],
        outputs: &[usize],
    ) -> Result<(Pooled, Vec<Vec<f32>>)> {
        let states = self.states(&self.backbone.forward(&[picture])?)?;
        let hidden = self.head.transform(&states)?;
        let logits = self.head.logits_of(&hidden, outputs)?;
        Ok((self.head.pool(&hidden)?.swap_remove(0), logits))
    }

    /// What the backbone's first `blocks` blocks make of the pictures, [pictures, positions, channels].
    pub(crate) fn first_blocks(&self, pictures: &[&[u8]], blocks: usize) -> Result<Tensor> {
        self.backbone.first_blocks(pictures, blocks)
    }

    /// The backbone's output, [pictures, patches, channels].
    #[cfg(test)]
    pub(crate) fn features(&self, pictures: &[&[u8]]) -> Result<Tensor> {
        self.backbone.forward(pictures)
    }

    /// The backbone's output → after the head's transform, [pictures, patches, hidden].
    #[cfg(test)]
    pub(crate) fn hidden(&self, features: &Tensor) -> Result<Tensor> {
        self.head.transform(&self.states(features)?)
    }

    /// The backbone's output → after the last layer, [pictures, patches, hidden].
    fn states(&self, features: &Tensor) -> Result<Tensor> {
        let projected = self.projection.forward(features)?;
        let mut x = self.norm.forward(&projected.broadcast_add(&self.positions)?)?;
        for layer in &self.layers {
            x = layer.forward(&x)?;
        }
        Ok(x)
    }
}
