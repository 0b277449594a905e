//! Exact, updatable, memory-mapped search over learned sparse vectors: what, how and how fast.
//!
#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

mod arena;
mod cut;
mod error;
#[cfg(feature = "exchange")]
pub mod exchange;
mod exec;
mod field;
mod filter;
mod format;
mod forward;
mod guard;
mod merge;
mod order;
mod plugin;
mod query;
mod repair;
mod report;
mod searcher;
mod segment;
mod touched;
mod vector;
mod weight;
mod writer;

pub use cut::QueryCut;
pub use error::{Fault, FileError, OpenError, SearchError};
pub use exec::top::ScoredDoc;
pub use field::{
    FieldParams, add_sparse_field, add_vector, create_in, create_in_dir, create_in_ram,
    field_params, open_in, open_in_dir, sparse_field,
};
pub use filter::DocFilter;
pub use query::{Exclusion, QueryError, SparseQuery};
pub use repair::{Repair, rebuild_inverted};
pub use report::{IndexStats, SegmentReport, TokenStats, verify_segments};
pub use searcher::{Executor, SearchOptions, SearchResult, SparseSearcher};
pub use vector::{Entry, SparseVector, TokenId, VectorError};
pub use weight::SparseFieldQuery;
pub use writer::{open_writer, roll_back};
