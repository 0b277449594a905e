//! `sightword explain`: the sum that is a picture's score, and what it lacks.

use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use comfy_table::{Cell, CellAlignment, Table, presets};
use sightword::collection::{Explanation, Hit, Patch, Rerank, SearchRequest, Seen, Term};
use sightword::evidence::{self, Word};
use sightword::ingest::{self, DecodeOptions};
use sightword::wire::{Explained, JsonPath};

use super::Outcome;
use super::asked::{Asked, Refinement, picture_ref};
use super::console::Console;
use super::format;
use super::json;
use super::place::{Model, Place, Second};

/// Show why a picture matches a query, or why not
#[derive(Debug, Args)]
#[command(help_template = super::TEMPLATE, before_help = "Examples:
  sightword explain 'dog on a beach' 2021/IMG_2231.jpg
  sightword explain 'dog on a beach' b3:9f2c41d07a55
  sightword explain 'dog on a beach' IMG_2231.jpg -o why.png")]
pub(crate) struct Explain {
    /// The query, as for search
    #[arg(value_name = "QUERY")]
    query: String,

    /// The picture: its file, or its id (b3:…)
    #[arg(value_name = "IMAGE|ID")]
    picture: String,

    /// Draw the winning patches on the picture, into this PNG file
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Tell what the second look sees in it, too: words and picture together
    #[arg(long)]
    rerank: bool,

    #[command(flatten)]
    refinement: Refinement,

    #[command(flatten)]
    place: Place,

    #[command(flatten)]
    second: Second,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Explain, model: &Model, console: &mut Console) -> anyhow::Result<Outcome> {
    let asked = Asked::read(std::slice::from_ref(&args.query), None, &args.refinement)?;
    let typed = asked.typed.clone();
    let collection = args.place.open(model.load()?)?;
    let mut request = SearchRequest::new(asked.query);
    request.like = asked.like;
    request.mode = asked.mode;
    if args.rerank {
        let reranker = args.second.load(collection.encoder())?;
        request.rerank = Some(Rerank { reranker, depth: NonZeroUsize::MIN });
    }
    let explanation = collection.explain(&request, &picture_ref(&args.picture))?;
    for warning in &explanation.warnings {
        console.warn(warning);
    }
    if args.json {
        print_json(&typed, &explanation, console)?;
    } else {
        print(&explanation, console)?;
    }
    if let Some(output) = &args.output {
        draw(&typed, &explanation, output)?;
        console.say(format_args!("drawn: {}", console.path_said(output)));
    }
    let scores = explanation.hit.score.whole > 0;
    Ok(if scores { Outcome::Found } else { Outcome::Nothing })
}

/// The whole explanation for people.
fn print(explanation: &Explanation, console: &mut Console) -> anyhow::Result<()> {
    let hit = &explanation.hit;
    if !hit.terms.is_empty() {
        print_terms(hit, "", console)?;
    }
    let missing = missing_words(explanation, console);
    if !missing.is_empty() {
        writeln!(console.out(), "not in image: {missing}")?;
    }
    for word in &explanation.excluded_by {
        let word = console.word(word);
        writeln!(console.out(), "excluded by '{word}': search leaves this picture out")?;
    }
    for filter in &explanation.filtered_by {
        let filter = console.word(filter);
        writeln!(console.out(), "filtered out by {filter}: search leaves this picture out")?;
    }
    if !explanation.indexed {
        writeln!(console.out(), "not indexed: the rank is the one that it would have")?;
    }
    writeln!(console.out(), "total {:.2}{}", hit.score.shown, standing(explanation))?;
    explanation.second.as_ref().map_or(Ok(()), |seen| print_seen(seen, console))
}

/// What the second look found for each token, the largest first; its sum is the look's own score.
fn print_seen(seen: &Seen, console: &mut Console) -> anyhow::Result<()> {
    let name = console.word(&seen.name);
    writeln!(console.out(), "\nsecond look by {name}")?;
    let mut table = plain_table(["token", "adds", "where"]);
    for part in &seen.parts {
        let token = match part.token.as_deref() {
            None => String::from("(the whole)"),
            Some("[SEP]") => String::from("(the end)"),
            Some(token) => console.word(token),
        };
        table.add_row([token, format!("{:.2}", part.score), place(part.patch.as_slice())]);
    }
    print_table(table, 1..=1, "", console)?;
    let (fit, score) = (seen.fit, seen.score);
    writeln!(
        console.out(),
        "total {fit:.2}, with the search score {score:.2}: what orders the hits"
    )?;
    Ok(())
}

