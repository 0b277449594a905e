//! Search photos by words, and see which words matched.

pub mod encode;
pub mod ingest;
