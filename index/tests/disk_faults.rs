//! A disk that fails at the n-th write loses nothing that was committed.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use sightword_index::{
    Executor, OpenError, SparseQuery, SparseVector, TokenId, create_in, open_in, open_writer,
};
use tantivy::directory::error::{DeleteError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    AntiCallToken, FileHandle, RamDirectory, TerminatingWrite, WatchCallback, WatchHandle, WritePtr,
};
use tantivy::{Directory, Index};

use crate::support::{
    Answer, Doc, Fields, Request, brute_force, delete, merge_all, schema, searcher, writer,
};

/// When a disk fails.
#[derive(Debug)]
struct Faults {
    /// Writes that still succeed.
    writes_left: AtomicI64,
    /// Writes that then fail before the disk is well again.
    failures: i64,
}

impl Faults {
    fn spend(&self) -> io::Result<()> {
        let left = self.writes_left.fetch_sub(1, Ordering::SeqCst);
        if left > 0 || left <= -self.failures {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::StorageFull, "the disk is full"))
    }
}

/// Passes everything on but what the disk fails to write.
#[derive(Debug, Clone)]
struct FailingDirectory {
    inner: RamDirectory,
    faults: Arc<Faults>,
}

struct FailingFile {
    inner: WritePtr,
    faults: Arc<Faults>,
}

impl Write for FailingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.faults.spend()?;
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl TerminatingWrite for FailingFile {
    fn terminate_ref(&mut self, token: AntiCallToken) -> io::Result<()> {
        self.faults.spend()?;
        self.inner.terminate_ref(token)
    }
}

impl Directory for FailingDirectory {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        self.inner.get_file_handle(path)
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        self.inner.delete(path)
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        self.inner.exists(path)
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        let full = |error| OpenWriteError::wrap_io_error(error, path.to_path_buf());
        self.faults.spend().map_err(full)?;
        let faults = Arc::clone(&self.faults);
        let file = FailingFile { inner: self.inner.open_write(path)?, faults };
        Ok(io::BufWriter::new(Box::new(file)))
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        self.inner.atomic_read(path)
    }

    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        self.faults.spend()?;
        self.inner.atomic_write(path, data)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.faults.spend()
    }

    fn watch(&self, callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        self.inner.watch(callback)
    }
}

fn docs(range: std::ops::Range<u16>) -> Vec<Doc> {
    let doc = |number: u16| {
        let entries = [(TokenId(number % 4), 1 + u8::try_from(number % 9).unwrap(), 7)];
        let vector = SparseVector::with_patches(entries).unwrap();
        Doc { key: u64::from(number), group: 0, vector: Some(vector) }
    };
    range.map(doc).collect()
}

/// The states that the life below commits, one after the other.
fn states() -> [Vec<Doc>; 3] {
    let second = docs(0..3_000).into_iter().filter(|doc| doc.key % 3 != 0).collect();
    [vec![], docs(0..2_000), second]
}

/// Two commits and a merge. Counts the commits that were acknowledged.
fn live(index: &Index, fields: Fields, acknowledged: &mut usize) -> Result<(), OpenError> {
    let mut writer = open_writer(index, NonZeroUsize::MIN, 15_000_000)?;
    writer.set_merge_policy(Box::new(tantivy::merge_policy::NoMergePolicy));
    for doc in docs(0..2_000) {
        writer.add_document(doc.to_tantivy(fields))?;
    }
    writer.commit()?;
    *acknowledged = 1;
    for doc in docs(2_000..3_000) {
        writer.add_document(doc.to_tantivy(fields))?;
    }
    (0..3_000).step_by(3).for_each(|key| delete(&writer, fields, key));
    writer.commit()?;
    *acknowledged = 2;
    writer.merge(&index.searchable_segment_ids()?).wait()?;
    Ok(())
}

fn answers(index: &Index, fields: Fields) -> Vec<Answer> {
    let searcher = searcher(index, fields);
    searcher.verify().iter().for_each(|report| assert!(report.problems.is_empty(), "{report:?}"));
    let run = |request: Request| request.run(&searcher, fields, Executor::Windowed).into();
    requests().into_iter().map(run).collect()
}

fn requests() -> Vec<Request> {
    let terms = vec![(TokenId(0), 3), (TokenId(1), 2), (TokenId(3), 255)];
    let query = SparseQuery::new(terms, vec![]).unwrap();
    vec![Request::of(query.clone(), 3), Request::of(query, 0)]
}

/// Lives on a disk that fails after some writes, and looks at what is left. Whether it ever failed.
fn survive(writes: i64, failures: i64) -> bool {
    let (schema, fields) = schema();
    let inner = RamDirectory::create();
    drop(create_in(inner.clone(), schema).unwrap());
    let faults = Arc::new(Faults { writes_left: AtomicI64::new(writes), failures });
    let failing = FailingDirectory { inner: inner.clone(), faults: Arc::clone(&faults) };
    let mut acknowledged = 0;
    let outcome = live(&open_in(failing).unwrap(), fields, &mut acknowledged);
    let failed = faults.writes_left.load(Ordering::SeqCst) < 0;
    assert!(failed || outcome.is_ok());
    let index = open_in(inner).unwrap();
    let expected = |state: &[Doc]| {
        requests().iter().map(|request| brute_force(state, request)).collect::<Vec<_>>()
    };
    let found = answers(&index, fields);
    // A commit that failed may still have been the last thing to reach the disk.
    let states = states();
    let mut possible = states[acknowledged..].iter().take(2);
    assert!(possible.any(|state| found == expected(state)), "{writes} writes: {found:?}");
    let mut writer = writer(&index);
    merge_all(&index, &mut writer);
    assert_eq!(answers(&index, fields), found, "{writes} writes, merged");
    failed
}

#[test]
fn a_disk_that_fails_for_good_at_any_write_loses_no_commit() {
    let writes = (0..).take_while(|writes| survive(*writes, i64::MAX)).count();
    assert!(writes > 40, "only {writes} writes were made to fail");
}

#[test]
fn a_disk_that_fails_once_at_any_write_loses_no_commit() {
    let writes = (0..).take_while(|writes| survive(*writes, 1)).count();
    assert!(writes > 40, "only {writes} writes were made to fail");
}
