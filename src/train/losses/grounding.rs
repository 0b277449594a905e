//! Caption grounding: a picture's tokens are to be the words that it is described by.

use candle_core::{Result, Tensor};

/// `−Σ_v t_v · log softmax(pooled)_v`, the mean over the batch: cross-entropy of the softmax over all
/// output tokens against the described words.
///
/// `pooled` and `target` are [batch, tokens]; a row of `target` has weights that sum to at most 1 (words
/// of the captions by their idf, of labels, of a teacher's classes), and one of zeros asks for nothing.
/// Logits are taken before `relu`, so that a dead token still gets a gradient.
///
/// # Errors
/// Shapes that do not fit.
pub fn grounding(pooled: &Tensor, target: &Tensor) -> Result<Tensor> {
    super::cross_entropy(pooled, target)
}
