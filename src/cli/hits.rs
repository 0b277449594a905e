//! The five forms in which hits are printed.

use std::path::Path;

use clap::builder::styling::{AnsiColor, Style};
use sightword::collection::{Hit, SearchReply, SearchRequest, Term};
use sightword::wire::{JsonPath, Match, QueryToken, RerankerLine};

use super::console::Console;
use super::explain;
use super::format;
use super::json::{Begin, End, Message};

/// How hits are printed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Form {
    /// For people: rank, after a second look its score and the rank before, score, coverage, path,
    /// heaviest words.
    Rows {
        /// Whether the whole sum follows each row.
        explain: bool,
    },
    /// Paths only, each ended by this byte.
    Paths {
        /// Line end or NUL.
        end: u8,
    },
    /// JSON Lines.
    Json,
    /// A TREC run.
    Trec,
}

/// What the JSON form says before the hits.
pub(crate) struct Header<'a> {
    pub(crate) typed: &'a str,
    pub(crate) index: &'a Path,
    pub(crate) model: &'a str,
}

/// Words named in a row and in "no match".
const HEAVIEST: usize = 3;

pub(crate) const DIM: Style = Style::new().dimmed();
const STRONG: Style = Style::new().bold();
const WORD: Style = AnsiColor::Green.on_default();

/// Prints the hits of `reply`.
pub(crate) fn print(
    reply: &SearchReply,
    form: Form,
    header: &Header<'_>,
    console: &mut Console,
) -> anyhow::Result<()> {
    match form {
        Form::Rows { explain } => print_rows(&reply.hits, explain, console),
        Form::Paths { end } => print_paths(&reply.hits, end, console),
        Form::Json => print_json(reply, header, console),
        Form::Trec => print_trec(reply, console),
    }
}

fn print_rows(hits: &[Hit], explain: bool, console: &mut Console) -> anyhow::Result<()> {
    let paths: Vec<Vec<u8>> = hits.iter().map(|hit| shown_path(hit, console)).collect();
    let widest = |widths: &mut dyn Iterator<Item = usize>| widths.max().unwrap_or(0);
    let rank_width = widest(&mut hits.iter().map(|hit| hit.rank.to_string().len())).max(2);
    let scores: Vec<String> = hits.iter().map(|hit| format!("{:.2}", hit.score.shown)).collect();
    let score_width = widest(&mut scores.iter().map(String::len));
    let seconds: Vec<String> = hits.iter().map(second_look).collect();
    let second_width = widest(&mut seconds.iter().map(String::len));
    let path_width = widest(&mut paths.iter().map(|path| width(path)));
    for (((hit, path), score), second) in hits.iter().zip(&paths).zip(&scores).zip(&seconds) {
        let numbers = format!(
            "{:>rank_width$}  {second:>second_width$}{}  {:>4}  ",
            hit.rank,
            console.paint(STRONG, format_args!("{score:>score_width$}")),
            format::percent(hit.coverage.into())
        );
        let words = heaviest(&hit.terms, console);
        let gap = path_width - width(path) + 2;
        let out = console.out();
        write!(out, "{numbers}")?;
        out.write_all(path)?;
        writeln!(out, "{:gap$}{words}", "")?;
        if explain {
            explain::print_terms(hit, "    ", console)?;
        }
    }
    Ok(())
}

/// `6.21  (3)  `: the score that ordered a hit, and its rank before; nothing without a second look.
fn second_look(hit: &Hit) -> String {
    match hit.rerank_score {
        Some(score) => format!("{score:.2}  ({})  ", hit.first_rank),
        None => String::new(),
    }
}

/// Characters, near enough to columns for aligning names.
fn width(path: &[u8]) -> usize {
    String::from_utf8_lossy(path).chars().count()
}

