//! A document's sparse vector: sorted tokens, their impacts, and for pictures the patch behind each.
//!
//! A [`SparseVector`] keeps its rules by construction, so nothing that holds one checks them again.
//! Its canonical bytes ([`SparseVector::to_bytes`]) are the value of the field in a document and
//! the text over which a document's checksum runs.

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
    #[error(
        "{found} bytes where a vector of {tokens} tokens takes {plain}, or {with_patches} with patches"
    )]
    Length {
        /// Tokens that the first two bytes announce.
        tokens: usize,
        /// Bytes that these take without patches.
        plain: usize,
        /// Bytes that these take with patches.
        with_patches: usize,
        /// Bytes found.
        found: usize,
    },
    /// A token lies beyond the vocabulary that the field was made for.
    #[error("token {token} is not in a vocabulary of {vocab}")]
    OutOfVocabulary {
        /// The token.
        token: u16,
        /// Tokens that the field's vocabulary has.
        vocab: u32,
    },
}

/// Sorted tokens with impacts, and for pictures the winning patch of each token.
///
/// An empty vector is legal: it matches nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SparseVector {
    tokens: Vec<u16>,
    impacts: Vec<u8>,
    /// As long as `tokens`. Always `None` for an empty vector, so that equal vectors have equal bytes.
    patches: Option<Vec<u8>>,
}

impl SparseVector {
    /// A vector without patches (a text). Tokens must increase strictly, impacts be 1 to 255.
    ///
    /// # Errors
    /// [`VectorError`] names the first entry that breaks a rule.
    pub fn new(entries: impl IntoIterator<Item = (TokenId, u8)>) -> Result<Self, VectorError> {
        let (tokens, impacts) =
            entries.into_iter().map(|(token, impact)| (token.0, impact)).unzip();
        Self::from_parts(tokens, impacts, None)
    }

    /// A vector with patches (a picture): `(token, impact, patch)`.
    ///
    /// # Errors
    /// As [`SparseVector::new`].
    pub fn with_patches(
        entries: impl IntoIterator<Item = (TokenId, u8, u8)>,
    ) -> Result<Self, VectorError> {
        let (mut tokens, mut impacts, mut patches) = (Vec::new(), Vec::new(), Vec::new());
        for (token, impact, patch) in entries {
            tokens.push(token.0);
            impacts.push(impact);
            patches.push(patch);
        }
        Self::from_parts(tokens, impacts, Some(patches))
    }

    /// The one place where vectors are made. `patches`, if given, must be as long as `tokens`.
    pub(crate) fn from_parts(
        tokens: Vec<u16>,
        impacts: Vec<u8>,
        patches: Option<Vec<u8>>,
    ) -> Result<Self, VectorError> {
        if tokens.len() > usize::from(u16::MAX) {
            return Err(VectorError::TooLong { len: tokens.len() });
        }
        check_entries(&tokens, &impacts)?;
        let patches = patches.filter(|patches| !patches.is_empty());
        Ok(Self { tokens, impacts, patches })
    }

    /// The canonical bytes: the number of tokens as `u16`, the tokens as `u16` each, the impacts as
    /// one byte each, then the patches, if there are any, as one byte each. Little-endian.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let patches = self.patches.as_deref().unwrap_or(&[]);
        let mut bytes = Vec::with_capacity(2 + 3 * self.len() + patches.len());
        bytes.extend_from_slice(&count_bytes(self.len()));
        bytes.extend(self.tokens.iter().flat_map(|token| token.to_le_bytes()));
        bytes.extend_from_slice(&self.impacts);
        bytes.extend_from_slice(patches);
        bytes
    }

    /// Reads what [`SparseVector::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`VectorError`] when the length fits no vector, tokens do not increase or an impact is 0.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, VectorError> {
        let (count, rest) = match bytes {
            [low, high, rest @ ..] => (usize::from(u16::from_le_bytes([*low, *high])), rest),
            _ => (0, &[][..]),
        };
        let (plain, with_patches) = (2 + 3 * count, 2 + 4 * count);
        let found = bytes.len();
        if found != plain && found != with_patches {
            return Err(VectorError::Length { tokens: count, plain, with_patches, found });
        }
        let (tokens, rest) = rest.split_at(2 * count);
        let (impacts, patches) = rest.split_at(count);
        let tokens = tokens.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
        let patches = (!patches.is_empty()).then(|| patches.to_vec());
        Self::from_parts(tokens.collect(), impacts.to_vec(), patches)
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
        (0..self.len()).map(|at| self.entry(at))
    }

    /// The entry of one token, if set. Cost: a binary search.
    #[must_use]
    pub fn get(&self, token: TokenId) -> Option<Entry> {
        self.tokens.binary_search(&token.0).ok().map(|at| self.entry(at))
    }

    /// Checks that every token is below `vocab`.
    ///
    /// # Errors
    /// [`VectorError::OutOfVocabulary`] names the greatest token when it is not.
    pub fn check_vocab(&self, vocab: u32) -> Result<(), VectorError> {
        match self.tokens.last() {
            Some(&token) if u32::from(token) >= vocab => {
                Err(VectorError::OutOfVocabulary { token, vocab })
            }
            _ => Ok(()),
        }
    }

    fn entry(&self, at: usize) -> Entry {
        Entry {
            token: TokenId(self.tokens[at]),
            impact: self.impacts[at],
            patch: self.patches.as_ref().map(|patches| patches[at]),
        }
    }

    pub(crate) fn tokens(&self) -> &[u16] {
        &self.tokens
    }

    pub(crate) fn impacts(&self) -> &[u8] {
        &self.impacts
    }

    pub(crate) fn patches(&self) -> Option<&[u8]> {
        self.patches.as_deref()
    }
}

