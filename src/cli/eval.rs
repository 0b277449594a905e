//! `sightword eval`: how good is the search, on a dataset with captions?

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use sightword::eval::{Dataset, EvalOptions, Report, Stage, evaluate};

use super::Outcome;
use super::asked::Mode;
use super::console::Console;
use super::format::counted;
use super::json;
use super::place::Model;
use super::progress::Bar;

/// Measure recall on a dataset with captions
#[derive(Debug, Args)]
#[command(help_template = super::TEMPLATE, before_help = "Examples:
  sightword eval --dataset flickr8k.jsonl --split test
  sightword eval --dataset flickr8k.jsonl --split test --query-mode table
  sightword eval --dataset flickr8k.jsonl --split test --json")]
pub(crate) struct Eval {
    /// JSON Lines with a picture and its captions each; pictures beside it, in a folder or tar files
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

    /// Threads [default: one a core]
    #[arg(short, long, value_name = "N")]
    jobs: Option<NonZeroUsize>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Eval, model: &Model, console: &mut Console) -> anyhow::Result<Outcome> {
    let dataset = Dataset::open(&args.dataset, args.split.as_deref())?;
    let encoder = model.load()?;
    let mut options = EvalOptions::new(args.query_mode.into());
    options.jobs = args.jobs.unwrap_or(options.jobs);
    options.no_answer = args.no_answer.clone();
    let bar = Bar::new(console);
    let report = evaluate(&encoder, &dataset, &options, |stage, done, all| {
        let name = if stage == Stage::Photos { "photos" } else { "captions" };
        bar.count(name, Some("img"), done as u64, all as u64);
    });
    bar.clear();
    let report = report?;
    if report.unreadable > 0 {
        let photos = counted(report.unreadable as u64, "photo", "photos");
        console.warn(format_args!("{photos} could not be read and were left out"));
    }
    if args.json {
        json::line(&report, console.out())?;
    } else {
        print(&report, console)?;
    }
    Ok(Outcome::Found)
}

fn print(report: &Report, console: &mut Console) -> anyhow::Result<()> {
    let out = console.out();
    let (photos, captions) = (report.photos as u64, report.captions as u64);
    writeln!(
        out,
        "model {}, query mode {}, {}, {}",
        report.model,
        report.query_mode,
        counted(photos, "photo", "photos"),
        counted(captions, "caption", "captions")
    )?;
    writeln!(out, "{:<14} {:>6} {:>6} {:>6}", "", "R@1", "R@5", "R@10")?;
    for (name, recall) in [("text → image", report.t2i), ("image → text", report.i2t)] {
        writeln!(out, "{name:<14} {:>6.2} {:>6.2} {:>6.2}", recall.r1, recall.r5, recall.r10)?;
    }
    let (image, text) = (report.image_tokens, report.text_tokens);
    writeln!(out, "tokens         {image:.1} a photo, {text:.1} a caption")?;
    if let Some(verdict) = &report.no_answer {
        let (threshold, queries) = (100.0 * verdict.threshold, verdict.queries);
        writeln!(
            out,
            "nothing found  below {threshold:.0}% coverage: {:.1}% of {queries} queries without an \
             answer are answered, {:.1}% of captions are not",
            verdict.false_answers, verdict.lost_answers
        )?;
    }
    Ok(())
}
