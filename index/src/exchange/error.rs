//! What can be wrong with a file from another program.

use std::io;

/// Why vectors could not be read or written. Documents are named as the file names them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// The file could not be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A line is not the JSON object that is needed.
    #[error("line {line}: not an object of \"id\" and \"vector\": {source}")]
    Line {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The vocabulary does not have the token.
    #[error("document {id:?}: the vocabulary has no token {token:?}")]
    UnknownToken {
        /// The document.
        id: String,
        /// The token.
        token: String,
    },
    /// A weight from which no impact can be made.
    #[error("document {id:?}: token {token} has the weight {weight}: 0 to 1e9 are possible")]
    Weight {
        /// The document.
        id: String,
        /// The token.
        token: u16,
        /// The weight.
        weight: f32,
    },
    /// A token occurs twice in one document.
    #[error("document {id:?}: token {token} occurs twice")]
    Twice {
        /// The document.
        id: String,
        /// The token.
        token: u16,
    },
    /// More tokens than ids.
    #[error("a vocabulary has at most 65,536 tokens")]
    Vocabulary,
    /// The file is not of this form, or contradicts itself.
    #[error("not a whole {form} file: {what}")]
    Form {
        /// The form that was asked for.
        form: &'static str,
        /// What is wrong.
        what: String,
    },
}

impl ExchangeError {
    pub(super) fn form(form: &'static str, what: impl Into<String>) -> Self {
        Self::Form { form, what: what.into() }
    }
}
