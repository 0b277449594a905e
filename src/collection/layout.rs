//! Where an index stands on disk, and what its own files are called.
//!
//! By default in `.sightword/` inside the first root, where that can be written, else in the user's
//! data directory in a folder named by a hash of the root's path.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

use etcetera::{BaseStrategy, choose_base_strategy};

use super::error::CollectionError;

/// The folder of an index inside a folder of pictures.
pub const FOLDER: &str = ".sightword";
/// The folder of the engine's files.
pub(crate) const INDEX: &str = "index";
pub(crate) const MANIFEST: &str = "collection.json";
pub(crate) const LOCK: &str = "lock";
pub(crate) const SKIPPED: &str = "skipped.jsonl";
/// The folder of what re-rankers keep of pictures.
const FEATURES: &str = "features";
/// The folder of small pictures that were shown.
const THUMBNAILS: &str = "thumbnails";

const README: &str = "README.md";
const README_TEXT: &str = "\
# A sightword index

This folder is the index of the pictures around it, made by sightword. It holds nothing that cannot
be made again from the pictures: deleting it is safe, `sightword index` makes it anew. No picture is
kept in it but small ones that the web page has shown. Do not edit its files.
";
/// Tells backup programs to leave the folder out (<https://bford.info/cachedir/>).
const CACHE_TAG: &str = "CACHEDIR.TAG";
const CACHE_TAG_TEXT: &str = "\
Signature: 8a477f597d28d172789f06886806bc55
# This folder can be made again by sightword at any time.
";
const IGNORE: &str = ".gitignore";

/// The paths of one index.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    dir: PathBuf,
}

impl Layout {
    pub(crate) fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn index(&self) -> PathBuf {
        self.dir.join(INDEX)
    }

    pub(crate) fn manifest(&self) -> PathBuf {
        self.dir.join(MANIFEST)
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.dir.join(LOCK)
    }

    pub(crate) fn skipped(&self) -> PathBuf {
        self.dir.join(SKIPPED)
    }

    pub(crate) fn features(&self) -> PathBuf {
        self.dir.join(FEATURES)
    }

    pub(crate) fn thumbnails(&self) -> PathBuf {
        self.dir.join(THUMBNAILS)
    }

    /// Makes the folder if need be, and marks it as ours.
    ///
    /// A folder that holds anything which is not ours is refused: nothing of the user's may ever
    /// stand where a rebuild deletes.
    pub(crate) fn prepare(&self) -> Result<(), CollectionError> {
        let failed =
            |verb, path: &Path, source| CollectionError::Io { verb, path: path.to_owned(), source };
        fs::create_dir_all(&self.dir).map_err(|error| failed("create", &self.dir, error))?;
        if !self.is_ours() {
            let mut entries =
                fs::read_dir(&self.dir).map_err(|error| failed("read", &self.dir, error))?;
            if let Some(Ok(entry)) = entries.next() {
                let found = entry.file_name().to_string_lossy().into_owned();
                return Err(CollectionError::NotAnIndex { dir: self.dir.clone(), found });
            }
        }
        for (name, text) in [(README, README_TEXT), (CACHE_TAG, CACHE_TAG_TEXT), (IGNORE, "*\n")] {
            let path = self.dir.join(name);
            if !path.exists() {
                write_atomically(&path, text.as_bytes())
                    .map_err(|error| failed("write", &path, error))?;
            }
        }
        Ok(())
    }

    /// Whether the folder is a `.sightword`, or was made by [`Layout::prepare`].
    fn is_ours(&self) -> bool {
        let holds = |name, text: &str| {
            fs::read_to_string(self.dir.join(name))
                .is_ok_and(|found| found.lines().take(2).eq(text.lines().take(2)))
        };
        self.dir.file_name().is_some_and(|name| name == FOLDER)
            || holds(README, README_TEXT)
            || holds(CACHE_TAG, CACHE_TAG_TEXT)
    }

    /// Whether an index was at least begun here.
    pub(crate) fn is_index(&self) -> bool {
        self.manifest().is_file() || (self.is_ours() && self.index().is_dir())
    }

    /// Removes the engine's files, features and the manifest, the manifest first: what is left after a kill
    /// is an index that was begun, not one that is damaged.
    pub(crate) fn clear(&self) -> io::Result<()> {
        for file in [self.manifest(), self.skipped()] {
            ignore_missing(fs::remove_file(file))?;
        }
        ignore_missing(fs::remove_dir_all(self.features()))?;
        ignore_missing(fs::remove_dir_all(self.thumbnails()))?;
        ignore_missing(fs::remove_dir_all(self.index()))
    }
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Writes a file so that a reader, and a reader after a crash, sees the old or the new content.
pub(crate) fn write_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    use io::Write as _;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    // The rename itself is durable only when the folder is. Not every system can sync a folder.
    let _ = fs::File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

/// Where a new index of the folder `root` goes.
pub(crate) fn place_for(root: &Path) -> PathBuf {
    let inside = root.join(FOLDER);
    if inside.is_dir() || is_writable(root) {
        return inside;
    }
    outside(root).unwrap_or(inside)
}

/// Where an index of `root` stands, if there is one.
fn existing_in(root: &Path) -> Option<PathBuf> {
    let candidates = [Some(root.join(FOLDER)), outside(root)];
    candidates.into_iter().flatten().find(|dir| Layout::new(dir).is_index())
}

/// The folder in the user's data directory for a root that cannot be written.
fn outside(root: &Path) -> Option<PathBuf> {
    let root = fs::canonicalize(root).ok()?;
    let hash = blake3::hash(root.as_os_str().as_encoded_bytes()).to_hex();
    let data = choose_base_strategy().ok()?.data_dir();
    Some(data.join("sightword").join(&hash.as_str()[..16]))
}

/// Tries it: permission bits say little about network disks, access lists and read-only mounts.
fn is_writable(folder: &Path) -> bool {
    tempfile::Builder::new().prefix(".sightword-").tempfile_in(folder).is_ok()
}

/// The index to use: that in `index`, or that of the folder of pictures `in_dir`, or the nearest at
/// or above `current`.
pub(crate) fn find(
    in_dir: Option<&Path>,
    index: Option<&Path>,
    current: &Path,
) -> Result<PathBuf, CollectionError> {
    let missing = |place: String, folder: &Path| {
        Err(CollectionError::NoIndex { place, folder: folder.into() })
    };
    if let Some(dir) = index {
        if Layout::new(dir).is_index() {
            return Ok(dir.into());
        }
        return missing(format!("in {}", dir.display()), in_dir.unwrap_or(Path::new("DIR")));
    }
    if let Some(root) = in_dir {
        return existing_in(root)
            .map_or_else(|| missing(format!("of {}", root.display()), root), Ok);
    }
    match current.ancestors().find_map(existing_in) {
        Some(dir) => Ok(dir),
        None => missing("here or above".into(), Path::new(".")),
    }
}

/// `path` with `.` and `..` resolved by name alone, so that it need not exist.
pub(crate) fn normalize(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                if !normal.pop() {
                    normal.push(component);
                }
            }
            other => normal.push(other),
        }
    }
    normal
}
