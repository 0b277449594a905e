//! Which of the first hits fit best, when words and picture are looked at together?
//!
//! The first stage compares a text and a picture that never saw each other. A re-ranker lets the
//! text's tokens look at the picture's patches: far better, far slower, so only for the first few.
//! What it needs of a picture alone, its features, is made once and may be kept on disk.
//!
//! | file | answers |
//! | --- | --- |
//! | `fusion.rs`, `config.rs` | how does our own re-ranker become ready, from the program or from a folder? |
//! | `network.rs` | how does a text look at a picture? |
//! | `blend.rs` | how do both stages make one order? |
//! | `cache.rs`, `cache_writer.rs` | where are features kept, so that a kill loses none that was committed? |
//!
//! A further family (CLIP, ViLT, BLIP, …) is a further file with a [`Reranker`] in it.
#![forbid(unsafe_code)]

mod blend;
mod cache;
mod cache_writer;
mod config;
mod fusion;
mod network;

use std::fmt;
use std::path::PathBuf;

use half::f16;

pub use blend::{Blend, reorder};
pub use cache::{CacheError, FeatureCache};
pub use cache_writer::FeatureWriter;
pub use fusion::Fusion;

use crate::encode::{EncodeError, HiddenStates, ModelError};
use crate::ingest::Picture;

/// How many hits are re-ranked where nobody says otherwise.
///
/// Almost every right answer that the first stage finds at all is among so many, and reading more
/// changes little ("Retrieve fast, rerank smart", arXiv 2103.11920, section 5; ALBEF, arXiv
/// 2107.07651, uses 16 to 256).
pub const DEFAULT_DEPTH: usize = 50;

/// Candidates that are scored together. A number of its own, whatever the threads: a score may differ
/// in its last bits with the size of its batch. Four make up [`DEFAULT_DEPTH`], so that two threads, or
/// four, have the same to do.
pub const BATCH: usize = 13;

/// What a re-ranker is shown of a text.
#[derive(Debug, Clone, Copy)]
pub struct QueryInput<'a> {
    /// The words.
    pub text: &'a str,
    /// What the first stage's text tower makes of them.
    pub states: &'a HiddenStates,
}

/// What a re-ranker is shown of a picture.
#[derive(Debug, Clone, Copy)]
pub struct PictureInput<'a> {
    /// The picture, at the first stage's input size or larger.
    pub picture: &'a Picture,
    /// What the first stage's image tower makes of it.
    pub states: &'a HiddenStates,
}

/// What a re-ranker keeps of a picture: [`Reranker::feature_len`] values whose order is its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Features(pub Vec<f16>);

/// A second look at pairs of text and picture.
///
/// It may be shared between threads; a call runs on the thread that makes it, and how many pairs go
/// into one call is the caller's choice.
pub trait Reranker: Send + Sync {
    /// The name, as shown to people.
    fn name(&self) -> &str;

    /// The BLAKE3 hash of what it consists of, as 64 hex digits: features and scores of one hash can be
    /// compared.
    fn hash(&self) -> &str;

    /// Values in the features of any picture.
    fn feature_len(&self) -> usize;

    /// How its scores and those of the first stage make one order.
    fn blend(&self) -> Blend {
        Blend::default()
    }

    /// What [`Reranker::score`] needs of each picture.
    ///
    /// # Errors
    /// [`RerankError`] when the inputs have another shape than it takes, or the arithmetic fails.
    fn prepare(&self, pictures: &[PictureInput<'_>]) -> Result<Vec<Features>, RerankError>;

    /// How well each candidate shows what the query says: finite, higher is better, comparable within
    /// one query only.
    ///
    /// # Errors
    /// As [`Reranker::prepare`], and when a score is no number.
    fn score(
        &self,
        query: &QueryInput<'_>,
        candidates: &[Features],
    ) -> Result<Vec<f32>, RerankError>;
}

impl fmt::Debug for dyn Reranker + '_ {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.name(), self.hash())
    }
}

/// Why a re-ranker cannot be used, or could not be computed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RerankError {
    /// A file of the re-ranker cannot be read, or holds something else than it should.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// It was trained on the hidden states of another model.
    #[error(
        "{}: trained on the model with hash {trained_on}, but the model in use is {model}\n  \
         try: --model with the model that it was trained on, or another --reranker",
        folder.display()
    )]
    OtherTowers {
        /// The re-ranker's folder.
        folder: PathBuf,
        /// The hash of the model that it was trained on.
        trained_on: String,
        /// Name and hash of the model in use.
        model: String,
    },
    /// The first stage could not be computed.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The arithmetic failed.
    #[error("the re-ranker could not be computed: {0}")]
    Compute(String),
}

impl From<candle_core::Error> for RerankError {
    fn from(error: candle_core::Error) -> Self {
        Self::Compute(error.to_string())
    }
}
