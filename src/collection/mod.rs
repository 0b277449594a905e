//! What pictures are there, which match, and why? A folder of pictures and its index.
//!
//! The one place where all parts meet: files are found, decoded and encoded, vectors are stored,
//! queries compiled and run, and every score is shown as the sum of its words.
//!
//! | file | answers |
//! | --- | --- |
//! | `layout.rs`, `manifest.rs` | where does an index stand, and what made it? |
//! | `lock.rs` | who may write? |
//! | `schema.rs`, `files.rs` | what is stored of a picture? |
//! | `engine.rs` | how is the index opened, and what does one commit show? |
//! | `ledger.rs`, `plan.rs` | what is known of the files, and what changed? |
//! | `examine.rs` | what does a file show? |
//! | `refresh.rs`, `apply.rs`, `writer.rs` | how does the index become true again? |
//! | `tally.rs`, `report.rs`, `skipped.rs` | what happened to which file? |
//! | `filter.rs`, `search.rs`, `verdict.rs` | which pictures match? |
//! | `rerank.rs`, `features.rs` | which of the first look best, and what is kept to tell? |
//! | `terms.rs`, `rounding.rs`, `explain.rs`, `lookup.rs` | why does this picture match, or not? |
//! | `info.rs`, `check.rs`, `export.rs` | what is in the index, is it whole, how does it get out? |
//! | `words.rs`, `facets.rs`, `browse.rs` | which words, folders, cameras and pictures are there? |
//! | `remove.rs` | how is a picture taken out? |
//!
//! Nothing here prints, reads settings or knows a terminal. No picture is ever written.
#![forbid(unsafe_code)]

mod apply;
mod browse;
mod check;
mod engine;
mod error;
mod examine;
mod explain;
mod export;
mod facets;
mod features;
mod files;
mod filter;
mod info;
mod layout;
mod ledger;
mod lock;
mod lookup;
mod manifest;
mod plan;
mod refresh;
mod remove;
mod reply;
mod report;
mod rerank;
mod rounding;
mod schema;
mod search;
mod seen;
mod skipped;
mod tally;
mod terms;
mod verdict;
mod words;
mod writer;

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

pub use check::{Check, CheckStatus, repair};
pub use error::CollectionError;
pub use export::Exported;
pub use facets::{Counted, Facets};
pub(crate) use features::{Encoded, encode};
pub use info::{Bucket, Info, RootInfo};
pub use layout::FOLDER;
pub(crate) use layout::write_atomically;
pub use reply::{
    Explanation, Hit, Like, Patch, PictureRef, PictureToken, PictureTokens, Rerank, Reranked,
    Score, SearchReply, SearchRequest, Seen, SeenPart, ShownQuery, ShownToken, Sort, Term, Verdict,
};
pub use report::{Change, Phase, Progress, RefreshOptions, RefreshReport};
pub use skipped::Skipped;
pub(crate) use terms::Shower;
pub use verdict::default_min_match;
pub(crate) use verdict::{coverage, least_score};
pub use words::{KnownWord, Refinement};

use self::{
    engine::{Engine, View, is_blank},
    error::Blame,
    layout::Layout,
    lock::WriterLock,
    manifest::Manifest,
};
use crate::encode::Encoder;

/// Folders of pictures, their index, and the model that made it.
///
/// Threads may share one to search; it sees the commit of the moment when it was opened, last
/// refreshed or [reloaded](Collection::reload). A clone sees the same commit and moves on by itself.
#[derive(Clone)]
pub struct Collection {
    layout: Layout,
    manifest: Manifest,
    roots: Vec<PathBuf>,
    encoder: Arc<Encoder>,
    engine: Engine,
    view: View,
}

impl Collection {
    /// Makes an index of folders of pictures. It holds nothing until it is
    /// [refreshed](Collection::refresh).
    ///
    /// It stands in `location`, which must be new or empty; by default in `.sightword` inside the
    /// first root where that can be written, else in the user's data directory. Roots inside other
    /// roots are left out.
    ///
    /// # Errors
    /// If there is an index already, a root is not there, or the place cannot be written.
    pub fn create(
        roots: &[PathBuf],
        location: Option<&Path>,
        encoder: Arc<Encoder>,
    ) -> Result<Self, CollectionError> {
        Self::make(roots, location, encoder, IfThere::Refuse)
    }

