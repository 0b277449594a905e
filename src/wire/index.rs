//! What the index holds.

use std::path::Path;
use std::time::UNIX_EPOCH;

use serde::Serialize;
use utoipa::ToSchema;

use super::four_digits;
use crate::collection::{Bucket, Info, RootInfo};

/// What the index holds, and with which model it was made.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct IndexLine<P> {
    /// The folder of the index.
    pub index: P,
    /// The format of the index.
    pub format: u64,
    /// The folders of pictures.
    pub roots: Vec<RootLine<P>>,
    /// The model's name.
    pub model: String,
    /// The model's hash.
    pub model_hash: String,
    /// How pictures are prepared for the model.
    pub preprocess: String,
    /// The languages that the model reads.
    pub languages: [&'static str; 1],
    /// Pictures, each counted once however many files have it.
    pub images: u64,
    /// Files with these pictures.
    pub files: u64,
    /// Pictures whose files are gone, not forgotten yet.
    pub gone: u64,
    /// Files that were left out.
    pub skipped: usize,
    /// Words of all pictures together.
    pub postings: u64,
    /// Words of a picture, on average.
    pub tokens_per_image: f64,
    /// How many words are in how many pictures.
    pub histogram: Vec<BucketLine>,
    /// Parts that the index is kept in.
    pub segments: usize,
    /// Deleted documents that wait for a merge.
    pub deleted: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Bytes that searching reads.
    pub inverted_bytes: u64,
    /// Bytes that explaining reads.
    pub forward_bytes: u64,
    /// When it was last written to, in seconds since 1970.
    pub last_commit: Option<u64>,
}

/// A folder of pictures.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RootLine<P> {
    /// The folder.
    pub path: P,
    /// Whether it is there.
    pub available: bool,
}

/// Words that are in about equally many pictures.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct BucketLine {
    /// The most pictures that such a word is in.
    pub at_most: u64,
    /// How many words.
    pub tokens: u64,
}

impl<P> IndexLine<P> {
    /// `shown` turns an absolute path into the one that is written.
    pub fn new(info: &Info, shown: impl Fn(&Path) -> P) -> Self {
        let root =
            |root: &RootInfo| RootLine { path: shown(&root.path), available: root.available };
        let bucket =
            |bucket: &Bucket| BucketLine { at_most: bucket.at_most, tokens: bucket.tokens };
        let since_1970 = info.last_commit.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Self {
            index: shown(&info.dir),
            format: info.format,
            roots: info.roots.iter().map(root).collect(),
            model: info.model.clone(),
            model_hash: info.model_hash.clone(),
            preprocess: info.preprocess.clone(),
            languages: ["en"],
            images: info.images,
            files: info.files,
            gone: info.gone,
            skipped: info.skipped.len(),
            postings: info.postings,
            tokens_per_image: four_digits(info.tokens_per_image),
            histogram: info.histogram.iter().map(bucket).collect(),
            segments: info.segments,
            deleted: info.deleted,
            bytes: info.bytes,
            inverted_bytes: info.inverted_bytes,
            forward_bytes: info.forward_bytes,
            last_commit: since_1970.map(|time| time.as_secs()),
        }
    }
}
