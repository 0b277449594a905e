//! Vectors in a real index on disk, searched the way a user's search is.

use std::num::NonZeroUsize;

use sightword_index::{
    FieldParams, SearchError, SearchOptions, SparseQuery, SparseSearcher, SparseVector,
    add_sparse_field, add_vector, create_in_dir, open_writer,
};
use tantivy::TantivyDocument;
use tantivy::schema::{FAST, SchemaBuilder};

use super::error::EvalError;
use crate::collection::least_score;
use crate::encode::Encoder;
use crate::query::CompiledQuery;

/// Memory that tantivy may use before it writes a segment, in bytes.
const WRITER_BYTES: usize = 100 << 20;

/// Vectors in an index, keyed by their place in the list, which also breaks ties.
pub(crate) struct Searchable {
    searcher: SparseSearcher,
    _folder: tempfile::TempDir,
}

/// What was found: a place in the list, and its score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ranked {
    pub(crate) at: usize,
    pub(crate) score: u32,
}

/// The places of a ranking, without the scores.
pub(crate) fn places(ranking: &[Ranked]) -> Vec<usize> {
    ranking.iter().map(|ranked| ranked.at).collect()
}

impl Searchable {
    pub(crate) fn new(
        encoder: &Encoder,
        vectors: impl Iterator<Item = SparseVector>,
    ) -> Result<Self, EvalError> {
        let folder = tempfile::tempdir().map_err(EvalError::Folder)?;
        let mut schema = SchemaBuilder::new();
        let key = schema.add_u64_field("key", FAST);
        let config = encoder.config();
        let params = FieldParams {
            // A vocabulary has at most 65,536 tokens: checked when the model was opened.
            vocab: u32::try_from(config.vocabulary).unwrap_or(u32::MAX),
            scale: config.impact_scale,
            model: encoder.hash().to_owned(),
        };
        let field = add_sparse_field(&mut schema, "sv", &params);
        let index = create_in_dir(folder.path(), schema.build())?;
        let mut writer = open_writer(&index, NonZeroUsize::MIN, WRITER_BYTES)?;
        for (at, vector) in vectors.enumerate() {
            let mut document = TantivyDocument::new();
            document.add_u64(key, at as u64);
            add_vector(&mut document, field, &vector);
            writer.add_document(document)?;
        }
        writer.commit()?;
        let searcher = SparseSearcher::open(&index.reader()?.searcher(), field, key)?;
        Ok(Self { searcher, _folder: folder })
    }

    /// The best `k` that share a word with the query, best first; 0 gives all.
    pub(crate) fn best(&self, query: &SparseQuery, k: usize) -> Result<Vec<Ranked>, SearchError> {
        let mut options = SearchOptions::default();
        options.k = k;
        let hits = self.searcher.top(query, &options)?;
        let ranked = hits.iter().filter_map(|hit| {
            // Keys were made from a `usize`.
            Some(Ranked { at: usize::try_from(hit.key).ok()?, score: hit.score })
        });
        Ok(ranked.collect())
    }

    /// Whether anything covers the query well enough to be an answer.
    pub(crate) fn answers(
        &self,
        query: &CompiledQuery,
        min_match: f32,
    ) -> Result<bool, SearchError> {
        let mut options = SearchOptions::default();
        options.k = 1;
        options.min_score = least_score(min_match, query.reachable);
        Ok(!self.searcher.top(&query.sparse, &options)?.is_empty())
    }
}
