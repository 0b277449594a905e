//! `sightword search`: ranked hits, or an honest "no match".

use std::num::NonZeroUsize;
use std::sync::Arc;

use anyhow::bail;
use clap::{Args, ValueEnum};
use sightword::collection::{
    Collection, CollectionError, RefreshOptions, Rerank, SearchReply, SearchRequest, Sort,
};
use sightword::encode::Encoder;
use sightword::rerank::DEFAULT_DEPTH;

use super::asked::{Asked, Refinement};
use super::console::Console;
use super::format;
use super::hits::{self, Form};
use super::place::{Model, Place, Second};
use super::{Outcome, index};

/// Search pictures by words, by a picture, or both
#[derive(Debug, Args)]
#[command(help_template = super::TEMPLATE, before_help = "Examples:
  sightword search --in ~/Photos 'a cup of coffee'        index on first use, then search
  sightword search 'dog^2 beach -surfboard after:2021'    weights, exclusion, filter
  sightword search dog -l0 -k 0 | xargs -0 cp -t out/     every match, for scripts",
  after_long_help = LANGUAGE)]
pub(crate) struct Search {
    /// Words (see --help for the query language); a picture file searches for alike ones
    #[arg(value_name = "QUERY")]
    words: Vec<String>,

    /// Also be like this picture (a file or an id)
    #[arg(long, value_name = "FILE")]
    like: Option<String>,

    #[command(flatten)]
    refinement: Refinement,

    #[command(flatten)]
    place: Place,

    /// How many hits; 0 for all
    #[arg(short, value_name = "N", default_value_t = 10)]
    k: usize,

    /// Leave out the first N hits
    #[arg(long, value_name = "N", default_value_t = 0)]
    offset: usize,

    /// Least coverage of the query, as 0.3 or 30% [default: the model's calibrated one]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    min_match: Option<f32>,

    /// Show hits below the least coverage too
    #[arg(long)]
    all: bool,

    /// Order of the hits shown
    #[arg(long, value_enum, default_value_t, value_name = "BY")]
    sort: By,

    /// Look again at the first N hits, words and picture together [default: 50 with --reranker or
    /// after index --rerank-features, else 0]
    #[arg(long, value_name = "N")]
    rerank: Option<usize>,

    #[command(flatten)]
    second: Second,

    /// Below each hit, the sum that is its score
    #[arg(long)]
    explain: bool,

    /// Print paths only
    #[arg(short = 'l', long, conflicts_with_all = ["json", "format"])]
    files_with_matches: bool,

    /// Print paths only, each ended by NUL
    #[arg(short = '0', long, conflicts_with_all = ["json", "format"])]
    null: bool,

    /// Print JSON Lines
    #[arg(long, conflicts_with = "format")]
    json: bool,

    /// Print another form
    #[arg(long, value_enum, value_name = "FORM")]
    format: Option<Format>,
}

