//! Photos with captions or labels: a JSON Lines file, with the photos in tar files or a folder beside
//! it.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Why a dataset cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: std::io::Error,
    },
    /// A line is no record.
    #[error("{}:{line}: not a record of image, captions and labels", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// Nothing is left after choosing the split.
    #[error("{}: no photo with captions or labels{}", path.display(),
        split.as_ref().map(|split| format!(" in split {split:?} (there are: {known})"))
            .unwrap_or_default())]
    Empty {
        /// The file.
        path: PathBuf,
        /// The split asked for.
        split: Option<String>,
        /// The splits that there are.
        known: String,
    },
    /// Two lines have the same id.
    #[error("{}: two lines have the id {id:?}: put all captions of a photo on one line", path.display())]
    TwoPhotos {
        /// The file.
        path: PathBuf,
        /// The id.
        id: String,
    },
    /// A photo is neither in a tar file nor in the folder.
    #[error("{}: photo {image:?} is neither in a tar file nor in the folder beside it", path.display())]
    NoPhoto {
        /// The JSON Lines file.
        path: PathBuf,
        /// The photo's name.
        image: String,
    },
}

/// One line of the file.
#[derive(Debug, Deserialize)]
pub(crate) struct Record {
    #[serde(default)]
    pub(crate) id: Option<String>,
    pub(crate) image: String,
    #[serde(default)]
    pub(crate) tar: Option<String>,
    #[serde(default)]
    pub(crate) captions: Vec<String>,
    #[serde(default)]
    pub(crate) labels: Vec<String>,
    #[serde(default)]
    pub(crate) split: Option<String>,
}

/// Where a photo's bytes are: a file, or a part of a tar file.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    file: PathBuf,
    offset: u64,
    bytes: Option<u64>,
}

/// A photo and what was written about it.
#[derive(Debug)]
pub(crate) struct Photo {
    place: Place,
    pub(crate) id: String,
    pub(crate) captions: Vec<String>,
    pub(crate) labels: Vec<String>,
}

/// Photos with captions or labels, by falling id: this is how `trec_eval` orders equal scores.
#[derive(Debug)]
pub struct Dataset {
    pub(crate) photos: Vec<Photo>,
}

impl Dataset {
    /// Reads the lines `{"image", "captions"?, "labels"?, "id"?, "split"?, "tar"?}` of one split (or
    /// all), and finds each photo: in the tar file that the line names, or as a file below the same
    /// folder. Without an id, a photo's name is its id.
    ///
    /// Captions and labels without a letter or digit are left out, and so are photos to which none
    /// is left. Photos themselves are read later, one at a time.
    ///
    /// # Errors
    /// [`DatasetError`] names the file and the line.
    pub fn open(path: &Path, split: Option<&str>) -> Result<Self, DatasetError> {
        let records = records(path)?;
        let known: std::collections::BTreeSet<_> =
            records.iter().filter_map(|record| record.split.clone()).collect();
        let chosen: Vec<Record> = records
            .into_iter()
            .filter(|record| split.is_none() || record.split.as_deref() == split)
            .map(without_blank_texts)
            .filter(|record| !(record.captions.is_empty() && record.labels.is_empty()))
            .collect();
        if chosen.is_empty() {
            let known = known.into_iter().collect::<Vec<_>>().join(", ");
            let split = split.map(str::to_owned);
            return Err(DatasetError::Empty { path: path.to_owned(), split, known });
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        let tars: HashSet<&str> = chosen.iter().filter_map(|r| r.tar.as_deref()).collect();
        let mut places = HashMap::new();
        for tar in tars {
            places.extend(members(&folder.join(tar))?);
        }
        let find = |record: Record| {
            let place = places
                .get(&record.image)
                .cloned()
                .or_else(|| Place::of_file(folder.join(&record.image)));
            let missing =
                || DatasetError::NoPhoto { path: path.to_owned(), image: record.image.clone() };
            let place = place.ok_or_else(missing)?;
            let Record { id, image, captions, labels, .. } = record;
            Ok(Photo { place, id: id.unwrap_or(image), captions, labels })
        };
        let mut photos: Vec<Photo> = chosen.into_iter().map(find).collect::<Result<_, _>>()?;
        photos.sort_by(|a, b| b.id.cmp(&a.id));
        match photos.windows(2).find(|pair| pair[0].id == pair[1].id) {
            Some(pair) => {
                Err(DatasetError::TwoPhotos { path: path.to_owned(), id: pair[0].id.clone() })
            }
            None => Ok(Self { photos }),
        }
    }
}

impl Photo {
    /// The photo's bytes.
    pub(crate) fn read(&self) -> Result<Vec<u8>, DatasetError> {
        self.place.read()
    }
}

impl Place {
    /// A whole file, if there is one.
    pub(crate) fn of_file(file: PathBuf) -> Option<Self> {
        file.is_file().then_some(Self { file, offset: 0, bytes: None })
    }

    /// The bytes there.
    pub(crate) fn read(&self) -> Result<Vec<u8>, DatasetError> {
        let Self { file, offset, bytes } = self;
        let read = || {
            let mut open = File::open(file)?;
            open.seek(SeekFrom::Start(*offset))?;
            let mut read = Vec::new();
            open.take(bytes.unwrap_or(u64::MAX)).read_to_end(&mut read)?;
            Ok(read)
        };
        read().map_err(|source| DatasetError::Io { path: file.clone(), source })
    }
}

fn without_blank_texts(mut record: Record) -> Record {
    for texts in [&mut record.captions, &mut record.labels] {
        texts.retain(|text| text.chars().any(char::is_alphanumeric));
    }
    record
}

/// The lines of a file that hold something, each with its number from 1.
pub(crate) fn lines(path: &Path) -> Result<Vec<(usize, String)>, DatasetError> {
    let failed = |source| DatasetError::Io { path: path.to_owned(), source };
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(BufReader::new(File::open(path).map_err(failed)?).lines()) {
        let line = line.map_err(failed)?;
        if !line.trim().is_empty() {
            lines.push((number, line));
        }
    }
    Ok(lines)
}

fn records(path: &Path) -> Result<Vec<Record>, DatasetError> {
    let parse = |(line, text): (usize, String)| {
        let path = path.to_owned();
        serde_json::from_str(&text).map_err(|source| DatasetError::Line { path, line, source })
    };
    lines(path)?.into_iter().map(parse).collect()
}

/// The files in a tar file, by name.
pub(crate) fn members(tar: &Path) -> Result<HashMap<String, Place>, DatasetError> {
    let failed = |source| DatasetError::Io { path: tar.to_owned(), source };
    let mut archive = tar::Archive::new(File::open(tar).map_err(failed)?);
    let mut places = HashMap::new();
    for entry in archive.entries_with_seek().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.path().map_err(failed)?.to_string_lossy().into_owned();
        let place = Place {
            file: tar.to_owned(),
            offset: entry.raw_file_position(),
            bytes: Some(entry.size()),
        };
        places.insert(name, place);
    }
    Ok(places)
}
