//! Sizes and health of an index.

use tantivy::schema::Field;
use tantivy::{Searcher, SegmentReader};

use crate::error::{FileError, OpenError};
use crate::field::field_params;
use crate::format::verify;
use crate::segment::{SegmentFiles, open_forward, open_inverted};

/// How often a token occurs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TokenStats {
    /// Documents that have it, deleted ones included until a merge drops them.
    pub docs: u64,
    /// The greatest impact it has in any of them.
    pub max_impact: u8,
}

/// Sizes of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IndexStats {
    /// Segments.
    pub segments: usize,
    /// Documents, without deleted ones.
    pub docs: u64,
    /// Deleted documents that still take space.
    pub deleted: u64,
    /// Entries of all vectors, those of deleted documents included.
    pub postings: u64,
    /// Bytes of the inverted files.
    pub inverted_bytes: u64,
    /// Bytes of the forward files.
    pub forward_bytes: u64,
}

impl IndexStats {
    pub(crate) fn of<'a>(
        searcher: &Searcher,
        segments: impl Iterator<Item = &'a SegmentFiles>,
    ) -> Self {
        let readers = searcher.segment_readers();
        let deleted = readers.iter().map(|reader| u64::from(reader.num_deleted_docs())).sum();
        let mut stats = Self { docs: searcher.num_docs(), deleted, ..Self::default() };
        for files in segments {
            stats.segments += 1;
            stats.postings += files.inverted.postings();
            stats.inverted_bytes += files.inverted.container().len() as u64;
            stats.forward_bytes += files.forward.container().len() as u64;
        }
        stats
    }
}

/// What reading a whole segment showed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SegmentReport {
    /// The segment: its files are named after it.
    pub segment: String,
    /// Documents, without deleted ones.
    pub docs: u32,
    /// Deleted documents that still take space.
    pub deleted: u32,
    /// What is wrong. Empty when all is well.
    pub problems: Vec<FileError>,
}

impl SegmentReport {
    pub(crate) fn of(reader: &SegmentReader, vocab: u32) -> Self {
        let inverted = open_inverted(reader, vocab);
        let inverted = inverted.and_then(|file| verify::inverted(&file).map(|()| file));
        let forward = open_forward(reader, vocab);
        let forward = forward.and_then(|file| verify::forward(&file).map(|()| file));
        let problems = match (inverted, forward) {
            (Ok(inverted), Ok(forward)) => {
                verify::agreement(&inverted, &forward).err().into_iter().collect()
            }
            (inverted, forward) => inverted.err().into_iter().chain(forward.err()).collect(),
        };
        Self {
            segment: reader.segment_id().uuid_string(),
            docs: reader.num_docs(),
            deleted: reader.num_deleted_docs(),
            problems,
        }
    }
}

/// [`crate::SparseSearcher::verify`] for an index that is too damaged to open a searcher on: reads
/// every segment's files to the last byte, one report each.
///
/// # Errors
/// [`OpenError`] when the field itself does not fit.
pub fn verify_segments(searcher: &Searcher, field: Field) -> Result<Vec<SegmentReport>, OpenError> {
    let params = field_params(searcher.schema(), field)?;
    let readers = searcher.segment_readers().iter();
    Ok(readers.map(|reader| SegmentReport::of(reader, params.vocab)).collect())
}
