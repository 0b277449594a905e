//! `sightword index`: makes the index true to the folders.

use std::io::{self, IsTerminal};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use sightword::collection::{Collection, CollectionError, RefreshOptions, RefreshReport};
use sightword::encode::Encoder;
use sightword::wire::JsonPath;
use tempfile::TempDir;

use super::Outcome;
use super::console::Console;
use super::format::{self, count};
use super::json::{FileEvent, Message, SkippedFile, Summary};
use super::place::{Model, Second};
use super::progress::Bar;
use super::signal::Grace;

/// Index folders of pictures, or bring their index up to date
#[derive(Debug, Args)]
#[command(help_template = super::TEMPLATE, before_help = "Examples:
  sightword index ~/Photos             index a folder, or only what is new in it
  sightword index --dry-run            what would change, in the nearest index
  sightword index --prune --yes .      also forget pictures that are gone")]
pub(crate) struct Index {
    /// Folders of pictures [default: those of the nearest index here or above]
    #[arg(value_name = "DIR")]
    folders: Vec<PathBuf>,

    /// Where the index stands, if not in the first DIR/.sightword
    #[arg(long, value_name = "DIR", env = "SIGHTWORD_INDEX", hide_env_values = true)]
    index: Option<PathBuf>,

    /// Say what would change, change nothing
    #[arg(long)]
    dry_run: bool,

    /// Forget pictures that are gone (they are only hidden otherwise)
    #[arg(long)]
    prune: bool,

    /// Do not ask before pruning
    #[arg(long)]
    yes: bool,

    /// Throw the index away and make it again
    #[arg(long, conflicts_with_all = ["dry_run", "prune"])]
    rebuild: bool,

    /// Also index what .sightwordignore, .gitignore and .ignore leave out
    #[arg(long)]
    no_ignore: bool,

    /// Store what re-ranking needs of each picture, some 50 kB
    #[arg(long)]
    rerank_features: bool,

    #[command(flatten)]
    second: Second,

    /// List every file that was skipped, and why
    #[arg(long)]
    skipped: bool,

    /// Exit with 2 if a file was skipped
    #[arg(long)]
    strict: bool,

    /// Threads [default: one a core]
    #[arg(short, long, value_name = "N")]
    jobs: Option<NonZeroUsize>,

    /// Skip pictures with more megapixels than this
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_megapixels: Option<u64>,

    /// Print what happened as JSON Lines
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Index, model: &Model, console: &mut Console) -> anyhow::Result<Outcome> {
    if args.prune && !args.dry_run && !args.yes {
        confirm_pruning(console)?;
    }
    let (mut collection, _thrown_away) = collection_of(args, model.load()?)?;
    let mut options = args.options();
    if args.rerank_features {
        options.features_for = Some(args.second.load(collection.encoder())?);
    }
    let report = refresh(&mut collection, &options, console)?;
    if args.json {
        print_json(&report, console)?;
    } else if args.dry_run {
        print_listing(&report, console)?;
    }
    say_summary(args, &report, &collection, console)?;
    if report.interrupted {
        console.say("sightword: stopped; what was done is committed, the same command goes on");
        return Ok(Outcome::Interrupted);
    }
    if args.strict && !report.skipped.is_empty() {
        bail!("{} skipped", format::counted(report.skipped.len() as u64, "file was", "files were"));
    }
    Ok(Outcome::Found)
}

impl Index {
    /// The folders named, else those that hold the nearest index.
    fn roots(&self) -> anyhow::Result<Vec<PathBuf>> {
        if !self.folders.is_empty() {
            return Ok(self.folders.clone());
        }
        let found = Collection::find(None, self.index.as_deref())?;
        Ok(found.parent().map(Path::to_owned).into_iter().collect())
    }

    fn options(&self) -> RefreshOptions {
        let mut options = RefreshOptions::default();
        options.jobs = self.jobs.unwrap_or(options.jobs);
        options.prune = self.prune;
        options.dry_run = self.dry_run;
        options.use_ignore_files = !self.no_ignore;
        if let Some(megapixels) = self.max_megapixels {
            options.decode.max_pixels = megapixels.saturating_mul(1_000_000);
        }
        options
    }
}

fn confirm_pruning(console: &Console) -> anyhow::Result<()> {
    if !io::stdin().is_terminal() {
        bail!(
            "--prune forgets pictures that are gone, and nobody is here to ask\n  try: --prune --yes"
        );
    }
    console.say("forget the pictures that are gone? They are encoded again if they return. [y/N]");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    if !matches!(answer.trim(), "y" | "Y" | "yes") {
        bail!("nothing was changed");
    }
    Ok(())
}

