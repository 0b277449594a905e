//! Adds features to the file of a re-ranker. One writer at a time: whoever opens one holds the
//! index's lock.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use super::cache::{HEADER_BYTES, KEY_BYTES, Place, key_of};
use super::{CacheError, FeatureCache, Features, Reranker};
use crate::ingest::ContentId;

/// Adds features of pictures; none counts before the next [commit](FeatureWriter::commit).
pub struct FeatureWriter {
    place: Place,
    file: File,
    /// Pictures that are stored, or will be with the next commit.
    known: HashSet<ContentId>,
    /// The first free slot that is not in `pending`.
    next: u64,
    /// Slots whose value is written, and their keys.
    pending: Vec<(u64, [u8; KEY_BYTES])>,
}

impl FeatureWriter {
    /// Opens the file of `reranker` in `folder`. A file that is not there is made; one that does not
    /// begin as it should is put aside for an empty one; what a crash left torn at the end is cut off.
    ///
    /// # Errors
    /// [`CacheError::Io`].
    pub fn open(folder: &Path, reranker: &dyn Reranker) -> Result<Self, CacheError> {
        let place = Place::new(folder, reranker);
        fs::create_dir_all(folder).map_err(place.failed("make the folder of"))?;
        let opened = FeatureCache::open(folder, reranker);
        if matches!(opened, Err(CacheError::Damaged { .. })) || !place.path().exists() {
            create(folder, &place).map_err(place.failed("create"))?;
        }
        let cache = FeatureCache::open(folder, reranker)?;
        let file = OpenOptions::new().write(true).open(place.path());
        let file = file.map_err(place.failed("open"))?;
        let (known, next) = whole(&cache);
        Ok(Self { place, file, known, next, pending: Vec::new() })
    }

    /// Whether a picture's features are stored, or will be with the next commit.
    #[must_use]
    pub fn contains(&self, id: ContentId) -> bool {
        self.known.contains(&id)
    }

    /// Adds a picture's features; those of a picture that is known already are left as they are.
    ///
    /// # Errors
    /// [`CacheError::Io`], such as a full disk. What was committed stays.
    pub fn put(&mut self, id: ContentId, features: &Features) -> Result<(), CacheError> {
        if !self.known.insert(id) {
            return Ok(());
        }
        let value: Vec<u8> = features.0.iter().flat_map(|value| value.to_le_bytes()).collect();
        let slot = self.next;
        write_at(&mut self.file, self.place.value(slot), &value)
            .map_err(self.place.failed("write"))?;
        self.pending.push((slot, key_of(id, &value)));
        self.next += 1;
        Ok(())
    }

    /// Makes what was added durable and visible to readers that open the file from now on.
    ///
    /// # Errors
    /// As [`FeatureWriter::put`].
    pub fn commit(&mut self) -> Result<(), CacheError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        // The values first: a key on disk says that its value is there, too.
        self.write_keys().map_err(self.place.failed("write"))
    }

    fn write_keys(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        for (slot, key) in self.pending.drain(..) {
            write_at(&mut self.file, self.place.key(slot), &key)?;
        }
        self.file.sync_data()
    }
}

fn write_at(file: &mut File, at: u64, bytes: &[u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(at))?;
    file.write_all(bytes)
}

/// An empty file in place of whatever stands there; those who read the old one go on with it.
fn create(folder: &Path, place: &Place) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
    file.write_all(&place.header)?;
    file.as_file().set_len(HEADER_BYTES)?;
    file.as_file().sync_all()?;
    file.persist(place.path()).map_err(|error| error.error)?;
    Ok(())
}

/// The pictures that are stored, without those at the end whose value is torn, and the first free slot.
fn whole(cache: &FeatureCache) -> (HashSet<ContentId>, u64) {
    let mut last: Vec<_> = cache.slots.iter().map(|(id, slot)| (slot.number, *id)).collect();
    last.sort_unstable();
    while last.last().is_some_and(|(_, id)| cache.get(*id).is_none()) {
        last.pop();
    }
    let next = last.last().map_or(0, |(number, _)| number + 1);
    (last.into_iter().map(|(_, id)| id).collect(), next)
}
