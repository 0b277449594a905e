//! Features of pictures on disk: a file beside the index for each re-ranker, mapped into memory.
//!
//! All features of one re-ranker have one size, so the file is a row of slots. Little-endian:
//!
//! ```text
//! header   4096 bytes: "swfeat\0\1" | hash of the re-ranker, 32 bytes | bytes of a value, u32
//!          | checksum of what stands before it, 8 bytes | zeros
//! blocks   of 1,024 slots each: 1,024 keys | 1,024 values
//! key      content hash of the picture, 32 bytes, zeros in a free slot | checksum, 8 bytes: BLAKE3 of
//!          content hash and value
//! value    16-bit floats
//! ```
//!
//! Keys stand together, so that opening reads 40 bytes a picture and not its features. A value is
//! written and synced before its key: what has a key is whole, and never changes again. What a kill
//! left without a key is not there, and is written over by the next writer. The file never shrinks, so a
//! reader's map stays valid.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use half::f16;
use tantivy::directory::{Directory, MmapDirectory, OwnedBytes};

use super::{Features, Reranker};
use crate::ingest::ContentId;

const MAGIC: [u8; 8] = *b"swfeat\0\x01";
pub(crate) const HEADER_BYTES: u64 = 4096;
pub(crate) const KEY_BYTES: usize = 40;
/// Slots of a block.
const SLOTS: usize = 1024;
const KEYS_BYTES: u64 = (SLOTS * KEY_BYTES) as u64;

/// Why stored features cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// The file system said no.
    #[error("cannot {verb} {}", path.display())]
    Io {
        /// What was tried.
        verb: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file does not begin as it should.
    #[error(
        "{} is damaged: {what}\n  try: sightword index --rerank-features, which makes it anew",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// Stored features of one re-ranker, as they were when this was opened. Any number of readers, beside
/// one [writer](super::FeatureWriter).
pub struct FeatureCache {
    place: Place,
    /// The slot of each picture.
    pub(crate) slots: HashMap<ContentId, Slot>,
    values: OwnedBytes,
}

/// Where a picture's features stand, and their checksum.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) number: u64,
    checksum: [u8; 8],
}

/// The file of a re-ranker, and what stands where in it.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    folder: PathBuf,
    name: String,
    pub(crate) header: Vec<u8>,
    value_bytes: usize,
}

impl Place {
    pub(crate) fn new(folder: &Path, reranker: &dyn Reranker) -> Self {
        let hash = blake3::Hash::from_hex(reranker.hash())
            // One whose hash is of another kind is told apart just as well by the hash of that.
            .unwrap_or_else(|_| blake3::hash(reranker.hash().as_bytes()));
        let value_bytes = 2 * reranker.feature_len();
        let mut header = MAGIC.to_vec();
        header.extend(hash.as_bytes());
        // More than 4 GB a picture would fail when it is written.
        header.extend(u32::try_from(value_bytes).unwrap_or(u32::MAX).to_le_bytes());
        header.extend(checksum(&[&header]));
        let name = format!("{}.features", &hash.to_hex()[..16]);
        Self { folder: folder.to_owned(), name, header, value_bytes }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    /// The byte at which the block of a slot begins, and the slot's place in it.
    fn block(&self, slot: u64) -> (u64, u64) {
        let (slots, value_bytes) = (SLOTS as u64, self.value_bytes as u64);
        (HEADER_BYTES + slot / slots * (KEYS_BYTES + slots * value_bytes), slot % slots)
    }

    /// The byte at which the key of a slot begins.
    pub(crate) fn key(&self, slot: u64) -> u64 {
        let (block, at) = self.block(slot);
        block + at * KEY_BYTES as u64
    }

    /// The byte at which the value of a slot begins.
    pub(crate) fn value(&self, slot: u64) -> u64 {
        let (block, at) = self.block(slot);
        block + KEYS_BYTES + at * self.value_bytes as u64
    }

    pub(crate) fn failed(&self, verb: &'static str) -> impl Fn(io::Error) -> CacheError + use<> {
        let path = self.path();
        move |source| CacheError::Io { verb, path: path.clone(), source }
    }

    fn damaged(&self, what: &'static str) -> CacheError {
        CacheError::Damaged { path: self.path(), what }
    }
}

/// The key of a picture with this value.
pub(crate) fn key_of(id: ContentId, value: &[u8]) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    key[..32].copy_from_slice(id.as_bytes());
    key[32..].copy_from_slice(&checksum(&[id.as_bytes(), value]));
    key
}

