//! One writer at a time: a lock of the operating system on the file `lock`.
//!
//! The lock dies with its process, so a dead writer never blocks a living one. The file's text
//! says who holds it: pid and host. Text without a lock is what a writer left that was killed.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    path::Path,
    process,
};

use super::{
    error::{Blame, CollectionError},
    layout::Layout,
};

/// The right to write; given back when dropped.
#[derive(Debug)]
pub(crate) struct WriterLock {
    file: File,
    /// Says that a dead process had left its lock, if so.
    pub(crate) notice: Option<String>,
}

impl WriterLock {
    pub(crate) fn acquire(layout: &Layout) -> Result<Self, CollectionError> {
        let path = layout.lock();
        let failed =
            |verb, error| Blame { dir: layout.dir(), root: layout.dir() }.io(verb, &path, error);
        let mut file = open(&path).map_err(|error| failed("open", error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let (pid, host) = holder(&mut file).unwrap_or(("?".into(), "?".into()));
                return Err(CollectionError::Locked { dir: layout.dir().into(), pid, host });
            }
            Err(TryLockError::Error(error)) => return Err(failed("lock", error)),
        }
        let notice = holder(&mut file).map(|(pid, host)| {
            format!(
                "{}: stale lock of process {pid} on {host}, which is dead; taken over",
                path.display()
            )
        });
        let text = format!("{}\n{}\n", process::id(), gethostname::gethostname().to_string_lossy());
        write(&mut file, &text).map_err(|error| failed("write", error))?;
        Ok(Self { file, notice })
    }
}

impl Drop for WriterLock {
    fn drop(&mut self) {
        // At worst the next writer says that the lock was stale.
        let _ = write(&mut self.file, "");
        let _ = self.file.unlock();
    }
}

/// Who writes now, or was writing when it died: pid and host, and whether the lock is held.
pub(crate) fn state(layout: &Layout) -> State {
    let Ok(mut file) = File::open(layout.lock()) else { return State::Free };
    // Tried only where somebody is named: a writer that comes now must not meet our lock.
    let Some((pid, host)) = holder(&mut file) else { return State::Free };
    if matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)) {
        return State::Held { pid, host };
    }
    let _ = file.unlock();
    State::Stale { pid, host }
}

/// What a look at the lock tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    Free,
    Held { pid: String, host: String },
    Stale { pid: String, host: String },
}

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

fn holder(file: &mut File) -> Option<(String, String)> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.read_to_string(&mut text).ok()?;
    let mut lines = text.lines().map(str::to_owned);
    let pid = lines.next().filter(|pid| !pid.is_empty())?;
    Some((pid, lines.next().unwrap_or("?".into())))
}

fn write(file: &mut File, text: &str) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(text.as_bytes())?;
    file.flush()
}