/// `'running' (query 0.44), …`, heaviest first.
fn missing_words(explanation: &Explanation, console: &Console) -> String {
    let mut missing: Vec<_> = explanation.missing.iter().collect();
    missing.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    let word = |token: &&_| -> String {
        let token: &sightword::collection::ShownToken = token;
        format!("'{}' (query {:.2})", console.word(&token.token), token.weight)
    };
    let shown: Vec<String> = missing.iter().take(MISSING_NAMED).map(word).collect();
    let more = missing.len() - shown.len();
    let rest = if more > 0 { format!(" and {more} lighter ones") } else { String::new() };
    shown.join(", ") + &rest
}

/// Missing words that are named; a query has up to some sixty.
const MISSING_NAMED: usize = 8;

/// ` = search score   rank 1 of 118   coverage 86% (30% needed)`
fn standing(explanation: &Explanation) -> String {
    let hits = format::count(explanation.matched);
    let coverage = format::percent(explanation.hit.coverage.into());
    let needed = format::percent(explanation.threshold.into());
    let rank = match explanation.rank.map(format::count) {
        Some(rank) if explanation.is_hit() => format!("rank {rank} of {hits}"),
        Some(rank) => format!("rank {rank}, no hit ({hits} are)"),
        None => format!("no rank, no hit ({hits} are)"),
    };
    format!(" = search score   {rank}   coverage {coverage} ({needed} needed)")
}

/// The rows whose products sum to the hit's score, each line behind `indent`.
pub(crate) fn print_terms(hit: &Hit, indent: &str, console: &mut Console) -> anyhow::Result<()> {
    let mut table = plain_table(["token", "query", "image", "product", "share", "where"]);
    for term in &hit.terms {
        let share = f64::from(term.product) / f64::from(hit.score.whole.max(1));
        table.add_row([
            console.word(&term.token),
            format!("{:.2}", term.query),
            format!("{:.2}", term.image),
            format!("{:.2}", term.shown),
            format::percent(share),
            place(&term.patches),
        ]);
    }
    print_table(table, 1..=4, indent, console)
}

fn plain_table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header.map(Cell::new));
    table
}

/// Prints a table whose columns `numbers` are numbers, each line behind `indent`.
fn print_table(
    mut table: Table,
    numbers: RangeInclusive<usize>,
    indent: &str,
    console: &mut Console,
) -> anyhow::Result<()> {
    for column in 0..table.column_count() {
        let Some(column_style) = table.column_mut(column) else { continue };
        column_style.set_padding((0, 2));
        if numbers.contains(&column) {
            column_style.set_cell_alignment(CellAlignment::Right);
        }
    }
    for line in table.lines() {
        writeln!(console.out(), "{indent}{}", line.trim_end())?;
    }
    Ok(())
}

/// `row 4 col 2`, from 0, of each winning patch.
fn place(patches: &[Patch]) -> String {
    let place = |patch: &Patch| format!("row {} col {}", patch.row, patch.column);
    patches.iter().map(place).collect::<Vec<_>>().join(", ")
}

fn print_json(typed: &str, explanation: &Explanation, console: &mut Console) -> anyhow::Result<()> {
    let viewpoint = console.viewpoint().clone();
    let shown = |path: &Path| JsonPath::new(&viewpoint.shown(path));
    json::line(&Explained::new(typed, explanation, shown), console.out())?;
    Ok(())
}

/// Pixels on the longer side that a drawing is made from: more would not be seen.
const DRAWN_SIDE: u32 = 1024;

fn draw(typed: &str, explanation: &Explanation, output: &Path) -> anyhow::Result<()> {
    let path = readable(&explanation.hit)?;
    let options = DecodeOptions { target: DRAWN_SIDE, ..DecodeOptions::default() };
    let picture = ingest::read(path, &options)?;
    let words: Vec<Word> = explanation.hit.terms.iter().map(drawn_word).collect();
    let total = explanation.hit.score.shown;
    let drawing = evidence::draw(&picture.pixels, explanation.grid, typed, total, &words);
    let file = tempfile::NamedTempFile::new_in(folder_of(output))
        .and_then(|mut file| drawing.write_png(&mut file).map(|()| file))
        .with_context(|| format!("cannot draw into {}", output.display()))?;
    file.persist(output).with_context(|| format!("cannot write {}", output.display()))?;
    Ok(())
}

/// Where a file's temporary forerunner can be renamed from.
pub(crate) fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn readable(hit: &Hit) -> anyhow::Result<&Path> {
    let there = hit.paths.iter().find(|path| path.is_file()).or(hit.paths.first());
    there.map(PathBuf::as_path).context("the picture has no file any more")
}

fn drawn_word(term: &Term) -> Word {
    Word {
        label: term.token.clone(),
        value: term.shown,
        patches: term.patches.iter().map(|patch| (patch.row, patch.column)).collect(),
    }
}
