//! A searcher over one generation of an index.

use std::sync::Arc;

use tantivy::query::{EnableScoring, Query};
use tantivy::schema::Field;
use tantivy::{DocAddress, Searcher, SegmentReader};

use crate::error::{FileError, OpenError, SearchError};
use crate::exec::top::{Better, ScoredDoc, SegmentTop, Top, key_of};
use crate::exec::windowed::Scratch;
use crate::exec::{Counts, Job, Sink, exhaustive, windowed};
use crate::field::{FieldParams, field_params};
use crate::query::SparseQuery;
use crate::report::{IndexStats, SegmentReport, TokenStats};
use crate::segment::{OpenSegment, SegmentFiles, set};
use crate::vector::{SparseVector, TokenId};
use crate::weight::SparseFieldQuery;

/// How to search.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct SearchOptions<'a> {
    /// The most hits to return. 0 returns all.
    pub k: usize,
    /// Hits to leave out before the first that is returned.
    pub offset: usize,
    /// Documents that this query does not match take no part.
    pub filter: Option<&'a dyn Query>,
    /// The least score of a hit. 0 and 1 both mean any match.
    pub min_score: u32,
    /// Which way to search. Both give the same, to the last bit.
    pub executor: Executor,
}

impl Default for SearchOptions<'_> {
    /// The best 10 of all documents.
    fn default() -> Self {
        Self { k: 10, offset: 0, filter: None, min_score: 0, executor: Executor::default() }
    }
}

impl SearchOptions<'_> {
    fn floor(&self) -> u32 {
        self.min_score.max(1)
    }
}

/// A way to search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Executor {
    /// Adds up the postings of the query's tokens, window by window.
    #[default]
    Windowed,
    /// Scores every document from its own vector. Slow; what the other is held against.
    Exhaustive,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchResult {
    /// The hits by falling score, ties by rising key.
    pub hits: Vec<ScoredDoc>,
    /// Documents that match: score of at least `max(1, min_score)`, alive, let through by the
    /// filter, not excluded. Exact, whatever `k` is.
    pub matched: u64,
    /// Documents that would match if it were not for an exclusion.
    pub excluded: u64,
}

/// Searches one generation of an index: what was committed when it was opened, whatever happens
/// after. Cheap to clone; threads may share it.
#[derive(Clone)]
pub struct SparseSearcher {
    inner: Arc<Inner>,
}

struct Inner {
    searcher: Searcher,
    field: Field,
    key: String,
    params: FieldParams,
    segments: Vec<OpenSegment>,
}

impl SparseSearcher {
    /// Opens both files of every segment and checks their structure.
    ///
    /// `key` is a `u64` fast field with one value per document, unique: it breaks ties, smaller
    /// first, and does not change when segments are merged.
    ///
    /// # Errors
    /// [`OpenError`] names the field that does not fit, or the file that is missing or damaged. A
    /// searcher that would miss a segment is never returned.
    pub fn open(searcher: &Searcher, field: Field, key: Field) -> Result<Self, OpenError> {
        let params = field_params(searcher.schema(), field)?;
        let key = searcher.schema().get_field_name(key).to_owned();
        Self::with_cache(searcher, field, key, params, &[])
    }

    /// Opens another generation of the same index. Segments that both have are not opened again,
    /// nor verified again.
    ///
    /// # Errors
    /// As [`SparseSearcher::open`].
    pub fn reopen(&self, searcher: &Searcher) -> Result<Self, OpenError> {
        let Inner { field, key, segments, .. } = &*self.inner;
        let params = field_params(searcher.schema(), *field)?;
        Self::with_cache(searcher, *field, key.clone(), params, segments)
    }

