//! Which documents may be found, prepared once and used for many searches.

use tantivy::index::SegmentId;
use tantivy::query::{EnableScoring, Query};
use tantivy::{Searcher, SegmentReader};

use crate::error::SearchError;
use crate::segment::{OpenSegment, set};

/// The documents of one generation of an index that a tantivy query matches: one bit each. Made by
/// [`crate::SparseSearcher::filter`]. Threads may share it.
#[derive(Clone)]
pub struct DocFilter {
    /// By the documents' places in the segment's inverted file.
    segments: Vec<(SegmentId, Box<[u64]>)>,
}

impl std::fmt::Debug for DocFilter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DocFilter").field("docs", &self.count()).finish()
    }
}

impl DocFilter {
    /// `segments` are those of the searcher.
    pub(crate) fn of(
        searcher: &Searcher,
        segments: &[OpenSegment],
        query: &dyn Query,
    ) -> Result<Self, SearchError> {
        let weight = query.weight(EnableScoring::disabled_from_searcher(searcher))?;
        let bits = |(reader, segment): (&SegmentReader, &OpenSegment)| {
            let mut bits = vec![0; (reader.max_doc() as usize).div_ceil(64)];
            weight.for_each_no_score(reader, &mut |docs| {
                docs.iter().for_each(|doc| set(&mut bits, *doc));
            })?;
            Ok::<_, SearchError>((reader.segment_id(), segment.files.inverted.by_place(&bits)))
        };
        Ok(Self {
            segments: searcher
                .segment_readers()
                .iter()
                .zip(segments)
                .map(bits)
                .collect::<Result<_, _>>()?,
        })
    }

    /// Documents that pass, deleted ones included.
    #[must_use]
    pub fn count(&self) -> u64 {
        let words = self.segments.iter().flat_map(|(_, bits)| bits);
        words.map(|word| u64::from(word.count_ones())).sum()
    }

    /// The bits of a segment.
    pub(crate) fn bits(&self, segment: SegmentId) -> Result<&[u64], SearchError> {
        let known = self.segments.iter().find(|(id, _)| *id == segment);
        known.map(|(_, bits)| &**bits).ok_or(SearchError::OtherFilter)
    }
}
