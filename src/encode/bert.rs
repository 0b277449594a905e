//! Transformer layers and embeddings as in BERT (Devlin et al. 2018): post-norm, GELU, all heads
//! looking at all positions.

use candle_core::{Result, Tensor};

use super::config::ModelConfig;
use super::ops::{Activation, Attention, Inputs, Linear, Norm};
use super::weights::Weights;

/// One transformer layer.
pub(crate) struct Layer {
    attention: Attention,
    query: Linear,
    key: Linear,
    value: Linear,
    attention_output: Linear,
    attention_norm: Norm,
    intermediate: Linear,
    output: Linear,
    output_norm: Norm,
}

impl Layer {
    /// Reads the tensors below `name`, which are named as in BERT's checkpoints.
    pub(crate) fn new(
        weights: &Weights,
        name: &str,
        config: &ModelConfig,
        inputs: Inputs,
    ) -> std::result::Result<Self, String> {
        let (hidden, inner) = (config.hidden, config.intermediate);
        let linear = |part: &str, shape, activation| {
            Linear::new(weights, &format!("{name}.{part}"), shape, activation, inputs)
        };
        let square = |part: &str| linear(part, (hidden, hidden), Activation::None);
        let eps = config.layer_norm_eps;
        let norm = |part: &str| Norm::new(weights, &format!("{name}.{part}"), hidden, eps);
        Ok(Self {
            attention: Attention { heads: config.heads },
            query: square("query")?,
            key: square("key")?,
            value: square("value")?,
            attention_output: square("attention_output")?,
            attention_norm: norm("attention_norm")?,
            intermediate: linear("intermediate", (hidden, inner), Activation::Gelu)?,
            output: linear("output", (inner, hidden), Activation::None)?,
            output_norm: norm("output_norm")?,
        })
    }

    /// `x` [batch, positions, hidden] → the same shape. Every position sees every other.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (query, key) = (self.query.forward(x)?, self.key.forward(x)?);
        let attended = self.attention.forward(&query, &key, &self.value.forward(x)?)?;
        let x = self.attention_norm.forward(&self.attention_output.forward_onto(&attended, x)?)?;
        let inner = self.intermediate.forward(&x)?;
        self.output_norm.forward(&self.output.forward_onto(&inner, &x)?)
    }
}
