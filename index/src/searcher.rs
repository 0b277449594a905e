//! A searcher over one generation of an index.

use std::cell::Cell;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::thread;

use tantivy::query::Query;
use tantivy::schema::Field;
use tantivy::{DocAddress, Searcher, SegmentReader};

use crate::cut::{QueryCut, Weights};
use crate::error::{FileError, OpenError, SearchError};
use crate::exec::simd::Level;
use crate::exec::top::{Better, ScoredDoc, SegmentTop, Top, key_of};
use crate::exec::windowed::Scratch;
use crate::exec::{Counts, Job, Sink, exhaustive, windowed};
use crate::field::{FieldParams, field_params};
use crate::filter::DocFilter;
use crate::query::SparseQuery;
use crate::report::{IndexStats, SegmentReport, TokenStats};
use crate::segment::{OpenSegment, SegmentFiles};
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
    /// Documents that do not pass take no part.
    pub filter: Option<&'a DocFilter>,
    /// The least score of a hit. 0 and 1 both mean any match.
    pub min_score: u32,
    /// Which way to search. Both give the same, to the last bit.
    pub executor: Executor,
    /// `None`, the default: no hit is missed. Else [`SparseSearcher::top`] is approximate, unless it
    /// returns all hits (k = 0). [`SparseSearcher::search`] counts, and is exact in any case, as
    /// [`SparseSearcher::rank`] is.
    pub cut: Option<QueryCut>,
    /// Threads that search segments side by side. More than one pay off on large indexes only.
    pub threads: NonZeroUsize,
}

