//! What happened to each file, worked out from what each content lost and gained.
//!
//! Which of a picture's new names is a move and which a copy is known only when all files have been
//! looked at, in whatever order that was.

use std::collections::BTreeMap;

use super::{
    files::FileKey,
    ledger::Ledger,
    report::{Change, RefreshReport},
};
use crate::ingest::ContentId;

/// What happened to one content.
#[derive(Debug, Default)]
struct Account {
    known_before: bool,
    gone_before: bool,
    /// Files that have it now and were not known before.
    gained: Vec<FileKey>,
    /// Files that had another content before.
    replaced: Vec<FileKey>,
    /// Files that had it and are not there any more.
    vanished: Vec<FileKey>,
    /// Files that had it and have another content now.
    overwritten: usize,
}

/// What happened to all of them.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    accounts: BTreeMap<ContentId, Account>,
}

/// What happened to a file, seen from the content it had or got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Gained,
    Replaced,
    Vanished,
    Overwritten,
}

impl Tally {
    /// Notes an event, before the ledger is changed by it.
    pub(crate) fn note(&mut self, ledger: &Ledger, id: ContentId, key: &FileKey, event: Event) {
        let account = self.accounts.entry(id).or_insert_with(|| {
            let before = ledger.get(id);
            Account {
                known_before: before.is_some(),
                gone_before: before.is_some_and(|entry| entry.gone),
                ..Account::default()
            }
        });
        match event {
            Event::Gained => account.gained.push(key.clone()),
            Event::Replaced => account.replaced.push(key.clone()),
            Event::Vanished => account.vanished.push(key.clone()),
            Event::Overwritten => account.overwritten += 1,
        }
    }

    /// What happened to which file.
    pub(crate) fn changes(self) -> Vec<(Change, FileKey)> {
        self.accounts.into_values().flat_map(Account::changes).collect()
    }
}

impl Account {
    fn changes(mut self) -> Vec<(Change, FileKey)> {
        self.gained.sort();
        self.vanished.sort();
        let moved = self.gained.len().min(self.vanished.len());
        let moved_aside = (self.gained.len() - moved).min(self.overwritten);
        // The first file with a content that was not there makes it new, or brings it back.
        let arrives = (!self.known_before || self.gone_before) && self.replaced.is_empty();
        let first = if self.known_before { Change::Restored } else { Change::New };
        let arrived = arrives.then_some(first);
        let kinds = arrived
            .into_iter()
            .chain(std::iter::repeat_n(Change::Moved, moved + moved_aside))
            .chain(std::iter::repeat(Change::Copied));
        let removed = self.vanished.split_off(moved);
        let gained = kinds.zip(self.gained);
        let replaced = self.replaced.into_iter().map(|key| (Change::Changed, key));
        let removed = removed.into_iter().map(|key| (Change::Removed, key));
        gained.chain(replaced).chain(removed).collect()
    }
}

impl RefreshReport {
    pub(crate) fn count(&mut self, change: Change) {
        let counter = match change {
            Change::New => &mut self.new,
            Change::Changed => &mut self.changed,
            Change::Moved => &mut self.moved,
            Change::Copied => &mut self.copied,
            Change::Restored => &mut self.restored,
            Change::Removed => &mut self.removed,
            Change::Pruned => &mut self.pruned,
        };
        *counter += 1;
    }
}
