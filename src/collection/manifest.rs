//! `collection.json`: what an index covers and what made it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    error::{Blame, CollectionError, rebuild_command},
    files::StoredPath,
    layout::{Layout, MANIFEST, normalize, write_atomically},
};
use crate::{encode::Encoder, ingest::PREPROCESS_ID};

/// The version of everything this folder writes: `collection.json`, the schema, `skipped.jsonl`.
pub(crate) const FORMAT: u64 = 1;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) format: u64,
    roots: Vec<Root>,
    pub(crate) model: Model,
    pub(crate) preprocess: String,
}

/// A folder of pictures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Root {
    path: StoredPath,
    /// Whether `path` is relative to the folder of the index. So is a root that contains the
    /// index: both can be moved together.
    relative: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Model {
    pub(crate) name: String,
    pub(crate) hash: String,
}

impl Model {
    pub(crate) fn of(encoder: &Encoder) -> Self {
        Self { name: encoder.name().into(), hash: encoder.hash().into() }
    }
}

impl std::fmt::Display for Model {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let short: String = self.hash.chars().take(12).collect();
        write!(out, "{} ({short})", self.name)
    }
}

impl Manifest {
    /// A manifest for `roots`, which must be absolute, of an index in `dir`.
    pub(crate) fn new(dir: &Path, roots: &[PathBuf], encoder: &Encoder) -> Self {
        let mut manifest = Self {
            format: FORMAT,
            roots: Vec::new(),
            model: Model::of(encoder),
            preprocess: PREPROCESS_ID.into(),
        };
        manifest.add_roots(dir, roots);
        manifest
    }

    /// Adds those of `roots` (absolute) that are not covered yet. A root is named by its place in
    /// the list, so none ever leaves it. Whether any was added.
    pub(crate) fn add_roots(&mut self, dir: &Path, roots: &[PathBuf]) -> bool {
        let before = self.roots.len();
        for root in roots {
            if self.roots(dir).iter().any(|known| root.starts_with(known)) {
                continue;
            }
            let root = match dir.strip_prefix(root) {
                Ok(below) => {
                    let up: PathBuf = below.components().map(|_| "..").collect();
                    Root { path: StoredPath::of(&up), relative: true }
                }
                Err(_) => Root { path: StoredPath::of(root), relative: false },
            };
            self.roots.push(root);
        }
        self.roots.len() > before
    }

    /// The folders of pictures, as absolute paths, of an index in `dir`.
    pub(crate) fn roots(&self, dir: &Path) -> Vec<PathBuf> {
        let absolute = |root: &Root| {
            let path = root.path.to_path();
            if root.relative { normalize(&dir.join(path)) } else { path }
        };
        self.roots.iter().map(absolute).collect()
    }

    /// Reads the manifest, without judging whether this program can use the index.
    pub(crate) fn read(layout: &Layout) -> Result<Self, CollectionError> {
        // Without a manifest the roots are unknown; by default the index stands in the first one.
        let root = layout.dir().parent().unwrap_or(layout.dir());
        let blame = Blame { dir: layout.dir(), root };
        let bytes = fs::read(layout.manifest()).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => blame.damaged(MANIFEST, "it is missing"),
            _ => blame.io("read", &layout.manifest(), error),
        })?;
        // The version first: a newer format need not have the other fields.
        let version: Version = serde_json::from_slice(&bytes)
            .map_err(|error| blame.damaged(MANIFEST, error.to_string()))?;
        if version.format != FORMAT {
            return Err(CollectionError::OtherFormat {
                file: layout.manifest(),
                found: version.format,
                known: FORMAT,
                rebuild: blame.rebuild(),
            });
        }
        let manifest: Self = serde_json::from_slice(&bytes)
            .map_err(|error| blame.damaged(MANIFEST, error.to_string()))?;
        if manifest.roots.is_empty() {
            return Err(blame.damaged(MANIFEST, "it names no folder of pictures"));
        }
        Ok(manifest)
    }

    pub(crate) fn write(&self, layout: &Layout) -> Result<(), CollectionError> {
        let path = layout.manifest();
        let blame = Blame { dir: layout.dir(), root: layout.dir() };
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| blame.io("write", &path, std::io::Error::other(error)))?;
        write_atomically(&path, format!("{text}\n").as_bytes())
            .map_err(|error| blame.io("write", &path, error))
    }

    /// Refuses an index that another model or another way of preparing pictures made.
    pub(crate) fn check(&self, layout: &Layout, encoder: &Encoder) -> Result<(), CollectionError> {
        let roots = self.roots(layout.dir());
        let root = roots.first().map_or(layout.dir(), PathBuf::as_path);
        let rebuild = rebuild_command(layout.dir(), root);
        let expected = Model::of(encoder);
        if self.model.hash != expected.hash {
            return Err(CollectionError::OtherModel {
                dir: layout.dir().into(),
                found: self.model.to_string(),
                expected: expected.to_string(),
                rebuild,
            });
        }
        if self.preprocess != PREPROCESS_ID {
            return Err(CollectionError::OtherPreprocessing {
                dir: layout.dir().into(),
                found: self.preprocess.clone(),
                expected: PREPROCESS_ID.into(),
                rebuild,
            });
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Version {
    format: u64,
}
