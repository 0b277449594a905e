//! A segment as a searcher holds it: both files opened, deletes as bits, keys at hand.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tantivy::SegmentReader;
use tantivy::columnar::Column;
use tantivy::directory::OwnedBytes;
use tantivy::directory::error::OpenReadError;
use tantivy::index::{SegmentComponent, SegmentId};

use crate::error::{Fault, FileError, OpenError};
use crate::format::forward::{self, Forward};
use crate::format::inverted::{self, Inverted};

/// The two files of a segment. They never change, so they are shared between searchers.
pub(crate) struct SegmentFiles {
    pub(crate) id: SegmentId,
    pub(crate) inverted: Inverted,
    pub(crate) forward: Forward,
}

impl SegmentFiles {
    pub(crate) fn open(reader: &SegmentReader, vocab: u32) -> Result<Self, FileError> {
        Ok(Self {
            id: reader.segment_id(),
            inverted: open_inverted(reader, vocab)?,
            forward: open_forward(reader, vocab)?,
        })
    }
}

pub(crate) fn open_inverted(reader: &SegmentReader, vocab: u32) -> Result<Inverted, FileError> {
    let (bytes, file) = read(reader, inverted::EXTENSION)?;
    Inverted::open(bytes, file, reader.max_doc(), vocab)
}

pub(crate) fn open_forward(reader: &SegmentReader, vocab: u32) -> Result<Forward, FileError> {
    let (bytes, file) = read(reader, forward::EXTENSION)?;
    Forward::open(bytes, file, reader.max_doc(), vocab)
}

/// The name that tantivy gives a segment's file.
pub(crate) fn file_name(segment: SegmentId, extension: &str) -> PathBuf {
    PathBuf::from(format!("{}.{extension}", segment.uuid_string()))
}

fn read(reader: &SegmentReader, extension: &str) -> Result<(OwnedBytes, PathBuf), FileError> {
    let file = file_name(reader.segment_id(), extension);
    let slice = reader.open_read(SegmentComponent::Custom(extension.to_owned()));
    let bytes = slice
        .map_err(fault)
        .and_then(|slice| slice.read_bytes().map_err(|error| unreadable(Arc::new(error))));
    match bytes {
        Ok(bytes) => Ok((bytes, file)),
        Err(fault) => Err(FileError { file, fault }),
    }
}

fn fault(error: OpenReadError) -> Fault {
    match error {
        OpenReadError::FileDoesNotExist(_) => Fault::Missing,
        OpenReadError::IoError { io_error, .. } => unreadable(io_error),
        other => unreadable(Arc::new(io::Error::other(format!("{other:?}")))),
    }
}

fn unreadable(source: Arc<io::Error>) -> Fault {
    Fault::Unreadable { source }
}

/// A segment of one generation: files, and the deletes of that generation.
pub(crate) struct OpenSegment {
    pub(crate) files: Arc<SegmentFiles>,
    /// One bit a document, by its place in the inverted file; `None` when nothing is deleted.
    pub(crate) alive: Option<Box<[u64]>>,
    pub(crate) keys: Column<u64>,
}

impl OpenSegment {
    pub(crate) fn new(
        files: Arc<SegmentFiles>,
        reader: &SegmentReader,
        key: &str,
    ) -> Result<Self, OpenError> {
        let alive = reader.alive_bitset().map(|alive| {
            let mut bits = vec![0; (reader.max_doc() as usize).div_ceil(64)];
            alive.iter_alive().for_each(|doc| set(&mut bits, doc));
            files.inverted.by_place(&bits)
        });
        Ok(Self { files, alive, keys: keys(reader, key)? })
    }
}

/// The key column: one value for each document, or an error that names field and segment.
fn keys(reader: &SegmentReader, field: &str) -> Result<Column<u64>, OpenError> {
    let keys = reader.fast_fields().u64(field).ok();
    let full = |keys: &Column<u64>| {
        keys.get_cardinality().is_full() && keys.num_docs() == reader.max_doc()
    };
    keys.filter(full).ok_or_else(|| OpenError::Key {
        field: field.to_owned(),
        segment: reader.segment_id().uuid_string(),
    })
}

/// Sets a document's bit. Documents beyond the bits are ignored.
pub(crate) fn set(bits: &mut [u64], doc: u32) {
    if let Some(word) = bits.get_mut(doc as usize / 64) {
        *word |= 1 << (doc % 64);
    }
}
