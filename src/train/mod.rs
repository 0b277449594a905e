//! How does a model learn its words from photos and captions?
//!
//! Stages of steps, as STAIR has them (Chen et al., arXiv 2301.13081, section 3.3): first a caption has
//! no words but its own, so that photos learn words; then the text tower learns more of these; then both
//! learn together. What is frozen runs once. Every random choice follows from the seed and the number
//! of the step, so a run that was stopped goes on as if it had not been.
//!
//! What to learn from, and what is written:
//!
//! | file | answers |
//! | --- | --- |
//! | `config.rs`, `plan.rs` | what is a run told to do, and can it? |
//! | `records/` | which photos are there, and what is known about each? |
//! | `photos.rs`, `targets.rs` | which words should each photo and caption have? |
//! | `teachers.rs` | what do other models say of photos and captions? |
//! | `views.rs`, `features.rs` | what do the frozen blocks make of each view of a photo? |
//! | `batches.rs` | which photos come in which step? |
//! | `stages.rs` | the run: stages, steps, measurements, checkpoints |
//! | `step.rs`, `learner.rs` | which losses does a step have, and what does it change? |
//! | `measure.rs`, `dev.rs` | how good is the model of the moment? |
//! | `checkpoint.rs`, `metrics.rs`, `report.rs`, `export.rs` | what is kept of a run, and how? |
//! | `parallel.rs` | how is work on many photos stopped? |
//! | `error.rs` | why can a run not go on? |
//!
//! How it is computed:
//!
//! | file | answers |
//! | --- | --- |
//! | `processor.rs` | which processor computes the steps? |
//! | `parameters.rs` | which tensors are trained, and how fast? |
//! | `towers/` | what do the towers compute while they are trained? |
//! | `ops/` | which steps of that have an operator of their own, forward and backward? |
//! | `losses/` | what is a batch of pictures and texts held to? |
//! | `optimiser.rs` | how do gradients become new weights? |
//! | `average.rs` | which weights are kept in the end? |
//! | `state.rs` | how is what changes with each step written down? |
//! | `random.rs` | where does chance come from, and how is it repeated? |

mod average;
mod batches;
mod checkpoint;
mod config;
mod dev;
mod error;
mod export;
mod features;
mod learner;
pub mod losses;
mod measure;
mod metrics;
pub mod ops;
mod optimiser;
mod parallel;
mod parameters;
mod photos;
mod plan;
mod processor;
mod random;
mod records;
mod report;
mod stages;
mod state;
mod step;
mod targets;
mod teachers;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub mod towers;
mod views;

pub use average::Average;
pub use config::{ConfigError, TrainConfig};
pub use dev::DevReport;
pub use error::TrainError;
pub use optimiser::{AdamW, Optimiser, cosine};
pub use parameters::{Group, Parameters, Trained};
pub use plan::{Plan, Summary};
pub use processor::Processor;
pub use random::{Random, RandomState};
pub use records::{Reason, RecordsError, Skipped};
pub use stages::{Event, OnEvent, train};
pub use towers::{Side, TowerSettings, Towers, saturate};
