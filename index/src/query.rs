//! A sparse query: weighted terms and what must not match.

use crate::vector::TokenId;

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
/// the same in every executor. An empty query matches nothing.
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
    pub fn new(
        _terms: Vec<(TokenId, u8)>,
        _exclusions: Vec<Exclusion>,
    ) -> Result<Self, QueryError> {
        unimplemented!()
    }

    /// The terms by rising token.
    #[must_use]
    pub fn terms(&self) -> &[(TokenId, u8)] {
        &self.terms
    }

    /// What must not match.
    #[must_use]
    pub fn exclusions(&self) -> &[Exclusion] {
        &self.exclusions
    }
}
