//! Which of the first hits fit best, when words and picture are looked at together?
//!
//! The first stage knows a picture by its words alone. A re-ranker compares every token of a text with
//! every patch of a picture: better, slower, and far larger to keep, so only for the first few.
//! What it needs of a picture alone, its features, is made once and may be kept on disk.
//!
//! | file | answers |
//! | --- | --- |
//! | `late.rs`, `config.rs` | how does our own re-ranker become ready, from the program or from a folder? |
//! | `network.rs` | how are a text's tokens and a picture's patches compared? |
//! | `blend.rs` | how do both stages make one order? |
//! | `cache.rs`, `cache_writer.rs` | where are features kept, so that a kill loses none that was committed? |
//!
//! A further family (CLIP, ViLT, BLIP, …) is a further file with a [`Reranker`] in it.
#![forbid(unsafe_code)]

mod blend;
mod cache;
mod cache_writer;
mod config;
mod late;
mod network;

use std::fmt;
use std::path::PathBuf;

use half::f16;

pub use blend::{Blend, reorder};
pub use cache::{CacheError, FeatureCache};
pub use cache_writer::FeatureWriter;
pub use late::LateInteraction;

use sightword_index::TokenId;

use crate::encode::{EncodeError, ModelError};
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
    /// What the model's own text tower reads of them: [`Encoder::text_ids`](crate::encode::Encoder::text_ids).
    pub tokens: &'a [TokenId],
}

/// What a re-ranker makes of a text, once for all candidates: values whose meaning is its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Question(pub Vec<f32>);

/// What a re-ranker keeps of a picture: [`Reranker::feature_len`] values whose order is its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Features(pub Vec<f16>);

/// A part of a score: what one token of the text found in the picture, or the text as a whole.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    /// The place of the token in [`QueryInput::tokens`]; `None` for the whole text.
    pub token: Option<usize>,
    /// The patch that fits it best, row by row of the grid; `None` for the whole picture.
    pub patch: Option<usize>,
    /// What it adds to the score.
    pub score: f32,
}

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

    /// What [`Reranker::score`] needs of each picture, which has the model's input size or a larger one.
    ///
    /// # Errors
    /// [`RerankError`] when the arithmetic fails.
    fn prepare(&self, pictures: &[Picture]) -> Result<Vec<Features>, RerankError>;

    /// What [`Reranker::score`] needs of the query.
    ///
    /// # Errors
    /// [`RerankError`] when there is nothing to read, or the arithmetic fails.
    fn read(&self, query: &QueryInput<'_>) -> Result<Question, RerankError>;

    /// How well each candidate shows what the query says: finite, higher is better, comparable within
    /// one query only.
    ///
    /// # Errors
    /// [`RerankError`] when the question or a candidate is of another re-ranker, or a score is no number.
    fn score(&self, question: &Question, candidates: &[Features]) -> Result<Vec<f32>, RerankError>;

    /// What the score of a candidate is made of: parts that add up to it. None where a score cannot be
    /// taken apart.
    ///
    /// # Errors
    /// As [`Reranker::score`].
    fn parts(&self, _question: &Question, _candidate: &Features) -> Result<Vec<Part>, RerankError> {
        Ok(Vec::new())
    }
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
    /// It was trained for another model.
    #[error(
        "{}: trained for the model with hash {trained_for}, but the model in use is {model}\n  \
         try: --model with the model that it was trained for, or another --reranker",
        folder.display()
    )]
    OtherTowers {
        /// The re-ranker's folder.
        folder: PathBuf,
        /// The hash of the model that it was trained for.
        trained_for: String,
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
