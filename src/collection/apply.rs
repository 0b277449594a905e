//! What was found in files, applied to the ledger and written.
//!
//! Whatever belongs together (the old and the new content of a changed file) is in one commit, so
//! the index is true after a kill at any moment. Files that vanished are settled at the end only:
//! until every file has been read, any of them may turn up elsewhere.

use std::{
    collections::{BTreeSet, HashMap},
    mem,
    time::{Duration, Instant},
};

use super::{
    Collection,
    error::CollectionError,
    examine::{Finding, Fresh},
    files::FileKey,
    ledger::Ledger,
    plan::{Candidate, Plan},
    refresh::OnProgress,
    report::{Change, Phase, Progress, RefreshOptions, RefreshReport},
    schema::Record,
    skipped::{SkipList, Skipped},
    tally::{Event, Tally},
    writer::Writer,
};
use crate::{
    ingest::{ContentId, DecodeOptions},
    rerank::FeatureWriter,
};

/// Rewriting a known picture costs little and is soon done again: so many are worth one new one.
const REWRITES_PER_NEW: usize = 32;

/// One refresh.
pub(crate) struct Run<'a> {
    collection: &'a Collection,
    options: &'a RefreshOptions,
    decode: DecodeOptions,
    ledger: Ledger,
    /// Files of each content that are not where they were.
    vanished: HashMap<ContentId, Vec<FileKey>>,
    skipped: SkipList,
    writer: Writer<'a>,
    /// Where features of new pictures go.
    features: Option<FeatureWriter>,
    /// New contents that are not committed yet.
    fresh: HashMap<ContentId, Fresh>,
    /// Contents whose document has to be written.
    dirty: BTreeSet<ContentId>,
    /// Files whose content another file of this run brings.
    waiting: HashMap<ContentId, Vec<Candidate>>,
    /// Contents that turned out to be bad, and why.
    bad: HashMap<ContentId, String>,
    tally: Tally,
    last_commit: Instant,
    progress: Progress,
    report: RefreshReport,
}

impl<'a> Run<'a> {
    pub(crate) fn new(
        collection: &'a Collection,
        options: &'a RefreshOptions,
        decode: DecodeOptions,
        ledger: Ledger,
        plan: Plan,
        skipped: SkipList,
        total: usize,
    ) -> Self {
        let mut vanished: HashMap<_, Vec<_>> = HashMap::new();
        for (id, key) in plan.vanished {
            vanished.entry(id).or_default().push(key);
        }
        let mut run = Self {
            collection,
            options,
            decode,
            ledger,
            vanished,
            skipped,
            writer: Writer::new(collection),
            features: None,
            fresh: HashMap::new(),
            dirty: BTreeSet::new(),
            waiting: HashMap::new(),
            bad: HashMap::new(),
            tally: Tally::default(),
            last_commit: Instant::now(),
            progress: Progress { phase: Phase::Scan, done: 0, total: total as u64, committed: 0 },
            report: RefreshReport { unchanged: plan.unchanged, ..RefreshReport::default() },
        };
        for (key, reason) in plan.still_bad.into_iter().chain(plan.problems) {
            run.skip(&key, reason);
        }
        run
    }

    /// Stores features of new pictures, too.
    pub(crate) fn store_features(&mut self, writer: FeatureWriter) {
        self.features = Some(writer);
    }

    pub(crate) fn is_interrupted(&self) -> bool {
        self.report.interrupted
    }

    pub(crate) fn report_progress(&mut self, phase: Phase, progress: OnProgress<'_>) {
        self.progress.phase = phase;
        self.report.interrupted |= progress(self.progress).is_break();
    }

    /// Applies what was found in a few files, and commits when it is time.
    pub(crate) fn accept(
        &mut self,
        found: Vec<(Candidate, Finding)>,
        progress: OnProgress<'_>,
    ) -> Result<(), CollectionError> {
        for (candidate, finding) in found {
            self.progress.done += 1;
            self.accept_one(candidate, finding);
        }
        if self.is_commit_due() {
            self.commit()?;
        }
        self.report_progress(Phase::Encode, progress);
        Ok(())
    }

    fn accept_one(&mut self, candidate: Candidate, finding: Finding) {
        match finding {
            Finding::New(fresh) => {
                let id = fresh.id;
                self.report.encoded += 1;
                self.place(candidate, id);
                self.fresh.insert(id, *fresh);
                for twin in self.waiting.remove(&id).unwrap_or_default() {
                    self.place(twin, id);
                }
            }
            Finding::Known(id) => {
                if self.ledger.get(id).is_some() || self.options.dry_run {
                    self.place(candidate, id);
                } else if let Some(reason) = self.bad.get(&id).cloned() {
                    self.reject(candidate, reason);
                } else {
                    self.waiting.entry(id).or_default().push(candidate);
                }
            }
            Finding::Bad { id, reason } => {
                let twins = id.and_then(|id| self.waiting.remove(&id)).unwrap_or_default();
                for file in std::iter::once(candidate).chain(twins) {
                    self.reject(file, reason.clone());
                }
                self.bad.extend(id.map(|id| (id, reason)));
            }
            Finding::Unreadable { reason } => self.skip(&candidate.file.key, reason),
        }
    }

