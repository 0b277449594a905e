//! What a refresh is told, and what it tells.

use std::{fmt, num::NonZeroUsize, path::PathBuf, sync::Arc, thread, time::Duration};

use super::skipped::Skipped;
use crate::{ingest::DecodeOptions, rerank::Reranker};

/// How [`Collection::refresh`](super::Collection::refresh) works.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RefreshOptions {
    /// Threads that decode and encode. Default: as many as the machine has cores.
    pub jobs: NonZeroUsize,
    /// Whether pictures that are gone are forgotten for good. Default: no.
    pub prune: bool,
    /// Whether to only say what would be done. Default: no.
    pub dry_run: bool,
    /// Whether `.sightwordignore`, `.gitignore` and `.ignore` are honoured. Default: yes.
    pub use_ignore_files: bool,
    /// Limits of decoding. `target` is replaced by the model's input size.
    pub decode: DecodeOptions,
    /// New pictures after which they are committed. Default: 256.
    pub commit_every: usize,
    /// Seconds after which what is new is committed. Default: 10.
    pub commit_seconds: u64,
    /// The re-ranker whose features of every picture are stored. Default: none.
    pub features_for: Option<Arc<dyn Reranker>>,
}

impl Default for RefreshOptions {
    fn default() -> Self {
        Self {
            jobs: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            prune: false,
            dry_run: false,
            use_ignore_files: true,
            decode: DecodeOptions::default(),
            commit_every: 256,
            commit_seconds: 10,
            features_for: None,
        }
    }
}

/// What a refresh is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Looking for files.
    Scan,
    /// Reading and encoding those that are new or changed.
    Encode,
    /// Merging the index's segments.
    Merge,
    /// Making features of pictures that were indexed without.
    Features,
}

/// How far a refresh is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// Files dealt with in this run; while scanning, files found.
    pub done: u64,
    /// Files to deal with in this run; 0 while it is not known.
    pub total: u64,
    /// Files whose result survives whatever happens now.
    pub committed: u64,
}

/// What happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Change {
    /// A content that was not known.
    New,
    /// Another content under a known name.
    Changed,
    /// A known content that left its old place.
    Moved,
    /// A known content that also stays where it was.
    Copied,
    /// A known content that had been gone.
    Restored,
    /// No longer there.
    Removed,
    /// Gone before, and forgotten now.
    Pruned,
}

impl fmt::Display for Change {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::New => "new",
            Self::Changed => "changed",
            Self::Moved => "moved",
            Self::Copied => "copied",
            Self::Restored => "restored",
            Self::Removed => "removed",
            Self::Pruned => "pruned",
        })
    }
}

/// What a refresh did, or in a dry run would do. Counts are of files, but for `pruned` and
/// `encoded`, which count pictures.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RefreshReport {
    /// Files with a content that was not known.
    pub new: u64,
    /// Known files with another content than before.
    pub changed: u64,
    /// Files that were elsewhere before; nothing was encoded for them.
    pub moved: u64,
    /// Further files with a known content; nothing was encoded for them.
    pub copied: u64,
    /// Files that are no longer there. A picture without files is kept as a tombstone.
    pub removed: u64,
    /// Files that are there again; nothing was encoded for them.
    pub restored: u64,
    /// Pictures forgotten for good.
    pub pruned: u64,
    /// Files that are as they were.
    pub unchanged: u64,
    /// Pictures that went through the model.
    pub encoded: u64,
    /// Pictures that were indexed without features, and have some now.
    pub features: u64,
    /// Files and folders that were left out, by path; those of earlier runs included.
    pub skipped: Vec<Skipped>,
    /// Whether the run was stopped before its end. What was done is committed.
    pub interrupted: bool,
    /// In a dry run: what would happen to which file, by path.
    pub listing: Vec<(Change, PathBuf)>,
    /// What the user should know, such as a stale lock that was taken over.
    pub notices: Vec<String>,
    /// How long it took.
    pub elapsed: Duration,
}

impl RefreshReport {
    /// Whether the index is as it was.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        let done = [
            self.new,
            self.changed,
            self.moved,
            self.copied,
            self.removed,
            self.restored,
            self.pruned,
        ];
        done.iter().all(|&count| count == 0)
    }
}
