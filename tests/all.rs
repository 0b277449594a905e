//! What a user can see, through the public API and the binary.

mod query;
