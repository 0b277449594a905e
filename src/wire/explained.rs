//! Why a picture matches a query, or why not.

use std::path::Path;

use serde::Serialize;
use utoipa::ToSchema;

use super::hit::pair;
use super::{QueryToken, TermRow, four_digits};
use crate::collection::{Explanation, Seen, SeenPart};

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
    /// What the second look sees in the picture; left out where none was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second: Option<SecondLook>,
}

/// What a second look sees in one picture.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SecondLook {
    /// The re-ranker's name.
    pub name: String,
    /// Its hash.
    pub hash: String,
    /// How well text and picture fit, by the re-ranker alone: the sum of the parts.
    pub fit: f64,
    /// What orders the hits: that and the first stage's score together.
    pub score: f64,
    /// What the fit is made of, the largest first; none where the re-ranker cannot tell.
    pub parts: Vec<SecondPart>,
}

/// A part of what a second look sees.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SecondPart {
    /// The token that was looked for; none for the text as a whole.
    pub token: Option<String>,
    /// What it adds to the fit.
    pub score: f64,
    /// Row and column of the patch that fits it best, from 0; none for the text as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<[u8; 2]>,
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
            second: explanation.second.as_ref().map(SecondLook::from),
        }
    }
}

impl From<&Seen> for SecondLook {
    fn from(seen: &Seen) -> Self {
        let part = |part: &SeenPart| SecondPart {
            token: part.token.clone(),
            score: four_digits(part.score),
            patch: part.patch.as_ref().map(pair),
        };
        Self {
            name: seen.name.clone(),
            hash: seen.hash.clone(),
            fit: four_digits(seen.fit),
            score: four_digits(seen.score),
            parts: seen.parts.iter().map(part).collect(),
        }
    }
}
