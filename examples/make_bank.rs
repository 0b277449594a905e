//! Puts a bank of pictures into a model, by which texts are evened out that match pictures in general:
//! `cargo run --release --example make_bank -- MODEL_FOLDER PHOTOS.jsonl…`.
//!
//! Photos of the split `train` of all files fill the bank; the captions of `dev` say what is typical.
//! Photos stand in tar files beside each file. `models/default` got its bank so.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Deserialize;
use sightword::encode::make_bank::{NewBank, with_bank};
use sightword::encode::{Encoder, to_vector};
use sightword::ingest::{DecodeOptions, decode};
use sightword_index::SparseVector;

/// Of half as many photo → text gains about as much; of 6,000 with all their entries, which are 2 MB, half
/// as much again.
const PICTURES: usize = 2_300;

#[derive(Deserialize)]
struct Record {
    image: String,
    tar: String,
    #[serde(default)]
    captions: Vec<String>,
    split: String,
    #[serde(skip)]
    folder: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let Some((model, files)) = arguments.split_first() else {
        anyhow::bail!("give a model folder and JSON Lines files of photos in tar files");
    };
    let mut records = Vec::new();
    for file in files {
        for line in fs::read_to_string(file)?.lines() {
            let record: Record = serde_json::from_str(line).context("a line is no record")?;
            let folder = file.parent().unwrap_or(Path::new(".")).to_owned();
            records.push(Record { folder, ..record });
        }
    }
    let of = |split: &str| -> Vec<&Record> {
        records.iter().filter(|record| record.split == split).collect()
    };
    let encoder = Encoder::open(model)?;
    let bank = NewBank {
        pictures: &pictures(&encoder, &spread(&of("train"), PICTURES))?,
        entries: 64,
        texts: &texts(&encoder, &of("dev"))?,
        best: 12,
        power: 0.5,
    };
    let (config, weights) = (model.join("config.json"), model.join("model.safetensors"));
    let (new_config, new_weights) =
        with_bank(&fs::read(&config)?, fs::read(&weights)?, &bank).map_err(anyhow::Error::msg)?;
    fs::write(weights, new_weights)?;
    Ok(fs::write(config, new_config)?)
}

/// So many of the records, evenly spread.
fn spread<'a>(records: &[&'a Record], count: usize) -> Vec<&'a Record> {
    let step = records.len().div_ceil(count).max(1);
    records.iter().step_by(step).copied().collect()
}

/// The vectors of the records' first captions.
fn texts(encoder: &Encoder, records: &[&Record]) -> anyhow::Result<Vec<SparseVector>> {
    let captions = records.iter().filter_map(|record| record.captions.first());
    let scale = encoder.config().impact_scale;
    captions.map(|caption| Ok(to_vector(encoder.encode_text(caption)?, scale)?)).collect()
}

/// The vectors of the records' photos.
fn pictures(encoder: &Encoder, records: &[&Record]) -> anyhow::Result<Vec<SparseVector>> {
    let mut tars: Vec<PathBuf> = records.iter().map(|record| tar_of(record)).collect();
    tars.sort_unstable();
    tars.dedup();
    let mut bytes = HashMap::new();
    for tar in tars {
        let mut archive = tar::Archive::new(File::open(&tar)?);
        for entry in archive.entries()? {
            let mut entry = entry?;
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            bytes.insert((tar.clone(), entry.path()?.display().to_string()), content);
        }
    }
    records
        .iter()
        .map(|record| {
            let bytes = bytes.get(&(tar_of(record), record.image.clone()));
            let bytes = bytes.with_context(|| format!("no {} in {}", record.image, record.tar))?;
            let picture = decode(bytes, &DecodeOptions::default())?;
            Ok(encoder.encode_images(&[picture])?.swap_remove(0))
        })
        .collect()
}

fn tar_of(record: &Record) -> PathBuf {
    record.folder.join(&record.tar)
}
