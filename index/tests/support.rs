//! Small collections, and the answer that a search over them must give.

use std::num::NonZeroUsize;

use proptest::prelude::*;
use sightword_index::{
    DocFilter, Exclusion, Executor, FieldParams, SearchOptions, SearchResult, SparseQuery,
    SparseSearcher, SparseVector, TokenId, add_sparse_field, add_vector, create_in_ram,
    open_writer,
};
use tantivy::merge_policy::NoMergePolicy;
use tantivy::query::{Query, RangeQuery};
use tantivy::schema::{FAST, Field, INDEXED, STORED, Schema};
use tantivy::{Index, IndexWriter, TantivyDocument, Term};

/// Tokens in the tests' vocabulary: few, so that documents share them.
pub(crate) const VOCAB: u32 = 48;

/// The fields of the tests' schema.
#[derive(Clone, Copy)]
pub(crate) struct Fields {
    pub(crate) key: Field,
    pub(crate) group: Field,
    pub(crate) vector: Field,
}

/// Key and group are `u64`s; a filter is a range of groups, 0 to 99.
pub(crate) fn schema() -> (Schema, Fields) {
    schema_of(VOCAB)
}

pub(crate) fn schema_of(vocab: u32) -> (Schema, Fields) {
    let mut builder = Schema::builder();
    let key = builder.add_u64_field("key", INDEXED | FAST | STORED);
    let group = builder.add_u64_field("group", INDEXED | FAST);
    let params = FieldParams { vocab, scale: 64.0, model: "test".to_owned() };
    let vector = add_sparse_field(&mut builder, "vector", &params);
    (builder.build(), Fields { key, group, vector })
}

/// A document as the model knows it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Doc {
    pub(crate) key: u64,
    pub(crate) group: u64,
    /// `None`: the document has no vector field at all, which reads as an empty vector.
    pub(crate) vector: Option<SparseVector>,
}

impl Doc {
    pub(crate) fn vector(&self) -> SparseVector {
        self.vector.clone().unwrap_or_default()
    }

    pub(crate) fn to_tantivy(&self, fields: Fields) -> TantivyDocument {
        let mut doc = TantivyDocument::new();
        doc.add_u64(fields.key, self.key);
        doc.add_u64(fields.group, self.group);
        if let Some(vector) = &self.vector {
            add_vector(&mut doc, fields.vector, vector);
        }
        doc
    }
}

/// One thread and no merges but those asked for, so that a test decides the segments.
pub(crate) fn writer(index: &Index) -> IndexWriter {
    let writer = open_writer(index, NonZeroUsize::MIN, 100_000_000).unwrap();
    writer.set_merge_policy(Box::new(NoMergePolicy));
    writer
}

/// An index in memory with one segment for each part.
pub(crate) fn index_of(parts: &[&[Doc]]) -> (Index, Fields, IndexWriter) {
    let (schema, fields) = schema();
    let index = create_in_ram(schema).unwrap();
    let mut writer = writer(&index);
    for part in parts {
        add(&writer, fields, part);
        writer.commit().unwrap();
    }
    (index, fields, writer)
}

pub(crate) fn add(writer: &IndexWriter, fields: Fields, docs: &[Doc]) {
    for doc in docs {
        writer.add_document(doc.to_tantivy(fields)).unwrap();
    }
}

pub(crate) fn delete(writer: &IndexWriter, fields: Fields, key: u64) {
    writer.delete_term(Term::from_field_u64(fields.key, key));
}

/// Merges all segments into one, or into none if nothing is alive.
pub(crate) fn merge_all(index: &Index, writer: &mut IndexWriter) {
    let segments = index.searchable_segment_ids().unwrap();
    if !segments.is_empty() {
        writer.merge(&segments).wait().unwrap();
    }
}

pub(crate) fn searcher(index: &Index, fields: Fields) -> SparseSearcher {
    let searcher = index.reader().unwrap().searcher();
    SparseSearcher::open(&searcher, fields.vector, fields.key).unwrap()
}

/// How a test searches.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) query: SparseQuery,
    pub(crate) k: usize,
    pub(crate) offset: usize,
    pub(crate) min_score: u32,
    /// Only groups below this one.
    pub(crate) groups_below: Option<u64>,
}

impl Request {
    pub(crate) fn of(query: SparseQuery, k: usize) -> Self {
        Self { query, k, offset: 0, min_score: 0, groups_below: None }
    }

    pub(crate) fn run(
        &self,
        searcher: &SparseSearcher,
        fields: Fields,
        executor: Executor,
    ) -> SearchResult {
        let filter = self.doc_filter(searcher, fields);
        let options = self.options(filter.as_ref(), executor);
        let found = searcher.search(&self.query, &options).unwrap();
        assert_eq!(searcher.top(&self.query, &options).unwrap(), found.hits, "{self:?}");
        found
    }

    pub(crate) fn doc_filter(
        &self,
        searcher: &SparseSearcher,
        fields: Fields,
    ) -> Option<DocFilter> {
        self.filter(fields).map(|filter| searcher.filter(&*filter).unwrap())
    }

