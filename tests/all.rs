//! What a user can see, through the public API and the binary: one test program, so that it links once.

mod ingest;
mod query;
mod tidy;
