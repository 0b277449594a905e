//! Drawn pictures in a folder of their own, and short ways to index and search them.

use std::{
    fs,
    num::NonZeroUsize,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
};

use sightword::{
    collection::{
        Collection, CollectionError, Like, RefreshOptions, RefreshReport, SearchReply,
        SearchRequest,
    },
    encode::Encoder,
    ingest::ContentId,
    query::parse,
};
use tempfile::TempDir;

pub(crate) static ENCODER: LazyLock<Arc<Encoder>> =
    LazyLock::new(|| Arc::new(Encoder::embedded().unwrap()));

/// A folder `photos` in a temporary folder.
pub(crate) struct Album {
    pub(crate) temp: TempDir,
}

impl Album {
    pub(crate) fn new() -> Self {
        let album = Self { temp: TempDir::new().unwrap() };
        fs::create_dir(album.root()).unwrap();
        album
    }

    /// An album with pictures drawn from these seeds, indexed.
    pub(crate) fn indexed(pictures: &[(&str, u8)]) -> (Self, Collection) {
        let album = Self::new();
        for (name, seed) in pictures {
            album.draw(name, *seed);
        }
        let mut collection = album.create();
        let report = refresh(&mut collection);
        assert_eq!(report.skipped, []);
        (album, collection)
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.temp.path().canonicalize().unwrap().join("photos")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    pub(crate) fn index(&self) -> PathBuf {
        self.root().join(".sightword")
    }

    /// Draws a picture: one seed, one content.
    pub(crate) fn draw(&self, name: &str, seed: u8) {
        self.write(name, &picture(seed));
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub(crate) fn rename(&self, from: &str, to: &str) {
        let to = self.path(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::rename(self.path(from), to).unwrap();
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    pub(crate) fn create(&self) -> Collection {
        Collection::create(&[self.root()], None, Arc::clone(&ENCODER)).unwrap()
    }

    pub(crate) fn open(&self) -> Result<Collection, CollectionError> {
        Collection::open(&self.index(), Arc::clone(&ENCODER))
    }

    /// The names of the files that search can find, sorted.
    pub(crate) fn names(&self, collection: &Collection) -> Vec<String> {
        let below = |path: &Path| {
            path.strip_prefix(self.root()).unwrap().to_str().unwrap().replace('\\', "/")
        };
        let files = collection.export().unwrap().flat_map(|picture| picture.unwrap().paths);
        let mut names: Vec<String> = files.map(|path| below(&path)).collect();
        names.sort();
        names
    }
}

/// A bitmap of 32 × 32 pixels: stripes and a square in colours that depend on the seed.
pub(crate) fn picture(seed: u8) -> Vec<u8> {
    const SIDE: u32 = 32;
    let mut bytes = b"BM".to_vec();
    for number in [54 + 3 * SIDE * SIDE, 0, 54, 40, SIDE, SIDE] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend([1, 0, 24, 0]);
    bytes.extend([0; 24]);
    let hue = |shift: u8| seed.wrapping_mul(37).wrapping_add(shift);
    for y in 0..SIDE {
        for x in 0..SIDE {
            let in_square = (8..24).contains(&x) && (8..24).contains(&y);
            let stripe = (x + y * u32::from(seed % 5)) / 4 % 2 == 0;
            bytes.extend(match (in_square, stripe) {
                (true, _) => [hue(0), hue(80), hue(160)],
                (false, true) => [hue(120), hue(10), 255],
                (false, false) => [255, seed, 20],
            });
        }
    }
    bytes
}

pub(crate) fn options() -> RefreshOptions {
    let mut options = RefreshOptions::default();
    options.jobs = NonZeroUsize::new(2).unwrap();
    options
}

pub(crate) fn refresh(collection: &mut Collection) -> RefreshReport {
    refresh_with(collection, &options())
}

pub(crate) fn refresh_with(collection: &mut Collection, options: &RefreshOptions) -> RefreshReport {
    try_refresh(collection, options).unwrap()
}

pub(crate) fn try_refresh(
    collection: &mut Collection,
    options: &RefreshOptions,
) -> Result<RefreshReport, CollectionError> {
    collection.refresh(options, &mut |_| ControlFlow::Continue(()))
}

/// `[new, changed, moved, copied, removed, restored, pruned, unchanged]` and what was encoded.
pub(crate) fn counts(report: &RefreshReport) -> ([u64; 8], u64) {
    let r = report;
    let files = [r.new, r.changed, r.moved, r.copied, r.removed, r.restored, r.pruned, r.unchanged];
    (files, r.encoded)
}

/// Finds the likes of a file, all of them.
pub(crate) fn likes(collection: &Collection, path: &Path) -> SearchReply {
    let mut request = SearchRequest::default();
    request.like = Some(Like::Path(path.into()));
    request.all = true;
    collection.search(&request).unwrap()
}

/// The id of a picture that is in the index.
pub(crate) fn id_of(collection: &Collection, path: &Path) -> ContentId {
    let reply = likes(collection, path);
    reply.hits.iter().find(|hit| hit.paths == [path]).expect("its picture").id
}

/// Finds what has a word, given as a raw token of weight 1.
pub(crate) fn with_token(token: &str, rest: &str) -> SearchRequest {
    let text = format!("{} {rest}", serde_json::json!({ token: 1.0 }));
    let mut request = SearchRequest::new(parse(&text).unwrap());
    request.all = true;
    request
}
