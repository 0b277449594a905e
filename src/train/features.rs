//! The outputs of the frozen blocks, computed once for each photo and view, and kept on disk.
//!
//! A file holds entries of one size: the photo's hash (32 bytes), then for each view its floats in
//! half precision and a checksum (8 bytes). A run that was killed leaves half an entry at the end,
//! which is cut off. Nothing but whole entries is ever looked at, so several runs may use one file
//! after another, with more photos each time.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use half::f16;
use half::slice::HalfFloatSliceExt;

use crate::encode::Encoder;
use crate::eval::Place;
use crate::ingest::{DecodeOptions, PREPROCESS_ID, decode};

use super::error::TrainError;
use super::parallel::{OnDone, for_each};
use super::random::Random;
use super::views::view;

const HASH: usize = 32;
const CHECKSUM: usize = 8;

/// What the outputs depend on, beside the photo.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    /// Blocks that the pictures go through.
    pub(crate) blocks: usize,
    pub(crate) views: NonZeroUsize,
    pub(crate) seed: u64,
}

/// A file of outputs.
pub(crate) struct Features {
    path: PathBuf,
    file: File,
    kind: Kind,
    /// Positions and channels of one output.
    map: (usize, usize),
    entries: HashMap<[u8; HASH], u64>,
}

/// What became of a photo: its entry, or none where it cannot be decoded.
pub(crate) type Entry = Option<u64>;

impl Features {
    /// Opens the file in `folder` that fits the model and the kind, or begins it.
    pub(crate) fn open(folder: &Path, encoder: &Encoder, kind: Kind) -> Result<Self, TrainError> {
        let image = &encoder.config().image;
        let side = usize::try_from(image.size).unwrap_or(usize::MAX);
        let map = image.backbone.map(kind.blocks, side);
        let path = folder.join(format!("{}.f16", name(encoder, kind)));
        let failed = |source| TrainError::Io { path: path.clone(), source };
        fs::create_dir_all(folder).map_err(failed)?;
        let mut options = OpenOptions::new();
        let open = options.read(true).write(true).create(true).truncate(false).open(&path);
        let file = open.map_err(failed)?;
        let mut features = Self { path: path.clone(), file, kind, map, entries: HashMap::new() };
        features.read_hashes().map_err(failed)?;
        Ok(features)
    }

    /// Positions and channels of one output.
    pub(crate) fn map(&self) -> (usize, usize) {
        self.map
    }

    pub(crate) fn views(&self) -> usize {
        self.kind.views.get()
    }

    /// Finds the photos' entries, and makes those that are not there yet. `progress` is told how many
    /// are done; when it breaks, what is done stays, and the answer is none.
    pub(crate) fn fill(
        &mut self,
        photos: &[Place],
        encoder: &Encoder,
        progress: &mut OnDone<'_>,
    ) -> Result<Option<Vec<Entry>>, TrainError> {
        let mut found = vec![None; photos.len()];
        let known = self.entries.clone();
        let (kind, size) = (self.kind, self.entry_size());
        let work = |at: usize| output(&photos[at], encoder, kind, &known);
        let keep = |at: usize, output| {
            found[at] = self.keep(output, size)?;
            Ok(())
        };
        let flow = for_each(photos.len(), work, keep, progress)?;
        Ok(flow.is_continue().then_some(found))
    }

    /// One view of each of some entries: [entries, positions, channels].
    pub(crate) fn read(
        &mut self,
        wanted: &[(u64, usize)],
        device: &Device,
    ) -> Result<Tensor, TrainError> {
        let (positions, channels) = self.map;
        let row = positions * channels;
        let mut floats = vec![0.0; wanted.len() * row];
        let mut bytes = vec![0; row * 2 + CHECKSUM];
        for (&(entry, view), out) in wanted.iter().zip(floats.chunks_exact_mut(row)) {
            let start = entry * self.entry_size() + (HASH + view * bytes.len()) as u64;
            let read = self.file.seek(SeekFrom::Start(start));
            let read = read.and_then(|_| self.file.read_exact(&mut bytes));
            read.map_err(|source| self.failed(source))?;
            let (values, sum) = bytes.split_at(row * 2);
            if checksum(values) != *sum {
                return Err(TrainError::Features { path: self.path.clone() });
            }
            let halves = values.as_chunks::<2>().0.iter().map(|&bytes| f16::from_le_bytes(bytes));
            let halves: Vec<f16> = halves.collect();
            halves.convert_to_f32_slice(out);
        }
        Ok(Tensor::from_vec(floats, (wanted.len(), positions, channels), device)?)
    }

