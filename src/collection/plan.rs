//! What changed on disk, as far as names, sizes and times tell.

use std::collections::HashMap;

use super::{
    files::{FileKey, SeenFile, Stamp},
    ledger::{Ledger, is_below},
    skipped::SkipList,
};
use crate::ingest::{ContentId, FoundFile, Walk};

/// A file that has to be read: it is new, or its size or time changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) file: SeenFile,
    /// The content that this file had when it was last seen.
    pub(crate) was: Option<ContentId>,
}

/// What a refresh has to do.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Files that are no longer there.
    pub(crate) vanished: Vec<(ContentId, FileKey)>,
    /// Files that are as they were.
    pub(crate) unchanged: u64,
    /// Files that are as bad as they were.
    pub(crate) still_bad: Vec<(FileKey, String)>,
    /// What could not be looked at.
    pub(crate) problems: Vec<(FileKey, String)>,
}

/// Compares what the index knows with what was found in each root: what is clear, and which files
/// have to be read.
pub(crate) fn plan(
    ledger: &Ledger,
    walks: Vec<Walk>,
    skipped: &SkipList,
) -> (Plan, Vec<Candidate>) {
    let mut known: HashMap<&FileKey, (ContentId, Stamp)> = HashMap::new();
    let (mut plan, mut candidates) = (Plan::default(), Vec::new());
    // One commit never leaves two contents with one file; should it happen, the file decides.
    let mut disputed = Vec::new();
    for (&id, entry) in ledger.iter().filter(|(_, entry)| !entry.gone) {
        for file in &entry.files {
            if let Some((other, _)) = known.insert(&file.key, (id, file.stamp)) {
                disputed.push((other, file.key.clone()));
            }
        }
    }
    for (root, walk) in walks.into_iter().enumerate() {
        for file in walk.files {
            candidates.extend(plan.add(root, file, &mut known, skipped));
        }
        let problem = |problem: crate::ingest::WalkProblem| {
            (FileKey { root, path: problem.path }, problem.reason)
        };
        plan.problems.extend(walk.problems.into_iter().map(problem));
    }
    for (key, (id, _)) in known {
        if !plan.is_hidden(key) {
            plan.vanished.push((id, key.clone()));
        }
    }
    disputed.retain(|(_, key)| candidates.iter().all(|candidate| candidate.file.key != *key));
    plan.vanished.extend(disputed);
    plan.vanished.sort_by(|a, b| a.1.cmp(&b.1));
    (plan, candidates)
}

impl Plan {
    fn add(
        &mut self,
        root: usize,
        found: FoundFile,
        known: &mut HashMap<&FileKey, (ContentId, Stamp)>,
        skipped: &SkipList,
    ) -> Option<Candidate> {
        let key = FileKey { root, path: found.path };
        let stamp = Stamp { bytes: found.bytes, modified: found.modified };
        let last = known.remove(&key);
        if last.is_some_and(|(_, known)| known == stamp) {
            self.unchanged += 1;
        } else if let Some(reason) = skipped.reason(&key, stamp) {
            self.still_bad.push((key, reason.to_owned()));
        } else {
            let was = last.map(|(id, _)| id);
            return Some(Candidate { file: SeenFile { key, stamp }, was });
        }
        None
    }

    /// Whether the file lies below something that could not be looked at.
    fn is_hidden(&self, key: &FileKey) -> bool {
        let hides =
            |problem: &FileKey| problem.root == key.root && is_below(&key.path, &problem.path);
        self.problems.iter().any(|(problem, _)| hides(problem))
    }
}
