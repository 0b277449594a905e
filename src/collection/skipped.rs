//! Files that could not be indexed, remembered so that they are not decoded again until they change.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::PathBuf,
};

use serde::{Deserialize, Serialize};

use super::{
    files::{FileKey, Stamp, StoredPath},
    layout::{Layout, write_atomically},
};
use crate::ingest::DecodeOptions;

/// A file that was left out, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// The file, absolute.
    pub path: PathBuf,
    /// What is wrong with it, in words.
    pub reason: String,
}

/// The files left out, by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct SkipList {
    entries: HashMap<FileKey, (Stamp, String)>,
    changed: bool,
}

/// The first line: what decided that these files are bad. Another decider asks again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Decider {
    program: String,
    heic: bool,
    avif: bool,
    max_pixels: u64,
    max_bytes: u64,
}

impl Decider {
    fn new(options: &DecodeOptions) -> Self {
        Self {
            program: env!("CARGO_PKG_VERSION").into(),
            heic: cfg!(feature = "heic"),
            avif: cfg!(feature = "avif"),
            max_pixels: options.max_pixels,
            max_bytes: options.max_bytes,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Line {
    root: usize,
    path: StoredPath,
    bytes: u64,
    modified: i64,
    reason: String,
}

impl SkipList {
    /// Reads the list. One that is missing, damaged or another program's is empty: it only saves
    /// time.
    pub(crate) fn load(layout: &Layout, options: &DecodeOptions) -> Self {
        let text = fs::read_to_string(layout.skipped()).unwrap_or_default();
        let mut lines = text.lines();
        let decider = lines.next().and_then(|line| serde_json::from_str::<Decider>(line).ok());
        if decider != Some(Decider::new(options)) {
            return Self { changed: !text.is_empty(), ..Self::default() };
        }
        Self { entries: parse(lines).collect(), changed: false }
    }

    /// Reads the list whatever program wrote it.
    pub(crate) fn load_any(layout: &Layout) -> Self {
        let text = fs::read_to_string(layout.skipped()).unwrap_or_default();
        Self { entries: parse(text.lines().skip(1)).collect(), changed: false }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The files with their reasons.
    pub(crate) fn list(&self, roots: &[PathBuf]) -> Vec<Skipped> {
        let skipped = |(key, (_, reason)): (&FileKey, &(Stamp, String))| Skipped {
            path: key.absolute(roots),
            reason: reason.clone(),
        };
        self.entries.iter().map(skipped).collect()
    }

    /// Why the file was left out, if it was and has not changed.
    pub(crate) fn reason(&self, key: &FileKey, stamp: Stamp) -> Option<&str> {
        let (known, reason) = self.entries.get(key)?;
        (*known == stamp).then_some(reason)
    }

    pub(crate) fn insert(&mut self, key: FileKey, stamp: Stamp, reason: String) {
        self.changed = true;
        self.entries.insert(key, (stamp, reason));
    }

    pub(crate) fn remove(&mut self, key: &FileKey) {
        self.changed |= self.entries.remove(key).is_some();
    }

    /// Forgets the files that are not among `found`.
    pub(crate) fn keep_only(&mut self, found: &HashSet<FileKey>) {
        let before = self.entries.len();
        self.entries.retain(|key, _| found.contains(key));
        self.changed |= self.entries.len() != before;
    }

    /// Writes the list if it changed.
    pub(crate) fn save(&mut self, layout: &Layout, options: &DecodeOptions) -> std::io::Result<()> {
        if !std::mem::take(&mut self.changed) {
            return Ok(());
        }
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_by_key(|(key, _)| *key);
        let mut text = serde_json::to_vec(&Decider::new(options))?;
        for (key, (stamp, reason)) in entries {
            text.push(b'\n');
            let line = Line {
                root: key.root,
                path: StoredPath::of(&key.path),
                bytes: stamp.bytes,
                modified: stamp.modified,
                reason: reason.clone(),
            };
            serde_json::to_writer(&mut text, &line)?;
        }
        text.push(b'\n');
        write_atomically(&layout.skipped(), &text)
    }
}

fn parse<'a>(
    lines: impl Iterator<Item = &'a str>,
) -> impl Iterator<Item = (FileKey, (Stamp, String))> {
    lines.filter_map(|line| serde_json::from_str::<Line>(line).ok()).map(|line| {
        let key = FileKey { root: line.root, path: line.path.to_path() };
        (key, (Stamp { bytes: line.bytes, modified: line.modified }, line.reason))
    })
}
