//! Opening a writer so that nothing uncommitted ever reaches the disk.
//!
//! tantivy gives the first operation of a new writer the number of the last commit. A merge of
//! committed segments applies deletes up to that number: if the first operation is a delete, a merge
//! makes it permanent though nobody committed it, and a crash then loses the document. So one number is
//! skipped here before anybody can use it. (tantivy 0.27; issue 2666 there is about the same numbers.)

use std::{num::NonZeroUsize, thread, time::Duration};

use tantivy::{
    Index, IndexWriter, TantivyDocument, TantivyError, directory::error::LockError::LockBusy,
};

use crate::error::OpenError;

/// A lock that is busy for longer than this is another writer's.
const LOCK_TRIES: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Opens the index's writer. There is one at a time, across processes; one that is about to end is
/// waited for, for a second.
///
/// `memory_bytes` is shared by the threads, each of which needs at least 15,000,000.
///
/// # Errors
/// [`OpenError::Tantivy`] when there is another writer, when the budget is too small or the index was
/// made with other plugins.
pub fn open_writer(
    index: &Index,
    threads: NonZeroUsize,
    memory_bytes: usize,
) -> Result<IndexWriter, OpenError> {
    let writer = when_free(|| index.writer_with_num_threads(threads.get(), memory_bytes))?;
    skip_last_commit(&writer)?;
    Ok(writer)
}

/// Takes the writer's lock, if need be after a wait.
///
/// Even a program with one writer has to wait: a process that another thread is just starting has all
/// our files open until it becomes another program, the lock file among them, and so holds a lock that
/// was given back a moment ago.
pub(crate) fn when_free<T>(
    mut lock: impl FnMut() -> Result<T, TantivyError>,
) -> Result<T, TantivyError> {
    for _ in 0..LOCK_TRIES {
        match lock() {
            Err(TantivyError::LockFailure(LockBusy, _)) => thread::sleep(LOCK_PAUSE),
            other => return other,
        }
    }
    lock()
}

/// Drops what was not committed. Use it in place of `IndexWriter::rollback`.
///
/// # Errors
/// tantivy's, when the writer cannot be opened anew.
pub fn roll_back(writer: &mut IndexWriter) -> Result<(), TantivyError> {
    writer.rollback()?;
    skip_last_commit(writer)
}

/// An empty batch takes a number and does nothing.
fn skip_last_commit(writer: &IndexWriter<TantivyDocument>) -> Result<(), TantivyError> {
    writer.run([]).map(drop)
}
