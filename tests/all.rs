//! What a user can see, through the public API and the binary: one test program, so that it links once.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod cli;
mod collection;
mod eval;
mod ingest;
mod kill;
mod query;
mod recall;
mod rerank;
mod serve;
mod tidy;
mod train;
