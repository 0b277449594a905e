//! The folder of small copies, kept below a size: the oldest go first.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use crate::collection::write_atomically;

/// The folder of small copies beside the index.
pub(crate) struct Shelf {
    limit: u64,
    /// Bytes in the folder; unknown until the first copy is added.
    held: Mutex<Option<u64>>,
}

/// A small copy of a picture.
struct Thumbnail {
    place: PathBuf,
    bytes: u64,
    made: SystemTime,
}

impl Shelf {
    /// A folder that holds at most `limit` bytes.
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit, held: Mutex::default() }
    }

    /// Puts a copy at `place`, two folders below the index, and clears old ones away where it is too many.
    /// The folder of the index itself is never made: it may just have been deleted.
    pub(crate) fn put(&self, folder: &Path, place: &Path, bytes: &[u8]) -> io::Result<()> {
        for dir in [Some(folder), place.parent()].into_iter().flatten() {
            match fs::create_dir(dir) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => (),
            }
        }
        write_atomically(place, bytes)?;
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let now = match *held {
            Some(held) => held + bytes.len() as u64,
            None => copies(folder).iter().map(|copy| copy.bytes).sum(),
        };
        *held = Some(if now > self.limit { self.clear(folder) } else { now });
        Ok(())
    }

    /// Removes the oldest copies until a quarter of the room is free. Returns the bytes that stay.
    fn clear(&self, folder: &Path) -> u64 {
        let mut copies = copies(folder);
        copies.sort_by_key(|copy| copy.made);
        let mut held = copies.iter().map(|copy| copy.bytes).sum();
        for copy in copies {
            if held <= self.limit - self.limit / 4 {
                break;
            }
            if fs::remove_file(&copy.place).is_ok() {
                held -= copy.bytes;
            }
        }
        held
    }
}

/// All copies. One that goes meanwhile is none.
fn copies(folder: &Path) -> Vec<Thumbnail> {
    let inside = |dir: PathBuf| fs::read_dir(dir).into_iter().flatten().flatten();
    let files = inside(folder.to_owned()).flat_map(|shelf| inside(shelf.path()));
    let copy = |file: fs::DirEntry| {
        let facts = file.metadata().ok()?;
        Some(Thumbnail { place: file.path(), bytes: facts.len(), made: facts.modified().ok()? })
    };
    files.filter_map(copy).collect()
}
