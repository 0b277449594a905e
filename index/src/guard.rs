//! A directory that refuses files too short to be any of tantivy's.
//!
//! tantivy reads a footer of two numbers from the end of every file, and subtracts before it compares:
//! a file cut down to fewer bytes than that would be a panic instead of an error.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    DirectoryLock, FileHandle, FileSlice, Lock, META_LOCK, WatchCallback, WatchHandle, WritePtr,
};
use tantivy::{Directory, HasLen};

/// Bytes of tantivy's footer that are always there.
const SHORTEST: usize = 8;

/// Passes everything on, but for files that are too short to be opened.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    inner: Box<dyn Directory>,
}

impl Guard {
    pub(crate) fn new(inner: Box<dyn Directory>) -> Self {
        Self { inner }
    }
}

fn check(path: &Path, len: usize) -> Result<(), OpenReadError> {
    if len >= SHORTEST {
        return Ok(());
    }
    let message = format!("{} ends early, after {len} bytes", path.display());
    let error = io::Error::new(io::ErrorKind::UnexpectedEof, message);
    Err(OpenReadError::wrap_io_error(error, path.to_path_buf()))
}

/// Whether nothing may be written here. A reader locks so that no file is collected while it opens
/// them; by whom may not even make the lock file, none is.
fn is_read_only(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

impl Directory for Guard {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        let handle = self.inner.get_file_handle(path)?;
        check(path, handle.len())?;
        Ok(handle)
    }

    fn open_read(&self, path: &Path) -> Result<FileSlice, OpenReadError> {
        let file = self.inner.open_read(path)?;
        check(path, file.len())?;
        Ok(file)
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        self.inner.delete(path)
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        self.inner.exists(path)
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        self.inner.open_write(path)
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        self.inner.atomic_read(path)
    }

    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        self.inner.atomic_write(path, data)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.inner.sync_directory()
    }

    fn acquire_lock(&self, lock: &Lock) -> Result<DirectoryLock, LockError> {
        match self.inner.acquire_lock(lock) {
            Err(LockError::IoError(error))
                if is_read_only(&error) && lock.filepath == META_LOCK.filepath =>
            {
                Ok(DirectoryLock::from(Box::new(())))
            }
            other => other,
        }
    }

    fn watch(&self, callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        self.inner.watch(callback)
    }
}