fn checksum(parts: &[&[u8]]) -> [u8; 8] {
    let mut hash = blake3::Hasher::new();
    parts.iter().for_each(|part| {
        hash.update(part);
    });
    let [a, b, c, d, e, f, g, h, ..] = *hash.finalize().as_bytes();
    [a, b, c, d, e, f, g, h]
}

impl FeatureCache {
    /// The features of `reranker` in `folder`; without a folder or file, none.
    ///
    /// # Errors
    /// [`CacheError`] if the file cannot be read, or is not one of this re-ranker's.
    pub fn open(folder: &Path, reranker: &dyn Reranker) -> Result<Self, CacheError> {
        let place = Place::new(folder, reranker);
        let mut cache = Self { place, slots: HashMap::new(), values: OwnedBytes::empty() };
        match File::open(cache.place.path()) {
            Ok(file) => cache.load(file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(cache.place.failed("open")(error)),
        }
        Ok(cache)
    }

    fn load(&mut self, mut file: File) -> Result<(), CacheError> {
        let failed = self.place.failed("read");
        let mut header = vec![0; self.place.header.len()];
        match file.read_exact(&mut header) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(self.place.damaged("it ends in its header"));
            }
            other => other.map_err(&failed)?,
        }
        if header != self.place.header {
            return Err(self.place.damaged("its header is not the one of this re-ranker"));
        }
        // Keys are read, since a writer may be adding some; what is mapped stays as it is.
        let mut keys = vec![0; SLOTS * KEY_BYTES];
        let mut first = 0;
        loop {
            file.seek(SeekFrom::Start(self.place.key(first))).map_err(&failed)?;
            match file.read_exact(&mut keys) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
                other => other.map_err(&failed)?,
            }
            self.add(first, &keys);
            first += SLOTS as u64;
        }
        self.values = self.map().map_err(&failed)?;
        Ok(())
    }

    /// Adds the keys of a block; of two keys of one picture the later counts.
    fn add(&mut self, first: u64, keys: &[u8]) {
        for (number, key) in (first..).zip(keys.as_chunks::<KEY_BYTES>().0) {
            let (Some(id), Some(&checksum)) = (key.first_chunk(), key.last_chunk()) else {
                continue;
            };
            if *id != [0; 32] {
                self.slots.insert(ContentId::from_bytes(*id), Slot { number, checksum });
            }
        }
    }

    fn map(&self) -> io::Result<OwnedBytes> {
        let directory = MmapDirectory::open(&self.place.folder).map_err(io::Error::other)?;
        let file = directory.open_read(Path::new(&self.place.name)).map_err(io::Error::other)?;
        file.read_bytes()
    }

    /// The features of a picture, if they are stored and whole.
    #[must_use]
    pub fn get(&self, id: ContentId) -> Option<Features> {
        let slot = self.slots.get(&id)?;
        let start = usize::try_from(self.place.value(slot.number)).ok()?;
        let value = self.values.get(start..start.checked_add(self.place.value_bytes)?)?;
        let is_whole = checksum(&[id.as_bytes(), value]) == slot.checksum;
        let floats = value.as_chunks::<2>().0.iter();
        is_whole.then(|| Features(floats.map(|&bytes| f16::from_le_bytes(bytes)).collect()))
    }

    /// Whether features of a picture are stored; whether they are whole is seen when they are read.
    #[must_use]
    pub fn contains(&self, id: ContentId) -> bool {
        self.slots.contains_key(&id)
    }

    /// Pictures whose stored features are not what was written. Reads all of them.
    #[must_use]
    pub fn torn(&self) -> usize {
        self.slots.keys().filter(|id| self.get(**id).is_none()).count()
    }

    /// Bytes of the features that are stored.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.slots.len() as u64 * (self.place.value_bytes + KEY_BYTES) as u64
    }

    /// Pictures whose features are stored.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether none is stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}

#[cfg(test)]
mod tests;
