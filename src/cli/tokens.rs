//! `sightword tokens`: the words of a picture or a text, with weights.

use std::path::Path;

use clap::{Args, ValueEnum};
use serde::Serialize;
use sightword::encode::Encoder;
use sightword::ingest::{self, DecodeOptions};
use sightword::query;
use sightword::wire::{Weighted, four_digits};
use sightword_index::SparseVector;

use super::Outcome;
use super::asked::{Asked, ID_PREFIX, Refinement, picture_ref};
use super::console::Console;
use super::json;
use super::place::{Model, Place, has_picture_name};

/// Print the words of a picture or a text, heaviest first
#[derive(Debug, Args)]
#[command(help_template = super::TEMPLATE, before_help = "Examples:
  sightword tokens IMG_2231.jpg           what the model sees in a picture
  sightword tokens 'dog on a beach'       what a search asks for
  sightword tokens dog --query-mode table the same without the network")]
pub(crate) struct Tokens {
    /// A picture's file or id (b3:…), or a text
    #[arg(value_name = "IMAGE|TEXT")]
    input: String,

    /// Take the input for a text or a picture [default: a picture if there is such a file]
    #[arg(long = "as", value_enum, value_name = "KIND")]
    kind: Option<Kind>,

    #[command(flatten)]
    refinement: Refinement,

    #[command(flatten)]
    place: Place,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// A text, as a query
    Query,
    /// A picture
    Image,
}

#[derive(Serialize)]
struct Listing<'a> {
    input: &'a str,
    #[serde(rename = "as")]
    kind: &'static str,
    model: &'a str,
    tokens: Vec<Weighted>,
}

pub(crate) fn run(args: &Tokens, model: &Model, console: &mut Console) -> anyhow::Result<Outcome> {
    let encoder = model.load()?;
    let kind = args.kind.unwrap_or_else(|| guess(&args.input));
    let mut tokens = match kind {
        Kind::Image => of_picture(args, model, &encoder)?,
        Kind::Query => of_text(args, &encoder, console)?,
    };
    tokens.sort_by(|a, b| b.weight.total_cmp(&a.weight).then_with(|| a.id.cmp(&b.id)));
    let outcome = if tokens.is_empty() { Outcome::Nothing } else { Outcome::Found };
    if args.json {
        let kind = if kind == Kind::Image { "image" } else { "query" };
        let listing = Listing { input: &args.input, kind, model: encoder.name(), tokens };
        json::line(&listing, console.out())?;
    } else {
        for token in tokens {
            let word = console.word(&token.token);
            writeln!(console.out(), "{:.3}\t{word}", token.weight)?;
        }
    }
    Ok(outcome)
}

fn guess(input: &str) -> Kind {
    let path = Path::new(input);
    let is_picture = path.is_file() || input.starts_with(ID_PREFIX);
    // A missing file is better said to be missing than searched for by name.
    let was_meant = has_picture_name(path) && !input.contains(char::is_whitespace);
    if is_picture || was_meant { Kind::Image } else { Kind::Query }
}

fn of_picture(args: &Tokens, model: &Model, encoder: &Encoder) -> anyhow::Result<Vec<Weighted>> {
    if args.input.starts_with(ID_PREFIX) {
        let collection = args.place.open(model.load()?)?;
        let tokens = collection.tokens_of(&picture_ref(&args.input))?.tokens;
        return Ok(tokens.into_iter().map(Weighted::from).collect());
    }
    let target = encoder.config().image.size;
    let options = DecodeOptions { target, ..DecodeOptions::default() };
    let picture = ingest::read(Path::new(&args.input), &options)?;
    let scale = encoder.config().impact_scale;
    // A patch is a whole number below 16 · 16: the grid was checked when the model opened.
    let grid = u8::try_from(encoder.config().image.grid).unwrap_or(u8::MAX);
    let vectors = encoder.encode_images(&[picture])?;
    let weighted = vectors.iter().flat_map(SparseVector::entries).map(|entry| Weighted {
        token: encoder.vocabulary().token(entry.token).to_owned(),
        id: entry.token.0,
        weight: f64::from(entry.impact) / f64::from(scale),
        patch: entry.patch.map(|patch| [patch / grid, patch % grid]),
    });
    Ok(weighted.collect())
}

/// What a search for the text asks for: weights after boosts, as whole numbers would have them.
fn of_text(args: &Tokens, encoder: &Encoder, console: &Console) -> anyhow::Result<Vec<Weighted>> {
    let asked = Asked::read_text(&args.input, &args.refinement)?;
    let compiled = query::compile(&asked.query, None, encoder, asked.mode)?;
    for warning in &compiled.warnings {
        console.warn(warning);
    }
    let weighted = compiled.sparse.terms().iter().map(|(token, weight)| Weighted {
        token: encoder.vocabulary().token(*token).to_owned(),
        id: token.0,
        weight: four_digits(f64::from(*weight) / f64::from(compiled.scale)),
        patch: None,
    });
    Ok(weighted.collect())
}
