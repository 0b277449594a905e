//! A folder of pictures and its index, through the public API: what is seen, what is skipped, what
//! is found, and what happens when something is in the way.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod damage;
mod refresh;
mod roots;
mod search;
pub(crate) mod support;
mod writers;
