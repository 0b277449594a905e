//! What does a user of the terminal see? One file a verb; here are the options that all share.
//!
//! A verb takes its arguments and the [`Console`], calls the library and prints what it returns: it
//! decides nothing and computes nothing that another surface would have to compute too.
#![forbid(unsafe_code)]

mod asked;
mod completions;
mod console;
mod doctor;
mod eval;
mod explain;
mod export;
mod figures;
mod format;
mod hits;
mod index;
mod info;
mod json;
mod paths;
mod place;
mod progress;
mod report;
mod sanitize;
mod search;
mod serve;
mod signal;
mod tokens;
mod train;

use std::process::ExitCode;

use anstream::ColorChoice;
use clap::{Parser, Subcommand, ValueEnum};
use sightword::ingest;

use console::Console;
use place::Model;

/// Search photos by words, and see which words matched and where
#[derive(Debug, Parser)]
#[command(
    name = "sightword",
    version,
    disable_help_subcommand = true,
    infer_subcommands = false,
    help_template = TEMPLATE,
    before_help = EXAMPLES,
    after_long_help = AFTER
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    model: Model,
    #[command(flatten)]
    manner: Manner,
}

/// Examples come first: most readers of a help text want one.
const TEMPLATE: &str =
    "{about-with-newline}\n{before-help}{usage-heading} {usage}\n\n{all-args}{after-help}";

const EXAMPLES: &str = "Examples:
  sightword search --in ~/Photos 'a cup of coffee'   index on first use, then search
  sightword search 'dog on a beach -surfboard' -k 3  in the nearest index here or above
  sightword explain 'dog on a beach' IMG_2231.jpg    which words matched, and where";

const AFTER: &str = "\
Exit code: 0 found or done, 1 nothing found or a check failed, 2 error, 130 interrupted.
Results go to standard output, everything else to standard error.";

/// Options of every verb.
#[derive(Debug, Clone, clap::Args)]
struct Manner {
    /// Print no results, summaries or warnings; the exit code answers
    #[arg(short, long, global = true)]
    quiet: bool,

    /// When to use colour
    #[arg(long, value_enum, default_value_t, value_name = "WHEN", global = true)]
    #[arg(hide_short_help = true)]
    color: Color,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Color {
    /// On a terminal, unless the environment says otherwise (`NO_COLOR`, `CLICOLOR_FORCE`, `TERM`)
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl From<Color> for ColorChoice {
    fn from(color: Color) -> Self {
        match color {
            Color::Auto => Self::Auto,
            Color::Always => Self::Always,
            Color::Never => Self::Never,
        }
    }
}

#[derive(Debug, Subcommand)]
enum Verb {
    Index(index::Index),
    Search(search::Search),
    Explain(explain::Explain),
    Serve(serve::Serve),
    Tokens(tokens::Tokens),
    Info(info::InfoArgs),
    Eval(eval::Eval),
    Train(train::Train),
    Export(export::Export),
    Doctor(doctor::Doctor),
    Completions(completions::Completions),
}

/// How a verb ended, when it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Found, or done.
    Found,
    /// Nothing found, or a check failed.
    Nothing,
    /// Stopped by Ctrl-C after a commit.
    Interrupted,
}

/// The whole program: the exit code is the only thing it returns.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    ingest::silence_decoder_panics();
    let mut console = Console::new(cli.manner.color.into(), cli.manner.quiet);
    let outcome = run(&cli, &mut console).and_then(|outcome| {
        console.flush()?;
        Ok(outcome)
    });
    match outcome {
        Ok(Outcome::Found) => ExitCode::SUCCESS,
        Ok(Outcome::Nothing) => ExitCode::from(1),
        Ok(Outcome::Interrupted) => ExitCode::from(signal::INTERRUPTED),
        Err(error) if report::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // What was found before the error is worth having.
            let _ = console.flush();
            console.fail(&report::message(&error));
            ExitCode::from(2)
        }
    }
}

fn run(cli: &Cli, console: &mut Console) -> anyhow::Result<Outcome> {
    let model = &cli.model;
    match &cli.verb {
        Verb::Index(args) => index::run(args, model, console),
        Verb::Search(args) => search::run(args, model, console),
        Verb::Explain(args) => explain::run(args, model, console),
        Verb::Serve(args) => serve::run(args, model, console),
        Verb::Tokens(args) => tokens::run(args, model, console),
        Verb::Info(args) => info::run(args, model, console),
        Verb::Eval(args) => eval::run(args, model, console),
        Verb::Train(args) => train::run(args, model, console),
        Verb::Export(args) => export::run(args, model, console),
        Verb::Doctor(args) => doctor::run(args, model, console),
        Verb::Completions(args) => completions::run(args, console),
    }
}
