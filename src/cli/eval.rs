//! `sightword eval`: how good is the search, on a dataset with captions or labels?

use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde::Serialize;
use sightword::collection::Rerank;
use sightword::encode::Encoder;
use sightword::eval::{Comparison, Dataset, EvalOptions, Report, Stage, evaluate};

use super::Outcome;
use super::asked::Mode;
use super::console::Console;
use super::figures;
use super::format::counted;
use super::json;
use super::place::{Model, Second};
use super::progress::Bar;

/// Measure the search on a dataset with captions or labels
#[derive(Debug, Args)]
#[command(help_template = super::TEMPLATE, before_help = "Examples:
  sightword eval --dataset flickr8k.jsonl --split test
  sightword eval --dataset flickr8k.jsonl --split dev --failures why.html
  sightword eval --dataset labelled.jsonl --against ../old-model",
  after_long_help = DATASET)]
pub(crate) struct Eval {
    /// JSON Lines with a picture and its captions or labels each; pictures beside it, in a folder or
    /// tar files
    #[arg(long, value_name = "FILE")]
    dataset: PathBuf,

    /// Only this part of the dataset
    #[arg(long, value_name = "NAME")]
    split: Option<String>,

    /// How words get their weights
    #[arg(long, value_enum, default_value_t, value_name = "MODE")]
    query_mode: Mode,

    /// Texts, one a line, that no picture of the dataset shows: measures honest "no match"
    #[arg(long, value_name = "FILE")]
    no_answer: Option<PathBuf>,

    /// JSON Lines with a query and a word that must not be in the picture each: measures exclusion
    #[arg(long, value_name = "FILE")]
    negation: Option<PathBuf>,

    /// Also measure the model in this folder, and test whether the two differ
    #[arg(long, value_name = "DIR")]
    against: Option<PathBuf>,

    /// Write runs and qrels for `trec_eval` and its kin into this folder
    #[arg(long, value_name = "DIR")]
    trec: Option<PathBuf>,

    /// Write a page of the queries that fail, with pictures and words
    #[arg(long, value_name = "FILE")]
    failures: Option<PathBuf>,

    /// Also look again at the first N photos of each caption, with a re-ranker
    #[arg(long, value_name = "N")]
    rerank: Option<NonZeroUsize>,

    #[command(flatten)]
    second: Second,

    /// Threads [default: one a core]
    #[arg(short, long, value_name = "N")]
    jobs: Option<NonZeroUsize>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

const DATASET: &str = "\
A line of the dataset, what is in brackets may be left out:
  {\"image\": NAME, [\"captions\": [TEXT, …], \"labels\": [TEXT, …], \"id\": ID, \"split\": NAME,
   \"tar\": FILE]}
A line of the negation set, photos by their ids:
  {\"query\": TEXT, \"not\": WORD, \"relevant\": [ID, …], \"forbidden\": [ID, …]}

What is measured:
  R@k            share of captions that find their photo among the first k, and of photos that find
                 one of their captions; Success@k elsewhere
  median rank    of the right answer; one that shares no word with the query counts as last
  RR@10          mean of 1 ÷ rank, 0 beyond the tenth place
  classes        labels as queries, means over labels: P@10, share of the first ten that is right;
                 mean AP, average precision over the first 1,000
  tokens         of a photo, of a text, and shared by the two on average (FLOPs)
  words          share of photos with a word of their captions or labels (no function words) among
                 their heaviest tokens; shuffled: with a word of another photo's
  over-used      tokens that more than 20 % of the photos have; dead: those that none has
  latency        of one thread, with the model ready: a text to a query, a query to ten photos
  no answer      how often \"no match\" is wrong, either way
  negation       of the first ten: right photos, and photos of what was excluded

[a b] is a 95 % bootstrap interval. Captions of one photo are drawn together; where a figure is a
mean over labels or listed queries, those are drawn. With --against, both models are given the
same draws; p is how likely so great a difference is by chance, either way.";

/// The JSON form.
#[derive(Serialize)]
struct Printed<'a> {
    #[serde(flatten)]
    report: &'a Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    against: Option<&'a Comparison>,
}

pub(crate) fn run(args: &Eval, model: &Model, console: &mut Console) -> anyhow::Result<Outcome> {
    let dataset = Dataset::open(&args.dataset, args.split.as_deref())?;
    let encoder = model.load()?;
    let other = args.against.as_deref().map(Model::open).transpose()?;
    let mut options = args.options();
    if let Some(depth) = args.rerank {
        options.rerank = Some(Rerank { reranker: args.second.load(&encoder)?, depth });
    }
    let report = measure(&encoder, &dataset, &options, console)?;
    if report.unreadable > 0 {
        let photos = counted(report.unreadable as u64, "photo", "photos");
        console.warn(format_args!("{photos} could not be read and were left out"));
    }
    let against = other.map(|other| compare(&report, &other, &dataset, options, console));
    let against = against.transpose()?;
    if args.json {
        json::line(&Printed { report: &report, against: against.as_ref() }, console.out())?;
        return Ok(Outcome::Found);
    }
    let mut text = figures::report(&report);
    text.extend(against.iter().flat_map(figures::comparison));
    for line in text {
        let line = console.word(&line);
        writeln!(console.out(), "{line}")?;
    }
    Ok(Outcome::Found)
}

impl Eval {
    fn options(&self) -> EvalOptions {
        let mut options = EvalOptions::new(self.query_mode.into());
        options.jobs = self.jobs.unwrap_or(options.jobs);
        options.no_answer = self.no_answer.clone();
        options.negation = self.negation.clone();
        options.trec = self.trec.clone();
        options.failures = self.failures.clone();
        options
    }
}

fn measure(
    encoder: &Encoder,
    dataset: &Dataset,
    options: &EvalOptions,
    console: &Console,
) -> anyhow::Result<Report> {
    let bar = Bar::new(console);
    let report = evaluate(encoder, dataset, options, |stage, done, all| {
        let name = match stage {
            Stage::Photos => "photos",
            Stage::SecondLook => "re-rank",
            _ => "captions",
        };
        bar.count(name, Some("img"), done as u64, all as u64);
    });
    bar.clear();
    Ok(report?)
}

/// Measures another model in the same way; files are written of the first one only, and its re-ranker
/// fits no other.
fn compare(
    report: &Report,
    other: &Encoder,
    dataset: &Dataset,
    mut options: EvalOptions,
    console: &Console,
) -> anyhow::Result<Comparison> {
    (options.trec, options.failures, options.rerank) = (None, None, None);
    let other = measure(other, dataset, &options, console)
        .with_context(|| format!("cannot measure the model {}", other.name()))?;
    Ok(report.against(&other))
}
