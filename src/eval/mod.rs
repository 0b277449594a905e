//! How good are the answers, on photos whose captions or labels are known?
//!
//! Photos are encoded once and put into a real index; texts search it by the same path as what a
//! user types. Every figure has an interval, and two models can be compared on the same queries.
//!
//! | file | answers |
//! | --- | --- |
//! | `dataset.rs` | which photos, and what was written about them? |
//! | `trial.rs`, `queries.rs`, `searchable.rs` | what does the model make of them, and what does a text find? |
//! | `evaluate.rs`, `report.rs` | what is measured, and what comes out? |
//! | `retrieval.rs` | do captions find their photo, and photos their captions? |
//! | `second_look.rs` | … and after a re-ranker has looked again at the first? |
//! | `classes.rs` | do the names of things find the photos that show them? |
//! | `no_answer.rs` | is "nothing found" honest? |
//! | `negation.rs` | is what was excluded left out? |
//! | `tokens.rs` | do a photo's tokens say what it shows, and how evenly are they used? |
//! | `latency.rs` | how long does a query take? |
//! | `measures.rs` | what is a ranking worth? |
//! | `bootstrap.rs`, `samples.rs` | how sure is a figure, and is one model better than another? |
//! | `trec.rs` | what do other tools make of the rankings? |
//! | `failures.rs`, `page.rs` | which queries fail, and why? |

#![forbid(unsafe_code)]

mod bootstrap;
mod classes;
mod dataset;
mod error;
mod evaluate;
mod failures;
mod latency;
mod measures;
mod negation;
mod no_answer;
mod page;
mod queries;
mod report;
mod retrieval;
mod samples;
mod searchable;
mod second_look;
mod tokens;
mod trec;
mod trial;

pub use bootstrap::{Difference, RESAMPLES, SEED};
pub use classes::{Class, ClassFigures, Classes};
pub use dataset::{Dataset, DatasetError};
pub(crate) use dataset::{Place, Record, members};
pub use error::EvalError;
pub use evaluate::{EvalOptions, Stage, evaluate};
pub use latency::{Latency, Times};
pub(crate) use measures::success;
pub use negation::{Negation, Page};
pub use no_answer::NoAnswer;
pub use report::{Comparison, Report};
pub use retrieval::Recall;
pub use second_look::SecondLook;
pub use tokens::{Interpretability, Overused, TokenUse};
