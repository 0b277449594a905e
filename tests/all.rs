//! What a user can see, through the public API and the binary: one test program, so that it links once.

mod cli;
mod collection;
mod ingest;
mod kill;
mod query;
mod tidy;
