//! What a search is asked, and what it answers.

use std::{num::NonZeroUsize, path::PathBuf, sync::Arc, time::Duration};

use sightword_index::TokenId;

use crate::{
    ingest::{ContentId, Picture},
    query::{ParsedQuery, QueryMode},
    rerank::Reranker,
};

/// A picture, named by the user.
#[derive(Debug, Clone, PartialEq)]
pub enum PictureRef {
    /// A file, in the index or not.
    Path(PathBuf),
    /// The beginning of a picture's id, with or without `b3:`; it must belong to one picture only.
    Id(String),
    /// A picture at hand, in the index or not, decoded for the model's input size.
    Decoded(Arc<Picture>),
}

/// A picture whose likes are sought.
pub type Like = PictureRef;

/// The order of hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// The best first; of equal ones, the smaller id.
    #[default]
    Score,
    /// The newest first; pictures without a date last.
    Date,
    /// By path.
    Path,
}

/// What to search.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct SearchRequest {
    /// Words, exclusions, filters.
    pub query: ParsedQuery,
    /// A picture to find the likes of; with words, both are added.
    pub like: Option<Like>,
    /// Where the words' weights come from.
    pub mode: QueryMode,
    /// The most hits to return; 0 returns all.
    pub k: usize,
    /// Hits to leave out before the first that is returned.
    pub offset: usize,
    /// The least coverage of a hit, 0 to 1. `None`: [`default_min_match`](super::default_min_match).
    pub min_match: Option<f32>,
    /// Whether everything that shares a word with the query is a hit.
    pub all: bool,
    /// The order of hits.
    pub sort: Sort,
    /// A second look at the first hits: at words only, and in no order but [`Sort::Score`].
    pub rerank: Option<Rerank>,
}

/// A second look.
#[derive(Debug, Clone)]
pub struct Rerank {
    /// Who looks.
    pub reranker: Arc<dyn Reranker>,
    /// At how many of the first hits.
    pub depth: NonZeroUsize,
}

impl SearchRequest {
    /// The ten best hits of a query.
    #[must_use]
    pub fn new(query: ParsedQuery) -> Self {
        Self { query, k: 10, ..Self::default() }
    }
}

/// Whether anything was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// At least one picture covers enough of the query.
    Some,
    /// None does.
    None,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SearchReply {
    /// The hits asked for.
    pub hits: Vec<Hit>,
    /// All hits, whatever `k` and `offset` are.
    pub matched: u64,
    /// Pictures that would be hits if it were not for an exclusion.
    pub excluded: u64,
    /// Whether there are hits.
    pub verdict: Verdict,
    /// Without hits: the picture that comes nearest, if any shares a word with the query.
    pub nearest: Option<Hit>,
    /// What was searched for, as it was understood.
    pub query: ShownQuery,
    /// The coverage from which a picture is a hit.
    pub threshold: f32,
    /// The second look, if there was one.
    pub reranked: Option<Reranked>,
    /// What the user should know, such as words that the model does not know.
    pub warnings: Vec<String>,
    /// How long it took.
    pub elapsed: Duration,
}

/// A second look at the first hits.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reranked {
    /// The re-ranker's name.
    pub name: String,
    /// Its hash, 64 hex digits.
    pub hash: String,
    /// How many hits it looked at.
    pub depth: usize,
    /// Of how many of them the features were stored; those of the others were made.
    pub stored: usize,
    /// How many could not be read and kept their rank.
    pub unreadable: usize,
}

/// A query as it was understood.
#[derive(Debug, Clone, PartialEq)]
pub struct ShownQuery {
    /// The words with their weights, heaviest first.
    pub tokens: Vec<ShownToken>,
    /// The words and phrases that are excluded.
    pub excluded: Vec<String>,
}

/// A word of a query.
#[derive(Debug, Clone, PartialEq)]
pub struct ShownToken {
    /// The word; for a word that the vocabulary has only in pieces, the whole word.
    pub token: String,
    /// Its token; of a word in pieces, the first that counts.
    pub id: TokenId,
    /// Its weight; of a word in pieces, the sum.
    pub weight: f64,
}