    pub(crate) fn filter(&self, fields: Fields) -> Option<Box<dyn Query>> {
        let end = Term::from_field_u64(fields.group, self.groups_below?);
        let range = RangeQuery::new(std::ops::Bound::Unbounded, std::ops::Bound::Excluded(end));
        Some(Box::new(range))
    }

    pub(crate) fn options<'a>(
        &self,
        filter: Option<&'a DocFilter>,
        executor: Executor,
    ) -> SearchOptions<'a> {
        let mut options = SearchOptions::default();
        options.k = self.k;
        options.offset = self.offset;
        options.min_score = self.min_score;
        options.filter = filter;
        options.executor = executor;
        options
    }
}

/// What a search must answer: `(score, key)` by rank, matched, excluded.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) hits: Vec<(u32, u64)>,
    pub(crate) matched: u64,
    pub(crate) excluded: u64,
}

impl From<SearchResult> for Answer {
    fn from(result: SearchResult) -> Self {
        let hits = result.hits.iter().map(|hit| (hit.score, hit.key)).collect();
        Self { hits, matched: result.matched, excluded: result.excluded }
    }
}

/// The answer by definition, over the documents that are alive.
pub(crate) fn brute_force<'a>(
    docs: impl IntoIterator<Item = &'a Doc>,
    request: &Request,
) -> Answer {
    let least = request.min_score.max(1);
    let inside = |doc: &&Doc| request.groups_below.is_none_or(|end| doc.group < end);
    let matching = docs.into_iter().filter(inside).filter(|doc| score(doc, request) >= least);
    let (excluded, mut kept): (Vec<_>, Vec<_>) =
        matching.partition(|doc| request.query.excludes(&doc.vector()));
    kept.sort_by_key(|doc| (std::cmp::Reverse(score(doc, request)), doc.key));
    let k = if request.k == 0 { usize::MAX } else { request.k };
    let page = kept.iter().skip(request.offset).take(k);
    let hits = page.map(|doc| (score(doc, request), doc.key)).collect();
    Answer { hits, matched: kept.len() as u64, excluded: excluded.len() as u64 }
}

fn score(doc: &Doc, request: &Request) -> u32 {
    request.query.score(&doc.vector())
}

// --- random documents and requests ---------------------------------------------------------------

/// Few distinct impacts make ties; 255 is there often.
fn impact() -> impl Strategy<Value = u8> {
    prop_oneof![4 => 1_u8..4, 1 => Just(255_u8), 1 => 1_u8..=255]
}

pub(crate) fn vector() -> impl Strategy<Value = SparseVector> {
    let token = prop_oneof![0_u16..8, 0..u16::try_from(VOCAB).unwrap()];
    let entries = proptest::collection::btree_map(token, (impact(), 0_u8..49), 0..10);
    (entries, any::<bool>()).prop_map(|(entries, with_patches)| {
        let entries =
            entries.into_iter().map(|(token, (impact, patch))| (TokenId(token), impact, patch));
        if with_patches {
            SparseVector::with_patches(entries).unwrap()
        } else {
            SparseVector::new(entries.map(|(token, impact, _)| (token, impact))).unwrap()
        }
    })
}

/// Documents with distinct keys that do not rise with their place.
pub(crate) fn docs(
    count: impl Into<proptest::sample::SizeRange>,
) -> impl Strategy<Value = Vec<Doc>> {
    let doc = (proptest::option::weighted(0.9, vector()), 0_u64..100);
    (proptest::collection::vec(doc, count), any::<u64>()).prop_map(|(docs, salt)| {
        let numbered = docs.into_iter().zip(0_u64..);
        numbered
            .map(|((vector, group), number)| {
                let key = (number.wrapping_mul(0x9e37_79b9) ^ salt) % (1 << 32);
                Doc { key, group, vector }
            })
            .collect()
    })
}

fn exclusion() -> impl Strategy<Value = Exclusion> {
    let tokens = proptest::collection::vec((0_u16..12).prop_map(TokenId), 1..3);
    (tokens, prop_oneof![1_u8..4, Just(255_u8)])
        .prop_map(|(tokens, floor)| Exclusion { tokens, floor })
}

pub(crate) fn request() -> impl Strategy<Value = Request> {
    let terms = proptest::collection::btree_map(0_u16..12, impact(), 0..6);
    let exclusions =
        prop_oneof![Just(Vec::new()).boxed(), proptest::collection::vec(exclusion(), 1..3).boxed()];
    let k = prop_oneof![Just(0_usize), Just(1), 2_usize..8, Just(1_000), Just(usize::MAX)];
    let min_score = prop_oneof![Just(0_u32), Just(1), 2_u32..40, Just(60_000)];
    let groups = proptest::option::of(prop_oneof![Just(0_u64), Just(100), 0_u64..100]);
    (terms, exclusions, k, prop_oneof![Just(0_usize), 0_usize..6], min_score, groups).prop_map(
        |(terms, exclusions, k, offset, min_score, groups_below)| {
            let terms = terms.into_iter().map(|(token, weight)| (TokenId(token), weight)).collect();
            let query = SparseQuery::new(terms, exclusions).unwrap();
            Request { query, k, offset, min_score, groups_below }
        },
    )
}
