//! `sightword eval`: how good is the search, on a dataset with captions?

use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use super::Outcome;
use super::asked::Mode;
use super::console::Console;
use super::place::Model;

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

pub(crate) fn run(args: &Eval, _model: &Model, _console: &mut Console) -> anyhow::Result<Outcome> {
    bail!("{}: eval is not wired yet", args.dataset.display())
}
