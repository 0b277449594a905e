//! A hit, and the rows that its score is the sum of.

use std::path::Path;

use serde::Serialize;
use utoipa::ToSchema;

use super::four_digits;
use crate::collection::{Hit, Patch, Term};

/// A hit.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Match<P> {
    /// Its place, from 1.
    pub rank: u64,
    /// The picture: `b3:` and the first digits of the hash of its file.
    pub id: String,
    /// Its file.
    pub path: P,
    /// Further files with the same content.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub copies: Vec<P>,
    /// The first stage's score: the sum of the terms' products.
    pub score: f64,
    /// The share of the score that the query can be expected to reach, 0 to 1.
    pub coverage: f64,
    /// What each stage said of it.
    pub stages: Stages,
    /// What makes the score, heaviest first.
    pub terms: Vec<TermRow>,
}

/// What each stage of the search said of a hit.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Stages {
    /// The index.
    pub sparse: Stage,
    /// The second look, if this hit got one.
    pub rerank: Option<Stage>,
}

/// Rank and score in one stage.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Stage {
    /// The place, from 1.
    pub rank: u64,
    /// The score.
    pub score: f64,
}

/// One row of the sum that is the score.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct TermRow {
    /// The word.
    pub token: String,
    /// Its weight in the query.
    pub q: f64,
    /// Its weight in the picture.
    pub d: f64,
    /// The product, rounded so that all of them add up to the score.
    pub product: f64,
    /// Row and column of the winning patch, from 0; of the heaviest piece for a word of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<[u8; 2]>,
    /// All winning patches of a word of several pieces.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub patches: Vec<[u8; 2]>,
}

impl From<&Term> for TermRow {
    fn from(term: &Term) -> Self {
        let mut patches: Vec<[u8; 2]> = term.patches.iter().map(pair).collect();
        let patch = patches.first().copied();
        if patches.len() < 2 {
            patches.clear();
        }
        Self {
            token: term.token.clone(),
            q: four_digits(term.query),
            d: four_digits(term.image),
            product: term.shown,
            patch,
            patches,
        }
    }
}

/// Row and column.
pub(super) fn pair(patch: &Patch) -> [u8; 2] {
    [patch.row, patch.column]
}

impl<P> Match<P> {
    /// `shown` turns the absolute path into the one that is written.
    pub fn new(hit: &Hit, shown: impl Fn(&Path) -> P) -> Self {
        let mut paths = hit.paths.iter().map(|path| shown(path));
        Self {
            rank: hit.rank,
            id: hit.id.to_string(),
            path: paths.next().unwrap_or_else(|| shown(Path::new(""))),
            copies: paths.collect(),
            score: hit.score.shown,
            coverage: four_digits(hit.coverage.into()),
            stages: Stages {
                sparse: Stage { rank: hit.first_rank, score: hit.score.shown },
                rerank: hit
                    .rerank_score
                    .map(|score| Stage { rank: hit.rank, score: four_digits(score) }),
            },
            terms: hit.terms.iter().map(TermRow::from).collect(),
        }
    }
}
