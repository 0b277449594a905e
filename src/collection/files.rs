//! How a picture's files are named and recognised.

use std::{
    cmp::Ordering,
    ffi::OsStr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// Size and time of change of a file: while both stay, it is taken to be unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    pub(crate) bytes: u64,
    /// Nanoseconds since 1970.
    pub(crate) modified: i64,
}

/// A file: the number of its root, and its path below it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FileKey {
    pub(crate) root: usize,
    pub(crate) path: PathBuf,
}

impl FileKey {
    /// The path as it is opened.
    pub(crate) fn absolute(&self, roots: &[PathBuf]) -> PathBuf {
        roots.get(self.root).map_or_else(|| self.path.clone(), |root| root.join(&self.path))
    }

    /// The path as filters see it: below its root, lossy where it is not Unicode, with `/`.
    pub(crate) fn shown(&self) -> String {
        let shown = self.path.to_string_lossy();
        if std::path::MAIN_SEPARATOR == '/' {
            shown.into_owned()
        } else {
            shown.replace(std::path::MAIN_SEPARATOR, "/")
        }
    }
}

/// A file as it was last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SeenFile {
    pub(crate) key: FileKey,
    pub(crate) stamp: Stamp,
}

impl SeenFile {
    /// The order in which the files of one picture are shown: the shortest path first.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        let rank =
            |file: &Self| (file.key.path.components().count(), file.key.path.as_os_str().len());
        rank(self).cmp(&rank(other)).then_with(|| self.key.cmp(&other.key))
    }
}

/// A path in JSON: text where it is Unicode, else the system's raw units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum StoredPath {
    Text(String),
    Raw { raw: RawPath },
}

/// Raw units of a path, in hexadecimal digits: bytes on Unix, 16-bit units elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RawPath(String);

impl StoredPath {
    pub(crate) fn of(path: &Path) -> Self {
        match path.to_str() {
            Some(text) => Self::Text(text.to_owned()),
            None => Self::Raw { raw: RawPath(raw_of(path.as_os_str())) },
        }
    }

    pub(crate) fn to_path(&self) -> PathBuf {
        match self {
            Self::Text(text) => text.into(),
            Self::Raw { raw } => path_of(&raw.0),
        }
    }
}

fn units(digits: &str, width: usize) -> impl Iterator<Item = u16> + '_ {
    let parse = |chunk: &[u8]| u16::from_str_radix(std::str::from_utf8(chunk).ok()?, 16).ok();
    digits.as_bytes().chunks(width).map(move |chunk| parse(chunk).unwrap_or(u16::from(b'?')))
}

#[cfg(unix)]
fn raw_of(path: &OsStr) -> String {
    use std::{fmt::Write as _, os::unix::ffi::OsStrExt as _};
    path.as_bytes().iter().fold(String::new(), |mut digits, byte| {
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

#[cfg(unix)]
fn path_of(digits: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt as _;
    let bytes = units(digits, 2).map(|unit| unit.to_le_bytes()[0]).collect();
    std::ffi::OsString::from_vec(bytes).into()
}

#[cfg(windows)]
fn raw_of(path: &OsStr) -> String {
    use std::{fmt::Write as _, os::windows::ffi::OsStrExt as _};
    path.encode_wide().fold(String::new(), |mut digits, unit| {
        let _ = write!(digits, "{unit:04x}");
        digits
    })
}

#[cfg(windows)]
fn path_of(digits: &str) -> PathBuf {
    use std::os::windows::ffi::OsStringExt as _;
    std::ffi::OsString::from_wide(&units(digits, 4).collect::<Vec<_>>()).into()
}

/// The files of a picture as they are stored with it.
#[derive(Debug, Serialize, Deserialize)]
struct StoredFile(usize, StoredPath, u64, i64);

pub(crate) fn to_json(files: &[SeenFile]) -> Result<Vec<u8>, serde_json::Error> {
    let store = |file: &SeenFile| {
        let path = StoredPath::of(&file.key.path);
        StoredFile(file.key.root, path, file.stamp.bytes, file.stamp.modified)
    };
    serde_json::to_vec(&files.iter().map(store).collect::<Vec<_>>())
}

pub(crate) fn from_json(json: &[u8]) -> Result<Vec<SeenFile>, serde_json::Error> {
    let files: Vec<StoredFile> = serde_json::from_slice(json)?;
    let seen = |StoredFile(root, path, bytes, modified): StoredFile| SeenFile {
        key: FileKey { root, path: path.to_path() },
        stamp: Stamp { bytes, modified },
    };
    Ok(files.into_iter().map(seen).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: impl Into<PathBuf>) -> SeenFile {
        let key = FileKey { root: 1, path: path.into() };
        SeenFile { key, stamp: Stamp { bytes: 5, modified: -7 } }
    }

    #[test]
    fn files_come_back_as_they_were_stored() {
        let files = vec![file("a/é 鳥\n.jpg"), file("b\\c.png")];
        assert_eq!(from_json(&to_json(&files).unwrap()).unwrap(), files);
    }

    #[cfg(unix)]
    #[test]
    fn a_path_that_is_no_unicode_keeps_its_bytes() {
        use std::os::unix::ffi::OsStrExt;
        let files = vec![file(OsStr::from_bytes(b"a/\xff\xc3(.jpg"))];
        assert_eq!(from_json(&to_json(&files).unwrap()).unwrap(), files);
    }

    #[test]
    fn the_shortest_path_is_shown_first() {
        let mut files = [file("backup/2021/a.jpg"), file("b.jpg"), file("a.jpg")];
        files.sort_by(SeenFile::order);
        assert_eq!(files[0].key.path, Path::new("a.jpg"));
        assert_eq!(files[2].key.path, Path::new("backup/2021/a.jpg"));
    }
}
