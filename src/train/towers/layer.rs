//! Transformer layers as in BERT (Devlin et al., arXiv 1810.04805), on rows of sequences.

use candle_core::{Result, Tensor};

use crate::encode::ModelConfig;
use crate::train::ops::{Sequences, attention, dropout, gelu, layer_norm, linear};
use crate::train::{Parameters, Random};

/// `name.weight` and `name.bias`.
pub(super) fn linear_of(parameters: &Parameters, name: &str) -> Result<[Tensor; 2]> {
    let get = |part: &str| parameters.get(&format!("{name}.{part}")).cloned();
    Ok([get("weight")?, get("bias")?])
}

pub(super) struct Linear([Tensor; 2]);

impl Linear {
    pub(super) fn new(parameters: &Parameters, name: &str) -> Result<Self> {
        linear_of(parameters, name).map(Self)
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        linear(x, &self.0[0], &self.0[1])
    }
}

pub(super) struct Norm {
    parts: [Tensor; 2],
    eps: f64,
}

impl Norm {
    pub(super) fn new(parameters: &Parameters, name: &str, eps: f64) -> Result<Self> {
        Ok(Self { parts: linear_of(parameters, name)?, eps })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        layer_norm(x, &self.parts[0], &self.parts[1], self.eps)
    }
}

/// One transformer layer, post-norm.
pub(super) struct Layer {
    heads: usize,
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
    pub(super) fn new(parameters: &Parameters, name: &str, config: &ModelConfig) -> Result<Self> {
        let linear = |part: &str| Linear::new(parameters, &format!("{name}.{part}"));
        let norm =
            |part: &str| Norm::new(parameters, &format!("{name}.{part}"), config.layer_norm_eps);
        Ok(Self {
            heads: config.heads,
            query: linear("query")?,
            key: linear("key")?,
            value: linear("value")?,
            attention_output: linear("attention_output")?,
            attention_norm: norm("attention_norm")?,
            intermediate: linear("intermediate")?,
            output: linear("output")?,
            output_norm: norm("output_norm")?,
        })
    }

    /// `x` [rows, hidden] → the same shape. `random` leaves out a share of the feed-forward output.
    pub(super) fn forward(
        &self,
        x: &Tensor,
        sequences: &Sequences,
        random: Option<(f32, &mut Random)>,
    ) -> Result<Tensor> {
        let (query, key) = (self.query.forward(x)?, self.key.forward(x)?);
        let seen = attention(&query, &key, &self.value.forward(x)?, self.heads, sequences)?;
        let x = self.attention_norm.forward(&(x + self.attention_output.forward(&seen)?)?)?;
        let mut y = self.output.forward(&gelu(&self.intermediate.forward(&x)?)?)?;
        if let Some((share, random)) = random {
            y = dropout(&y, share, random)?;
        }
        self.output_norm.forward(&(x + y)?)
    }
}

/// BERT's transform before the vocabulary.
pub(super) struct Transform {
    dense: Linear,
    norm: Norm,
}

impl Transform {
    pub(super) fn new(parameters: &Parameters, name: &str, config: &ModelConfig) -> Result<Self> {
        Ok(Self {
            dense: Linear::new(parameters, &format!("{name}.dense"))?,
            norm: Norm::new(parameters, &format!("{name}.norm"), config.layer_norm_eps)?,
        })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.norm.forward(&gelu(&self.dense.forward(x)?)?)
    }
}
