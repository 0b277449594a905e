//! `/v1/search`: which pictures match.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    ask::{self, Ask, Like, Mode, Order},
    cursor,
    input::{Body, Query},
    problem::Problem,
    shared::Shared,
    snapshot::Snapshot,
    words::RefinementBody,
};
use crate::{
    collection::{Hit, SearchReply, ShownToken},
    wire::{Found, Match, QueryToken, RerankerLine, four_digits},
};

/// The most hits in one answer.
const MOST_HITS: usize = 1_000;
/// The most refinements.
const MOST_REFINEMENTS: usize = 100;
/// The first hits that refinements are looked for in.
const REFINED: usize = 50;

/// A search: what to look for, and which part of the hits to answer with.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SearchBody {
    /// Text of the query language, as on the command line: words, `-word`, `word^2`, `path:2021`.
    #[schema(example = "dog on a beach -surfboard", max_length = 10_000)]
    query: Option<String>,
    /// Weights of words, 0 to 100, that replace those that text and picture give; 0 takes a word out.
    tokens: BTreeMap<String, f32>,
    /// Words and phrases that must not be in the picture.
    exclude: Vec<String>,
    /// A picture to find the likes of.
    like: Option<Like>,
    /// Filters by name, with values as in the query language: `path`, `after`, `before`, `camera`,
    /// `size`, `near`.
    #[schema(example = json!({"after": "2020-01-01", "path": "2021/**"}))]
    filter: BTreeMap<String, String>,
    /// Where the words' weights come from.
    mode: Mode,
    /// The least coverage of a hit, 0 to 1; by default the calibrated one.
    #[schema(minimum = 0, maximum = 1)]
    min_match: Option<f32>,
    /// Whether everything that shares a word with the query is a hit.
    all: bool,
    /// The most hits to answer with.
    #[schema(minimum = 1, maximum = 1000)]
    k: usize,
    /// Where to go on: the `cursor` of the answer before.
    cursor: Option<String>,
    /// The order of hits.
    sort: Order,
    /// A second look at the first hits.
    rerank: Option<RerankBody>,
    /// Whether each hit comes with the words that make its score.
    explain: bool,
    /// How many words to propose that tell the first hits from the rest.
    #[schema(maximum = 100)]
    refine: usize,
}

impl Default for SearchBody {
    fn default() -> Self {
        Self {
            query: None,
            tokens: BTreeMap::new(),
            exclude: Vec::new(),
            like: None,
            filter: BTreeMap::new(),
            mode: Mode::default(),
            min_match: None,
            all: false,
            k: 20,
            cursor: None,
            sort: Order::default(),
            rerank: None,
            explain: true,
            refine: 0,
        }
    }
}

/// A second look.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RerankBody {
    /// At how many of the first hits.
    #[schema(minimum = 1, maximum = 200)]
    depth: usize,
}

/// The same as parameters, as far as they are single values.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SearchParams {
    /// Text of the query language.
    #[param(example = "dog on a beach")]
    q: Option<String>,
    /// The id of a picture to find the likes of.
    like: Option<String>,
    /// The most hits to answer with.
    #[param(minimum = 1, maximum = 1000)]
    k: Option<usize>,
    /// Where to go on: the `cursor` of the answer before.
    cursor: Option<String>,
    /// Where the words' weights come from.
    mode: Option<Mode>,
    /// The least coverage of a hit.
    #[param(minimum = 0, maximum = 1)]
    min_match: Option<f32>,
    /// Whether everything that shares a word with the query is a hit.
    all: Option<bool>,
    /// The order of hits.
    sort: Option<Order>,
    /// At how many of the first hits to look again.
    #[param(minimum = 1, maximum = 200)]
    rerank: Option<usize>,
}

impl From<SearchParams> for SearchBody {
    fn from(params: SearchParams) -> Self {
        let default = Self::default();
        Self {
            query: params.q,
            like: params.like.map(Like::Id),
            k: params.k.unwrap_or(default.k),
            cursor: params.cursor,
            mode: params.mode.unwrap_or_default(),
            min_match: params.min_match,
            all: params.all.unwrap_or_default(),
            sort: params.sort.unwrap_or_default(),
            rerank: params.rerank.map(|depth| RerankBody { depth }),
            ..default
        }
    }
}

/// What a search found.
#[derive(Serialize, ToSchema)]
pub(crate) struct SearchAnswer {
    /// The query as it was understood.
    query: Understood,
    /// Whether anything was found.
    verdict: Found,
    /// All hits, whatever `k` is.
    matched: u64,
    /// Pictures that would be hits if it were not for an exclusion.
    excluded: u64,
    /// The coverage from which a picture is a hit.
    threshold: f64,
    /// Milliseconds that the search took, without the way to and from the server.
    took_ms: f64,
    /// Where the next hits are to be had; none if these are the last.
    cursor: Option<String>,
    /// The hits.
    hits: Vec<Match<String>>,
    /// The best picture below the least coverage, if nothing reached it.
    nearest: Option<Match<String>>,
    /// Who looked again at the first hits.
    reranker: Option<RerankerLine>,
    /// Words that tell the first hits from the rest, the most telling first.
    refinements: Vec<RefinementBody>,
    /// What people should know, such as words that the model does not know.
    warnings: Vec<String>,
}

