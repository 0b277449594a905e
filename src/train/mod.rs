//! How are the towers trained?

pub mod ops;
mod random;

pub use random::{Random, RandomState};