impl Default for SearchOptions<'_> {
    /// The best 10 of all documents.
    fn default() -> Self {
        Self {
            k: 10,
            offset: 0,
            filter: None,
            min_score: 0,
            executor: Executor::default(),
            cut: None,
            threads: NonZeroUsize::MIN,
        }
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

thread_local! {
    /// Memory that a search leaves to the thread's next one.
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
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

    /// The documents that a tantivy query matches, to search among them. Worth keeping where the same
    /// filter serves many searches.
    ///
    /// # Errors
    /// [`SearchError::Filter`] when the query fails.
    pub fn filter(&self, query: &dyn Query) -> Result<DocFilter, SearchError> {
        DocFilter::of(&self.inner.searcher, &self.inner.segments, query)
    }

    /// Finds the documents with the highest scores and counts all that match. Counting reads every
    /// posting that may belong to a match: where the counts are not needed, [`SparseSearcher::top`] gives
    /// the same hits and may be faster.
    ///
    /// # Errors
    /// [`SearchError`] names the file that turned out to be damaged, or says why the filter failed.
    pub fn search(
        &self,
        query: &SparseQuery,
        options: &SearchOptions<'_>,
    ) -> Result<SearchResult, SearchError> {
        let (hits, counts) = self.find(query, options, true)?;
        Ok(SearchResult { hits, matched: counts.matched, excluded: counts.excluded })
    }

    /// Finds the documents with the highest scores, and passes over what cannot be among them: the
    /// same hits as [`SparseSearcher::search`], by falling score, ties by rising key, unless
    /// [`SearchOptions::cut`] lets it miss some.
    ///
    /// # Errors
    /// As [`SparseSearcher::search`].
    pub fn top(
        &self,
        query: &SparseQuery,
        options: &SearchOptions<'_>,
    ) -> Result<Vec<ScoredDoc>, SearchError> {
        let cut = options.cut.filter(|_| options.k > 0);
        match cut.and_then(|cut| Some((cut.apply(query)?, cut))) {
            Some((heaviest, cut)) => self.top_candidates(query, options, &heaviest, cut),
            None => Ok(self.find(query, options, false)?.0),
        }
    }

    /// The best among the candidates that the query's heaviest terms find.
    fn top_candidates(
        &self,
        query: &SparseQuery,
        options: &SearchOptions<'_>,
        heaviest: &SparseQuery,
        cut: QueryCut,
    ) -> Result<Vec<ScoredDoc>, SearchError> {
        let mut wide = *options;
        wide.k = cut.candidates(options.k.saturating_add(options.offset));
        // The floor is one of whole scores.
        (wide.offset, wide.min_score) = (0, 0);
        let mut hits = self.find(heaviest, &wide, false)?.0;
        let weights = Weights::new(query, self.inner.params.vocab);
        for hit in &mut hits {
            let segment = &self.inner.segments[hit.address.segment_ord as usize];
            hit.score = weights.score(segment.files.forward.document(hit.address.doc_id)?);
        }
        hits.retain(|hit| hit.score >= options.floor());
        hits.sort_unstable_by(|a, b| b.cmp(a));
        Ok(hits.into_iter().skip(options.offset).take(options.k).collect())
    }

    /// [`SparseSearcher::top`] for many queries, which `threads` threads take one after the other.
    /// Answers come in the order of the queries.
    pub fn top_batch(
        &self,
        queries: &[SparseQuery],
        options: &SearchOptions<'_>,
        threads: NonZeroUsize,
    ) -> Vec<Result<Vec<ScoredDoc>, SearchError>> {
        let threads = threads.get().min(queries.len());
        // A thread takes some at once: a query may be over before another thread has taken its next.
        let parts: Vec<_> = queries.chunks((queries.len() / (8 * threads.max(1))).max(1)).collect();
        let next = AtomicUsize::new(0);
        let answers = on_threads(threads, || {
            let own = std::iter::from_fn(|| {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let part = parts.get(number)?;
                let answers = part.iter().map(|query| self.top(query, options));
                Some((number, answers.collect::<Vec<_>>()))
            });
            own.collect::<Vec<_>>()
        });
        let mut answers: Vec<_> = answers.into_iter().flatten().collect();
        answers.sort_unstable_by_key(|(number, _)| *number);
        answers.into_iter().flat_map(|(_, part)| part).collect()
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
        let filter = options.filter.map(|filter| filter.bits(segment.files.id)).transpose()?;
        let has = |bits: &[u64]| {
            let mut order = segment.files.inverted.order().iter();
            let place = order.position(|doc| *doc == address.doc_id);
            place.is_some_and(|place| bits[place / 64] >> (place % 64) & 1 == 1)
        };
        if !segment.alive.as_deref().is_none_or(has) || !filter.is_none_or(has) {
            return Ok(None);
        }
        let mut count = 0;
        self.run(query, options, false, &AtomicUsize::new(0), |segment, run| {
            let keys = &self.inner.segments[segment as usize].keys;
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
            if let Some(ordinal) = segment.files.inverted.find(token.0) {
                let (docs, maximum) = segment.files.inverted.statistics(ordinal);
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

    fn find(
        &self,
        query: &SparseQuery,
        options: &SearchOptions<'_>,
        counting: bool,
    ) -> Result<(Vec<ScoredDoc>, Counts), SearchError> {
        if query.terms().is_empty() {
            return Ok((vec![], Counts::default()));
        }
        let (next, least) = (AtomicUsize::new(0), AtomicU32::new(0));
        let parts = on_threads(options.threads.get().min(self.inner.segments.len()), || {
            let mut top = Top::new(options.k, options.offset, &least);
            let counts = self.run(query, options, counting, &next, |segment, run| {
                run(&mut SegmentTop { top: &mut top, segment })
            })?;
            Ok::<_, SearchError>((top, counts))
        });
        let mut parts = parts.into_iter();
        let (mut all, mut counts) = match parts.next() {
            Some(first) => first?,
            None => return Ok((vec![], Counts::default())),
        };
        for part in parts {
            let (top, more) = part?;
            all.absorb(top);
            counts.matched += more.matched;
            counts.excluded += more.excluded;
        }
        let key = |address: DocAddress| {
            key_of(&self.inner.segments[address.segment_ord as usize].keys, address.doc_id)
        };
        Ok((all.into_hits(options.offset, key), counts))
    }

    /// Runs the query in the segments that no other thread has taken, the largest first, so that the
    /// k-th score rises early.
    fn run(
        &self,
        query: &SparseQuery,
        options: &SearchOptions<'_>,
        counting: bool,
        next: &AtomicUsize,
        mut with_sink: impl FnMut(u32, &mut RunSegment<'_>) -> Run,
    ) -> Result<Counts, SearchError> {
        let mut total = Counts::default();
        let mut order: Vec<_> = (0_u32..).zip(&self.inner.segments).collect();
        order.sort_by_key(|(_, segment)| std::cmp::Reverse(segment.files.forward.docs()));
        let terms = query.heaviest_first();
        let kept = SCRATCH.take();
        let mut scratch = kept.unwrap_or_else(|| Box::new(Scratch::new(Level::best())));
        while let Some((number, segment)) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            let filter = options.filter.map(|filter| filter.bits(segment.files.id)).transpose()?;
            let job = Job {
                query,
                terms: &terms,
                inverted: &segment.files.inverted,
                forward: &segment.files.forward,
                floor: options.floor(),
                counting,
                alive: segment.alive.as_deref(),
                filter,
            };
            let counts = with_sink(*number, &mut |sink| match options.executor {
                Executor::Windowed => windowed::run(&job, &mut scratch, sink),
                Executor::Exhaustive => exhaustive::run(&job, sink),
            })?;
            total.matched += counts.matched;
            total.excluded += counts.excluded;
        }
        SCRATCH.set(Some(scratch));
        Ok(total)
    }
}

/// Runs the same work on so many threads, this one included, and gives all results.
fn on_threads<T: Send>(count: usize, work: impl Fn() -> T + Sync) -> Vec<T> {
    if count <= 1 {
        return vec![work()];
    }
    thread::scope(|scope| {
        let others: Vec<_> = (1..count).map(|_| scope.spawn(&work)).collect();
        let mut results = vec![work()];
        for other in others {
            match other.join() {
                Ok(result) => results.push(result),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    })
}

type Run = Result<Counts, FileError>;
type RunSegment<'a> = dyn FnMut(&mut dyn Sink) -> Run + 'a;
