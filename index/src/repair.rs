//! Makes a segment's inverted file again from its forward file, which holds the same postings.

use std::io;

use tantivy::directory::{INDEX_WRITER_LOCK, TerminatingWrite};
use tantivy::{Directory, Index, SegmentReader, TantivyError};

use crate::arena::Arena;
use crate::error::{FileError, OpenError};
use crate::field::sparse_field;
use crate::format::inverted::{self, WINDOW_LOG2, WriteError};
use crate::format::verify;
use crate::order::order;
use crate::segment::{file_name, open_forward, open_inverted};
use crate::writer::when_free;

/// What was done about a broken inverted file.
#[derive(Debug)]
#[non_exhaustive]
pub struct Repair {
    /// What was wrong.
    pub problem: FileError,
    /// `None` when the file was made again; otherwise why not: mostly that the forward file is broken
    /// too.
    pub failure: Option<FileError>,
}

/// Reads every segment to the last byte and makes broken or missing inverted files again. Nobody may
/// write meanwhile; readers that are open go on with what they have. Memory: some 12 bytes a posting of
/// a segment that is made again.
///
/// # Errors
/// [`OpenError`] when there is a writer, when the field itself does not fit, or when a file cannot be
/// replaced.
pub fn rebuild_inverted(index: &Index) -> Result<Vec<Repair>, OpenError> {
    let _lock = when_free(|| {
        index.directory().acquire_lock(&INDEX_WRITER_LOCK).map_err(|error| {
            TantivyError::LockFailure(error, Some("somebody is writing to the index".to_owned()))
        })
    })?;
    let (_, params) = sparse_field(&index.schema())?;
    let mut repairs = Vec::new();
    for reader in index.reader()?.searcher().segment_readers() {
        let Err(problem) = check(reader, params.vocab) else { continue };
        let failure = match arena(reader, params.vocab) {
            Ok(arena) => write(index, reader, &arena, params.vocab).map(|()| None)?,
            Err(error) => Some(error),
        };
        repairs.push(Repair { problem, failure });
    }
    Ok(repairs)
}

/// Whether the inverted file is whole, and agrees with the forward file if that is whole.
fn check(reader: &SegmentReader, vocab: u32) -> Result<(), FileError> {
    let inverted = open_inverted(reader, vocab)?;
    verify::inverted(&inverted)?;
    let forward = open_forward(reader, vocab);
    match forward.and_then(|forward| verify::forward(&forward).map(|()| forward)) {
        Ok(forward) => verify::agreement(&inverted, &forward),
        Err(_) => Ok(()),
    }
}

fn arena(reader: &SegmentReader, vocab: u32) -> Result<Arena, FileError> {
    let forward = open_forward(reader, vocab)?;
    verify::forward(&forward)?;
    let mut arena = Arena::default();
    (0..forward.docs()).try_for_each(|doc| forward.vector(doc).map(|vector| arena.add(&vector)))?;
    Ok(arena)
}

fn write(
    index: &Index,
    reader: &SegmentReader,
    arena: &Arena,
    vocab: u32,
) -> Result<(), TantivyError> {
    let (directory, path) =
        (index.directory(), file_name(reader.segment_id(), inverted::EXTENSION));
    if directory.exists(&path)? {
        directory.delete(&path).map_err(|error| io::Error::other(error.to_string()))?;
    }
    let out = directory.open_write(&path)?;
    let written = order(arena)
        .and_then(|order| inverted::write(out, &order, vocab, WINDOW_LOG2, &arena.invert(&order)));
    let out = written.map_err(|error| match error {
        WriteError::Io(error) => TantivyError::from(error),
        WriteError::Source(error) => error.into(),
        WriteError::TooMany { .. } => TantivyError::InvalidArgument(error.to_string()),
    })?;
    out.terminate()?;
    directory.sync_directory()?;
    Ok(())
}
