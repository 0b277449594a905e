//! What was measured.

use std::collections::BTreeMap;

use serde::Serialize;

use super::bootstrap::Difference;
use super::classes::Classes;
use super::latency::Latency;
use super::negation::Negation;
use super::no_answer::NoAnswer;
use super::retrieval::Recall;
use super::samples::Samples;
use super::second_look::SecondLook;
use super::tokens::{Interpretability, TokenUse};

/// What was measured. Shares are in percent; figures have two decimals.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The model's name.
    pub model: String,
    /// BLAKE3 of the model's files.
    pub model_hash: String,
    /// How texts became queries: `tower` or `table`.
    pub query_mode: String,
    /// Photos searched.
    pub photos: usize,
    /// Photos that could not be read, and were left out.
    pub unreadable: usize,
    /// Captions searched with.
    pub captions: usize,
    /// Text → image: each caption looks for its photo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub t2i: Option<Recall>,
    /// Image → text: each photo looks for any of its captions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub i2t: Option<Recall>,
    /// Text → image after a second look, where one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second_look: Option<SecondLook>,
    /// Mean number of tokens of a photo.
    pub image_tokens: f64,
    /// Mean number of tokens of a caption; where there are none, of a label.
    pub text_tokens: f64,
    /// Mean number of tokens that a text and a photo share, over all pairs (`FLOPs` of the papers).
    pub flops: f64,
    /// Do a photo's heaviest tokens say what it shows?
    pub interpretability: Interpretability,
    /// How evenly the vocabulary is used.
    pub token_use: TokenUse,
    /// What a query costs.
    pub latency: Latency,
    /// Queries by label, where photos have labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<Classes>,
    /// The verdict, where queries without an answer were given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_answer: Option<NoAnswer>,
    /// Exclusions, where queries with one were given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub negation: Option<Negation>,
    /// The 95 % interval of each figure, by its path in this object.
    pub intervals: BTreeMap<String, [f64; 2]>,
    /// How often photos (or, for classes and lists of queries, queries) were drawn anew for them.
    pub resamples: usize,
    /// Where the random draws began.
    pub seed: u64,
    /// What the figures are made of.
    #[serde(skip)]
    pub(crate) samples: Samples,
}

/// How two models differ on the same photos and queries.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The other model's name.
    pub model: String,
    /// BLAKE3 of the other model's files.
    pub model_hash: String,
    /// Each figure that both reports have, by its path in them: this model's less the other's.
    pub differences: BTreeMap<String, Difference>,
}

impl Report {
    /// Compares with a report of the same dataset by another model: a paired bootstrap, in which both
    /// models are given the same photos each time.
    #[must_use]
    pub fn against(&self, other: &Self) -> Comparison {
        Comparison {
            model: other.model.clone(),
            model_hash: other.model_hash.clone(),
            differences: self.samples.less(&other.samples),
        }
    }
}
