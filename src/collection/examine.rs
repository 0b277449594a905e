//! What a file shows: read once, hashed, and only if its content is new, decoded and encoded.
//!
//! This runs on several threads; what it finds is applied by one (see `refresh.rs`).

use std::{
    collections::HashSet,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use sightword_index::SparseVector;

use super::{
    features::{Encoded, encode},
    plan::Candidate,
    schema::StoredFacts,
};
use crate::{
    encode::Encoder,
    ingest::{ContentId, DecodeError, DecodeOptions, Format, Picture, Pixels, decode, resize},
    rerank::{Features, Reranker},
};

/// Pictures encoded together. More would hardly be faster and would keep more pixels in memory.
pub(crate) const CHUNK: usize = 4;

/// Files from this size on are read and decoded one at a time, whatever the number of threads:
/// memory stays bounded where many of them stand side by side.
const LARGE_BYTES: u64 = 32 << 20;
/// The same for pictures, in pixels. JPEGs are decoded at reduced size: at most the coefficients of
/// a progressive one stand in memory in full.
const LARGE_PIXELS: u64 = 40_000_000;
const LARGE_JPEG_PIXELS: u64 = 100_000_000;

/// What was found in a file.
#[derive(Debug)]
pub(crate) enum Finding {
    /// A content that the index has, or that another file of this run brings.
    Known(ContentId),
    /// A content that nobody had seen.
    New(Box<Fresh>),
    /// Something that cannot be used, and why; it will be as bad the next time, unless it changes.
    Bad { id: Option<ContentId>, reason: String },
    /// The file cannot be read now: it may be what it was.
    Unreadable { reason: String },
}

/// A content seen for the first time.
#[derive(Debug)]
pub(crate) struct Fresh {
    pub(crate) id: ContentId,
    pub(crate) facts: StoredFacts,
    pub(crate) vector: SparseVector,
    pub(crate) features: Option<Features>,
}

/// Looks into files.
pub(crate) struct Examiner<'a> {
    roots: &'a [PathBuf],
    /// `None`: only hash, as a dry run does.
    encoder: Option<&'a Encoder>,
    /// Whose features are made.
    reranker: Option<&'a dyn Reranker>,
    options: DecodeOptions,
    /// Contents that are in the index or that a thread has in hand.
    claimed: Mutex<HashSet<ContentId>>,
    /// Held while a large file is in memory.
    large: Mutex<()>,
}

impl<'a> Examiner<'a> {
    pub(crate) fn new(
        roots: &'a [PathBuf],
        known: HashSet<ContentId>,
        encoder: Option<&'a Encoder>,
        reranker: Option<&'a dyn Reranker>,
        options: DecodeOptions,
    ) -> Self {
        Self {
            roots,
            encoder,
            reranker,
            options,
            claimed: Mutex::new(known),
            large: Mutex::new(()),
        }
    }

    /// Looks into a few files.
    pub(crate) fn examine(&self, chunk: Vec<Candidate>) -> Vec<(Candidate, Finding)> {
        let mut found = Vec::with_capacity(chunk.len());
        let mut pictures = Vec::new();
        for candidate in chunk {
            match self.look(&candidate) {
                Ok(picture) => pictures.push((candidate, picture)),
                Err(finding) => found.push((candidate, finding)),
            }
        }
        found.extend(self.encode(pictures));
        found
    }

    /// A new picture at the model's input size, or what else the file turned out to be.
    fn look(&self, candidate: &Candidate) -> Result<(Picture, u64), Finding> {
        let path = candidate.file.key.absolute(self.roots);
        let large = (candidate.file.stamp.bytes >= LARGE_BYTES).then(|| self.wait_for_large());
        let bytes = read(&path, self.options.max_bytes)?;
        let id = ContentId::of(&bytes);
        if !self.claimed.lock().unwrap_or_else(PoisonError::into_inner).insert(id) {
            return Err(Finding::Known(id));
        }
        let Some(encoder) = self.encoder else { return Err(Finding::Known(id)) };
        let picture = self.decode(&bytes, large.is_some());
        let picture =
            picture.map_err(|error| Finding::Bad { id: Some(id), reason: error.to_string() })?;
        Ok((shrink(picture, encoder.config().image.size), bytes.len() as u64))
    }