    fn with_cache(
        searcher: &Searcher,
        field: Field,
        key: String,
        params: FieldParams,
        cache: &[OpenSegment],
    ) -> Result<Self, OpenError> {
        let open = |reader: &SegmentReader| {
            let known = cache.iter().find(|segment| segment.files.id == reader.segment_id());
            let files = match known {
                Some(segment) => Arc::clone(&segment.files),
                None => Arc::new(SegmentFiles::open(reader, params.vocab)?),
            };
            OpenSegment::new(files, reader, &key)
        };
        let segments = searcher.segment_readers().iter().map(open).collect::<Result<_, _>>()?;
        let inner = Inner { searcher: searcher.clone(), field, key, params, segments };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The tantivy searcher below.
    #[must_use]
    pub fn searcher(&self) -> &Searcher {
        &self.inner.searcher
    }

    /// What the numbers in the field mean.
    #[must_use]
    pub fn params(&self) -> &FieldParams {
        &self.inner.params
    }

    /// Finds the documents with the highest scores.
    ///
    /// # Errors
    /// [`SearchError`] names the file that turned out to be damaged, or says why the filter failed.
    pub fn search(
        &self,
        query: &SparseQuery,
        options: &SearchOptions<'_>,
    ) -> Result<SearchResult, SearchError> {
        let mut top = Top::new(options.k, options.offset);
        let counts = self.run(query, options, |segment, keys, run| {
            run(&mut SegmentTop { top: &mut top, segment, keys })
        })?;
        let Counts { matched, excluded } = counts;
        Ok(SearchResult { hits: top.into_hits(options.offset), matched, excluded })
    }

    /// The rank of one document among all that match, from 1. `None` when it does not match itself.
    /// `k` and `offset` play no part.
    ///
    /// # Errors
    /// As [`SparseSearcher::search`], and [`SearchError::NoDocument`].
    pub fn rank(
        &self,
        query: &SparseQuery,
        options: &SearchOptions<'_>,
        address: DocAddress,
    ) -> Result<Option<u64>, SearchError> {
        let vector = self.vector(address)?;
        let segment = &self.inner.segments[address.segment_ord as usize];
        let key = key_of(&segment.keys, address.doc_id);
        let than = ScoredDoc { score: query.score(&vector), key, address };
        if than.score < options.floor() || query.excludes(&vector) {
            return Ok(None);
        }
        let reader = self.inner.searcher.segment_reader(address.segment_ord);
        let filter = options.filter.map(|filter| self.filter_bits(filter, reader)).transpose()?;
        let has =
            |bits: &[u64]| bits[address.doc_id as usize / 64] >> (address.doc_id % 64) & 1 == 1;
        if !segment.alive.as_deref().is_none_or(has) || !filter.as_deref().is_none_or(has) {
            return Ok(None);
        }
        let mut count = 0;
        self.run(query, options, |segment, keys, run| {
            run(&mut Better { than, segment, keys, count: &mut count })
        })?;
        Ok(Some(count + 1))
    }

    /// A document's vector; empty when it has none.
    ///
    /// # Errors
    /// [`SearchError::NoDocument`] when there is no such document, [`SearchError::File`] when its
    /// vector is damaged.
    pub fn vector(&self, address: DocAddress) -> Result<SparseVector, SearchError> {
        let DocAddress { segment_ord: segment, doc_id: doc } = address;
        let files = self.inner.segments.get(segment as usize).map(|segment| &segment.files);
        let Some(files) = files.filter(|files| doc < files.forward.docs()) else {
            return Err(SearchError::NoDocument { segment, doc });
        };
        Ok(files.forward.vector(doc)?)
    }

    /// How often a token occurs, deleted documents included. Both are 0 for one that never does.
    #[must_use]
    pub fn token_stats(&self, token: TokenId) -> TokenStats {
        let mut stats = TokenStats::default();
        for segment in &self.inner.segments {
            if let Some(place) = segment.files.inverted.find(token.0) {
                let (docs, maximum) = segment.files.inverted.statistics(place);
                stats.docs += docs as u64;
                stats.max_impact = stats.max_impact.max(maximum);
            }
        }
        stats
    }

    /// Sizes of the index.
    #[must_use]
    pub fn stats(&self) -> IndexStats {
        IndexStats::of(&self.inner.searcher, self.inner.segments.iter().map(|open| &*open.files))
    }

    /// Reads every segment's files to the last byte: checksums, structure, and that both hold the
    /// same postings. One report a segment, whole or not.
    #[must_use]
    pub fn verify(&self) -> Vec<SegmentReport> {
        let readers = self.inner.searcher.segment_readers().iter();
        readers.map(|reader| SegmentReport::of(reader, self.inner.params.vocab)).collect()
    }

    /// The query in a form that combines with tantivy's own.
    #[must_use]
    pub fn query(&self, query: SparseQuery) -> SparseFieldQuery {
        let files = self.inner.segments.iter().map(|segment| Arc::clone(&segment.files)).collect();
        SparseFieldQuery::new(query, self.inner.params.vocab, files)
    }

    /// Runs the query in every segment, the largest first, so that the k-th score rises early.
    fn run(
        &self,
        query: &SparseQuery,
        options: &SearchOptions<'_>,
        mut with_sink: impl FnMut(u32, &tantivy::columnar::Column<u64>, &mut RunSegment<'_>) -> Run,
    ) -> Result<Counts, SearchError> {
        let mut total = Counts::default();
        if query.terms().is_empty() {
            return Ok(total);
        }
        let readers = self.inner.searcher.segment_readers();
        let mut order: Vec<_> = (0_u32..).zip(self.inner.segments.iter().zip(readers)).collect();
        order.sort_by_key(|(_, (segment, _))| std::cmp::Reverse(segment.files.forward.docs()));
        let mut scratch = Scratch::new();
        for (number, (segment, reader)) in order {
            let filter =
                options.filter.map(|filter| self.filter_bits(filter, reader)).transpose()?;
            let job = Job {
                query,
                inverted: &segment.files.inverted,
                forward: &segment.files.forward,
                floor: options.floor(),
                alive: segment.alive.as_deref(),
                filter: filter.as_deref(),
            };
            let counts = with_sink(number, &segment.keys, &mut |sink| match options.executor {
                Executor::Windowed => windowed::run(&job, &mut scratch, sink),
                Executor::Exhaustive => exhaustive::run(&job, sink),
            })?;
            total.matched += counts.matched;
            total.excluded += counts.excluded;
        }
        Ok(total)
    }

    /// The documents of a segment that a filter matches, one bit each.
    fn filter_bits(
        &self,
        filter: &dyn Query,
        reader: &SegmentReader,
    ) -> Result<Vec<u64>, SearchError> {
        let weight = filter.weight(EnableScoring::disabled_from_searcher(&self.inner.searcher))?;
        let mut bits = vec![0; (reader.max_doc() as usize).div_ceil(64)];
        weight.for_each_no_score(reader, &mut |docs| {
            docs.iter().for_each(|doc| set(&mut bits, *doc));
        })?;
        Ok(bits)
    }
}

type Run = Result<Counts, FileError>;
type RunSegment<'a> = dyn FnMut(&mut dyn Sink) -> Run + 'a;
