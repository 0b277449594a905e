//! What do answers look like to other programs? One set of shapes for `--json` and for HTTP.
//!
//! A shape is what serde writes, and with utoipa's derive what the OpenAPI document says of it. Fields may
//! be added; none changes its meaning. Paths are written in two ways, so the shapes that have some take
//! the way as `P`: [`JsonPath`] on the command line, where programs open them; plain text over HTTP,
//! where they are only shown.
//!
//! | file | answers |
//! | --- | --- |
//! | `hit.rs` | a hit, and the rows that its score is the sum of |
//! | `query.rs` | a query as it was understood, and what came of it |
//! | `explained.rs` | why a picture matches, or not |
//! | `index.rs` | what the index holds |
//! | `words.rs` | the words of a picture |
//! | `path.rs` | a path |
#![forbid(unsafe_code)]

mod explained;
mod hit;
mod index;
mod path;
mod query;
mod words;

pub use explained::{Explained, SecondLook, SecondPart};
pub use hit::{Match, Stage, Stages, TermRow};
pub use index::{BucketLine, IndexLine, RootLine};
pub use path::{JsonPath, raw_bytes};
pub use query::{Found, QueryToken, RerankerLine};
pub use words::Weighted;

/// A number as programs get it: four decimals are enough to read, and hide where the sum was made.
#[must_use]
pub fn four_digits(number: f64) -> f64 {
    (number * 1e4).round() / 1e4
}
