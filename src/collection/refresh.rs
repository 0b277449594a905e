//! Brings an index up to date: walk, plan, examine, apply, commit.
//!
//! Threads look into files (`examine.rs`); this thread alone applies what they find (`apply.rs`)
//! and writes.

use std::{
    collections::HashSet, num::NonZeroUsize, ops::ControlFlow, path::PathBuf, time::Instant,
};

use super::{
    Collection,
    apply::Run,
    error::CollectionError,
    examine::{CHUNK, Examiner},
    files::FileKey,
    ledger::Ledger,
    lock::WriterLock,
    plan::{Candidate, plan},
    report::{Phase, Progress, RefreshOptions, RefreshReport},
    skipped::SkipList,
};
use crate::{
    ingest::{DecodeOptions, Walk, WalkError, WalkOptions, parallel_map, walk},
    rerank::Reranker,
};

/// Called now and then; a break stops the run.
pub(crate) type OnProgress<'a> = &'a mut dyn FnMut(Progress) -> ControlFlow<()>;

impl Collection {
    /// Makes the index true to the files in its roots.
    ///
    /// A file with the name, size and time of change of the last run is not read. Any other is read
    /// and hashed, and only a content that the index does not have is decoded and encoded. A content
    /// without files is kept as a tombstone, which no search finds, until `prune` forgets it. What
    /// cannot be read or decoded is skipped with its reason and the run goes on.
    ///
    /// `progress` is called after every few files; when it breaks, what is done is committed and
    /// the report says `interrupted`. The next run goes on from there.
    ///
    /// # Errors
    /// If another process writes, a root is missing or has become empty (a disk that is not
    /// mounted: nothing is changed then), the disk is full, or the index is damaged. What was
    /// committed stays in any case.
    pub fn refresh(
        &mut self,
        options: &RefreshOptions,
        progress: OnProgress<'_>,
    ) -> Result<RefreshReport, CollectionError> {
        let started = Instant::now();
        let lock = match options.dry_run {
            true => None,
            false => Some(WriterLock::acquire(&self.layout)?),
        };
        // Another process may have written between our opening and our locking.
        self.reload()?;
        let mut report = self.run(options, progress)?;
        if !options.dry_run {
            self.reload()?;
        }
        if let Some(reranker) = wanted_features(options)
            && !report.interrupted
        {
            let (features, flow) = self.fill_features(reranker, options, progress)?;
            (report.features, report.interrupted) = (features, flow.is_break());
        }
        report.notices.extend(lock.and_then(|lock| lock.notice.clone()));
        report.elapsed = started.elapsed();
        Ok(report)
    }

    fn run(
        &self,
        options: &RefreshOptions,
        progress: OnProgress<'_>,
    ) -> Result<RefreshReport, CollectionError> {
        let side = self.encoder.config().image.size;
        let decode = DecodeOptions { target: side, ..options.decode };
        let walks = self.walk(options)?;
        let ledger = Ledger::load(&self.view, &self.engine.fields, self.blame())?;
        if !options.prune {
            self.refuse_empty_roots(&ledger, &walks)?;
        }
        let mut skipped = SkipList::load(&self.layout, &decode);
        skipped.keep_only(&found(&walks));
        let (plan, candidates) = plan(&ledger, walks, &skipped);
        let encoder = (!options.dry_run).then_some(&*self.encoder);
        let reranker = wanted_features(options);
        let examiner = Examiner::new(&self.roots, ledger.ids(), encoder, reranker, decode);
        let mut run = Run::new(self, options, decode, ledger, plan, skipped, candidates.len());
        if let Some(reranker) = reranker {
            run.store_features(self.feature_writer(reranker)?);
        }
        run.report_progress(Phase::Scan, progress);
        let chunks = chunks(candidates, options.jobs);
        let examine = |chunk| examiner.examine(chunk);
        let mut outcome = Ok(());
        if !run.is_interrupted() {
            parallel_map(chunks, options.jobs, examine, |found| {
                outcome = run.accept(found, progress);
                if outcome.is_err() || run.is_interrupted() {
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            });
        }
        outcome?;
        run.finish(progress)
    }

    /// Lists the files of every root; an error if one is not there.
    fn walk(&self, options: &RefreshOptions) -> Result<Vec<Walk>, CollectionError> {
        let walk_options = WalkOptions { use_ignore_files: options.use_ignore_files };
        let walk_root = |root: &PathBuf| {
            walk(root, &walk_options).map_err(|error| {
                let why = match error {
                    WalkError::Missing { .. } => "it is not there".into(),
                    WalkError::NotADirectory { .. } => "it is not a folder".into(),
                    WalkError::Unreadable { cause, .. } => cause.to_string(),
                };
                CollectionError::RootNotAvailable { root: root.clone(), why }
            })
        };
        self.roots.iter().map(walk_root).collect()
    }

    /// Refuses a root that held pictures and holds nothing now.
    fn refuse_empty_roots(&self, ledger: &Ledger, walks: &[Walk]) -> Result<(), CollectionError> {
        for (number, (root, walk)) in self.roots.iter().zip(walks).enumerate() {
            let known = ledger.files_in(number);
            if known > 0 && walk.files.is_empty() && walk.problems.is_empty() {
                return Err(CollectionError::RootEmpty { root: root.clone(), known });
            }
        }
        Ok(())
    }
}

/// Whose features are stored in this run.
fn wanted_features(options: &RefreshOptions) -> Option<&dyn Reranker> {
    options.features_for.as_deref().filter(|_| !options.dry_run)
}

fn found(walks: &[Walk]) -> HashSet<FileKey> {
    let keys = |(root, walk): (usize, &Walk)| -> Vec<FileKey> {
        walk.files.iter().map(|file| FileKey { root, path: file.path.clone() }).collect()
    };
    walks.iter().enumerate().flat_map(keys).collect()
}

/// Parts small enough that every thread gets some.
fn chunks(
    candidates: Vec<Candidate>,
    jobs: NonZeroUsize,
) -> impl Iterator<Item = Vec<Candidate>> + Send {
    let size = (candidates.len() / (4 * jobs.get())).clamp(1, CHUNK);
    let mut rest = candidates.into_iter();
    std::iter::from_fn(move || {
        let chunk: Vec<_> = rest.by_ref().take(size).collect();
        (!chunk.is_empty()).then_some(chunk)
    })
}
