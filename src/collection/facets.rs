//! What can be filtered by: folders, cameras, dates.

use std::collections::BTreeMap;

use super::{Collection, error::CollectionError};

/// What the pictures can be filtered by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Facets {
    /// Folders below the roots with `/`, the empty one left out, each with the pictures at any depth in
    /// it; by name.
    pub folders: Vec<Counted>,
    /// Cameras; by name.
    pub cameras: Vec<Counted>,
    /// The first and the last date taken, in seconds since 1970 by the cameras' clocks.
    pub taken: Option<(i64, i64)>,
}

/// A value, and how many pictures have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The value.
    pub value: String,
    /// Pictures.
    pub images: u64,
}

impl Collection {
    /// What the pictures can be filtered by. Reads what is stored of every picture.
    ///
    /// # Errors
    /// If the index turns out to be damaged.
    pub fn facets(&self) -> Result<Facets, CollectionError> {
        let (mut folders, mut cameras) = (BTreeMap::new(), BTreeMap::new());
        let mut taken: Option<(i64, i64)> = None;
        self.view.for_each(&self.engine.fields, self.blame(), |_, record| {
            if record.gone {
                return Ok(());
            }
            let mut above: Vec<String> =
                record.files.iter().flat_map(|file| folders_above(&file.key.shown())).collect();
            above.sort_unstable();
            above.dedup();
            for folder in above {
                *folders.entry(folder).or_insert(0) += 1;
            }
            if let Some(camera) = record.facts.camera {
                *cameras.entry(camera).or_insert(0) += 1;
            }
            if let Some(seconds) = record.facts.taken.map(crate::ingest::Taken::seconds) {
                let (first, last) = taken.unwrap_or((seconds, seconds));
                taken = Some((first.min(seconds), last.max(seconds)));
            }
            Ok(())
        })?;
        Ok(Facets { folders: counted(folders), cameras: counted(cameras), taken })
    }
}

/// `a` and `a/b` for `a/b/c.jpg`.
fn folders_above(path: &str) -> Vec<String> {
    path.match_indices('/').map(|(at, _)| path[..at].to_owned()).collect()
}

fn counted(counts: BTreeMap<String, u64>) -> Vec<Counted> {
    counts.into_iter().map(|(value, images)| Counted { value, images }).collect()
}
