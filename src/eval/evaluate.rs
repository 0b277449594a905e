//! All measures of one model on one dataset.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use super::bootstrap::{RESAMPLES, SEED};
use super::classes::{Classes, classes, label_queries};
use super::dataset::Dataset;
use super::error::EvalError;
use super::failures::{self, PageFile};
use super::latency::latency;
use super::measures::DEPTH;
use super::negation::{self, negation};
use super::no_answer::{self, no_answer};
use super::queries::Query;
use super::report::Report;
use super::retrieval::{Recall, image_to_text, text_to_image};
use super::samples::Samples;
use super::second_look::second_look;
use super::tokens::{active, interpretability, token_use};
use super::trec::{self, Trec};
use super::trial::Trial;
use crate::collection::Rerank;
use crate::encode::Encoder;
use crate::query::QueryMode;

/// What to measure, and how.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EvalOptions {
    /// How texts become queries.
    pub mode: QueryMode,
    /// Threads.
    pub jobs: NonZeroUsize,
    /// A file of queries, one a line, about things that no photo shows.
    pub no_answer: Option<PathBuf>,
    /// A JSON Lines file of queries with an exclusion: `{"query", "not", "relevant", "forbidden"}`,
    /// the last two lists of photos' ids.
    pub negation: Option<PathBuf>,
    /// The least coverage that counts as an answer, 0 to 1. `None`: what the model was calibrated to.
    pub min_match: Option<f32>,
    /// A folder for run and qrels files.
    pub trec: Option<PathBuf>,
    /// An HTML file for the queries that fail.
    pub failures: Option<PathBuf>,
    /// A second look at each caption's first photos.
    pub rerank: Option<Rerank>,
}

impl EvalOptions {
    /// On all cores, and nothing but recall.
    #[must_use]
    pub fn new(mode: QueryMode) -> Self {
        let jobs = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let (no_answer, negation, min_match) = (None, None, None);
        let (trec, failures, rerank) = (None, None, None);
        Self { mode, jobs, no_answer, negation, min_match, trec, failures, rerank }
    }
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// Photos are decoded and encoded.
    Photos,
    /// Captions are encoded.
    Captions,
    /// A re-ranker looks at each caption's first photos.
    SecondLook,
}

/// Searches a dataset's photos with its captions and labels, and its captions with its photos.
///
/// `progress` is told how many of how many are done.
///
/// # Errors
/// [`EvalError`]. A photo that cannot be decoded is counted and left out with its captions.
pub fn evaluate(
    encoder: &Encoder,
    dataset: &Dataset,
    options: &EvalOptions,
    mut progress: impl FnMut(Stage, usize, usize),
) -> Result<Report, EvalError> {
    // What is given and what is to be written, first: encoding takes minutes.
    let absent = options.no_answer.as_deref().map(no_answer::read).transpose()?;
    let cases =
        options.negation.as_deref().map(|file| negation::read(file, dataset)).transpose()?;
    options.trec.as_deref().map(|folder| trec::prepare(folder, dataset)).transpose()?;
    let page = options.failures.as_deref().map(PageFile::create).transpose()?;

    let trial = Trial::new(encoder, dataset, options, &mut progress)?;
    let labels = label_queries(&trial, options.mode)?;
    let texts = if trial.captions.is_empty() { &labels } else { &trial.captions };
    if let Some(page) = page {
        let queries: Vec<&Query> = trial.captions.iter().chain(&labels).collect();
        failures::write(&trial, &queries, page)?;
    }
    let mut samples = Samples::default();
    let (t2i, i2t) = both_ways(&trial, &mut samples)?;
    let second_look = options
        .rerank
        .as_ref()
        .filter(|_| !trial.captions.is_empty())
        .map(|rerank| second_look(&trial, rerank, &mut samples, &mut progress))
        .transpose()?;
    let active = active(&trial.vectors, texts, &mut samples);
    Ok(Report {
        model: encoder.name().to_owned(),
        model_hash: encoder.hash().to_owned(),
        query_mode: mode_name(options.mode).to_owned(),
        photos: trial.photos.len(),
        unreadable: dataset.photos.len() - trial.photos.len(),
        captions: trial.captions.len(),
        t2i,
        i2t,
        second_look,
        image_tokens: active.image_tokens,
        text_tokens: active.text_tokens,
        flops: active.flops,
        interpretability: interpretability(&trial, &mut samples),
        token_use: token_use(&trial.vectors, encoder.vocabulary()),
        latency: latency(&trial, texts)?,
        classes: labelled(&trial, &labels, &mut samples)?,
        no_answer: absent.map(|absent| no_answer(&trial, &absent, &mut samples)).transpose()?,
        negation: cases.map(|cases| negation(&trial, &cases, &mut samples)).transpose()?,
        intervals: samples.intervals(),
        resamples: RESAMPLES,
        seed: SEED,
        samples,
    })
}

fn mode_name(mode: QueryMode) -> &'static str {
    match mode {
        QueryMode::Tower => "tower",
        QueryMode::Table => "table",
    }
}

/// Captions search photos, and photos captions, where there are any.
fn both_ways(
    trial: &Trial<'_>,
    samples: &mut Samples,
) -> Result<(Option<Recall>, Option<Recall>), EvalError> {
    if trial.captions.is_empty() {
        return Ok((None, None));
    }
    let mut trec = Trec::start(trial.options.trec.as_deref(), "t2i", trec::PLACES)?;
    let t2i = text_to_image(trial, samples, &mut trec)?;
    trec.finish()?;
    let mut trec = Trec::start(trial.options.trec.as_deref(), "i2t", trec::PLACES)?;
    let i2t = image_to_text(trial, samples, &mut trec)?;
    trec.finish()?;
    Ok((Some(t2i), Some(i2t)))
}

/// Labels search photos, where there are any.
fn labelled(
    trial: &Trial<'_>,
    labels: &[Query],
    samples: &mut Samples,
) -> Result<Option<Classes>, EvalError> {
    if labels.is_empty() {
        return Ok(None);
    }
    let mut trec = Trec::start(trial.options.trec.as_deref(), "classes", DEPTH)?;
    let classes = classes(trial, labels, samples, &mut trec)?;
    trec.finish()?;
    Ok(Some(classes))
}
