//! A sparse query as one of tantivy's, so that it combines with them.
//!
//! Scores are tantivy's `f32`: exact below 2^24, that is for up to 258 tokens of the greatest
//! weight and impact. Ties are the collector's to break, and which of several documents with the least
//! score that it keeps it sees first depends on the segment's files; [`crate::SparseSearcher::search`]
//! breaks them by key.

use std::fmt;
use std::sync::Arc;

use tantivy::query::{EnableScoring, Explanation, Query, Scorer, Weight};
use tantivy::{DocId, DocSet, Score, SegmentReader, TERMINATED, TantivyError};

use crate::error::FileError;
use crate::exec::simd::Level;
use crate::exec::top::All;
use crate::exec::windowed::{self, Scratch};
use crate::exec::{Job, Sink};
use crate::query::{SparseQuery, score_of};
use crate::segment::SegmentFiles;

/// A sparse query for tantivy's collectors and boolean queries. Made by
/// [`crate::SparseSearcher::query`].
#[derive(Clone)]
pub struct SparseFieldQuery {
    query: SparseQuery,
    vocab: u32,
    files: Arc<[Arc<SegmentFiles>]>,
}

impl SparseFieldQuery {
    pub(crate) fn new(query: SparseQuery, vocab: u32, files: Arc<[Arc<SegmentFiles>]>) -> Self {
        Self { query, vocab, files }
    }

    /// The segment's files: those of the searcher that made the query, or opened now.
    fn files(&self, reader: &SegmentReader) -> Result<Arc<SegmentFiles>, FileError> {
        match self.files.iter().find(|files| files.id == reader.segment_id()) {
            Some(files) => Ok(Arc::clone(files)),
            None => Ok(Arc::new(SegmentFiles::open(reader, self.vocab)?)),
        }
    }

    fn run(&self, reader: &SegmentReader, sink: &mut dyn Sink) -> tantivy::Result<()> {
        let files = self.files(reader)?;
        // Deletes are the collector's business.
        let terms = self.query.heaviest_first();
        let job = Job {
            query: &self.query,
            terms: &terms,
            inverted: &files.inverted,
            forward: &files.forward,
            floor: 1,
            counting: false,
            alive: None,
            filter: None,
        };
        windowed::run(&job, &mut Scratch::new(Level::best()), sink)?;
        Ok(())
    }
}

impl fmt::Debug for SparseFieldQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SparseFieldQuery").field(&self.query).finish()
    }
}

impl Query for SparseFieldQuery {
    fn weight(&self, _scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(SparseWeight { query: self.clone() }))
    }
}

struct SparseWeight {
    query: SparseFieldQuery,
}

impl Weight for SparseWeight {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let mut all = All::default();
        self.query.run(reader, &mut all)?;
        all.found.sort_unstable();
        Ok(Box::new(Matches { found: all.found, at: 0, boost }))
    }

    fn explain(&self, reader: &SegmentReader, doc: DocId) -> tantivy::Result<Explanation> {
        let files = self.query.files(reader)?;
        if doc >= files.forward.docs() {
            let message = format!("there is no document {doc} in this segment");
            return Err(TantivyError::InvalidArgument(message));
        }
        let entries = files.forward.document(doc)?;
        let terms = self.query.query.terms();
        let score = score_of(terms, entries.tokens, entries.impacts);
        let mut explanation = Explanation::new("sum of weight × impact", to_score(score));
        for term in terms {
            let part = score_of(&[*term], entries.tokens, entries.impacts);
            if part > 0 {
                let name = format!("token {}", term.0.0);
                explanation.add_detail(Explanation::new_with_string(name, to_score(part)));
            }
        }
        Ok(explanation)
    }

    fn for_each_pruning(
        &self,
        threshold: Score,
        reader: &SegmentReader,
        callback: &mut dyn FnMut(DocId, Score) -> Score,
    ) -> tantivy::Result<()> {
        self.query.run(reader, &mut Pruning { threshold, callback })
    }
}

/// Exact below 2^24, rounded above.
#[expect(clippy::cast_precision_loss, reason = "tantivy's scores are f32; the module says so")]
fn to_score(score: u32) -> Score {
    score as Score
}

/// Hands a collector what beats its threshold.
struct Pruning<'a> {
    threshold: Score,
    callback: &'a mut dyn FnMut(DocId, Score) -> Score,
}

impl Sink for Pruning<'_> {
    fn least(&self) -> u32 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the cast saturates, and a threshold rounded down only offers more"
        )]
        let least = self.threshold as u32;
        least
    }

    fn offer(&mut self, doc: u32, score: u32) {
        let score = to_score(score);
        if score > self.threshold {
            self.threshold = (self.callback)(doc, score);
        }
    }
}

/// All matches of a segment, by rising document.
struct Matches {
    found: Vec<(DocId, u32)>,
    at: usize,
    boost: Score,
}

impl DocSet for Matches {
    fn advance(&mut self) -> DocId {
        self.at = self.found.len().min(self.at + 1);
        self.doc()
    }

    fn seek(&mut self, target: DocId) -> DocId {
        self.at += self.found[self.at..].partition_point(|(doc, _)| *doc < target);
        self.doc()
    }

    fn doc(&self) -> DocId {
        self.found.get(self.at).map_or(TERMINATED, |(doc, _)| *doc)
    }

    fn size_hint(&self) -> u32 {
        u32::try_from(self.found.len() - self.at).unwrap_or(u32::MAX)
    }
}

impl Scorer for Matches {
    fn score(&mut self) -> Score {
        self.found.get(self.at).map_or(0.0, |(_, score)| to_score(*score) * self.boost)
    }
}
