//! How are the towers trained?
//!
//! | file | answers |
//! | --- | --- |
//! | `parameters.rs` | which tensors are trained, and how fast? |
//! | `towers/` | what do the towers compute while they are trained? |
//! | `ops/` | which steps of that have an operator of their own, forward and backward? |
//! | `losses/` | what is a batch of pictures and texts held to? |
//! | `optimiser.rs` | how do gradients become new weights? |
//! | `average.rs` | which weights are kept in the end? |
//! | `state.rs` | how is what changes with each step written down? |
//! | `random.rs` | where does chance come from, and how is it repeated? |

mod average;
pub mod losses;
pub mod ops;
mod optimiser;
mod parameters;
mod random;
mod state;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub mod towers;

pub use average::Average;
pub use optimiser::{AdamW, Optimiser, cosine};
pub use parameters::{Group, Parameters, Trained};
pub use random::{Random, RandomState};
pub use towers::{Side, TowerSettings, Towers, saturate};
