//! The JSON forms: one tagged object a line, `{"type": …, "data": …}`.
//!
//! The set of types and fields may grow: readers skip what they do not know.

use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;
use sightword::wire::{Found, JsonPath, Match, QueryToken, RerankerLine};

use super::format;

/// One line of a stream.
#[derive(Serialize)]
#[serde(tag = "type", content = "data", rename_all = "lowercase")]
pub(crate) enum Message<'a> {
    /// `search`: the query as it was understood.
    Begin(Begin<'a>),
    /// `search`: one hit.
    Match(Match<JsonPath>),
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

#[derive(Serialize)]
pub(crate) struct Begin<'a> {
    pub(crate) query: &'a str,
    pub(crate) tokens: Vec<QueryToken>,
    pub(crate) exclude: &'a [String],
    pub(crate) index: JsonPath,
    pub(crate) model: &'a str,
    /// Who looked again at the first hits.
    pub(crate) reranker: Option<RerankerLine>,
}

#[derive(Serialize)]
pub(crate) struct End {
    pub(crate) matched: u64,
    pub(crate) returned: usize,
    pub(crate) excluded: u64,
    pub(crate) verdict: Found,
    /// The best picture below the least coverage, if nothing reached it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) nearest: Option<Match<JsonPath>>,
    pub(crate) elapsed: Elapsed,
    pub(crate) warnings: usize,
    pub(crate) errors: usize,
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
