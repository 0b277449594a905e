//! What a user of the crate can see, through its public interface.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

mod approximate;
mod bad_use;
mod brute_force;
mod damage;
mod disk_faults;
mod fixture;
mod kill;
mod large;
mod lifecycle;
mod mixes;
mod repair;
mod segmentation;
mod support;
mod with_tantivy;
