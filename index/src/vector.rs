//! A document's sparse vector: sorted tokens, their impacts, and for pictures the patch behind each.

/// A dimension of the vocabulary. Range: 0 to the vocabulary's size − 1, at most 65,535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(pub u16);

/// One non-zero dimension of a [`SparseVector`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The dimension.
    pub token: TokenId,
    /// Its quantised weight, 1 to 255.
    pub impact: u8,
    /// For pictures: the patch that won the maximum for this token (row by row, from 0).
    pub patch: Option<u8>,
}

/// Why bytes or entries are no sparse vector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VectorError {
    /// Tokens are not strictly increasing.
    #[error("token {token} at position {position} does not come after {previous}")]
    NotIncreasing {
        /// Position of the offending token.
        position: usize,
        /// The token before it.
        previous: u16,
        /// The offending token.
        token: u16,
    },
    /// An impact of zero says nothing and is not stored.
    #[error("token {token} has impact 0")]
    ZeroImpact {
        /// The token.
        token: u16,
    },
    /// More entries than a `u16` counts.
    #[error("a vector of {len} tokens: at most 65,535 are possible")]
    TooLong {
        /// Entries given.
        len: usize,
    },
    /// The bytes end early or go on too long.
    #[error("{found} bytes where a vector of {tokens} tokens takes {expected}")]
    Length {
        /// Tokens that the header announces.
        tokens: usize,
        /// Bytes that these take.
        expected: usize,
        /// Bytes found.
        found: usize,
    },
}

/// Sorted tokens with impacts, and for pictures the winning patch of each token.
///
/// An empty vector is legal: it matches nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SparseVector {
    tokens: Vec<u16>,
    impacts: Vec<u8>,
    patches: Option<Vec<u8>>,
}

impl SparseVector {
    /// A vector without patches (a text). Tokens must increase strictly, impacts be 1 to 255.
    ///
    /// # Errors
    /// [`VectorError`] names the first entry that breaks a rule.
    pub fn new(_entries: impl IntoIterator<Item = (TokenId, u8)>) -> Result<Self, VectorError> {
        unimplemented!()
    }

    /// A vector with patches (a picture): `(token, impact, patch)`.
    ///
    /// # Errors
    /// As [`SparseVector::new`].
    pub fn with_patches(
        _entries: impl IntoIterator<Item = (TokenId, u8, u8)>,
    ) -> Result<Self, VectorError> {
        unimplemented!()
    }

    /// The number of non-zero dimensions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether no dimension is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The entries by rising token.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = Entry> + '_ {
        (0..self.len()).map(|at| Entry {
            token: TokenId(self.tokens[at]),
            impact: self.impacts[at],
            patch: self.patches.as_ref().map(|patches| patches[at]),
        })
    }

    /// The entry of one token, if set. Cost: a binary search.
    #[must_use]
    pub fn get(&self, _token: TokenId) -> Option<Entry> {
        unimplemented!()
    }
}
