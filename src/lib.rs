#![doc = "x"]

pub mod ingest;