/// A picture that was found.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Hit {
    /// The picture.
    pub id: ContentId,
    /// Its files, absolute; the first one is shown.
    pub paths: Vec<PathBuf>,
    /// How well it matches.
    pub score: Score,
    /// The share of the greatest reachable score, 0 to 1.
    pub coverage: f32,
    /// Its place in the order asked for, from 1.
    pub rank: u64,
    /// Its place before the second look, from 1; without one, the same as `rank`.
    pub first_rank: u64,
    /// What the second look ordered it by: its own score and [`score`](Hit::score) together
    /// ([`Blend`](crate::rerank::Blend)). `None` if it was not looked at again.
    pub rerank_score: Option<f64>,
    /// What makes the score, heaviest first. The products are its parts: they add up to it.
    pub terms: Vec<Term>,
}

/// How well a picture matches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// The whole number that decides.
    pub whole: u32,
    /// The same for people, rounded to two decimals.
    pub shown: f64,
}

/// A word that query and picture share.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Term {
    /// The word; word pieces of one word of the query stand under it together.
    pub token: String,
    /// Its weight in the query; of several pieces, the sum.
    pub query: f64,
    /// Its weight in the picture; of several pieces, the mean by the query's weights, so that
    /// `query` times `image` is the product here as well.
    pub image: f64,
    /// Its part of the score, as a whole number.
    pub product: u32,
    /// Its part of the score, rounded to two decimals so that the parts add up to the score shown.
    pub shown: f64,
    /// Where in the picture it was seen, one place a piece.
    pub patches: Vec<Patch>,
    /// The tokens that it consists of.
    pub tokens: Vec<TokenId>,
}

/// A field of the grid that is laid over a picture, from the top left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Patch {
    /// From 0 at the top.
    pub row: u8,
    /// From 0 at the left.
    pub column: u8,
}

/// Why a picture was found where it was, or not found.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Explanation {
    /// The picture, its score and all its terms.
    pub hit: Hit,
    /// Words of the query that are not in the picture, heaviest first.
    pub missing: Vec<ShownToken>,
    /// The rank among all pictures that share a word with the query, from 1, whether or not it is
    /// above the threshold. `None` if it shares none, or is excluded or filtered out. For a file that
    /// is not indexed: the rank that it would have.
    pub rank: Option<u64>,
    /// Pictures that are hits of this query.
    pub matched: u64,
    /// The exclusions that it falls under.
    pub excluded_by: Vec<String>,
    /// The filters that it does not pass.
    pub filtered_by: Vec<String>,
    /// The coverage from which a picture is a hit.
    pub threshold: f32,
    /// Whether the picture is in the index.
    pub indexed: bool,
    /// Fields of the grid of [`Patch`]es in a row, and rows.
    pub grid: usize,
    /// What was searched for, as it was understood.
    pub query: ShownQuery,
    /// What the second look sees in it, where one was asked for and its file can be read.
    pub second: Option<Seen>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// What a second look sees in one picture.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Seen {
    /// The re-ranker's name.
    pub name: String,
    /// Its hash, 64 hex digits.
    pub hash: String,
    /// How well text and picture fit, by the re-ranker alone.
    pub fit: f64,
    /// What orders the hits: that and the first stage's score together.
    pub score: f64,
    /// What the fit is made of, the largest first; nothing where the re-ranker cannot tell.
    pub parts: Vec<SeenPart>,
}

/// A part of what a second look sees.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenPart {
    /// The token that was looked for; `None` for the text as a whole.
    pub token: Option<String>,
    /// What it adds to the fit.
    pub score: f64,
    /// Where it was seen best.
    pub patch: Option<Patch>,
}

impl Explanation {
    /// Whether the picture is a hit.
    #[must_use]
    pub fn is_hit(&self) -> bool {
        self.rank.is_some() && self.hit.coverage >= self.threshold
    }
}

/// The words of a picture.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PictureTokens {
    /// The picture.
    pub id: ContentId,
    /// Its files, absolute.
    pub paths: Vec<PathBuf>,
    /// Whether it is in the index; if not, it was encoded just now.
    pub indexed: bool,
    /// Its words, heaviest first.
    pub tokens: Vec<PictureToken>,
    /// Fields of the grid of [`Patch`]es in a row, and rows.
    pub grid: usize,
}

/// A word of a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct PictureToken {
    /// The word, or word piece.
    pub token: String,
    /// Its token.
    pub id: TokenId,
    /// Its weight.
    pub weight: f64,
    /// The same as the whole number that is stored, 1 to 255.
    pub impact: u8,
    /// Where in the picture it was seen best.
    pub patch: Option<Patch>,
}