    /// Opens the index of these roots where there is one, and adds roots that it does not cover;
    /// else makes one.
    ///
    /// # Errors
    /// As [`Collection::create`] and [`Collection::open`].
    pub fn open_or_create(
        roots: &[PathBuf],
        location: Option<&Path>,
        encoder: Arc<Encoder>,
    ) -> Result<Self, CollectionError> {
        Self::make(roots, location, encoder, IfThere::Open)
    }

    /// Throws the index of these roots away, whatever state it is in, and makes an empty one with
    /// the model at hand, of these roots and those that the old one had, if it can still say so.
    ///
    /// # Errors
    /// As [`Collection::create`], and if another process is writing to it.
    pub fn rebuild(
        roots: &[PathBuf],
        location: Option<&Path>,
        encoder: Arc<Encoder>,
    ) -> Result<Self, CollectionError> {
        Self::make(roots, location, encoder, IfThere::Discard)
    }

    /// Opens an index, given its folder (`.sightword`).
    ///
    /// # Errors
    /// If there is none, it was made by another model or another version, or one of its files is
    /// missing or damaged; the message names the file and what to do.
    pub fn open(index_dir: &Path, encoder: Arc<Encoder>) -> Result<Self, CollectionError> {
        let layout = Layout::new(absolute(index_dir)?);
        if !layout.is_index() || (!layout.manifest().exists() && is_blank(&layout)) {
            return Err(no_index(&layout));
        }
        let manifest = Manifest::read(&layout)?;
        manifest.check(&layout, &encoder)?;
        let roots = manifest.roots(layout.dir());
        let blame = blame(&layout, &roots);
        let engine = Engine::open(&layout, blame)?;
        let view = engine.view(blame)?;
        Ok(Self { layout, manifest, roots, encoder, engine, view })
    }

    /// The folder of the index to use: `index` itself; else that of the folder of pictures `in_dir`;
    /// else the nearest at or above the current directory.
    ///
    /// # Errors
    /// [`CollectionError::NoIndex`] if there is none.
    pub fn find(in_dir: Option<&Path>, index: Option<&Path>) -> Result<PathBuf, CollectionError> {
        let here = PathBuf::from(".");
        let current = env::current_dir().map_err(|source| CollectionError::Io {
            verb: "find",
            path: here,
            source,
        })?;
        layout::find(in_dir, index, &current)
    }

    /// Turns to the newest commit, which another process may have made, and to the folders of pictures
    /// that it covers.
    ///
    /// # Errors
    /// If a file of it is missing or damaged, or another model made it.
    pub fn reload(&mut self) -> Result<(), CollectionError> {
        let manifest = Manifest::read(&self.layout)?;
        manifest.check(&self.layout, &self.encoder)?;
        let view = self.engine.reopen(&self.view, self.blame())?;
        self.roots = manifest.roots(self.layout.dir());
        (self.manifest, self.view) = (manifest, view);
        Ok(())
    }

    /// When the index was last written to; `None` where the system does not say, or the index is gone.
    #[must_use]
    pub fn last_commit(&self) -> Option<SystemTime> {
        let meta = fs::metadata(self.layout.index().join("meta.json"));
        meta.and_then(|meta| meta.modified()).ok()
    }

