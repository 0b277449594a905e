//! How well do texts, or pictures of the index, answer a query? For clients that re-rank.

use sightword_index::{SparseVector, TokenId};

use super::{problem::Problem, snapshot::Snapshot};
use crate::{
    collection::{PictureRef, coverage},
    query::{ParsedQuery, QueryMode, compile, text_vector},
};

/// What is compared with the query.
pub(crate) enum Document {
    /// A text.
    Text(String),
    /// A picture of the index, by its id.
    Image(String),
}

/// How well a document answers a query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Relevance {
    /// The sum over shared words of query weight times document weight.
    pub(crate) score: f64,
    /// The share of the score that the query can be expected to reach, 0 to 1.
    pub(crate) coverage: f64,
}

/// Compares each document with the query, in the order given.
pub(crate) fn relevances(
    snapshot: &Snapshot,
    query: &str,
    documents: &[Document],
) -> Result<Vec<Relevance>, Problem> {
    let encoder = snapshot.collection.encoder();
    let compiled = compile(&ParsedQuery::plain(query), None, encoder, QueryMode::Tower)?;
    let scale = f64::from(compiled.scale) * f64::from(encoder.config().impact_scale);
    let relevance = |document: &Document| {
        let vector = match document {
            Document::Text(text) => text_vector(text, encoder, QueryMode::Tower)?,
            Document::Image(id) => {
                let tokens = snapshot.collection.tokens_of(&PictureRef::Id(id.clone()))?.tokens;
                vector(tokens.into_iter().map(|token| (token.id, token.impact)))?
            }
        };
        let score = compiled.sparse.score(&vector);
        let coverage = coverage(score, compiled.reachable).into();
        Ok(Relevance { score: f64::from(score) / scale, coverage })
    };
    documents.iter().map(relevance).collect()
}

fn vector(impacts: impl Iterator<Item = (TokenId, u8)>) -> Result<SparseVector, Problem> {
    // A picture's tokens come by falling weight.
    let mut impacts: Vec<_> = impacts.filter(|(_, impact)| *impact > 0).collect();
    impacts.sort_unstable();
    let vector = SparseVector::new(impacts);
    vector.map_err(|error| Problem::internal(error.to_string()))
}

/// The documents' places by falling score, of equal ones the first one first.
pub(crate) fn best_first(relevances: &[Relevance]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..relevances.len()).collect();
    order.sort_by(|&a, &b| relevances[b].score.total_cmp(&relevances[a].score));
    order
}