/// `dog 3.9 · beach 2.8 · sand 0.9`
fn heaviest(terms: &[Term], console: &Console) -> String {
    let mut shown: Vec<&Term> = terms.iter().collect();
    shown.sort_by_key(|term| std::cmp::Reverse(term.product));
    let word = |term: &&Term| {
        let weight = console.paint(DIM, format_args!("{:.1}", term.shown));
        format!("{} {weight}", console.paint(WORD, console.word(&term.token)))
    };
    shown.iter().take(HEAVIEST).map(word).collect::<Vec<_>>().join(" · ")
}

/// The first of a hit's paths. Pictures are only hits while they have one.
fn first_path(hit: &Hit) -> &Path {
    hit.paths.first().map_or(Path::new(""), |path| path.as_path())
}

fn shown_path(hit: &Hit, console: &Console) -> Vec<u8> {
    console.path_bytes(first_path(hit))
}

fn print_paths(hits: &[Hit], end: u8, console: &mut Console) -> anyhow::Result<()> {
    for hit in hits {
        let path = shown_path(hit, console);
        console.out().write_all(&path)?;
        console.out().write_all(&[end])?;
    }
    Ok(())
}

/// Whole-number scores: they order exactly as the ranks do, ties included. After a second look, in
/// which two scales meet, the score is the number of hits that do not come before.
fn print_trec(reply: &SearchReply, console: &mut Console) -> anyhow::Result<()> {
    for hit in &reply.hits {
        let score = match &reply.reranked {
            Some(_) => (reply.matched + 1).saturating_sub(hit.rank),
            None => hit.score.whole.into(),
        };
        writeln!(console.out(), "1 Q0 {} {} {score} sightword", hit.id, hit.rank)?;
    }
    Ok(())
}

fn print_json(
    reply: &SearchReply,
    header: &Header<'_>,
    console: &mut Console,
) -> anyhow::Result<()> {
    let viewpoint = console.viewpoint().clone();
    let shown = |path: &Path| JsonPath::new(&viewpoint.shown(path));
    let begin = Begin {
        query: header.typed,
        tokens: reply.query.tokens.iter().map(QueryToken::from).collect(),
        exclude: &reply.query.excluded,
        index: shown(header.index),
        model: header.model,
        reranker: reply.reranked.as_ref().map(RerankerLine::from),
    };
    Message::Begin(begin).write(console.out())?;
    for hit in &reply.hits {
        Message::Match(Match::new(hit, shown)).write(console.out())?;
    }
    let nearest = reply.nearest.as_ref().filter(|_| reply.hits.is_empty());
    let end = End {
        matched: reply.matched,
        returned: reply.hits.len(),
        excluded: reply.excluded,
        verdict: reply.verdict.into(),
        nearest: nearest.map(|hit| Match::new(hit, shown)),
        elapsed: reply.elapsed.into(),
        warnings: reply.warnings.len(),
        errors: 0,
    };
    Message::End(end).write(console.out())?;
    Ok(())
}

/// Why there are no hits, and the nearest picture.
pub(crate) fn no_hits(request: &SearchRequest, reply: &SearchReply, console: &Console) -> String {
    if reply.matched > 0 {
        return format!("no more: {} matched in all", format::count(reply.matched));
    }
    let words = query_words(reply);
    let among = if request.query.filters.is_empty() { "" } else { " that passes the filters" };
    match &reply.nearest {
        Some(hit) => format!(
            "no match: no image{among} covers {} of '{words}'   \
             (nearest: {:.2}  {}  {}; --all shows it)",
            format::percent(reply.threshold.into()),
            hit.score.shown,
            format::percent(hit.coverage.into()),
            console.path_said(first_path(hit))
        ),
        None if reply.excluded > 0 => format!(
            "no match: {} would match but for '{}'",
            format::counted(reply.excluded, "image", "images"),
            reply.query.excluded.join("', '")
        ),
        None => format!("no match: no image{among} has any word of '{words}'"),
    }
}

fn query_words(reply: &SearchReply) -> String {
    let mut tokens: Vec<_> = reply.query.tokens.iter().collect();
    tokens.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    let words: Vec<&str> = tokens.iter().take(HEAVIEST).map(|token| &*token.token).collect();
    words.join(" · ")
}
