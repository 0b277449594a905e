//! What a user of the crate can see, through its public interface.

mod bad_use;
mod brute_force;
mod damage;
mod disk_faults;
mod large;
mod lifecycle;
mod segmentation;
mod support;
mod with_tantivy;
