//! Sparse vectors over a vocabulary as a field of tantivy: exact top-k, updates, deletes, filters.

mod query;
mod vector;

pub use query::{Exclusion, QueryError, SparseQuery};
pub use vector::{Entry, SparseVector, TokenId, VectorError};
