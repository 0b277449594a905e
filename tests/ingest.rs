//! From files to pictures: formats, facts, bad input, sizes, folders, threads.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "colours are rounded and within 0 to 255"
)]

mod damage;
mod facts;
mod folders;
mod formats;
mod pictures;
mod pipeline;
mod sizes;
