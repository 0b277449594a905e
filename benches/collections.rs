//! What do real sparse vectors look like? Writes the collections on which search engines are compared.
//!
//! `cargo bench --bench collections -- DATA OUT [SEED]` encodes the photos and captions of the JSON Lines
//! files in DATA with the default model and writes into OUT:
//!
//! - `a.npz`: every photo but those of the split "test";
//! - `b.npz`: their captions, and maxima of pairs of them up to 190,000 texts;
//! - `c.npz`: 1,000,000 documents, each the elementwise maximum of two photos of `a`, pruned to as many
//!   tokens as the first has;
//! - `captions.npz`: captions of the photos of the split "test", whose photos and captions are in none
//!   of the above, as queries through the text tower;
//! - `keywords.npz`: two or three words of each of these, as queries through the weight table.
//!
//! Rows are documents, columns tokens, values impacts. All choices come from the seed (default 1).
#![expect(clippy::print_stdout, reason = "it says what it wrote")]

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::Context;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use sightword::encode::{Encoder, TokenWeights, to_vector};
use sightword::ingest::{DecodeOptions, decode};
use sightword_index::exchange::{Document, npz};
use sightword_index::{SparseVector, TokenId};

const TEXTS: usize = 190_000;
const PAIRS: usize = 1_000_000;
/// Words that no keyword query has: shorter ones are mostly articles and prepositions.
const SHORTEST_KEYWORD: usize = 4;

#[derive(Deserialize)]
struct Record {
    image: String,
    tar: String,
    #[serde(default)]
    captions: Vec<String>,
    #[serde(default)]
    split: String,
}

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let usage = "usage: cargo bench --bench collections -- DATA OUT [SEED]";
    let (Some(data), Some(out)) = (arguments.next(), arguments.next()) else {
        println!("{usage}");
        return Ok(());
    };
    let seed = arguments.next().map_or(Ok(1), |seed| seed.parse()).context(usage)?;
    let out = PathBuf::from(out);
    fs::create_dir_all(&out)?;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let encoder = Encoder::embedded()?;
    let (queried, held): (Vec<_>, Vec<_>) =
        records(Path::new(&data))?.into_iter().partition(|record| record.split == "test");

    let photos = photos(&encoder, Path::new(&data), &held)?;
    write(&out.join("a.npz"), &encoder, photos.iter().cloned())?;
    let captions = captions(&queried, &mut random);
    write(&out.join("captions.npz"), &encoder, texts(&encoder, &captions, Encoder::encode_text)?)?;
    let keywords: Vec<_> = captions.iter().map(|caption| keywords(caption, &mut random)).collect();
    let table = |encoder: &Encoder, text: &str| encoder.table_weights(text);
    write(&out.join("keywords.npz"), &encoder, texts(&encoder, &keywords, table)?)?;
    let pairs = (0..PAIRS).map(|_| pair(&photos, &mut random));
    write(&out.join("c.npz"), &encoder, pairs)?;
    let mut all = texts(&encoder, &self::captions(&held, &mut random), Encoder::encode_text)?;
    let given = all.len();
    while all.len() < TEXTS {
        all.push(pair(&all[..given], &mut random));
    }
    write(&out.join("b.npz"), &encoder, all)
}

fn records(data: &Path) -> anyhow::Result<Vec<Record>> {
    let mut files: Vec<_> =
        fs::read_dir(data)?.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<_>>()?;
    files.retain(|path| path.extension().is_some_and(|ending| ending == "jsonl"));
    files.sort();
    let mut records = Vec::new();
    for file in files {
        for line in BufReader::new(File::open(&file)?).lines() {
            // Other files of lines, such as queries, have no photos.
            records.extend(serde_json::from_str::<Record>(&line?).ok());
        }
    }
    anyhow::ensure!(!records.is_empty(), "no photos in {}", data.display());
    Ok(records)
}

