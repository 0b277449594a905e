//! Which photos are there to learn from, and what is known about each?
//!
//! | file | answers |
//! | --- | --- |
//! | `json.rs` | what do JSON Lines, the splits of Karpathy and COCO's annotations say? |
//! | `table.rs` | what do the caption tables of Flickr8k and Flickr30k say? |
//!
//! A record that cannot be used is left out and counted by its reason.

mod json;
mod table;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::eval::{DatasetError, Place, members};

use super::config::SetPart;

/// Why records cannot be read at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordsError {
    /// A file or a tar file cannot be read.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The file has none of the layouts.
    #[error("{}: {what}", path.display())]
    Layout {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        what: String,
    },
}

/// What a record is there for. Records of other splits, such as `test`, are not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    Train,
    Dev,
}

impl Use {
    /// By the names that the sets in use give to their splits; without one it is for training.
    fn of(split: Option<&str>) -> Option<Self> {
        match split {
            None | Some("train" | "extra" | "restval") => Some(Self::Train),
            Some("dev" | "val") => Some(Self::Dev),
            Some(_) => None,
        }
    }
}

/// A photo and what is known about it.
#[derive(Debug)]
pub(crate) struct Record {
    /// The place in the config's list of sets.
    pub(crate) set: usize,
    /// Unlike all others of its set.
    pub(crate) id: String,
    pub(crate) place: Place,
    pub(crate) captions: Vec<String>,
    pub(crate) labels: Vec<String>,
    /// The class that the photo was taken for, by its WordNet id.
    pub(crate) wnid: Option<String>,
    pub(crate) purpose: Use,
}

/// Why something was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// A line or an entry that is no record.
    NoRecord,
    /// Another record before it has this id.
    DuplicateId,
    /// The photo is nowhere.
    NoPicture,
    /// The photo cannot be decoded.
    BadPicture,
    /// Neither a caption nor a label is left.
    NoWords,
    /// A caption without words; its record stays if it has others.
    EmptyCaption,
    /// A caption that is longer than the text tower reads; its record stays if it has others.
    LongCaption,
}

impl Reason {
    /// In words, for one and for many.
    #[must_use]
    pub fn told(self, count: usize) -> String {
        let (one, many) = match self {
            Self::NoRecord => ("line that is no record", "lines that are no records"),
            Self::DuplicateId => ("record with the id of another", "records with ids of others"),
            Self::NoPicture => ("record without its picture", "records without their pictures"),
            Self::BadPicture => ("unreadable picture", "unreadable pictures"),
            Self::NoWords => {
                ("record without captions or labels", "records without captions or labels")
            }
            Self::EmptyCaption => ("empty caption", "empty captions"),
            Self::LongCaption => {
                ("caption longer than the model reads", "captions longer than the model reads")
            }
        };
        format!("{count} {}", if count == 1 { one } else { many })
    }
}

/// How many were left out, by reason.
pub type Skipped = BTreeMap<Reason, usize>;

/// What the files say, before it is checked.
#[derive(Debug, Default)]
struct Raw {
    id: String,
    image: String,
    tar: Option<String>,
    captions: Vec<String>,
    labels: Vec<String>,
    wnid: Option<String>,
    split: Option<String>,
}

/// The records of all sets, in their order, and what was left out.
#[derive(Debug, Default)]
pub(crate) struct Records {
    pub(crate) list: Vec<Record>,
    pub(crate) skipped: Skipped,
}

impl Records {
    /// Reads the sets. `length` tells how many ids the text tower needs for a caption, and `longest`
    /// how many it can read.
    pub(crate) fn open(
        sets: &[SetPart],
        length: impl Fn(&str) -> usize,
        longest: usize,
    ) -> Result<Self, RecordsError> {
        let mut records = Self::default();
        for (number, set) in sets.iter().enumerate() {
            let raw = read(&set.file, &mut records.skipped)?;
            let beside = set.file.parent().unwrap_or(Path::new(""));
            let mut places = Places::new(set.pictures.as_deref().unwrap_or(beside));
            let mut ids = HashSet::new();
            for raw in raw {
                let Some(purpose) = Use::of(raw.split.as_deref()) else { continue };
                match records.check(raw, &mut ids, &mut places, |text| length(text) <= longest)? {
                    Ok((raw, place)) => records.list.push(Record {
                        set: number,
                        id: raw.id,
                        place,
                        captions: raw.captions,
                        labels: raw.labels,
                        wnid: raw.wnid,
                        purpose,
                    }),
                    Err(reason) => records.skip(reason),
                }
            }
        }
        Ok(records)
    }

