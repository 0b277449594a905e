//! Text tokens that look at image patches: the pattern of ALBEF (arXiv 2107.07651, section 3.1),
//! on the hidden states of two towers that stay as they are.
//!
//! `t = LN(W_t T + b)`, `p = LN(W_p P + b)`; then layers of `t += self-attention(LN(t))`,
//! `t += cross-attention(LN(t), p)`, `t += feed-forward(LN(t))`; the logit is `w · LN(t[CLS]) + b`.
//!
//! Work that is the same for all candidates, or that nobody reads, is left out: the first
//! self-attention runs once for the text, and the last layer follows `[CLS]` alone.

use candle_core::{Result, Tensor};

use super::config::FusionConfig;
use crate::encode::ops::{Activation, Attention, Linear, Norm};
use crate::encode::weights::Weights;

type Read<T> = std::result::Result<T, String>;

/// A fusion re-ranker's weights.
pub(crate) struct Network {
    text: Projection,
    image: Projection,
    layers: Vec<Layer>,
    norm: Norm,
    score: Linear,
}

/// Reads the parts of a network, whose norms are all of one kind.
struct Reader<'a> {
    weights: &'a Weights,
    config: &'a FusionConfig,
}

impl Reader<'_> {
    fn linear(&self, name: &str, shape: (usize, usize), activation: Activation) -> Read<Linear> {
        Linear::new(self.weights, name, shape, activation)
    }

    fn norm(&self, name: &str) -> Read<Norm> {
        Norm::new(self.weights, name, self.config.width, self.config.layer_norm_eps)
    }
}

impl Network {
    pub(crate) fn new(weights: &Weights, config: &FusionConfig) -> Read<Self> {
        let read = Reader { weights, config };
        let layers = 0..config.layers;
        Ok(Self {
            text: Projection::new(&read, "text")?,
            image: Projection::new(&read, "image")?,
            layers: layers
                .map(|layer| Layer::new(&read, &format!("layers.{layer}")))
                .collect::<Read<_>>()?,
            norm: read.norm("final_norm")?,
            score: read.linear("score", (config.width, 1), Activation::None)?,
        })
    }

    /// Patches' states [pictures, patches, inputs] → features [pictures, patches, width].
    pub(crate) fn features(&self, states: &Tensor) -> Result<Tensor> {
        self.image.forward(states)
    }

    /// A text's states [1, tokens, inputs] and features [pictures, patches, width] → a logit a picture.
    pub(crate) fn logits(&self, text: &Tensor, features: &Tensor) -> Result<Vec<f32>> {
        let mut x = self.text.forward(text)?;
        for (left, layer) in (0..self.layers.len()).rev().zip(&self.layers) {
            let followed = if left == 0 { 1 } else { x.dim(1)? };
            x = layer.forward(&x, features, followed)?;
        }
        self.score.forward(&self.norm.forward(&x)?)?.flatten_all()?.to_vec1()
    }
}

/// From a tower's states to our own: `LN(W x + b)`.
struct Projection {
    linear: Linear,
    norm: Norm,
}

impl Projection {
    fn new(read: &Reader<'_>, side: &str) -> Read<Self> {
        let shape = (read.config.inputs, read.config.width);
        Ok(Self {
            linear: read.linear(&format!("{side}_projection"), shape, Activation::None)?,
            norm: read.norm(&format!("{side}_norm"))?,
        })
    }

    fn forward(&self, states: &Tensor) -> Result<Tensor> {
        self.norm.forward(&self.linear.forward(states)?)
    }
}

struct Layer {
    to_text: Look,
    to_patches: Look,
    feed_norm: Norm,
    intermediate: Linear,
    output: Linear,
}

impl Layer {
    fn new(read: &Reader<'_>, name: &str) -> Read<Self> {
        let FusionConfig { width, intermediate, .. } = *read.config;
        let inner = format!("{name}.intermediate");
        Ok(Self {
            to_text: Look::new(read, name, ["self_norm", "", "attention_output"])?,
            to_patches: Look::new(read, name, ["cross_norm", "cross_", "cross_output"])?,
            feed_norm: read.norm(&format!("{name}.feed_norm"))?,
            intermediate: read.linear(&inner, (width, intermediate), Activation::Gelu)?,
            output: read.linear(
                &format!("{name}.output"),
                (intermediate, width),
                Activation::None,
            )?,
        })
    }

    /// `x` [1 or pictures, tokens, width] → [pictures, `followed`, width]: the first tokens only.
    fn forward(&self, x: &Tensor, patches: &Tensor, followed: usize) -> Result<Tensor> {
        let first = |x: &Tensor| x.narrow(1, 0, followed)?.contiguous();
        let normed = self.to_text.norm.forward(x)?;
        let x = self.to_text.forward(&first(x)?, &first(&normed)?, &normed)?;
        let x = self.to_patches.forward(&x, &self.to_patches.norm.forward(&x)?, patches)?;
        self.output.forward_onto(&self.intermediate.forward(&self.feed_norm.forward(&x)?)?, &x)
    }
}

/// Attention with its projections, and the norm of those who ask.
struct Look {
    norm: Norm,
    attention: Attention,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
}

impl Look {
    /// Reads `layer.norm`, `layer.{prefix}query` (and so on) and `layer.output`.
    fn new(read: &Reader<'_>, layer: &str, [norm, prefix, output]: [&str; 3]) -> Read<Self> {
        let width = read.config.width;
        let square =
            |name: &str| read.linear(&format!("{layer}.{name}"), (width, width), Activation::None);
        Ok(Self {
            norm: read.norm(&format!("{layer}.{norm}"))?,
            attention: Attention { heads: read.config.heads },
            query: square(&format!("{prefix}query"))?,
            key: square(&format!("{prefix}key"))?,
            value: square(&format!("{prefix}value"))?,
            output: square(output)?,
        })
    }

    /// `x + W_o · attention(asking, seen)`. Where `x` and `asking` are one text and `seen` are several
    /// pictures, the text looks at each of them.
    fn forward(&self, x: &Tensor, asking: &Tensor, seen: &Tensor) -> Result<Tensor> {
        let pictures = seen.dim(0)?;
        let query = for_each(&self.query.forward(asking)?, pictures)?;
        let (key, value) = (self.key.forward(seen)?, self.value.forward(seen)?);
        let attended = self.attention.forward(&query, &key, &value)?;
        self.output.forward_onto(&attended, &for_each(x, pictures)?)
    }
}

/// [1 or `pictures`, ..] → [`pictures`, ..].
fn for_each(x: &Tensor, pictures: usize) -> Result<Tensor> {
    let (_, tokens, width) = x.dims3()?;
    x.broadcast_as((pictures, tokens, width))?.contiguous()
}

#[cfg(test)]
mod tests;