/// The first two canonical bytes. A vector never has more tokens than a `u16` counts.
pub(crate) fn count_bytes(len: usize) -> [u8; 2] {
    u16::try_from(len).unwrap_or(u16::MAX).to_le_bytes()
}

/// Tokens increase strictly and no impact is 0: what makes two columns a vector.
pub(crate) fn check_entries(tokens: &[u16], impacts: &[u8]) -> Result<(), VectorError> {
    if let Some(at) = tokens.windows(2).position(|pair| pair[0] >= pair[1]) {
        let (previous, token) = (tokens[at], tokens[at + 1]);
        return Err(VectorError::NotIncreasing { position: at + 1, previous, token });
    }
    match tokens.iter().zip(impacts).find(|(_, impact)| **impact == 0) {
        Some((&token, _)) => Err(VectorError::ZeroImpact { token }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_as_the_same_vector() {
        let text = SparseVector::new([(TokenId(3), 1), (TokenId(0xabcd), 255)]).unwrap();
        assert_eq!(text.to_bytes(), [2, 0, 3, 0, 0xcd, 0xab, 1, 255]);
        assert_eq!(SparseVector::from_bytes(&text.to_bytes()).unwrap(), text);
        let picture =
            SparseVector::with_patches([(TokenId(3), 1, 0), (TokenId(9), 7, 48)]).unwrap();
        assert_eq!(picture.to_bytes(), [2, 0, 3, 0, 9, 0, 1, 7, 0, 48]);
        assert_eq!(SparseVector::from_bytes(&picture.to_bytes()).unwrap(), picture);
    }

    #[test]
    fn an_empty_vector_is_the_same_with_and_without_patches() {
        let plain = SparseVector::new([]).unwrap();
        assert_eq!(plain, SparseVector::with_patches([]).unwrap());
        assert_eq!(plain, SparseVector::from_bytes(&[0, 0]).unwrap());
        assert!(plain.is_empty());
    }

    #[test]
    fn entries_that_break_a_rule_are_refused_by_name() {
        let pairs = |pairs: &[(u16, u8)]| {
            SparseVector::new(pairs.iter().map(|&(token, impact)| (TokenId(token), impact)))
        };
        let twice = VectorError::NotIncreasing { position: 1, previous: 4, token: 4 };
        assert_eq!(pairs(&[(4, 1), (4, 2)]), Err(twice));
        assert_eq!(pairs(&[(4, 1), (5, 0)]), Err(VectorError::ZeroImpact { token: 5 }));
        let all = (0..=u16::MAX).map(|token| (TokenId(token), 1));
        assert_eq!(SparseVector::new(all), Err(VectorError::TooLong { len: 65_536 }));
    }

    #[test]
    fn bytes_of_the_wrong_length_are_refused() {
        for bytes in [&[][..], &[1], &[1, 0], &[1, 0, 5, 0], &[1, 0, 5, 0, 1, 2, 3], &[0, 0, 0]] {
            let error = SparseVector::from_bytes(bytes).unwrap_err();
            assert!(matches!(error, VectorError::Length { .. }), "{bytes:?}: {error}");
        }
    }

    #[test]
    fn a_token_is_found_with_its_patch() {
        let picture =
            SparseVector::with_patches([(TokenId(3), 1, 0), (TokenId(9), 7, 48)]).unwrap();
        let nine = Entry { token: TokenId(9), impact: 7, patch: Some(48) };
        assert_eq!(picture.get(TokenId(9)), Some(nine));
        assert_eq!(picture.get(TokenId(4)), None);
        assert_eq!(picture.entries().len(), 2);
    }

    #[test]
    fn a_token_beyond_the_vocabulary_is_named() {
        let vector = SparseVector::new([(TokenId(9), 1)]).unwrap();
        assert_eq!(vector.check_vocab(10), Ok(()));
        let beyond = VectorError::OutOfVocabulary { token: 9, vocab: 9 };
        assert_eq!(vector.check_vocab(9), Err(beyond));
    }
}
