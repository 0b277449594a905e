//! What is a batch of pictures and texts held to?
//!
//! Each loss is a function of tensors to a scalar, lower is better. A batch has as many texts as
//! pictures, and text `i` belongs to picture `i`. "Pooled" are logits before, "weights" after
//! `ln(1 + relu(·))`. All are held to their twins in PyTorch, value and gradient: `tests/reference/losses.py`.
//!
//! | file | answers |
//! | --- | --- |
//! | `contrastive.rs` | does each picture find its text, and each text its picture? (ITC) |
//! | `flops.rs` | how much would a search cost? (FLOPs, DF-FLOPS) |
//! | `grounding.rs` | are a picture's tokens the words that it is described by? |
//! | `distillation.rs` | are the scores those of a teacher? |
//! | `mlm.rs` | can a hidden word be guessed? (MLM) |
//! | `mvm.rs` | can a hidden patch be guessed? (MVM) |
//! | `itm.rs` | which pairs belong together, the hard ones too? (ITM) |

mod contrastive;
mod distillation;
mod flops;
mod grounding;
mod itm;
mod mlm;
mod mvm;
#[cfg(test)]
mod tests;

pub use contrastive::{LARGEST_SCALE, evened, itc, scaled_scores};
pub use distillation::score_distillation;
pub use flops::{df_flops, flops, ramp};
pub use grounding::grounding;
pub use itm::{HardNegatives, hard_negatives, itm};
pub use mlm::mlm;
pub use mvm::mvm;

use candle_core::{D, Result, Tensor};

/// `x − ln Σ eˣ` of each row.
fn log_softmax(x: &Tensor) -> Result<Tensor> {
    // The largest is only taken off to keep `exp` in range: its gradient would cancel out.
    let x = x.broadcast_sub(&x.max_keepdim(D::Minus1)?.detach())?;
    x.broadcast_sub(&x.exp()?.sum_keepdim(D::Minus1)?.log()?)
}

/// `−Σ target · log softmax(logits)`, the mean over rows.
fn cross_entropy(logits: &Tensor, target: &Tensor) -> Result<Tensor> {
    (target.detach() * log_softmax(logits)?)?.sum(D::Minus1)?.mean_all()?.neg()
}
