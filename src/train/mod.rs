//! How are the towers trained?
//!
//! | file | answers |
//! | --- | --- |
//! | `parameters.rs` | which tensors are trained, and how fast? |
//! | `towers/` | what do the towers compute while they are trained? |
//! | `ops/` | which steps of that have an operator of their own, forward and backward? |
//! | `losses/` | what is a batch of pictures and texts held to? |
//! | `optimiser.rs` | how do gradients become new weights? |
//! | `random.rs` | where does chance come from, and how is it repeated? |

pub mod losses;
pub mod ops;
mod parameters;
mod random;
#[cfg(test)]
pub(crate) mod testing;
pub mod towers;

pub use parameters::{Group, Parameters, Trained};
pub use random::{Random, RandomState};
pub use towers::{Side, TowerSettings, Towers, saturate};
