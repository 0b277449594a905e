//! What can go wrong with a collection, and what to do about it.

use std::{
    error::Error,
    io,
    path::{Path, PathBuf},
};

use sightword_index::{OpenError, SearchError};
use tantivy::{
    TantivyError,
    directory::error::{OpenReadError, OpenWriteError},
};

use crate::{
    encode::EncodeError,
    ingest::{ContentId, ReadError},
    query::CompileError,
    rerank::{CacheError, RerankError},
};

/// Why a collection cannot do what it was asked to do.
///
/// Every message names the file or folder concerned; where a command helps, it stands on a second
/// line behind `try:`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectionError {
    /// There is no index where one was looked for.
    #[error("no index {place}\n  try: sightword index {}", folder.display())]
    NoIndex {
        /// Where it was looked for, in words.
        place: String,
        /// The folder to index.
        folder: PathBuf,
    },
    /// The folder holds other things than an index.
    #[error(
        "{} is not a sightword index: it holds {found}\n  try: --index with an empty or new folder",
        dir.display()
    )]
    NotAnIndex {
        /// The folder.
        dir: PathBuf,
        /// One of the things found in it.
        found: String,
    },
    /// An index stands there already.
    #[error("{} holds an index already", dir.display())]
    Exists {
        /// The folder of the index.
        dir: PathBuf,
    },
    /// No folder of pictures was named.
    #[error("no folder of pictures was named\n  try: sightword index DIR")]
    NoRoots,
    /// The index was made with another model.
    #[error(
        "{} was made with the model {found}, this program has {expected}\n  try: {rebuild}",
        dir.display()
    )]
    OtherModel {
        /// The folder of the index.
        dir: PathBuf,
        /// Name and hash of the index's model.
        found: String,
        /// Name and hash of the model at hand.
        expected: String,
        /// The command that makes the index again.
        rebuild: String,
    },
    /// The pictures were prepared for the model in another way.
    #[error(
        "{} was made with the preprocessing {found:?}, this program has {expected:?}\n  try: {rebuild}",
        dir.display()
    )]
    OtherPreprocessing {
        /// The folder of the index.
        dir: PathBuf,
        /// The index's preprocessing.
        found: String,
        /// This program's.
        expected: String,
        /// The command that makes the index again.
        rebuild: String,
    },
    /// The index has a format that this program does not know.
    #[error(
        "{} has index format {found}, this program knows format {known}\n  try: a newer sightword, or {rebuild}",
        file.display()
    )]
    OtherFormat {
        /// The file that says so.
        file: PathBuf,
        /// The format found.
        found: u64,
        /// The one format known.
        known: u64,
        /// The command that makes the index again.
        rebuild: String,
    },
    /// A file of the index is missing or does not hold what it should.
    #[error("{} is damaged: {what}\n  try: {rebuild}", file.display())]
    Damaged {
        /// The file, or the folder of the index where it cannot be told which file.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
        /// The command that makes the index again.
        rebuild: String,
    },
    /// Another process is writing.
    #[error(
        "{} is being written by process {pid} on {host}; wait for it to finish",
        dir.display()
    )]
    Locked {
        /// The folder of the index.
        dir: PathBuf,
        /// The other process, `?` if it did not say.
        pid: String,
        /// Its machine, `?` if it did not say.
        host: String,
    },
    /// A folder of pictures is not there: most likely a disk that is not mounted.
    #[error(
        "root not available: {} ({why}); nothing was changed\n  try: mount the disk and run again",
        root.display()
    )]
    RootNotAvailable {
        /// The folder.
        root: PathBuf,
        /// What the system said.
        why: String,
    },
    /// A folder that held pictures is empty now: most likely the mount point of a disk.
    #[error(
        "root not available: {} is empty but {known} of its files are known; nothing was changed\n  try: mount the disk and run again, or --prune if they are gone for good",
        root.display()
    )]
    RootEmpty {
        /// The folder.
        root: PathBuf,
        /// How many of its files the index knows.
        known: u64,
    },
    /// The disk with the index is full. What was committed stays.
    #[error("no space left on the disk of {} ({why}); what was committed is kept\n  try: free some space and run again", dir.display())]
    DiskFull {
        /// The folder of the index.
        dir: PathBuf,
        /// What the system said.
        why: String,
    },
    /// The file system said no.
    #[error("cannot {verb} {}", path.display())]
    Io {
        /// What was tried.
        verb: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The engine failed in a way that is no damage.
    #[error("the index {} failed", dir.display())]
    Engine {
        /// The folder of the index.
        dir: PathBuf,
        /// What the engine said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// No picture of the index begins with this id.
    #[error("no picture with the id {id}")]
    UnknownId {
        /// The id as given.
        id: String,
    },
    /// The id is not made of hexadecimal digits.
    #[error("{id:?} is no picture id: b3: and hexadecimal digits are expected")]
    BadId {
        /// The id as given.
        id: String,
    },
    /// Several pictures begin with this id.
    #[error("{id} could be any of {}", list(candidates))]
    AmbiguousId {
        /// The id as given.
        id: String,
        /// The pictures that begin with it, at most ten.
        candidates: Vec<ContentId>,
    },
    /// The picture that was named cannot be read, and the index does not know it.
    #[error(transparent)]
    Picture(#[from] ReadError),
    /// The query cannot be compiled.
    #[error(transparent)]
    Query(#[from] CompileError),
    /// The encoder failed.
    #[error("cannot encode")]
    Encode(#[from] EncodeError),
    /// The re-ranker failed.
    #[error("cannot re-rank")]
    Rerank(#[from] RerankError),
    /// What was asked is nothing that a re-ranker can order.
    #[error("cannot re-rank: {why}\n  try: the same without --rerank")]
    CannotRerank {
        /// Why not.
        why: &'static str,
    },
    /// A file of stored features is damaged.
    #[error(transparent)]
    Features(#[from] CacheError),
}

fn list(ids: &[ContentId]) -> String {
    // Twelve digits are shown elsewhere; where these are equal too, only the whole id tells apart.
    let shown: Vec<String> = ids.iter().map(|id| format!("b3:{}", &id.hex()[..16])).collect();
    shown.join(", ")
}

/// Turns the engine's errors into ours, which name the file and the remedy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Blame<'a> {
    /// The folder of the collection's index (`.sightword`).
    pub(crate) dir: &'a Path,
    /// The folder of pictures to name in the remedy.
    pub(crate) root: &'a Path,
}

impl Blame<'_> {
    pub(crate) fn rebuild(&self) -> String {
        rebuild_command(self.dir, self.root)
    }

    pub(crate) fn damaged(
        &self,
        file: impl Into<PathBuf>,
        what: impl Into<String>,
    ) -> CollectionError {
        let file = self.dir.join(file.into());
        CollectionError::Damaged { file, what: what.into(), rebuild: self.rebuild() }
    }

    fn in_index(&self, file: &Path, what: impl Into<String>) -> CollectionError {
        self.damaged(Path::new(super::layout::INDEX).join(file), what)
    }

    pub(crate) fn io(&self, verb: &'static str, path: &Path, source: io::Error) -> CollectionError {
        if is_full(&source) {
            return CollectionError::DiskFull { dir: self.dir.into(), why: source.to_string() };
        }
        CollectionError::Io { verb, path: path.into(), source }
    }

    pub(crate) fn features(&self, error: CacheError) -> CollectionError {
        match error {
            CacheError::Io { verb, path, source } => self.io(verb, &path, source),
            other => other.into(),
        }
    }

    pub(crate) fn engine(&self, error: TantivyError) -> CollectionError {
        let text = error.to_string();
        // An error in the engine's own threads arrives as text only.
        if FULL.iter().any(|sign| text.contains(sign)) {
            return CollectionError::DiskFull { dir: self.dir.into(), why: text };
        }
        match error {
            TantivyError::OpenReadError(OpenReadError::FileDoesNotExist(file)) => {
                self.in_index(&file, "it is missing")
            }
            TantivyError::OpenReadError(OpenReadError::IoError { io_error, filepath }) => {
                self.in_index(&filepath, io_error.to_string())
            }
            TantivyError::OpenWriteError(OpenWriteError::IoError { io_error, filepath }) => self
                .io("write", &self.dir.join(super::layout::INDEX).join(filepath), copy(&io_error)),
            TantivyError::DataCorruption(why) => {
                self.damaged(super::layout::INDEX, format!("{why:?}"))
            }
            TantivyError::IoError(source) if source.kind() == io::ErrorKind::UnexpectedEof => {
                self.damaged(super::layout::INDEX, source.to_string())
            }
            TantivyError::IoError(source) if is_full(&source) => {
                CollectionError::DiskFull { dir: self.dir.into(), why: source.to_string() }
            }
            other => CollectionError::Engine { dir: self.dir.into(), source: other.into() },
        }
    }
}

impl Blame<'_> {
    pub(crate) fn open(&self, error: OpenError) -> CollectionError {
        match error {
            OpenError::File(error) => self.in_index(&error.file, error.fault.to_string()),
            OpenError::Tantivy(error) => self.engine(error),
            OpenError::NoIndex { .. } => self.in_index(Path::new("meta.json"), "it is missing"),
            other => self.damaged(super::layout::INDEX, other.to_string()),
        }
    }

    pub(crate) fn search(&self, error: SearchError) -> CollectionError {
        match error {
            SearchError::File(error) => self.in_index(&error.file, error.fault.to_string()),
            SearchError::Filter(error) => self.engine(error),
            other => self.damaged(super::layout::INDEX, other.to_string()),
        }
    }
}

/// The command that makes the index in `dir` again from the pictures in `root`.
pub(crate) fn rebuild_command(dir: &Path, root: &Path) -> String {
    let place = if dir.parent() == Some(root) {
        String::new()
    } else {
        format!("--index {} ", dir.display())
    };
    format!("sightword index --rebuild {place}{}", root.display())
}

/// How a full disk looks in the text of an error.
const FULL: [&str; 4] = ["StorageFull", "No space left", "QuotaExceeded", "FileTooLarge"];

fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

fn copy(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(
        || io::Error::new(error.kind(), error.to_string()),
        io::Error::from_raw_os_error,
    )
}
