//! What a user of the crate can see, through its public interface.

mod brute_force;
mod support;