const LANGUAGE: &str = "\
Query language:
  dog on a beach        words, weighed together: related words count too
  -word  -\"a phrase\"    no picture that shows this
  word^2  \"a b\"^0.5     more or less weight (above 0, at most 100)
  path:2021  path:'*.png'  after:2020-06  before:2021  camera:pixel
  size:'>2mp'  size:'>=1920x1080'  size:'<500kb'  near:48.86,2.35,5
  {\"dog\": 2, \"sand\": 1}  raw token weights
Quotes make operators plain text. Words that begin with '-' go behind '--'.

Re-ranking:
  The first N hits are ordered by a second score, for which the words look at the patches of each
  picture. It stands behind the rank, and behind it the rank before, in brackets. What is a hit stays
  as it was. Without stored features every picture is read and encoded again, some 50 ms each;
  `index --rerank-features` stores them, some 50 kB a picture. Not with --like or another --sort.

Exit code: 0 some hits, 1 none, 2 error.";

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum By {
    /// Best first
    #[default]
    Score,
    /// Latest first
    Date,
    /// By path
    Path,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// A run for `trec_eval` and its kin: `qid Q0 docid rank score tag`
    Trec,
}

impl From<By> for Sort {
    fn from(by: By) -> Self {
        match by {
            By::Score => Self::Score,
            By::Date => Self::Date,
            By::Path => Self::Path,
        }
    }
}

pub(crate) fn run(args: &Search, model: &Model, console: &mut Console) -> anyhow::Result<Outcome> {
    let asked = Asked::read(&args.words, args.like.as_deref(), &args.refinement)?;
    let encoder = model.load()?;
    let Some(collection) = open_or_index(&args.place, Arc::clone(&encoder), console)? else {
        return Ok(Outcome::Interrupted);
    };
    let typed = asked.typed.clone();
    let mut request = args.request(asked);
    request.rerank = args.rerank(&request, &collection)?;
    let reply = collection.search(&request)?;
    for warning in &reply.warnings {
        console.warn(warning);
    }
    let header = hits::Header { typed: &typed, index: collection.dir(), model: encoder.name() };
    hits::print(&reply, args.form(), &header, console)?;
    let found = !reply.hits.is_empty();
    if !matches!(args.form(), Form::Json) {
        say_verdict(&request, &reply, args.form(), console);
    }
    Ok(if found { Outcome::Found } else { Outcome::Nothing })
}

impl Search {
    fn request(&self, asked: Asked) -> SearchRequest {
        let mut request = SearchRequest::new(asked.query);
        request.like = asked.like;
        request.mode = asked.mode;
        request.k = self.k;
        request.offset = self.offset;
        request.min_match = self.min_match;
        request.all = self.all;
        request.sort = self.sort.into();
        request
    }

    /// The second look: as asked, else where one is at hand that costs little and the query allows it.
    fn rerank(
        &self,
        request: &SearchRequest,
        collection: &Collection,
    ) -> anyhow::Result<Option<Rerank>> {
        let encoder = collection.encoder();
        if let Some(depth) = self.rerank {
            let Some(depth) = NonZeroUsize::new(depth) else { return Ok(None) };
            return Ok(Some(Rerank { reranker: self.second.load(encoder)?, depth }));
        }
        if !request.can_rerank() {
            return Ok(None);
        }
        let Some(reranker) = self.second.find(encoder)? else { return Ok(None) };
        let is_stored = || {
            let stored = collection.stored_features(&*reranker);
            stored.is_ok_and(|stored| !stored.is_empty())
        };
        let is_wanted = self.second.is_named() || is_stored();
        let depth = NonZeroUsize::new(DEFAULT_DEPTH).filter(|_| is_wanted);
        Ok(depth.map(|depth| Rerank { reranker, depth }))
    }

    fn form(&self) -> Form {
        match (self.json, self.format) {
            (true, _) => Form::Json,
            (_, Some(Format::Trec)) => Form::Trec,
            _ if self.null => Form::Paths { end: b'\0' },
            _ if self.files_with_matches => Form::Paths { end: b'\n' },
            _ => Form::Rows { explain: self.explain },
        }
    }
}

/// Opens the collection; a folder named by `--in` that has no index yet is indexed first. `None` if
/// that was interrupted.
pub(crate) fn open_or_index(
    place: &Place,
    encoder: Arc<Encoder>,
    console: &Console,
) -> anyhow::Result<Option<Collection>> {
    let found = Collection::find(place.in_dir.as_deref(), place.index.as_deref());
    let (Some(folder), Err(CollectionError::NoIndex { .. })) = (&place.in_dir, &found) else {
        return Ok(Some(Collection::open(&found?, encoder)?));
    };
    let roots = [folder.clone()];
    let mut collection = Collection::create(&roots, place.index.as_deref(), encoder)?;
    let report = index::refresh(&mut collection, &RefreshOptions::default(), console)?;
    index::say_skipped(false, &report, console);
    console.say(format_args!(
        "indexed {} in {}",
        index::changes(&report),
        format::duration(report.elapsed)
    ));
    if report.interrupted {
        console.say("sightword: stopped; what was done is committed, the same command goes on");
        return Ok(None);
    }
    Ok(Some(collection))
}

/// The line below the hits, or why there are none.
fn say_verdict(request: &SearchRequest, reply: &SearchReply, form: Form, console: &Console) {
    if reply.hits.is_empty() {
        return console.say(hits::no_hits(request, reply, console));
    }
    if !matches!(form, Form::Rows { .. }) {
        return;
    }
    let removed = match (reply.excluded, &reply.query.excluded[..]) {
        (0, _) => String::new(),
        (number, words) => format!(" ({} removed {})", words.join(", "), format::count(number)),
    };
    let reranked = reply.reranked.as_ref().map_or(String::new(), |reranked| {
        let depth = format::count(reranked.depth as u64);
        format!(", the first {depth} re-ranked by {} {:.12}", reranked.name, reranked.hash)
    });
    console.say(format_args!(
        "{} of {}{removed}{reranked}  {}",
        format::count(reply.hits.len() as u64),
        format::count(reply.matched),
        format::duration(reply.elapsed)
    ));
}

/// A share of one: `0.3`, `30%`.
fn share(text: &str) -> anyhow::Result<f32> {
    let (number, whole) = match text.strip_suffix('%') {
        Some(number) => (number, 100.0),
        None => (text, 1.0),
    };
    match number.trim().parse::<f32>() {
        Ok(number) if (0.0..=whole).contains(&number) => Ok(number / whole),
        _ => bail!("a share from 0 to 1, or from 0% to 100%, is wanted"),
    }
}