    fn entry_size(&self) -> u64 {
        let view = self.map.0 * self.map.1 * 2 + CHECKSUM;
        (HASH + self.views() * view) as u64
    }

    fn read_hashes(&mut self) -> io::Result<()> {
        let size = self.entry_size();
        let count = self.file.metadata()?.len() / size;
        for entry in 0..count {
            let mut hash = [0; HASH];
            self.file.seek(SeekFrom::Start(entry * size))?;
            self.file.read_exact(&mut hash)?;
            self.entries.insert(hash, entry);
        }
        self.file.set_len(count * size)
    }

    /// Appends an output that is new.
    fn keep(&mut self, output: Output, size: u64) -> Result<Entry, TrainError> {
        let (hash, bytes) = match output {
            Output::Unreadable => return Ok(None),
            Output::Known(entry) => return Ok(Some(entry)),
            Output::New(hash, bytes) => (hash, bytes),
        };
        let end = self.file.seek(SeekFrom::End(0)).map_err(|source| self.failed(source))?;
        let written = self.file.write_all(&[&hash[..], &bytes].concat());
        if let Err(source) = written {
            // The next run cuts it off too, if this one cannot.
            let _ = self.file.set_len(end);
            return Err(self.failed(source));
        }
        self.entries.insert(hash, end / size);
        Ok(Some(end / size))
    }

    fn failed(&self, source: io::Error) -> TrainError {
        TrainError::Io { path: self.path.clone(), source }
    }
}

/// The file's name: all that its content depends on.
fn name(encoder: &Encoder, kind: Kind) -> String {
    let mut hash = blake3::Hasher::new();
    hash.update(encoder.hash().as_bytes()).update(PREPROCESS_ID.as_bytes());
    for number in [kind.blocks as u64, kind.views.get() as u64, kind.seed] {
        hash.update(&number.to_le_bytes());
    }
    hash.finalize().to_hex().chars().take(16).collect()
}

fn checksum(values: &[u8]) -> [u8; CHECKSUM] {
    let mut sum = [0; CHECKSUM];
    sum.copy_from_slice(&blake3::hash(values).as_bytes()[..CHECKSUM]);
    sum
}

/// What a worker makes of a photo.
enum Output {
    Unreadable,
    Known(u64),
    New([u8; HASH], Vec<u8>),
}

fn output(
    photo: &Place,
    encoder: &Encoder,
    kind: Kind,
    known: &HashMap<[u8; HASH], u64>,
) -> Result<Output, TrainError> {
    let file = photo.read()?;
    let hash = *blake3::hash(&file).as_bytes();
    if let Some(&entry) = known.get(&hash) {
        return Ok(Output::Known(entry));
    }
    let Ok(picture) = decode(&file, &DecodeOptions::default()) else {
        return Ok(Output::Unreadable);
    };
    let side = encoder.config().image.size;
    let stream = hash.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let mut random = Random::seeded(kind.seed, stream);
    let mut bytes = Vec::new();
    for number in 0..kind.views.get() {
        let pixels = view(&picture.pixels, number, side, &mut random);
        let floats: Vec<f32> =
            encoder.first_blocks(&[&pixels], kind.blocks)?.flatten_all()?.to_vec1()?;
        let values: Vec<u8> = floats.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect();
        bytes.extend(&values);
        bytes.extend(checksum(&values));
    }
    Ok(Output::New(hash, bytes))
}
