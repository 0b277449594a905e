//! A sparse query: weighted terms and what must not match.
//!
//! [`SparseQuery::score`] and [`SparseQuery::excludes`] are the definition of search: every executor
//! gives the same numbers, only faster.

use std::cmp::Reverse;

use crate::vector::{SparseVector, TokenId};

/// Documents that hold every one of `tokens` with an impact of at least `floor` are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exclusion {
    /// All of these must be there for the document to be left out. Never empty.
    pub tokens: Vec<TokenId>,
    /// The least impact that counts as "there", 1 to 255.
    pub floor: u8,
}

/// Why terms are no query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// Tokens are not strictly increasing.
    #[error("query token {token} does not come after {previous}")]
    NotIncreasing {
        /// The token before it.
        previous: u16,
        /// The offending token.
        token: u16,
    },
    /// A weight of zero asks for nothing.
    #[error("query token {token} has weight 0")]
    ZeroWeight {
        /// The token.
        token: u16,
    },
    /// An exclusion without tokens, or with floor 0, would remove everything.
    #[error("an exclusion needs at least one token and a floor of at least 1")]
    EmptyExclusion,
}

/// Terms by rising token with weights 1 to 255, and exclusions.
///
/// The score of a document is `Σ weight · impact` over the tokens that both have: a whole number,
/// the same in every executor. It always fits a `u32`, since 65,536 · 255 · 255 < 2³². An empty
/// query matches nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SparseQuery {
    terms: Vec<(TokenId, u8)>,
    exclusions: Vec<Exclusion>,
}

impl SparseQuery {
    /// A query of `terms`, strictly increasing by token, weights 1 to 255.
    ///
    /// # Errors
    /// [`QueryError`] names the term that breaks a rule.
    pub fn new(terms: Vec<(TokenId, u8)>, exclusions: Vec<Exclusion>) -> Result<Self, QueryError> {
        if let Some(pair) = terms.windows(2).find(|pair| pair[0].0 >= pair[1].0) {
            let (previous, token) = (pair[0].0.0, pair[1].0.0);
            return Err(QueryError::NotIncreasing { previous, token });
        }
        if let Some((token, _)) = terms.iter().find(|(_, weight)| *weight == 0) {
            return Err(QueryError::ZeroWeight { token: token.0 });
        }
        if exclusions.iter().any(|exclusion| exclusion.tokens.is_empty() || exclusion.floor == 0) {
            return Err(QueryError::EmptyExclusion);
        }
        Ok(Self { terms, exclusions })
    }

    /// The same exclusions with some of the terms, in any order.
    pub(crate) fn with_terms(&self, mut terms: Vec<(TokenId, u8)>) -> Self {
        terms.sort_unstable();
        Self { terms, exclusions: self.exclusions.clone() }
    }

    /// The terms by rising token.
    #[must_use]
    pub fn terms(&self) -> &[(TokenId, u8)] {
        &self.terms
    }

    /// The terms by falling weight; at equal weight the lower token, so that the order is one.
    pub(crate) fn heaviest_first(&self) -> Vec<(TokenId, u8)> {
        let mut terms = self.terms.clone();
        terms.sort_unstable_by_key(|&(token, weight)| (Reverse(weight), token));
        terms
    }

    /// What must not match.
    #[must_use]
    pub fn exclusions(&self) -> &[Exclusion] {
        &self.exclusions
    }

    /// `Σ weight · impact` over the tokens that query and `vector` share. Exclusions play no part.
    #[must_use]
    pub fn score(&self, vector: &SparseVector) -> u32 {
        score_of(&self.terms, vector.tokens(), vector.impacts())
    }

    /// Whether some exclusion removes a document with this vector.
    #[must_use]
    pub fn excludes(&self, vector: &SparseVector) -> bool {
        self.excludes_entries(vector.tokens(), vector.impacts())
    }

    pub(crate) fn excludes_entries(&self, tokens: &[u16], impacts: &[u8]) -> bool {
        let there = |token: &TokenId, floor: u8| {
            tokens.binary_search(&token.0).is_ok_and(|at| impacts[at] >= floor)
        };
        self.exclusions
            .iter()
            .any(|exclusion| exclusion.tokens.iter().all(|token| there(token, exclusion.floor)))
    }
}

/// The score of a document given as two columns, tokens rising on both sides.
pub(crate) fn score_of(terms: &[(TokenId, u8)], tokens: &[u16], impacts: &[u8]) -> u32 {
    let mut score = 0;
    let mut from = 0;
    for &(token, weight) in terms {
        from += tokens[from..].partition_point(|&other| other < token.0);
        if tokens.get(from) == Some(&token.0) {
            score += u32::from(weight) * u32::from(impacts[from]);
        }
    }
    score
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(terms: &[(u16, u8)], exclusions: Vec<Exclusion>) -> Result<SparseQuery, QueryError> {
        let terms = terms.iter().map(|&(token, weight)| (TokenId(token), weight)).collect();
        SparseQuery::new(terms, exclusions)
    }

    fn vector(entries: &[(u16, u8)]) -> SparseVector {
        SparseVector::new(entries.iter().map(|&(token, impact)| (TokenId(token), impact))).unwrap()
    }

    fn exclusion(tokens: &[u16], floor: u8) -> Exclusion {
        Exclusion { tokens: tokens.iter().copied().map(TokenId).collect(), floor }
    }

    #[test]
    fn the_score_is_the_sum_of_products_of_shared_tokens() {
        let query = query(&[(1, 2), (3, 255), (9, 7)], vec![]).unwrap();
        assert_eq!(query.score(&vector(&[(0, 9), (3, 255), (9, 1)])), 255 * 255 + 7);
        assert_eq!(query.score(&vector(&[(2, 9)])), 0);
        assert_eq!(query.score(&vector(&[])), 0);
    }

    #[test]
    fn the_greatest_score_fits() {
        let terms: Vec<_> = (0..u16::MAX).map(|token| (token, 255)).collect();
        let longest = vector(&terms);
        assert_eq!(query(&terms, vec![]).unwrap().score(&longest), 65_535 * 255 * 255);
    }

    #[test]
    fn an_exclusion_needs_all_its_tokens_at_the_floor() {
        let query = query(&[(1, 1)], vec![exclusion(&[5, 4], 10), exclusion(&[8], 1)]).unwrap();
        assert!(query.excludes(&vector(&[(4, 10), (5, 11)])));
        assert!(!query.excludes(&vector(&[(4, 9), (5, 11)])));
        assert!(!query.excludes(&vector(&[(5, 255)])));
        assert!(query.excludes(&vector(&[(8, 1)])));
    }

    #[test]
    fn what_asks_for_nothing_or_removes_everything_is_refused() {
        let twice = QueryError::NotIncreasing { previous: 2, token: 2 };
        assert_eq!(query(&[(2, 1), (2, 1)], vec![]), Err(twice));
        assert_eq!(query(&[(2, 0)], vec![]), Err(QueryError::ZeroWeight { token: 2 }));
        for bad in [exclusion(&[], 1), exclusion(&[3], 0)] {
            assert_eq!(query(&[(2, 1)], vec![bad]), Err(QueryError::EmptyExclusion));
        }
    }
}
