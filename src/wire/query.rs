//! A query as it was understood, and what came of it.

use serde::Serialize;
use utoipa::ToSchema;

use super::four_digits;
use crate::collection::{Reranked, ShownToken, Verdict};

/// A token of the query with its weight.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct QueryToken {
    /// The word; of a word in pieces, the whole word.
    pub token: String,
    /// Its number in the vocabulary; of a word in pieces, that of the first.
    pub id: u16,
    /// Its weight; of a word in pieces, the sum.
    pub weight: f64,
}

impl From<&ShownToken> for QueryToken {
    fn from(token: &ShownToken) -> Self {
        Self { token: token.token.clone(), id: token.id.0, weight: four_digits(token.weight) }
    }
}

/// Who looked again at the first hits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RerankerLine {
    /// The re-ranker's name.
    pub name: String,
    /// The re-ranker's hash.
    pub hash: String,
    /// Hits looked at.
    pub depth: usize,
    /// Of those, the ones whose features were stored.
    pub stored: usize,
    /// Of those, the ones that could not be read and kept their rank.
    pub unreadable: usize,
}

impl From<&Reranked> for RerankerLine {
    fn from(reranked: &Reranked) -> Self {
        Self {
            name: reranked.name.clone(),
            hash: reranked.hash.clone(),
            depth: reranked.depth,
            stored: reranked.stored,
            unreadable: reranked.unreadable,
        }
    }
}

/// Whether anything was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Found {
    /// At least one picture covers enough of the query.
    Some,
    /// None does.
    None,
}

impl From<Verdict> for Found {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Some => Self::Some,
            Verdict::None => Self::None,
        }
    }
}
