//! The approximate search: a query's heaviest terms find candidates, all of its terms score them.

use std::num::NonZeroUsize;

use crate::format::forward::Entries;
use crate::query::SparseQuery;

/// How [`crate::SparseSearcher::top`] may miss hits to be faster with long queries over many documents.
///
/// The heaviest terms, which together have at least a share of the query's weight, find more candidates
/// than hits are wanted; these are scored with all terms. So hits have their true scores, in their true
/// order; those that are missed lack the heavy terms. A query of which no term is cut is searched
/// exactly. Peers call this query cut or query pruning.
///
/// What it costs and gains depends on the vectors: measure it on yours. More candidates find more hits
/// and take longer. On small indexes, of less than some 100,000 documents, it is slower than exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryCut {
    percent: u8,
    candidates: NonZeroUsize,
}

impl QueryCut {
    /// Keeps terms with at least `percent` of the query's weight, 1 to 100, and scores so many
    /// candidates for each hit wanted. `None` for another percentage. At 100 percent no term is cut, and
    /// nothing is missed.
    #[must_use]
    pub const fn new(percent: u8, candidates: NonZeroUsize) -> Option<Self> {
        match percent {
            1..=100 => Some(Self { percent, candidates }),
            _ => None,
        }
    }

    /// Candidates for so many hits.
    pub(crate) fn candidates(self, hits: usize) -> usize {
        hits.saturating_mul(self.candidates.get())
    }

    /// The query that finds candidates: fewer terms, the same exclusions. `None` if it keeps all terms.
    pub(crate) fn apply(self, query: &SparseQuery) -> Option<SparseQuery> {
        let mut terms = query.heaviest_first();
        let all: u64 = terms.iter().map(|(_, weight)| u64::from(*weight)).sum();
        let mut kept = 0;
        terms.retain(|(_, weight)| {
            let enough = kept * 100 >= all * u64::from(self.percent);
            kept += u64::from(*weight);
            !enough
        });
        (terms.len() < query.terms().len()).then(|| query.with_terms(terms))
    }
}

/// A query's weights by token, to score many documents without a search for each of its terms.
pub(crate) struct Weights(Box<[u8]>);

impl Weights {
    /// The weights over a vocabulary. No document has a token beyond it.
    pub(crate) fn new(query: &SparseQuery, vocab: u32) -> Self {
        let mut weights = vec![0; vocab as usize];
        for (token, weight) in query.terms() {
            if let Some(place) = weights.get_mut(usize::from(token.0)) {
                *place = *weight;
            }
        }
        Self(weights.into_boxed_slice())
    }

    /// [`SparseQuery::score`] of a document whose tokens are in the vocabulary.
    pub(crate) fn score(&self, entries: Entries<'_>) -> u32 {
        let weight = |token: u16| u32::from(self.0[usize::from(token)]);
        let entries = entries.tokens.iter().zip(entries.impacts);
        entries.map(|(token, impact)| weight(*token) * u32::from(*impact)).sum()
    }
}