    /// Decodes, one picture at a time if it is large.
    fn decode(&self, bytes: &[u8], alone: bool) -> Result<Picture, DecodeError> {
        if alone {
            return decode(bytes, &self.options);
        }
        let large = match Format::detect(bytes) {
            Some(Format::Jpeg) => LARGE_JPEG_PIXELS,
            _ => LARGE_PIXELS,
        };
        let small =
            DecodeOptions { max_pixels: self.options.max_pixels.min(large), ..self.options };
        match decode(bytes, &small) {
            Err(DecodeError::TooManyPixels { .. }) => {
                let _large = self.wait_for_large();
                decode(bytes, &self.options)
            }
            other => other,
        }
    }

    fn wait_for_large(&self) -> std::sync::MutexGuard<'_, ()> {
        self.large.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn encode(&self, pictures: Vec<(Candidate, (Picture, u64))>) -> Vec<(Candidate, Finding)> {
        let Some(encoder) = self.encoder else { return Vec::new() };
        let (candidates, read): (Vec<_>, Vec<_>) = pictures.into_iter().unzip();
        let (pictures, sizes): (Vec<_>, Vec<_>) = read.into_iter().unzip();
        let encoded = match encode(encoder, self.reranker, &pictures) {
            Ok(encoded) => encoded.into_iter().map(Ok).collect(),
            // One by one, so that the reason stands with the right file.
            Err(_) => pictures
                .iter()
                .map(|picture| encode_one(encoder, self.reranker, picture))
                .collect::<Vec<_>>(),
        };
        let finding =
            |((picture, bytes), encoded): ((&Picture, u64), Result<Encoded, String>)| match encoded
            {
                Ok((vector, features)) => {
                    let facts = StoredFacts::new(&picture.facts, bytes);
                    Finding::New(Box::new(Fresh { id: picture.id, facts, vector, features }))
                }
                Err(reason) => Finding::Bad { id: Some(picture.id), reason },
            };
        let findings = pictures.iter().zip(sizes).zip(encoded).map(finding);
        candidates.into_iter().zip(findings).collect()
    }
}

fn encode_one(
    encoder: &Encoder,
    reranker: Option<&dyn Reranker>,
    picture: &Picture,
) -> Result<Encoded, String> {
    let encoded = encode(encoder, reranker, std::slice::from_ref(picture));
    let encoded = encoded.map_err(|error| error.to_string())?.pop();
    encoded.ok_or_else(|| "the model gave no vector".to_owned())
}

/// The picture with its pixels at the model's input size, which the encoder then takes as they are:
/// pictures that wait for their chunk are small.
pub(crate) fn shrink(picture: Picture, side: u32) -> Picture {
    let resized = resize(&picture.pixels, side, side);
    match Pixels::new(side, side, resized) {
        Ok(pixels) => Picture { pixels, ..picture },
        Err(_) => picture,
    }
}

/// Reads a file that has at most `limit` bytes.
fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Finding> {
    let unreadable = |error: std::io::Error| Finding::Unreadable { reason: error.to_string() };
    // Asked before opening, because opening a pipe waits for somebody to write into it.
    let length = path.metadata().map_err(unreadable)?;
    if !length.is_file() {
        return Err(Finding::Bad { id: None, reason: "not a file".into() });
    }
    if length.len() > limit {
        let error = DecodeError::TooManyBytes { bytes: length.len(), limit };
        return Err(Finding::Bad { id: None, reason: error.to_string() });
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length.len()).unwrap_or(0));
    let file = File::open(path).map_err(unreadable)?;
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}
