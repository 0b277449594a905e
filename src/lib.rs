//! Search photos by words, and see which words matched and where.

pub mod collection;
pub mod encode;
pub mod eval;
pub mod evidence;
pub mod ingest;
pub mod query;
pub mod rerank;
pub mod serve;
pub mod train;
pub mod wire;