    /// Names the commit that is seen; it has the same name in any process.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.view.generation()
    }

    /// Where small copies of the pictures may be kept; they go when the index is made again.
    #[must_use]
    pub fn thumbnails_dir(&self) -> PathBuf {
        self.layout.thumbnails()
    }

    /// The folder of the index.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.layout.dir()
    }

    /// The folders of pictures.
    #[must_use]
    pub fn roots(&self) -> &[PathBuf] {
        &self.roots
    }

    /// The model.
    #[must_use]
    pub fn encoder(&self) -> &Arc<Encoder> {
        &self.encoder
    }

    fn blame(&self) -> Blame<'_> {
        blame(&self.layout, &self.roots)
    }

    fn make(
        roots: &[PathBuf],
        location: Option<&Path>,
        encoder: Arc<Encoder>,
        if_there: IfThere,
    ) -> Result<Self, CollectionError> {
        let mut roots = outermost(roots)?;
        let first = roots.first().ok_or(CollectionError::NoRoots)?;
        let place = match location {
            Some(location) => absolute(location)?,
            None => layout::place_for(first),
        };
        let layout = Layout::new(place);
        if layout.manifest().exists() && if_there != IfThere::Discard {
            return match if_there {
                IfThere::Open => Self::open_with(&layout, &roots, encoder),
                _ => Err(CollectionError::Exists { dir: layout.dir().into() }),
            };
        }
        layout.prepare()?;
        let lock = WriterLock::acquire(&layout)?;
        if layout.manifest().exists() && if_there != IfThere::Discard {
            // Another process made one in the meantime.
            drop(lock);
            return Self::make(&roots, Some(layout.dir()), encoder, if_there);
        }
        let is_whole = |layout: &Layout| layout.index().exists() && !is_blank(layout);
        if if_there != IfThere::Discard && is_whole(&layout) {
            // Pictures without a manifest: to throw them away is for the user to say.
            Manifest::read(&layout)?;
        }
        if let Ok(old) = Manifest::read(&layout) {
            roots.extend(old.roots(layout.dir()));
            roots = outermost(&roots).unwrap_or(roots);
        }
        let blame = blame(&layout, &roots);
        layout.clear().map_err(|error| blame.io("clear", layout.dir(), error))?;
        Engine::create(&layout, &encoder, blame)?;
        Manifest::new(layout.dir(), &roots, &encoder).write(&layout)?;
        Self::open(layout.dir(), encoder)
    }

    /// Opens an index and adds roots to it.
    fn open_with(
        layout: &Layout,
        roots: &[PathBuf],
        encoder: Arc<Encoder>,
    ) -> Result<Self, CollectionError> {
        let mut collection = Self::open(layout.dir(), encoder)?;
        if collection.manifest.add_roots(layout.dir(), roots) {
            let _lock = WriterLock::acquire(layout)?;
            // Another process may have added some in the meantime.
            let mut manifest = Manifest::read(layout)?;
            manifest.add_roots(layout.dir(), roots);
            manifest.write(layout)?;
            collection.roots = manifest.roots(layout.dir());
            collection.manifest = manifest;
        }
        Ok(collection)
    }
}

/// What becomes of an index that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IfThere {
    Refuse,
    Open,
    Discard,
}

fn blame<'a>(layout: &'a Layout, roots: &'a [PathBuf]) -> Blame<'a> {
    Blame { dir: layout.dir(), root: roots.first().map_or(layout.dir(), PathBuf::as_path) }
}

fn absolute(path: &Path) -> Result<PathBuf, CollectionError> {
    let absolute = std::path::absolute(path);
    let absolute = absolute.map_err(|source| CollectionError::Io {
        verb: "find",
        path: path.into(),
        source,
    })?;
    Ok(layout::normalize(&absolute))
}

fn no_index(layout: &Layout) -> CollectionError {
    let dir = layout.dir();
    let is_default = dir.file_name().is_some_and(|name| name == FOLDER);
    let folder = dir.parent().filter(|_| is_default).unwrap_or(Path::new("DIR"));
    CollectionError::NoIndex { place: format!("in {}", dir.display()), folder: folder.into() }
}

/// The roots by their real paths, without those that lie inside others.
fn outermost(roots: &[PathBuf]) -> Result<Vec<PathBuf>, CollectionError> {
    let real = |root: &PathBuf| {
        let why = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => "it is not there".to_owned(),
            _ => error.to_string(),
        };
        let failed = |why| CollectionError::RootNotAvailable { root: root.clone(), why };
        let real = fs::canonicalize(root).map_err(|error| failed(why(error)))?;
        if real.is_dir() { Ok(real) } else { Err(failed("it is not a folder".into())) }
    };
    let real: Vec<PathBuf> = roots.iter().map(real).collect::<Result<_, _>>()?;
    let mut kept: Vec<PathBuf> = Vec::new();
    for root in &real {
        let is_inside = real.iter().any(|other| root != other && root.starts_with(other));
        if !is_inside && !kept.contains(root) {
            kept.push(root.clone());
        }
    }
    Ok(kept)
}
