//! What is in an index: counts, sizes, the model.

use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use sightword_index::TokenId;

use super::{
    Collection,
    error::CollectionError,
    manifest::FORMAT,
    skipped::{SkipList, Skipped},
};

/// What is in an index.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Info {
    /// The folder of the index.
    pub dir: PathBuf,
    /// The format of the index.
    pub format: u64,
    /// The folders of pictures.
    pub roots: Vec<RootInfo>,
    /// Name of the model.
    pub model: String,
    /// Hash of the model, 64 hexadecimal digits.
    pub model_hash: String,
    /// How pictures are prepared for the model.
    pub preprocess: String,
    /// Pictures, each counted once however many files have it.
    pub images: u64,
    /// Files with these pictures.
    pub files: u64,
    /// Pictures that are gone and kept as tombstones until they are pruned.
    pub gone: u64,
    /// Files that were left out, by path.
    pub skipped: Vec<Skipped>,
    /// Words of all pictures together.
    pub postings: u64,
    /// Words of a picture, on average.
    pub tokens_per_image: f64,
    /// How many words are in how many pictures.
    pub histogram: Vec<Bucket>,
    /// Parts that the engine keeps the index in.
    pub segments: usize,
    /// Stored documents that are deleted and wait for a merge.
    pub deleted: u64,
    /// Bytes of the whole index on disk.
    pub bytes: u64,
    /// Bytes of it that searching reads: postings by word.
    pub inverted_bytes: u64,
    /// Bytes of it that explaining reads: words by picture.
    pub forward_bytes: u64,
    /// When the index was last written to; `None` where the system does not say.
    pub last_commit: Option<SystemTime>,
}

/// A folder of pictures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootInfo {
    /// The folder.
    pub path: PathBuf,
    /// Whether it is there.
    pub available: bool,
}

/// Words that are in about equally many pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// The most pictures that such a word is in; the least is one more than in the bucket before.
    pub at_most: u64,
    /// How many words.
    pub tokens: u64,
}

impl Collection {
    /// What is in the index.
    ///
    /// # Errors
    /// If the index turns out to be damaged.
    pub fn info(&self) -> Result<Info, CollectionError> {
        let stats = self.view.sparse.stats();
        let (mut images, mut files, mut gone) = (0, 0, 0);
        self.view.for_each(&self.engine.fields, self.blame(), |_, record| {
            if record.gone {
                gone += 1;
            } else {
                images += 1;
                files += record.files.len() as u64;
            }
            Ok(())
        })?;
        let stored = stats.docs + stats.deleted;
        #[expect(clippy::cast_precision_loss, reason = "an average for people")]
        let tokens_per_image =
            if stored == 0 { 0.0 } else { stats.postings as f64 / stored as f64 };
        let root = |path: &PathBuf| RootInfo { path: path.clone(), available: path.is_dir() };
        Ok(Info {
            dir: self.layout.dir().into(),
            format: FORMAT,
            roots: self.roots.iter().map(root).collect(),
            model: self.manifest.model.name.clone(),
            model_hash: self.manifest.model.hash.clone(),
            preprocess: self.manifest.preprocess.clone(),
            images,
            files,
            gone,
            skipped: self.skipped(),
            postings: stats.postings,
            tokens_per_image,
            histogram: self.histogram(),
            segments: stats.segments,
            deleted: stats.deleted,
            bytes: bytes_below(self.layout.dir()),
            inverted_bytes: stats.inverted_bytes,
            forward_bytes: stats.forward_bytes,
            last_commit: self.last_commit(),
        })
    }

    /// The files that the last refresh left out, by path. What could not be read at all is not
    /// among them: every refresh tries that again.
    #[must_use]
    pub fn skipped(&self) -> Vec<Skipped> {
        let mut skipped = SkipList::load_any(&self.layout).list(&self.roots);
        skipped.sort_by(|a, b| a.path.cmp(&b.path));
        skipped
    }

    fn histogram(&self) -> Vec<Bucket> {
        let mut buckets: Vec<Bucket> =
            (0..10).map(|power| Bucket { at_most: 10_u64.pow(power), tokens: 0 }).collect();
        let vocabulary = u16::try_from(self.encoder.vocabulary().len() - 1).unwrap_or(u16::MAX);
        for token in 0..=vocabulary {
            let docs = self.view.sparse.token_stats(TokenId(token)).docs;
            let bucket = buckets.iter_mut().find(|bucket| docs <= bucket.at_most);
            if let Some(bucket) = bucket.filter(|_| docs > 0) {
                bucket.tokens += 1;
            }
        }
        let used = buckets.iter().rposition(|bucket| bucket.tokens > 0).map_or(0, |last| last + 1);
        buckets.truncate(used);
        buckets
    }
}

/// The bytes of all files below a folder.
fn bytes_below(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => bytes_below(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}
