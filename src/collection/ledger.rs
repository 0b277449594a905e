//! What the index knows of files while a refresh runs: each content, and where it is.

use std::{
    collections::{HashMap, HashSet, hash_map},
    path::Path,
};

use super::{
    engine::View,
    error::{Blame, CollectionError},
    files::{FileKey, SeenFile},
    schema::Fields,
};
use crate::ingest::ContentId;

/// One content.
#[derive(Debug, Clone, Default)]
pub(crate) struct Entry {
    /// Where it is; where it was last, if it is gone.
    pub(crate) files: Vec<SeenFile>,
    /// Whether no file has it any more.
    pub(crate) gone: bool,
}

impl Entry {
    /// Notes that `file` has this content now.
    pub(crate) fn put(&mut self, file: SeenFile) {
        if self.gone {
            self.files.clear();
            self.gone = false;
        }
        match self.files.iter_mut().find(|known| known.key == file.key) {
            Some(known) => known.stamp = file.stamp,
            None => self.files.push(file),
        }
    }

    /// Notes that a file no longer has this content. Without any file left it is gone, but where it
    /// was is remembered.
    pub(crate) fn remove(&mut self, key: &FileKey) {
        if self.files.len() > 1 {
            self.files.retain(|file| file.key != *key);
        } else if self.files.iter().any(|file| file.key == *key) {
            self.gone = true;
        }
    }
}

/// All contents, gone ones included.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    entries: HashMap<ContentId, Entry>,
}

impl Ledger {
    pub(crate) fn load(
        view: &View,
        fields: &Fields,
        blame: Blame<'_>,
    ) -> Result<Self, CollectionError> {
        let mut ledger = Self::default();
        view.for_each(fields, blame, |_, record| {
            let entry = Entry { files: record.files, gone: record.gone };
            ledger.entries.insert(record.id, entry);
            Ok(())
        })?;
        Ok(ledger)
    }

    pub(crate) fn get(&self, id: ContentId) -> Option<&Entry> {
        self.entries.get(&id)
    }

    pub(crate) fn entry(&mut self, id: ContentId) -> &mut Entry {
        self.entries.entry(id).or_default()
    }

    pub(crate) fn iter(&self) -> hash_map::Iter<'_, ContentId, Entry> {
        self.entries.iter()
    }

    pub(crate) fn ids(&self) -> HashSet<ContentId> {
        self.entries.keys().copied().collect()
    }

    /// Forgets the contents that are gone, and returns them.
    pub(crate) fn drain_gone(&mut self) -> Vec<(ContentId, Entry)> {
        self.entries.extract_if(|_, entry| entry.gone).collect()
    }

    /// How many files of a root are known.
    pub(crate) fn files_in(&self, root: usize) -> u64 {
        let present = self.entries.values().filter(|entry| !entry.gone);
        present.flat_map(|entry| &entry.files).filter(|file| file.key.root == root).count() as u64
    }
}

/// Whether `path` is `folder` or lies below it. Everything lies below the empty path.
pub(crate) fn is_below(path: &Path, folder: &Path) -> bool {
    path.starts_with(folder)
}
