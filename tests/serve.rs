//! The server, over real connections: what it answers, whom, and what it does with nonsense.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod access;
mod bad_input;
mod clients;
mod ending;
mod images;
mod index;
mod search;
mod support;
