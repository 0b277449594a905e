//! `sightword info`: what the index holds.

use clap::Args;
use serde::Serialize;
use sightword::collection::Info;
use sightword::wire::{IndexLine, JsonPath};

use super::Outcome;
use super::console::Console;
use super::format::{self, count, counted};
use super::json;
use super::place::{Model, Place, Second};

/// Say what the index holds, and with which model it was made
#[derive(Debug, Args)]
#[command(help_template = super::TEMPLATE, before_help = "Examples:
  sightword info                   the nearest index here or above
  sightword info --in ~/Photos     the index of a folder
  sightword info --json            for programs")]
pub(crate) struct InfoArgs {
    #[command(flatten)]
    place: Place,

    #[command(flatten)]
    second: Second,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(
    args: &InfoArgs,
    model: &Model,
    console: &mut Console,
) -> anyhow::Result<Outcome> {
    let encoder = model.load()?;
    let reranker = args.second.find(&encoder)?;
    let collection = args.place.open(encoder)?;
    let info = collection.info()?;
    let second = reranker.map(|reranker| {
        let stored = collection.stored_features(&*reranker)?;
        let (name, hash) = (reranker.name().to_owned(), reranker.hash().to_owned());
        anyhow::Ok(SecondLine { name, hash, images: stored.len(), bytes: stored.bytes() })
    });
    let second = second.transpose()?;
    if args.json {
        print_json(&info, second, console)?;
    } else {
        print(&info, second.as_ref(), console)?;
    }
    Ok(Outcome::Found)
}

fn print(info: &Info, second: Option<&SecondLine>, console: &mut Console) -> anyhow::Result<()> {
    let dir = console.path_said(&info.dir);
    let mut rows = vec![("index", dir)];
    for root in &info.roots {
        let gone = if root.available { "" } else { "  not available" };
        rows.push(("root", format!("{}{gone}", console.path_said(&root.path))));
    }
    let skipped = info.skipped.len() as u64;
    rows.extend([
        ("images", format!("{} in {}", count(info.images), counted(info.files, "file", "files"))),
        ("gone", format!("{} kept until --prune", count(info.gone))),
        ("skipped", counted(skipped, "file", "files")),
        ("tokens", format!("{} ({:.0} an image)", count(info.postings), info.tokens_per_image)),
        ("size", sizes(info)),
        ("segments", format!("{} ({} deleted)", info.segments, count(info.deleted))),
        ("model", format!("{} {}", info.model, info.model_hash)),
        ("prepared", info.preprocess.clone()),
        ("language", String::from("English words, lower case")),
        ("format", info.format.to_string()),
    ]);
    if let Some(SecondLine { name, hash, images, bytes }) = second {
        let stored = counted(*images as u64, "image", "images");
        let size = format::bytes(*bytes);
        rows.push(("re-ranker", format!("{name} {hash}, features of {stored} ({size})")));
    }
    if let Some(ago) = info.last_commit.and_then(|time| time.elapsed().ok()) {
        rows.push(("written", format!("{} ago", format::whole_seconds(ago))));
    }
    for (name, value) in rows {
        writeln!(console.out(), "{name:<9} {value}")?;
    }
    print_histogram(info, console)
}

fn sizes(info: &Info) -> String {
    let parts = [info.bytes, info.inverted_bytes, info.forward_bytes].map(format::bytes);
    format!("{} ({} by word, {} by image)", parts[0], parts[1], parts[2])
}

/// How many tokens are in how many images: long lists are what a search reads.
fn print_histogram(info: &Info, console: &mut Console) -> anyhow::Result<()> {
    let mut at_least = 1;
    for bucket in &info.histogram {
        let range = match bucket.at_most {
            at_most if at_most == at_least => count(at_most),
            at_most => format!("{} to {}", count(at_least), count(at_most)),
        };
        let images = if bucket.at_most == 1 { "image" } else { "images" };
        let tokens = counted(bucket.tokens, "token", "tokens");
        writeln!(console.out(), "{:<9} {tokens} in {range} {images}", "postings")?;
        at_least = bucket.at_most + 1;
    }
    Ok(())
}

/// What is in the index, and the re-ranker that goes with it.
#[derive(Serialize)]
struct InfoLine {
    #[serde(flatten)]
    index: IndexLine<JsonPath>,
    reranker: Option<SecondLine>,
}

/// The re-ranker, and what is stored for it.
#[derive(Serialize)]
struct SecondLine {
    name: String,
    hash: String,
    /// Images whose features are stored.
    images: usize,
    /// Bytes of these.
    bytes: u64,
}

fn print_json(
    info: &Info,
    reranker: Option<SecondLine>,
    console: &mut Console,
) -> anyhow::Result<()> {
    let index = IndexLine::new(info, JsonPath::new);
    json::line(&InfoLine { index, reranker }, console.out())?;
    Ok(())
}