/// The collection to bring up to date. A dry run on folders without an index works on an empty one
/// that is thrown away: the second value keeps it for so long.
fn collection_of(
    args: &Index,
    encoder: Arc<Encoder>,
) -> anyhow::Result<(Collection, Option<TempDir>)> {
    let index = args.index.as_deref();
    if args.rebuild {
        return Ok((Collection::rebuild(&args.roots()?, index, encoder)?, None));
    }
    match Collection::find(args.folders.first().map(PathBuf::as_path), index) {
        Ok(found) if args.folders.is_empty() => Ok((Collection::open(&found, encoder)?, None)),
        Err(CollectionError::NoIndex { .. }) if args.dry_run && !args.folders.is_empty() => {
            let thrown_away = tempfile::tempdir().context("cannot make a temporary folder")?;
            let location = thrown_away.path().join("index");
            let collection = Collection::create(&args.folders, Some(&location), encoder)?;
            Ok((collection, Some(thrown_away)))
        }
        Err(error) if args.folders.is_empty() => Err(error.into()),
        _ => Ok((Collection::open_or_create(&args.folders, index, encoder)?, None)),
    }
}

/// Refreshes with a bar; the first Ctrl-C finishes the batch and commits.
pub(crate) fn refresh(
    collection: &mut Collection,
    options: &RefreshOptions,
    console: &Console,
) -> anyhow::Result<RefreshReport> {
    let grace = Grace::begin()?;
    let bar = Bar::new(console);
    let report = collection.refresh(options, &mut |progress| {
        bar.update(&progress);
        grace.flow()
    });
    bar.clear();
    let report = report?;
    for notice in &report.notices {
        console.warn(notice);
    }
    Ok(report)
}

fn print_listing(report: &RefreshReport, console: &mut Console) -> anyhow::Result<()> {
    for (change, path) in &report.listing {
        let (change, path) = (change.to_string(), console.path_bytes(path));
        let out = console.out();
        write!(out, "{change:<9} ")?;
        out.write_all(&path)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

fn print_json(report: &RefreshReport, console: &mut Console) -> anyhow::Result<()> {
    let shown = |console: &Console, path: &Path| JsonPath::new(&console.viewpoint().shown(path));
    for (change, path) in &report.listing {
        let path = shown(console, path);
        Message::File(FileEvent { change: &change.to_string(), path }).write(console.out())?;
    }
    for skipped in &report.skipped {
        let path = shown(console, &skipped.path);
        Message::Skipped(SkippedFile { path, reason: &skipped.reason }).write(console.out())?;
    }
    let summary = Summary {
        new: report.new,
        changed: report.changed,
        moved: report.moved,
        copied: report.copied,
        removed: report.removed,
        restored: report.restored,
        pruned: report.pruned,
        unchanged: report.unchanged,
        features: report.features,
        skipped: report.skipped.len(),
        interrupted: report.interrupted,
        elapsed: report.elapsed.into(),
    };
    Message::Summary(summary).write(console.out())?;
    Ok(())
}

/// Skipped files that are named without `--skipped`.
const SKIPPED_NAMED: usize = 10;

/// Two lines: what happened, and what the index is now; before them, what was skipped.
fn say_summary(
    args: &Index,
    report: &RefreshReport,
    collection: &Collection,
    console: &Console,
) -> anyhow::Result<()> {
    say_skipped(args.skipped, report, console);
    let verb = if args.dry_run { "would index" } else { "indexed" };
    let hint = if report.skipped.is_empty() || args.skipped { "" } else { " (see --skipped)" };
    console.say(format_args!("{verb} {}{hint}", changes(report)));
    if !args.dry_run {
        let info = collection.info()?;
        console.say(format_args!(
            "index {}  {}  {:.0} tokens/image  {}  {}",
            console.path_said(&info.dir),
            format::counted(info.images, "image", "images"),
            info.tokens_per_image,
            format::bytes(info.bytes),
            format::duration(report.elapsed)
        ));
    }
    Ok(())
}

/// `5 298 new, 0 changed, 41 moved (reused), 12 removed   7 skipped`
pub(crate) fn changes(report: &RefreshReport) -> String {
    let mut told = format!(
        "{} new, {} changed, {} moved (reused), {} removed",
        count(report.new),
        count(report.changed),
        count(report.moved),
        count(report.removed)
    );
    let rarer = [
        (report.copied, "copied"),
        (report.restored, "restored"),
        (report.pruned, "pruned"),
        (report.unchanged, "unchanged"),
        (report.features, "given features"),
    ];
    for (number, name) in rarer.into_iter().filter(|(number, _)| *number > 0) {
        told.push_str(&format!(", {} {name}", count(number)));
    }
    if !report.skipped.is_empty() {
        told.push_str(&format!("   {} skipped", count(report.skipped.len() as u64)));
    }
    told
}

/// Names skipped files with their reasons: all, or the first few.
pub(crate) fn say_skipped(all: bool, report: &RefreshReport, console: &Console) {
    let named = if all { report.skipped.len() } else { SKIPPED_NAMED };
    for skipped in report.skipped.iter().take(named) {
        console.warn(format_args!(
            "skipped {}: {}",
            console.path_said(&skipped.path),
            skipped.reason
        ));
    }
    if let Some(more) = report.skipped.len().checked_sub(named).filter(|more| *more > 0) {
        console.warn(format_args!("skipped {} more: --skipped names all", count(more as u64)));
    }
}