    /// The records for a purpose, by their places in the list. Without a caption there is nothing to
    /// measure.
    pub(crate) fn of(&self, purpose: Use) -> Vec<usize> {
        let is_of = |record: &Record| {
            record.purpose == purpose && (purpose == Use::Train || !record.captions.is_empty())
        };
        (0..self.list.len()).filter(|&at| is_of(&self.list[at])).collect()
    }

    /// Changes when the records do: ids, captions, labels and their order.
    pub(crate) fn fingerprint(&self) -> String {
        let mut hash = blake3::Hasher::new();
        for record in &self.list {
            let words = record.captions.iter().chain(&record.labels);
            for text in std::iter::once(&record.id).chain(words) {
                hash.update(text.as_bytes()).update(&[0]);
            }
            hash.update(&[1, u8::from(record.purpose == Use::Dev)]);
        }
        hash.finalize().to_hex().to_string()
    }

    /// Counts what is left out.
    pub(crate) fn skip(&mut self, reason: Reason) {
        *self.skipped.entry(reason).or_default() += 1;
    }

    /// The record as it can be used and where its photo is, or why it cannot be used.
    fn check(
        &mut self,
        mut raw: Raw,
        ids: &mut HashSet<String>,
        places: &mut Places<'_>,
        fits: impl Fn(&str) -> bool,
    ) -> Result<Result<(Raw, Place), Reason>, DatasetError> {
        raw.captions.retain(|caption| {
            let reason = match caption.trim() {
                "" => Some(Reason::EmptyCaption),
                text if !fits(text) => Some(Reason::LongCaption),
                _ => None,
            };
            reason.inspect(|&reason| self.skip(reason)).is_none()
        });
        raw.labels.retain(|label| !label.trim().is_empty());
        if !ids.insert(raw.id.clone()) {
            return Ok(Err(Reason::DuplicateId));
        }
        if raw.captions.is_empty() && raw.labels.is_empty() {
            return Ok(Err(Reason::NoWords));
        }
        let place = places.find(&raw)?;
        Ok(place.map_or(Err(Reason::NoPicture), |place| Ok((raw, place))))
    }
}

/// The photos of one set: in tar files, each read once, or in a folder.
struct Places<'a> {
    folder: &'a Path,
    tars: HashMap<String, HashMap<String, Place>>,
}

impl<'a> Places<'a> {
    fn new(folder: &'a Path) -> Self {
        Self { folder, tars: HashMap::new() }
    }

    fn find(&mut self, raw: &Raw) -> Result<Option<Place>, DatasetError> {
        if let Some(tar) = &raw.tar {
            if !self.tars.contains_key(tar) {
                self.tars.insert(tar.clone(), members(&self.folder.join(tar))?);
            }
            if let Some(place) = self.tars.get(tar).and_then(|members| members.get(&raw.image)) {
                return Ok(Some(place.clone()));
            }
        }
        Ok(Place::of_file(self.folder.join(&raw.image)))
    }
}

/// Reads a file in whichever layout it has.
fn read(path: &Path, skipped: &mut Skipped) -> Result<Vec<Raw>, RecordsError> {
    let bytes =
        std::fs::read(path).map_err(|source| DatasetError::Io { path: path.to_owned(), source })?;
    let layout = |what: String| RecordsError::Layout { path: path.to_owned(), what };
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("jsonl") => Ok(json::lines(&bytes, skipped)),
        Some("json") => json::document(&bytes, skipped).map_err(layout),
        Some("txt" | "csv" | "tsv") => table::captions(&bytes, skipped).map_err(layout),
        _ => Err(layout("the name should end in .jsonl, .json, .txt, .csv or .tsv".to_owned())),
    }
}

#[cfg(test)]
mod tests;
