//! What does the user ask for? The query language, from typed text to a sparse query.
//!
//! Two steps that know nothing of each other's insides:
//!
//! 1. [`parse`] is pure syntax: words, `-exclusions`, `word^2` weights, `filter:values`, or raw
//!    `{"token": weight}`. It needs no model and never fails on a caption, however odd, unless an
//!    operator in it is incomplete.
//! 2. [`compile`] asks the model for the words' weights and makes the whole-number query that the
//!    index runs.
//!
//! Not here: what a filter means for a stored picture (that is the collection's), and top-k.
#![forbid(unsafe_code)]

mod compile;
mod date;
mod error;
mod filter;
mod parse;
mod weights;

pub use compile::{
    CompileError, CompiledQuery, EXCLUSION_FLOOR, QueryMode, WordGroup, compile, text_vector,
};
pub use error::{ParseError, Problem};
pub use filter::{Comparison, Filter, Measure, PathPattern, Size};
pub use parse::{Boost, MAX_WEIGHT, ParsedQuery, parse};
