//! Which files below a folder may be pictures.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Mutex,
    time::UNIX_EPOCH,
};

use ignore::{DirEntry, WalkBuilder};

use super::Format;

/// The ignore file of this program, beside `.gitignore` and `.ignore`; same rules.
const IGNORE_FILE: &str = ".sightwordignore";

/// Folders that devices and systems keep for themselves. Names with a leading dot need no entry:
/// whatever is hidden is skipped, an index included.
const LITTER: [&str; 9] = [
    "@eaDir",
    "@Recycle",
    "@Recently-Snapshot",
    "#recycle",
    "#snapshot",
    "$RECYCLE.BIN",
    "System Volume Information",
    "lost+found",
    "__MACOSX",
];

/// How [`walk`] looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalkOptions {
    /// Whether `.sightwordignore`, `.gitignore` and `.ignore` files in and below the root are
    /// honoured, inside git repositories and elsewhere. Hidden names and the litter of devices
    /// (`@eaDir`, `$RECYCLE.BIN`, ...) are skipped either way.
    pub use_ignore_files: bool,
}

impl Default for WalkOptions {
    /// Ignore files are honoured.
    fn default() -> Self {
        Self { use_ignore_files: true }
    }
}

/// What was found below a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Walk {
    /// The files that may be pictures, by their extension; sorted by path.
    pub files: Vec<FoundFile>,
    /// What could not be looked at; sorted by path.
    pub problems: Vec<WalkProblem>,
}

/// A file that may be a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFile {
    /// The path below the root, byte for byte as the system gives it.
    pub path: PathBuf,
    /// The size of the file in bytes.
    pub bytes: u64,
    /// The last change of the file, in nanoseconds since 1970; 0 where the system does not say.
    pub modified: i64,
}

/// A folder, file or link that could not be looked at.
///
/// What lies at or below this path is unknown: it must not be taken for gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalkProblem {
    /// The path below the root.
    pub path: PathBuf,
    /// What was wrong, for people.
    pub reason: String,
}

/// Why a folder could not be walked at all. Nothing about its content is known then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WalkError {
    /// There is nothing at this path: perhaps a disk that is not mounted.
    #[error("no folder at {}: is the disk mounted?", path.display())]
    Missing {
        /// The root.
        path: PathBuf,
    },
    /// The path is that of a file.
    #[error("{} is not a folder", path.display())]
    NotADirectory {
        /// The root.
        path: PathBuf,
    },
    /// The file system said no.
    #[error("cannot list {}: {cause}", path.display())]
    Unreadable {
        /// The root.
        path: PathBuf,
        /// What the file system said.
        cause: io::Error,
    },
}

/// Lists the files below `root` that may be pictures.
///
/// Only names are looked at, no file is opened. Links are followed, a linked folder once: the
/// first link to it in the order of names counts. A link to a folder that it lies in, a link to
/// nothing and a folder that cannot be listed are problems, and the walk goes on.
///
/// # Errors
/// If `root` is missing, not a folder, or cannot be listed.
pub fn walk(root: &Path, options: &WalkOptions) -> Result<Walk, WalkError> {
    check_root(root)?;
    let mut found = Walk::default();
    for entry in builder(root, options).build() {
        match entry {
            Ok(entry) => found.add(root, &entry),
            Err(error) => found.add_problem(root, Path::new(""), &error),
        }
    }
    found.files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    found.problems.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn check_root(root: &Path) -> Result<(), WalkError> {
    let path = || root.to_owned();
    let fail = |cause: io::Error| match cause.kind() {
        io::ErrorKind::NotFound => WalkError::Missing { path: path() },
        _ => WalkError::Unreadable { path: path(), cause },
    };
    if !fs::metadata(root).map_err(fail)?.is_dir() {
        return Err(WalkError::NotADirectory { path: path() });
    }
    fs::read_dir(root).map_err(fail)?;
    Ok(())
}

fn builder(root: &Path, options: &WalkOptions) -> WalkBuilder {
    let mut builder = WalkBuilder::new(root);
    let use_files = options.use_ignore_files;
    builder
        .hidden(true)
        .ignore(use_files)
        .git_ignore(use_files)
        // What stands above the root or in the user's git settings was not written for photos.
        .parents(false)
        .git_global(false)
        .git_exclude(false)
        .require_git(false)
        .follow_links(true)
        // In a fixed order, so that the same one of two links to a folder is taken every time.
        .sort_by_file_name(std::ffi::OsStr::cmp);
    if use_files {
        builder.add_custom_ignore_filename(IGNORE_FILE);
    }
    let linked = Mutex::new(HashSet::new());
    builder.filter_entry(move |entry| {
        entry.depth() == 0 || !(is_litter(entry) || is_known_link(entry, &linked))
    });
    builder
}

fn is_litter(entry: &DirEntry) -> bool {
    LITTER.iter().any(|litter| entry.file_name() == *litter)
}

/// Whether this links to a folder that another link has led to. Folders that link to each other
/// have endlessly many paths otherwise.
fn is_known_link(entry: &DirEntry, linked: &Mutex<HashSet<PathBuf>>) -> bool {
    let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
    if !(is_folder && entry.path_is_symlink()) {
        return false;
    }
    let Ok(target) = entry.path().canonicalize() else { return false };
    linked.lock().is_ok_and(|mut linked| !linked.insert(target))
}

impl Walk {
    fn add(&mut self, root: &Path, entry: &DirEntry) {
        let path = below(root, entry.path());
        if let Some(error) = entry.error() {
            self.add_problem(root, path, error);
        }
        let is_file = entry.file_type().is_some_and(|kind| kind.is_file());
        if !is_file || !Format::may_be_picture(path) {
            return;
        }
        match entry.metadata() {
            Ok(metadata) => self.files.push(FoundFile {
                path: path.to_owned(),
                bytes: metadata.len(),
                modified: modified(&metadata),
            }),
            Err(error) => self.add_problem(root, path, &error),
        }
    }

    /// Notes an error and all that it consists of; `path` serves where the error names none.
    fn add_problem(&mut self, root: &Path, path: &Path, error: &ignore::Error) {
        use ignore::Error;
        let (path, reason) = match error {
            Error::WithPath { path, err } => return self.add_problem(root, below(root, path), err),
            Error::WithDepth { err, .. } => return self.add_problem(root, path, err),
            Error::Partial(errors) => {
                return errors.iter().for_each(|error| self.add_problem(root, path, error));
            }
            Error::Loop { ancestor, child } => {
                let ancestor = below(root, ancestor);
                let target = if ancestor.as_os_str().is_empty() { root } else { ancestor };
                let reason = format!("a link back to {}, not followed", target.display());
                (below(root, child), reason)
            }
            Error::Io(cause) if cause.kind() == io::ErrorKind::NotFound => {
                (path, "a link to nothing, or gone since the folder was listed".to_owned())
            }
            Error::Io(cause) => (path, cause.to_string()),
            other => (path, other.to_string()),
        };
        self.problems.push(WalkProblem { path: path.to_owned(), reason });
    }
}

fn below<'a>(root: &Path, path: &'a Path) -> &'a Path {
    path.strip_prefix(root).unwrap_or(path)
}

fn modified(metadata: &fs::Metadata) -> i64 {
    let Ok(time) = metadata.modified() else { return 0 };
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
    }
}
