//! Is everything as it should be? One answer a question, each with what to do.

use std::path::{Path, PathBuf};

use sightword_index::{Repair, rebuild_inverted, verify_segments};

use super::{
    Collection,
    engine::{damaged_files, segment_files},
    files::FileKey,
    layout::Layout,
    lock::{self, State},
    manifest::Manifest,
    skipped::SkipList,
};
use crate::{
    encode::Encoder,
    ingest::{DecodeOptions, read},
};

/// Bytes that should be free where the index stands: a merge needs the index's size once more.
const LEAST_FREE_BYTES: u64 = 256 << 20;
/// Pictures that are decoded as a sample.
const SAMPLE: usize = 3;

/// The answer to one question.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How it is.
    pub status: CheckStatus,
    /// What was found, in words.
    pub detail: String,
    /// What to do about it.
    pub fix: Option<String>,
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CheckStatus {
    /// As it should be.
    Ok,
    /// Worth a look.
    Warn,
    /// Broken.
    Fail,
}

pub(crate) fn ok(name: &'static str, detail: impl Into<String>) -> Check {
    Check { name, status: CheckStatus::Ok, detail: detail.into(), fix: None }
}

pub(crate) fn bad(
    name: &'static str,
    status: CheckStatus,
    detail: impl Into<String>,
    fix: impl Into<String>,
) -> Check {
    Check { name, status, detail: detail.into(), fix: Some(fix.into()) }
}

/// An error as a failed check: its second line says what to do.
pub(crate) fn failed(name: &'static str, error: &dyn std::error::Error) -> Check {
    let text = error.to_string();
    let (detail, fix) = text.split_once("\n  try: ").unwrap_or((&text, ""));
    let fix = (!fix.is_empty()).then(|| fix.to_owned());
    Check { name, status: CheckStatus::Fail, detail: detail.into(), fix }
}

impl Collection {
    /// Checks this collection. See [`Collection::diagnose`].
    #[must_use]
    pub fn check(&self) -> Vec<Check> {
        Self::diagnose(self.layout.dir(), &self.encoder)
    }

    /// Checks an index that may be too damaged to be opened: lock, model, the checksum of every
    /// file, roots, skipped files, a sample of pictures, free space. Reads all of the index, and
    /// changes nothing.
    #[must_use]
    pub fn diagnose(index_dir: &Path, encoder: &Encoder) -> Vec<Check> {
        let layout = Layout::new(index_dir);
        let mut checks = vec![check_lock(&layout)];
        let manifest = match Manifest::read(&layout) {
            Ok(manifest) => manifest,
            Err(error) => {
                checks.push(failed("manifest", &error));
                return checks;
            }
        };
        let roots = manifest.roots(layout.dir());
        checks.push(match manifest.check(&layout, encoder) {
            Ok(()) => ok("model", manifest.model.to_string()),
            Err(error) => failed("model", &error),
        });
        checks.extend(check_files(&layout, &roots));
        checks.extend(roots.iter().map(|root| check_root(root)));
        checks.push(check_skipped(&layout));
        checks.extend(check_sample(&layout, &roots));
        checks.push(check_disk(&layout));
        checks
    }
}

/// Makes the parts of an index again that can be made from others: the inverted file of a segment
/// from its forward file. One check for each that was broken; none when all is whole.
#[must_use]
pub fn repair(index_dir: &Path) -> Vec<Check> {
    let layout = Layout::new(index_dir);
    let root = Manifest::read(&layout).map(|manifest| manifest.roots(layout.dir()));
    let root = root.ok().and_then(|roots| roots.into_iter().next());
    let root = root.unwrap_or_else(|| layout.dir().to_owned());
    let blame = super::error::Blame { dir: layout.dir(), root: &root };
    let repairs = sightword_index::open_in_dir(&layout.index())
        .and_then(|index| rebuild_inverted(&index))
        .map_err(|error| blame.open(error));
    let check = |Repair { problem, failure, .. }: Repair| match failure {
        None => ok("repair", format!("made again: {problem}")),
        Some(failure) => {
            let file = Path::new("index").join(&failure.file);
            failed("repair", &blame.damaged(file, failure.fault.to_string()))
        }
    };
    match repairs {
        Ok(repairs) => repairs.into_iter().map(check).collect(),
        Err(error) => vec![failed("repair", &error)],
    }
}

fn check_lock(layout: &Layout) -> Check {
    match lock::state(layout) {
        State::Free => ok("lock", "nobody is writing"),
        State::Held { pid, host } => ok("lock", format!("process {pid} on {host} is writing")),
        State::Stale { pid, host } => bad(
            "lock",
            CheckStatus::Warn,
            format!("left by process {pid} on {host}, which is dead"),
            "nothing: the next run takes it over",
        ),
    }
}