/// A query as it was understood.
#[derive(Serialize, ToSchema)]
struct Understood {
    /// Its words with their weights, heaviest first.
    tokens: Vec<SourcedToken>,
    /// What is excluded.
    exclude: Vec<String>,
}

/// A word of the query, and who gave it its weight.
#[derive(Serialize, ToSchema)]
struct SourcedToken {
    #[serde(flatten)]
    token: QueryToken,
    /// `user` or `model`.
    source: &'static str,
}

/// Finds pictures by words, by a picture, or both
#[utoipa::path(post, path = "/v1/search", tag = "search", request_body = SearchBody, responses(
    (status = 200, body = SearchAnswer),
))]
pub(crate) async fn post_search(
    State(shared): State<Arc<Shared>>,
    Body(body): Body<SearchBody>,
) -> Result<Json<SearchAnswer>, Problem> {
    shared.work(move |shared, snapshot| body.answer(shared, snapshot)).await.map(Json)
}

/// Finds pictures by words or by a picture
#[utoipa::path(get, path = "/v1/search", tag = "search", params(SearchParams), responses(
    (status = 200, body = SearchAnswer),
))]
pub(crate) async fn get_search(
    State(shared): State<Arc<Shared>>,
    Query(params): Query<SearchParams>,
) -> Result<Json<SearchAnswer>, Problem> {
    let body = SearchBody::from(params);
    shared.work(move |shared, snapshot| body.answer(shared, snapshot)).await.map(Json)
}

impl SearchBody {
    fn answer(self, shared: &Shared, snapshot: &Snapshot) -> Result<SearchAnswer, Problem> {
        let Self { k, cursor: from, sort, rerank, explain, refine, .. } = self;
        if !(1..=MOST_HITS).contains(&k) {
            let detail = format!("k is a number from 1 to {MOST_HITS}");
            return Err(Problem::invalid("bad_k", detail));
        }
        if refine > MOST_REFINEMENTS {
            let detail = format!("refine is a number from 0 to {MOST_REFINEMENTS}");
            return Err(Problem::invalid("bad_refine", detail));
        }
        let ask = Ask {
            query: self.query,
            tokens: self.tokens,
            exclude: self.exclude,
            like: self.like,
            filter: self.filter,
            mode: self.mode,
            min_match: self.min_match,
            all: self.all,
        };
        let mut request = ask.request(shared)?;
        let generation = snapshot.collection.generation();
        request.k = k;
        request.offset = from.map_or(Ok(0), |cursor| cursor::offset_of(&cursor, generation))?;
        request.sort = sort.into();
        request.rerank = rerank.map(|rerank| ask::rerank(rerank.depth, shared)).transpose()?;
        let reply = snapshot.collection.search(&request)?;
        shared.metrics.hits.inc_by(reply.matched);

        let refinements = match refine {
            0 => Vec::new(),
            most => {
                let first: Vec<&Hit> = reply.hits.iter().take(REFINED).collect();
                let asked: Vec<_> = reply.query.tokens.iter().map(|token| token.id).collect();
                let found = snapshot.collection.refinements(&first, &asked, most)?;
                found.into_iter().map(RefinementBody::from).collect()
            }
        };
        let end = request.offset + reply.hits.len();
        let is_more = !reply.hits.is_empty() && (end as u64) < reply.matched;
        let shown = |hit: &Hit| {
            let mut hit = Match::new(hit, |path| snapshot.shown(path));
            if !explain {
                hit.terms.clear();
            }
            hit
        };
        Ok(SearchAnswer {
            verdict: reply.verdict.into(),
            matched: reply.matched,
            excluded: reply.excluded,
            threshold: four_digits(reply.threshold.into()),
            took_ms: four_digits(reply.elapsed.as_secs_f64() * 1e3),
            cursor: is_more.then(|| cursor::at(end, generation)),
            hits: reply.hits.iter().map(shown).collect(),
            nearest: reply.nearest.as_ref().map(shown),
            reranker: reply.reranked.as_ref().map(RerankerLine::from),
            refinements,
            query: understood(&reply, &ask.tokens),
            warnings: reply.warnings,
        })
    }
}

fn understood(reply: &SearchReply, set: &BTreeMap<String, f32>) -> Understood {
    let sourced = |token: &ShownToken| SourcedToken {
        source: if set.contains_key(&token.token) { "user" } else { "model" },
        token: QueryToken::from(token),
    };
    Understood {
        tokens: reply.query.tokens.iter().map(sourced).collect(),
        exclude: reply.query.excluded.clone(),
    }
}
