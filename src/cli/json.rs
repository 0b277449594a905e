//! The JSON forms: one tagged object a line, `{"type": …, "data": …}`.
//!
//! The set of types and fields may grow: readers skip what they do not know.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;
use sightword::collection::{Hit, Patch, Reranked, ShownToken, Term, Verdict};

use super::console::raw_bytes;
use super::format;

/// One line of a stream.
#[derive(Serialize)]
#[serde(tag = "type", content = "data", rename_all = "lowercase")]
pub(crate) enum Message<'a> {
    /// `search`: the query as it was understood.
    Begin(Begin<'a>),
    /// `search`: one hit.
    Match(Match),
    /// `search`: totals.
    End(End),
    /// `index`: what happened to one file.
    File(FileEvent<'a>),
    /// `index`: a file that was left out, and why.
    Skipped(SkippedFile<'a>),
    /// `index`: totals.
    Summary(Summary),
}

impl Message<'_> {
    /// Writes the message and its line end.
    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        line(self, out)
    }
}

/// Writes `value` as one line of JSON.
pub(crate) fn line(value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

/// A path: text where it is UTF-8, else its bytes.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum JsonPath {
    Text(String),
    Bytes(String),
}

impl JsonPath {
    pub(crate) fn new(path: &Path) -> Self {
        match path.to_str() {
            Some(text) => Self::Text(text.to_owned()),
            None => Self::Bytes(BASE64.encode(raw_bytes(path))),
        }
    }
}

/// A stretch of time, for programs and for people.
#[derive(Serialize)]
pub(crate) struct Elapsed {
    secs: u64,
    nanos: u32,
    human: String,
}

impl From<Duration> for Elapsed {
    fn from(duration: Duration) -> Self {
        Self {
            secs: duration.as_secs(),
            nanos: duration.subsec_nanos(),
            human: format::duration(duration),
        }
    }
}

/// A token of the query with its weight.
#[derive(Serialize)]
pub(crate) struct QueryToken {
    token: String,
    id: u16,
    weight: f64,
}

impl From<&ShownToken> for QueryToken {
    fn from(token: &ShownToken) -> Self {
        let weight = format::four_digits(token.weight);
        Self { token: token.token.clone(), id: token.id.0, weight }
    }
}

#[derive(Serialize)]
pub(crate) struct Begin<'a> {
    pub(crate) query: &'a str,
    pub(crate) tokens: Vec<QueryToken>,
    pub(crate) exclude: &'a [String],
    pub(crate) index: JsonPath,
    pub(crate) model: &'a str,
    /// Who looked again at the first hits.
    pub(crate) reranker: Option<RerankerLine<'a>>,
}

#[derive(Serialize)]
pub(crate) struct RerankerLine<'a> {
    name: &'a str,
    hash: &'a str,
    /// Hits looked at.
    depth: usize,
    /// Of those, the ones whose features were stored.
    stored: usize,
    /// Of those, the ones that could not be read and kept their rank.
    unreadable: usize,
}

impl<'a> From<&'a Reranked> for RerankerLine<'a> {
    fn from(reranked: &'a Reranked) -> Self {
        let Reranked { name, hash, depth, stored, unreadable, .. } = reranked;
        Self { name, hash, depth: *depth, stored: *stored, unreadable: *unreadable }
    }
}

#[derive(Serialize)]
pub(crate) struct Match {
    rank: u64,
    id: String,
    path: JsonPath,
    /// Further paths with the same content.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    copies: Vec<JsonPath>,
    score: f64,
    coverage: f64,
    stages: Stages,
    terms: Vec<TermRow>,
}

#[derive(Serialize)]
struct Stages {
    sparse: Stage,
    rerank: Option<Stage>,
}

#[derive(Serialize)]
struct Stage {
    rank: u64,
    score: f64,
}

/// One row of the sum that is the score.
#[derive(Serialize)]
pub(crate) struct TermRow {
    token: String,
    q: f64,
    d: f64,
    product: f64,
    /// Row and column of the winning patch, from 0; of the heaviest piece for a word of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<[u8; 2]>,
    /// All winning patches of a word of several pieces.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    patches: Vec<[u8; 2]>,
}

impl From<&Term> for TermRow {
    fn from(term: &Term) -> Self {
        let mut patches: Vec<[u8; 2]> = term.patches.iter().map(pair).collect();
        let patch = patches.first().copied();
        if patches.len() < 2 {
            patches.clear();
        }
        Self {
            token: term.token.clone(),
            q: format::four_digits(term.query),
            d: format::four_digits(term.image),
            product: term.shown,
            patch,
            patches,
        }
    }
}

fn pair(patch: &Patch) -> [u8; 2] {
    [patch.row, patch.column]
}

impl Match {
    /// `shown` turns a stored path into the one that opens from here.
    pub(crate) fn new(hit: &Hit, shown: impl Fn(&Path) -> JsonPath) -> Self {
        let mut paths = hit.paths.iter().map(|path| shown(path));
        Self {
            rank: hit.rank,
            id: hit.id.to_string(),
            path: paths.next().unwrap_or(JsonPath::Text(String::new())),
            copies: paths.collect(),
            score: hit.score.shown,
            coverage: format::four_digits(hit.coverage.into()),
            stages: Stages {
                sparse: Stage { rank: hit.first_rank, score: hit.score.shown },
                rerank: hit
                    .rerank_score
                    .map(|score| Stage { rank: hit.rank, score: format::four_digits(score) }),
            },
            terms: hit.terms.iter().map(TermRow::from).collect(),
        }
    }
}

#[derive(Serialize)]
pub(crate) struct End {
    pub(crate) matched: u64,
    pub(crate) returned: usize,
    pub(crate) excluded: u64,
    pub(crate) verdict: &'static str,
    /// The best picture below the least coverage, if nothing reached it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) nearest: Option<Match>,
    pub(crate) elapsed: Elapsed,
    pub(crate) warnings: usize,
    pub(crate) errors: usize,
}

/// `some` or `none`.
pub(crate) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Some => "some",
        Verdict::None => "none",
    }
}

#[derive(Serialize)]
pub(crate) struct FileEvent<'a> {
    pub(crate) change: &'a str,
    pub(crate) path: JsonPath,
}

#[derive(Serialize)]
pub(crate) struct SkippedFile<'a> {
    pub(crate) path: JsonPath,
    pub(crate) reason: &'a str,
}

#[derive(Serialize)]
pub(crate) struct Summary {
    pub(crate) new: u64,
    pub(crate) changed: u64,
    pub(crate) moved: u64,
    pub(crate) copied: u64,
    pub(crate) removed: u64,
    pub(crate) restored: u64,
    pub(crate) pruned: u64,
    pub(crate) unchanged: u64,
    pub(crate) features: u64,
    pub(crate) skipped: usize,
    pub(crate) interrupted: bool,
    pub(crate) elapsed: Elapsed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_text_where_it_can_be() {
        let json = serde_json::to_string(&JsonPath::new(Path::new("a/é.jpg"))).unwrap();
        assert_eq!(json, r#"{"text":"a/é.jpg"}"#);
    }

    #[cfg(unix)]
    #[test]
    fn a_path_that_is_no_text_is_bytes() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        let path = JsonPath::new(Path::new(OsStr::from_bytes(b"\xff.jpg")));
        assert_eq!(serde_json::to_string(&path).unwrap(), r#"{"bytes":"/y5qcGc="}"#);
    }
}