/// Every file of the engine's to its last byte, and that both files of ours agree in each segment.
fn check_files(layout: &Layout, roots: &[PathBuf]) -> Vec<Check> {
    let root = roots.first().map_or(layout.dir(), PathBuf::as_path);
    let blame = super::error::Blame { dir: layout.dir(), root };
    let index = match sightword_index::open_in_dir(&layout.index()) {
        Ok(index) => index,
        Err(error) => return vec![failed("index", &blame.open(error))],
    };
    let files = match segment_files(&index) {
        Ok(files) => files,
        Err(error) => return vec![failed("index", &blame.engine(error))],
    };
    let damaged = damaged_files(&index, &files);
    let mut checks: Vec<Check> = damaged
        .iter()
        .map(|(file, what)| {
            failed("checksums", &blame.damaged(format!("index/{file}"), what.as_str()))
        })
        .collect();
    if checks.is_empty() {
        checks.push(ok("checksums", format!("{} files are whole", files.len())));
        checks.extend(check_segments(&index, blame));
    }
    checks
}

fn check_segments(index: &tantivy::Index, blame: super::error::Blame<'_>) -> Vec<Check> {
    let reports = || {
        let reader: tantivy::IndexReader = index.reader().map_err(|error| blame.engine(error))?;
        let fields = super::schema::Fields::of(&index.schema());
        let fields = fields.map_err(|error| blame.engine(error))?;
        verify_segments(&reader.searcher(), fields.vector).map_err(|error| blame.open(error))
    };
    let reports = match reports() {
        Ok(reports) => reports,
        Err(error) => return vec![failed("segments", &error)],
    };
    let report = |report: &sightword_index::SegmentReport| match report.problems.first() {
        None => {
            let detail = format!("{}: {} documents", report.segment, report.docs);
            ok("segment", detail)
        }
        Some(problem) => failed(
            "segment",
            &blame.damaged(Path::new("index").join(&problem.file), problem.fault.to_string()),
        ),
    };
    reports.iter().map(report).collect()
}

fn check_root(root: &Path) -> Check {
    if root.is_dir() {
        return ok("root", root.display().to_string());
    }
    let detail = format!("{} is not there", root.display());
    bad("root", CheckStatus::Warn, detail, "mount the disk before the next `sightword index`")
}

fn check_skipped(layout: &Layout) -> Check {
    match SkipList::load_any(layout).len() {
        0 => ok("skipped", "no file was left out"),
        count => bad(
            "skipped",
            CheckStatus::Warn,
            format!("{count} files were left out"),
            "`sightword index --skipped` lists them with reasons",
        ),
    }
}

/// Decodes a few indexed pictures: is the program still able to, and are the files what they were?
fn check_sample(layout: &Layout, roots: &[PathBuf]) -> Vec<Check> {
    let check = |key: FileKey| {
        let path = key.absolute(roots);
        match read(&path, &DecodeOptions::default()) {
            Ok(_) => ok("sample", format!("{} can be decoded", path.display())),
            Err(error) => bad(
                "sample",
                CheckStatus::Warn,
                error.to_string(),
                "`sightword index` takes note of what changed",
            ),
        }
    };
    sample(layout).unwrap_or_default().into_iter().map(check).collect()
}

fn sample(layout: &Layout) -> tantivy::Result<Vec<FileKey>> {
    let Ok(index) = sightword_index::open_in_dir(&layout.index()) else { return Ok(Vec::new()) };
    let fields = super::schema::Fields::of(&index.schema())?;
    let searcher = index.reader()?.searcher();
    let mut keys = Vec::new();
    for reader in searcher.segment_readers() {
        let store = reader.get_store_reader(1)?;
        for document in store.iter(reader.alive_bitset()) {
            let record = super::schema::Record::from_document(&document?, &fields);
            let Ok(record) = record else { continue };
            if !record.gone {
                keys.extend(record.files.into_iter().next().map(|file| file.key));
            }
            if keys.len() == SAMPLE {
                return Ok(keys);
            }
        }
    }
    Ok(keys)
}

fn check_disk(layout: &Layout) -> Check {
    match fs4::available_space(layout.dir()) {
        Ok(free) if free < LEAST_FREE_BYTES => bad(
            "disk",
            CheckStatus::Warn,
            format!("{} MB are free", free >> 20),
            "free some space before the next `sightword index`",
        ),
        Ok(free) => ok("disk", format!("{} MB are free", free >> 20)),
        Err(error) => {
            bad("disk", CheckStatus::Warn, error.to_string(), "look whether the disk is mounted")
        }
    }
}
