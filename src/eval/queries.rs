//! Texts as queries, by the same path as what a user types.

use std::num::NonZeroUsize;

use sightword_index::SparseVector;

use super::error::EvalError;
use super::trial::in_order;
use crate::encode::Encoder;
use crate::query::{CompiledQuery, ParsedQuery, QueryMode, compile, text_vector};

/// A text that searches, and the photos that answer it.
pub(crate) struct Query {
    /// Its name in run files.
    pub(crate) id: String,
    pub(crate) text: String,
    pub(crate) compiled: CompiledQuery,
    /// Places of the right photos, rising; at least one.
    pub(crate) right: Vec<usize>,
}

impl Query {
    /// Whether a photo answers it.
    pub(crate) fn is_right(&self, photo: usize) -> bool {
        self.right.binary_search(&photo).is_ok()
    }
}

/// A text that is still to be encoded.
pub(crate) struct Text<'a> {
    pub(crate) id: String,
    pub(crate) text: &'a str,
    pub(crate) right: Vec<usize>,
}

/// Encodes texts on several threads, in order.
pub(crate) fn queries(
    encoder: &Encoder,
    texts: Vec<Text<'_>>,
    mode: QueryMode,
    jobs: NonZeroUsize,
    progress: impl FnMut(usize, usize),
) -> Result<Vec<Query>, EvalError> {
    let compile = |at: usize| compile_plain(encoder, texts[at].text, mode);
    let compiled = in_order(texts.len(), jobs, compile, progress)?;
    let query = |(text, compiled): (Text<'_>, _)| {
        let Text { id, text, right } = text;
        Query { id, text: text.to_owned(), compiled, right }
    };
    Ok(texts.into_iter().zip(compiled).map(query).collect())
}

/// A text in which no character is an operator, as a query.
pub(crate) fn compile_plain(
    encoder: &Encoder,
    text: &str,
    mode: QueryMode,
) -> Result<CompiledQuery, EvalError> {
    compile_parsed(encoder, &ParsedQuery::plain(text), mode)
}

/// What was parsed, as a query.
pub(crate) fn compile_parsed(
    encoder: &Encoder,
    parsed: &ParsedQuery,
    mode: QueryMode,
) -> Result<CompiledQuery, EvalError> {
    compile(parsed, None, encoder, mode)
        .map_err(|source| EvalError::Text { text: parsed.text.clone(), source })
}

/// A text as something to be found.
pub(crate) fn as_document(
    encoder: &Encoder,
    text: &str,
    mode: QueryMode,
) -> Result<SparseVector, EvalError> {
    text_vector(text, encoder, mode)
        .map_err(|source| EvalError::Text { text: text.to_owned(), source })
}
