//! How long does a second look at 50 pictures take, with stored features and on two threads?
//!
//! `cargo bench --bench rerank -- CANDIDATES THREADS REPEATS` prints one JSON line: milliseconds for the
//! query through the text tower, 50 reads of stored features, and the scores. Random weights of the
//! size of a shipped re-ranker; the bound is 150 ms.
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

#[path = "../tests/cli/reranker.rs"]
mod reranker;

use std::env;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use half::f16;
use sightword::encode::Encoder;
use sightword::ingest::{ContentId, parallel_map};
use sightword::rerank::{
    BATCH, FeatureCache, FeatureWriter, Features, LateInteraction, QueryInput, Reranker,
};

const SIZES: reranker::Sizes = reranker::Sizes { layers: 4, width: 256 };
const QUERY: &str = "two brown dogs run over wet sand with a ball";
/// Pictures whose features are stored.
const STORED: usize = 1000;

fn main() -> anyhow::Result<()> {
    let mut arguments = env::args().skip(1).filter(|argument| argument != "--bench");
    let mut number = |default| arguments.next().map_or(Ok(default), |text| text.parse::<usize>());
    let (candidates, threads, repeats) = (number(50)?, number(2)?, number(15)?);
    let threads = NonZeroUsize::new(threads).unwrap_or(NonZeroUsize::MIN);
    let folder = tempfile::tempdir()?;
    let encoder = Encoder::embedded()?;
    reranker::write(folder.path(), &encoder, &SIZES);
    let late = LateInteraction::open(folder.path(), &encoder)?;
    let ids = store(folder.path(), &late)?;
    let mut milliseconds = Vec::new();
    for repeat in 0..=repeats {
        let begun = Instant::now();
        let wanted: Vec<ContentId> =
            ids.iter().cycle().skip(repeat * candidates).take(candidates).copied().collect();
        look(&encoder, &late, folder.path(), &wanted, threads)?;
        milliseconds.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    // The first look prepares the weights.
    let first = milliseconds.remove(0);
    milliseconds.sort_by(f64::total_cmp);
    let (min, median) = (milliseconds[0], milliseconds[milliseconds.len() / 2]);
    println!("{{\"first\": {first:.1}, \"min\": {min:.1}, \"median\": {median:.1}}}");
    Ok(())
}

/// Stores features between −1 and 1.
fn store(folder: &Path, late: &LateInteraction) -> anyhow::Result<Vec<ContentId>> {
    let mut writer = FeatureWriter::open(folder, late)?;
    let mut ids = Vec::new();
    for number in 0..STORED {
        let id = ContentId::of(&number.to_le_bytes());
        let value =
            |at: usize| f16::from_f32((((number * 31 + at) * 7919 % 2003) as f32) / 1001.0 - 1.0);
        writer.put(id, &Features((0..late.feature_len()).map(value).collect()))?;
        ids.push(id);
    }
    writer.commit()?;
    Ok(ids)
}

/// What a search does after its first stage.
fn look(
    encoder: &Encoder,
    late: &LateInteraction,
    folder: &Path,
    wanted: &[ContentId],
    threads: NonZeroUsize,
) -> anyhow::Result<()> {
    let stored = FeatureCache::open(folder, late)?;
    let tokens = encoder.text_ids(QUERY);
    let question = late.read(&QueryInput { text: QUERY, tokens: &tokens })?;
    let score = |ids: &[ContentId]| {
        let features: Vec<Features> = ids.iter().filter_map(|id| stored.get(*id)).collect();
        late.score(&question, &features)
    };
    let mut scored = 0;
    parallel_map(wanted.chunks(BATCH), threads, score, |scores| {
        scored += scores.map_or(0, |scores| scores.len());
        ControlFlow::Continue(())
    });
    anyhow::ensure!(scored == wanted.len(), "{scored} of {} were scored", wanted.len());
    Ok(())
}
