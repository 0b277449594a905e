//! The names of tokens.

use std::collections::HashMap;

use super::ExchangeError;
use crate::vector::TokenId;

/// A vocabulary: each token's name by its id.
#[derive(Debug, Clone, Default)]
pub struct Words {
    names: Vec<String>,
    ids: HashMap<String, TokenId>,
    /// Whether a name that is not known gets the next id.
    open: bool,
}

impl Words {
    /// A vocabulary that takes in every name that a file brings, in the order of their coming.
    #[must_use]
    pub fn open() -> Self {
        Self { open: true, ..Self::default() }
    }

    /// A model's vocabulary: the names of tokens 0, 1, 2 and on. Others are errors.
    ///
    /// # Errors
    /// [`ExchangeError::Vocabulary`] with more than 65,536 names.
    pub fn closed(names: impl IntoIterator<Item = String>) -> Result<Self, ExchangeError> {
        let mut words = Self::default();
        names.into_iter().try_for_each(|name| words.add(name).map(drop))?;
        Ok(words)
    }

    fn add(&mut self, name: String) -> Result<TokenId, ExchangeError> {
        let id = u16::try_from(self.names.len()).map_err(|_| ExchangeError::Vocabulary)?;
        self.ids.insert(name.clone(), TokenId(id));
        self.names.push(name);
        Ok(TokenId(id))
    }

    /// The token of a name, for the document that has it.
    pub(super) fn token(&mut self, name: &str, document: &str) -> Result<TokenId, ExchangeError> {
        match self.ids.get(name) {
            Some(id) => Ok(*id),
            None if self.open => self.add(name.to_owned()),
            None => {
                let (id, token) = (document.to_owned(), name.to_owned());
                Err(ExchangeError::UnknownToken { id, token })
            }
        }
    }

    /// The name of a token; its number where it has none.
    pub(super) fn name(&self, token: TokenId) -> std::borrow::Cow<'_, str> {
        match self.names.get(usize::from(token.0)) {
            Some(name) => name.into(),
            None => token.0.to_string().into(),
        }
    }

    /// Names by id.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }
}
