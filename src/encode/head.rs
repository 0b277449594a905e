//! The vocabulary head that ends both towers: BERT's MLM transform, logits, maximum over positions.

use std::sync::{Arc, OnceLock};

use candle_core::{Result, Tensor};

use super::config::ModelConfig;
use super::ops::{Activation, ByteEmbeddings, Inputs, Linear, MaxLogits, Norm};
use super::weights::{Matrix, Weights};

/// What both towers share: the token embeddings, and which tokens can be put out.
pub(crate) struct Words {
    /// [vocabulary, hidden].
    pub(crate) embeddings: Matrix,
    /// Ids of the tokens that a picture or text can have, ascending.
    pub(crate) outputs: Vec<u16>,
}

impl Words {
    pub(crate) fn new(
        weights: &Weights,
        config: &ModelConfig,
    ) -> std::result::Result<Self, String> {
        Ok(Self {
            embeddings: weights.matrix("token_embeddings", config.vocabulary, config.hidden)?,
            outputs: weights.ids("output_tokens", config.vocabulary)?,
        })
    }
}

/// The maximum over positions of each output token's logit, before it is saturated.
pub(crate) struct Pooled {
    /// In the order of the output tokens.
    pub(crate) logits: Vec<f32>,
    /// The position that won, for each of them.
    pub(crate) winners: Vec<f32>,
}

/// The head of one tower.
pub(crate) struct Head {
    words: Arc<Words>,
    dense: Linear,
    norm: Norm,
    bias: Vec<f32>,
    inputs: Inputs,
    /// The embeddings of the output tokens for products of bytes, where these are wanted.
    bytes: OnceLock<Option<ByteEmbeddings>>,
}

impl Head {
    /// Reads `tower.transform` and `tower.decoder_bias`.
    pub(crate) fn new(
        weights: &Weights,
        tower: &str,
        config: &ModelConfig,
        words: &Arc<Words>,
        inputs: Inputs,
    ) -> std::result::Result<Self, String> {
        let shape = (config.hidden, config.hidden);
        let transform = format!("{tower}.transform");
        let dense = format!("{transform}.dense");
        let bias = weights.vector(&format!("{tower}.decoder_bias"), config.vocabulary)?;
        Ok(Self {
            words: Arc::clone(words),
            dense: Linear::new(weights, &dense, shape, Activation::Gelu, inputs)?,
            norm: Norm::new(
                weights,
                &format!("{transform}.norm"),
                config.hidden,
                config.layer_norm_eps,
            )?,
            bias: words.outputs.iter().map(|&id| bias[usize::from(id)]).collect(),
            inputs,
            bytes: OnceLock::new(),
        })
    }

    /// The MLM transform: `x` [batch, positions, hidden] → the same shape.
    pub(crate) fn transform(&self, x: &Tensor) -> Result<Tensor> {
        self.norm.forward(&self.dense.forward(x)?)
    }

    /// `hidden` [1, positions, hidden], as [`Head::transform`] gives it → the logits of some output tokens
    /// at every position.
    pub(crate) fn logits_of(&self, hidden: &Tensor, outputs: &[usize]) -> Result<Vec<Vec<f32>>> {
        self.max_logits().at_positions(hidden, outputs)
    }

    /// `hidden`, as [`Head::transform`] gives it → a pooled vector for each of the batch.
    pub(crate) fn pool(&self, hidden: &Tensor) -> Result<Vec<Pooled>> {
        let pooled: Vec<Vec<Vec<f32>>> = self.max_logits().forward(hidden)?.to_vec3()?;
        let pair = |mut rows: Vec<Vec<f32>>| {
            let winners = rows.pop().unwrap_or_default();
            Pooled { logits: rows.pop().unwrap_or_default(), winners }
        };
        Ok(pooled.into_iter().map(pair).collect())
    }

    fn max_logits(&self) -> MaxLogits<'_> {
        let Words { embeddings, outputs } = self.words.as_ref();
        let bytes = match self.inputs {
            Inputs::Floats => None,
            Inputs::Bytes => {
                self.bytes.get_or_init(|| ByteEmbeddings::new(embeddings, outputs)).as_ref()
            }
        };
        MaxLogits { embeddings, outputs, bias: &self.bias, bytes }
    }
}
