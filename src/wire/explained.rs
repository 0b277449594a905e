//! Why a picture matches a query, or why not.

use std::path::Path;

use serde::Serialize;
use utoipa::ToSchema;

use super::{QueryToken, TermRow, four_digits};
use crate::collection::Explanation;

/// How a picture stands to a query.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Explained<P> {
    /// The query as typed.
    pub query: String,
    /// The picture.
    pub id: String,
    /// Its file.
    pub path: Option<P>,
    /// The sum of the terms' products.
    pub score: f64,
    /// The share of the score that the query can be expected to reach, 0 to 1.
    pub coverage: f64,
    /// The coverage from which a picture is a hit.
    pub threshold: f64,
    /// The rank among all pictures that share a word with the query; none if it shares none, or is
    /// excluded or filtered out.
    pub rank: Option<u64>,
    /// How many hits the query has.
    pub matched: u64,
    /// Whether the picture is in the index.
    pub indexed: bool,
    /// The exclusions that it falls under.
    pub excluded_by: Vec<String>,
    /// The filters that it does not pass.
    pub filtered_by: Vec<String>,
    /// What makes the score, heaviest first.
    pub terms: Vec<TermRow>,
    /// Words of the query that the picture does not have, heaviest first.
    pub missing: Vec<QueryToken>,
}

impl<P> Explained<P> {
    /// `shown` turns the absolute path into the one that is written.
    pub fn new(typed: &str, explanation: &Explanation, shown: impl Fn(&Path) -> P) -> Self {
        let hit = &explanation.hit;
        Self {
            query: typed.to_owned(),
            id: hit.id.to_string(),
            path: hit.paths.first().map(|path| shown(path)),
            score: hit.score.shown,
            coverage: four_digits(hit.coverage.into()),
            threshold: four_digits(explanation.threshold.into()),
            rank: explanation.rank,
            matched: explanation.matched,
            indexed: explanation.indexed,
            excluded_by: explanation.excluded_by.clone(),
            filtered_by: explanation.filtered_by.clone(),
            terms: hit.terms.iter().map(TermRow::from).collect(),
            missing: explanation.missing.iter().map(QueryToken::from).collect(),
        }
    }
}