/// The photos' vectors, in the order of the records.
fn photos(encoder: &Encoder, data: &Path, records: &[Record]) -> anyhow::Result<Vec<SparseVector>> {
    let mut bytes = HashMap::new();
    let mut tars: Vec<_> = records.iter().map(|record| record.tar.as_str()).collect();
    tars.sort_unstable();
    tars.dedup();
    for tar in tars {
        let mut archive = tar::Archive::new(File::open(data.join(tar))?);
        for entry in archive.entries()? {
            let mut entry = entry?;
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            bytes.insert((tar.to_owned(), entry.path()?.display().to_string()), content);
        }
    }
    let vector = |record: &Record| {
        let place = (record.tar.clone(), record.image.clone());
        let bytes = bytes.get(&place).with_context(|| format!("no {} in {}", place.1, place.0))?;
        let picture = decode(bytes, &DecodeOptions::default())?;
        Ok(encoder.encode_images(&[picture])?.swap_remove(0))
    };
    side_by_side(records, vector)
}

fn texts<E: Into<anyhow::Error>>(
    encoder: &Encoder,
    texts: &[String],
    encode: impl Fn(&Encoder, &str) -> Result<TokenWeights, E> + Sync,
) -> anyhow::Result<Vec<SparseVector>> {
    let scale = encoder.config().impact_scale;
    let vectors = side_by_side(texts, |text| {
        Ok(to_vector(encode(encoder, text).map_err(Into::into)?, scale)?)
    })?;
    Ok(vectors.into_iter().filter(|vector| !vector.is_empty()).collect())
}

/// All items through `work`, on all processors.
fn side_by_side<T: Sync, U: Send>(
    items: &[T],
    work: impl Fn(&T) -> anyhow::Result<U> + Sync,
) -> anyhow::Result<Vec<U>> {
    let next = AtomicUsize::new(0);
    let own = || -> anyhow::Result<Vec<(usize, U)>> {
        let mut done = Vec::new();
        while let Some((at, item)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, items.get(at)?)))
        {
            done.push((at, work(item)?));
        }
        Ok(done)
    };
    let parts: Vec<_> = thread::scope(|scope| {
        let count = thread::available_parallelism().map_or(1, usize::from);
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(own)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a thread panicked")).collect()
    });
    let mut all = Vec::with_capacity(items.len());
    for part in parts {
        all.extend(part?);
    }
    all.sort_unstable_by_key(|(at, _)| *at);
    Ok(all.into_iter().map(|(_, value)| value).collect())
}

fn captions(records: &[Record], random: &mut ChaCha8Rng) -> Vec<String> {
    let mut captions: Vec<_> =
        records.iter().flat_map(|record| record.captions.iter().cloned()).collect();
    captions.shuffle(random);
    captions
}

/// Two or three of a caption's longer words.
fn keywords(caption: &str, random: &mut ChaCha8Rng) -> String {
    let letters = |c: char| !c.is_alphabetic();
    let words: Vec<_> =
        caption.split(letters).filter(|word| word.len() >= SHORTEST_KEYWORD).collect();
    let count = random.random_range(2..=3);
    words.choose_multiple(random, count).copied().collect::<Vec<_>>().join(" ")
}

/// The elementwise maximum of two vectors, pruned to as many tokens as the first has.
fn pair(vectors: &[SparseVector], random: &mut ChaCha8Rng) -> SparseVector {
    let (first, second) = (
        &vectors[random.random_range(0..vectors.len())],
        &vectors[random.random_range(0..vectors.len())],
    );
    let mut most: HashMap<TokenId, u8> = HashMap::new();
    for entry in first.entries().chain(second.entries()) {
        let impact = most.entry(entry.token).or_default();
        *impact = entry.impact.max(*impact);
    }
    let mut most: Vec<_> = most.into_iter().collect();
    most.sort_unstable_by_key(|&(token, impact)| (std::cmp::Reverse(impact), token));
    most.truncate(first.len());
    most.sort_unstable();
    SparseVector::new(most).expect("tokens rise, impacts are those of vectors")
}

fn write(
    path: &Path,
    encoder: &Encoder,
    vectors: impl IntoIterator<Item = SparseVector>,
) -> anyhow::Result<()> {
    let named = vectors.into_iter().enumerate();
    let documents: Vec<_> =
        named.map(|(row, vector)| Document::of(row.to_string(), &vector, 1.0)).collect();
    let vocab = u32::try_from(encoder.vocabulary().len())?;
    npz::write(&documents, vocab, BufWriter::new(File::create(path)?))?;
    let postings: usize = documents.iter().map(|document| document.weights.len()).sum();
    println!("{}: {} vectors, {postings} postings", path.display(), documents.len());
    Ok(())
}
