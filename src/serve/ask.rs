//! What a request asks for, as the collection takes it.

use std::{collections::BTreeMap, num::NonZeroUsize, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{problem::Problem, shared::Shared};
use crate::{
    collection::{PictureRef, Rerank, SearchRequest, Sort},
    ingest::{DecodeOptions, decode},
    query::{Filter, MAX_WEIGHT, ParsedQuery, QueryMode, parse},
};

/// The longest query. Longer ones are never read to their end by the model.
const QUERY_BYTES: usize = 10_000;
/// The most token weights, exclusions or filters.
const MOST_PARTS: usize = 1_000;
/// The most hits that are looked at again.
const MOST_RERANKED: usize = 200;

/// What to look for: at least one of `query`, `tokens` and `like`. The bodies say what each field is.
pub(crate) struct Ask {
    pub(crate) query: Option<String>,
    pub(crate) tokens: BTreeMap<String, f32>,
    pub(crate) exclude: Vec<String>,
    pub(crate) like: Option<Like>,
    pub(crate) filter: BTreeMap<String, String>,
    pub(crate) mode: Mode,
    pub(crate) min_match: Option<f32>,
    pub(crate) all: bool,
}

/// A picture: one of the index, or one that is sent.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub(crate) enum Like {
    /// A picture of the index: `b3:` and the first digits of its hash.
    #[serde(rename = "id")]
    Id(String),
    /// The bytes of a picture's file, in base64.
    #[serde(rename = "image_base64")]
    Image(String),
}

impl std::fmt::Debug for Like {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id(id) => write!(out, "Id({id})"),
            Self::Image(base64) => write!(out, "Image({} characters)", base64.len()),
        }
    }
}

/// Where the words' weights come from.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// The text network: related words count too.
    #[default]
    Tower,
    /// A table, one weight a word: faster, finds less.
    Table,
}

/// The order of hits.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Order {
    /// Best first.
    #[default]
    Score,
    /// Latest first.
    Date,
    /// By path.
    Path,
}

impl From<Order> for Sort {
    fn from(order: Order) -> Self {
        match order {
            Order::Score => Self::Score,
            Order::Date => Self::Date,
            Order::Path => Self::Path,
        }
    }
}

impl Ask {
    /// The request for the collection. A picture that was sent is decoded: this takes a while.
    pub(crate) fn request(&self, shared: &Shared) -> Result<SearchRequest, Problem> {
        let mut request = SearchRequest::new(self.parsed()?);
        request.like = self.like.as_ref().map(|like| picture(like, shared)).transpose()?;
        request.mode = match self.mode {
            Mode::Tower => QueryMode::Tower,
            Mode::Table => QueryMode::Table,
        };
        if self.min_match.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
            return Err(Problem::invalid("bad_min_match", "min_match is a share from 0 to 1"));
        }
        (request.min_match, request.all) = (self.min_match, self.all);
        Ok(request)
    }

    fn parsed(&self) -> Result<ParsedQuery, Problem> {
        let text = self.query.as_deref().unwrap_or_default();
        if text.len() > QUERY_BYTES {
            let detail = format!("the query is over the limit of {QUERY_BYTES} bytes");
            return Err(Problem::invalid("query_too_long", detail));
        }
        let most = self.tokens.len().max(self.exclude.len()).max(self.filter.len());
        if most > MOST_PARTS {
            let detail = format!("more than {MOST_PARTS} tokens, exclusions or filters");
            return Err(Problem::invalid("query_too_long", detail));
        }
        let mut parsed = parse(text)?;
        for (token, weight) in &self.tokens {
            if !(0.0..=MAX_WEIGHT).contains(weight) {
                let detail = format!("the weight of '{token}' is not from 0 to {MAX_WEIGHT}");
                return Err(Problem::invalid("bad_weight", detail));
            }
            parsed.set.push((token.clone(), *weight));
        }
        for phrase in &self.exclude {
            let excluded = parsed.exclude(phrase);
            excluded.map_err(|_| {
                Problem::invalid("bad_exclusion", format!("'{phrase}' has no word to exclude"))
            })?;
        }
        for (name, value) in &self.filter {
            parsed.filters.push(filter(name, value)?);
        }
        Ok(parsed)
    }
}

/// The filter called `name`, with a value as the query language has it.
pub(crate) fn filter(name: &str, value: &str) -> Result<Filter, Problem> {
    let bad = |detail| Problem::invalid("bad_filter", detail);
    let unknown =
        || bad(format!("no filter '{name}': path, after, before, camera, size and near are"));
    let filter = Filter::read(name, value).ok_or_else(unknown)?;
    filter.map_err(|problem| bad(problem.to_string()))
}

/// A second look at so many of the first hits.
pub(crate) fn rerank(depth: usize, shared: &Shared) -> Result<Rerank, Problem> {
    let reranker = shared.reranker.as_ref().map(Arc::clone).ok_or_else(|| {
        Problem::invalid("no_reranker", "this server has no re-ranker; try: --reranker")
    })?;
    match NonZeroUsize::new(depth).filter(|depth| depth.get() <= MOST_RERANKED) {
        Some(depth) => Ok(Rerank { reranker, depth }),
        None => {
            let detail = format!("rerank.depth is a number from 1 to {MOST_RERANKED}");
            Err(Problem::invalid("bad_depth", detail))
        }
    }
}

fn picture(like: &Like, shared: &Shared) -> Result<PictureRef, Problem> {
    match like {
        Like::Id(id) => Ok(PictureRef::Id(id.clone())),
        Like::Image(base64) => {
            let bytes = BASE64.decode(base64).map_err(|error| {
                Problem::invalid("bad_image", format!("image_base64 is no base64: {error}"))
            })?;
            let options = DecodeOptions {
                max_pixels: shared.limits.image_pixels,
                max_bytes: shared.limits.body_bytes as u64,
                target: shared.encoder.config().image.size,
            };
            Ok(PictureRef::Decoded(Arc::new(decode(&bytes, &options)?)))
        }
    }
}