    /// A file has a usable content.
    fn place(&mut self, candidate: Candidate, id: ContentId) {
        let Candidate { file, was } = candidate;
        self.skipped.remove(&file.key);
        self.dirty.insert(id);
        if was == Some(id) {
            self.report.unchanged += 1;
            self.ledger.entry(id).put(file);
            return;
        }
        // If the content left another file, this is where it went.
        if let Some(left) = self.vanished.get_mut(&id).and_then(Vec::pop) {
            self.lose(id, &left, Event::Vanished);
        }
        if let Some(old) = was {
            self.lose(old, &file.key, Event::Overwritten);
        }
        let event = if was.is_some() { Event::Replaced } else { Event::Gained };
        self.tally.note(&self.ledger, id, &file.key, event);
        self.ledger.entry(id).put(file);
    }

    /// A file has a content that cannot be used; what it had before is no longer there.
    fn reject(&mut self, candidate: Candidate, reason: String) {
        let Candidate { file, was } = candidate;
        if let Some(old) = was {
            self.lose(old, &file.key, Event::Vanished);
        }
        self.skip(&file.key, reason.clone());
        self.skipped.insert(file.key, file.stamp, reason);
    }

    /// A file no longer has this content.
    fn lose(&mut self, id: ContentId, key: &FileKey, event: Event) {
        self.tally.note(&self.ledger, id, key, event);
        self.ledger.entry(id).remove(key);
        self.dirty.insert(id);
    }

    fn skip(&mut self, key: &FileKey, reason: String) {
        let path = key.absolute(&self.collection.roots);
        self.report.skipped.push(Skipped { path, reason });
    }

    fn is_commit_due(&self) -> bool {
        let rewritten = self.dirty.len() - self.fresh.len();
        let is_full = self.fresh.len() + rewritten / REWRITES_PER_NEW >= self.options.commit_every;
        let limit = Duration::from_secs(self.options.commit_seconds);
        is_full || (!self.dirty.is_empty() && self.last_commit.elapsed() >= limit)
    }

    fn commit(&mut self) -> Result<(), CollectionError> {
        self.last_commit = Instant::now();
        if self.options.dry_run {
            return Ok(());
        }
        let dirty = mem::take(&mut self.dirty);
        for &id in &dirty {
            self.write(id)?;
        }
        // Before the pictures: whatever is in the index then has its features.
        let features = self.features.as_mut().map_or(Ok(()), FeatureWriter::commit);
        features.map_err(|error| self.collection.blame().features(error))?;
        self.writer.commit()?;
        let layout = &self.collection.layout;
        let saved = self.skipped.save(layout, &self.decode);
        saved.map_err(|error| self.collection.blame().io("write", &layout.skipped(), error))?;
        self.progress.committed = self.progress.done;
        Ok(())
    }

    fn write(&mut self, id: ContentId) -> Result<(), CollectionError> {
        let Some(entry) = self.ledger.get(id) else { return Ok(()) };
        let (files, gone) = (entry.files.clone(), entry.gone);
        let (facts, vector, is_new) = match self.fresh.remove(&id) {
            Some(fresh) => {
                if let (Some(writer), Some(features)) = (&mut self.features, &fresh.features) {
                    let put = writer.put(id, features);
                    put.map_err(|error| self.collection.blame().features(error))?;
                }
                (fresh.facts, fresh.vector, true)
            }
            None => {
                let (facts, vector) = self.writer.stored(id)?;
                (facts, vector, false)
            }
        };
        self.writer.put(&Record { id, files, gone, facts }, &vector, !is_new)
    }

    /// Settles what vanished, prunes, commits, merges.
    pub(crate) fn finish(
        mut self,
        progress: OnProgress<'_>,
    ) -> Result<RefreshReport, CollectionError> {
        if !self.report.interrupted {
            self.settle()?;
        }
        let mut changes = mem::take(&mut self.tally).changes();
        if !self.report.interrupted && self.options.prune {
            changes.extend(self.prune()?);
        }
        self.commit()?;
        if !self.options.dry_run {
            // Everything is done: there is nothing left to interrupt.
            let _ = progress(Progress { phase: Phase::Merge, ..self.progress });
            self.writer.finish()?;
        }
        let mut report = self.report;
        changes.iter().for_each(|(change, _)| report.count(*change));
        if self.options.dry_run {
            let roots = &self.collection.roots;
            let list = |(change, key): (Change, FileKey)| (change, key.absolute(roots));
            report.listing = changes.into_iter().map(list).collect();
            report.listing.sort_by(|a, b| a.1.cmp(&b.1).then(a.0.cmp(&b.0)));
        }
        report.skipped.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(report)
    }

    fn settle(&mut self) -> Result<(), CollectionError> {
        for (id, keys) in mem::take(&mut self.vanished) {
            for key in keys {
                self.lose(id, &key, Event::Vanished);
            }
            if self.is_commit_due() {
                self.commit()?;
            }
        }
        Ok(())
    }

    fn prune(&mut self) -> Result<Vec<(Change, FileKey)>, CollectionError> {
        let mut pruned = Vec::new();
        for (id, entry) in self.ledger.drain_gone() {
            self.dirty.remove(&id);
            self.fresh.remove(&id);
            if !self.options.dry_run {
                self.writer.forget(id)?;
            }
            let key = entry.files.into_iter().next().map(|file| file.key);
            pruned
                .push((Change::Pruned, key.unwrap_or(FileKey { root: 0, path: id.hex().into() })));
        }
        Ok(pruned)
    }
}
