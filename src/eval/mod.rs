//! How good are the answers, on photos whose captions are known?
//!
//! Captions search for their photo and photos for their captions (the protocol of Karpathy and
//! Fei-Fei, CVPR 2015, section 4.1), through the same index and the same query path as a user's
//! search. Queries about things that no photo shows measure the verdict "nothing found".

#![forbid(unsafe_code)]

mod dataset;
mod measures;
mod retrieval;

pub use dataset::{Dataset, DatasetError};
pub(crate) use dataset::{Place, members};
pub use measures::{NoAnswer, Recall, Report};
pub use retrieval::{EvalError, EvalOptions, Stage, evaluate};
