//! Masked language modelling (BERT, Devlin et al., arXiv 1810.04805, section 3.1).

use candle_core::{D, Result, Tensor};

use super::log_softmax;

/// `−log softmax(logits)_target`, the mean over hidden words; 0 where none is hidden.
///
/// `logits` [words, output tokens] come from the head that also gives a text its vector
/// ([`Towers::masked_words`](crate::train::Towers::masked_words)); `targets` are each word's place among the
/// output tokens.
///
/// # Errors
/// A target beyond the output tokens, or not one for each row.
pub fn mlm(logits: &Tensor, targets: &[u32]) -> Result<Tensor> {
    if targets.is_empty() {
        return Tensor::zeros((), logits.dtype(), logits.device());
    }
    let targets = Tensor::new(targets, logits.device())?.unsqueeze(D::Minus1)?;
    log_softmax(logits)?.gather(&targets, D::Minus1)?.mean_all()?.neg()
}
