//! `/v1/explain`: why a picture matches, or why not.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    ask::{self, Ask, Like, Mode},
    input::Body,
    problem::Problem,
    shared::Shared,
};
use crate::{collection::PictureRef, wire::Explained};

// Its fields are not flattened from one struct: serde refuses unknown fields only where nothing is.
/// A query, as for a search, and a picture.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExplainBody {
    /// The picture: `b3:` and the first digits of its hash.
    #[schema(example = "b3:9f2c41d07a55")]
    id: String,
    /// Text of the query language.
    #[schema(example = "dog on a beach", max_length = 10_000)]
    query: Option<String>,
    /// Weights of words that replace those that text and picture give.
    #[serde(default)]
    tokens: BTreeMap<String, f32>,
    /// Words and phrases that must not be in the picture.
    #[serde(default)]
    exclude: Vec<String>,
    /// A picture to find the likes of.
    like: Option<Like>,
    /// Filters by name.
    #[serde(default)]
    filter: BTreeMap<String, String>,
    /// Where the words' weights come from.
    #[serde(default)]
    mode: Mode,
    /// The least coverage of a hit.
    #[schema(minimum = 0, maximum = 1)]
    min_match: Option<f32>,
    /// Whether everything that shares a word with the query is a hit.
    #[serde(default)]
    all: bool,
    /// Whether to tell what the second look sees in the picture.
    #[serde(default)]
    rerank: bool,
}

/// Says why a picture matches a query, or why not
#[utoipa::path(post, path = "/v1/explain", tag = "search", request_body = ExplainBody, responses(
    (status = 200, body = Explained<String>),
))]
pub(crate) async fn post_explain(
    State(shared): State<Arc<Shared>>,
    Body(body): Body<ExplainBody>,
) -> Result<Json<Explained<String>>, Problem> {
    let work = shared.work(move |shared, snapshot| {
        let ask = Ask {
            query: body.query,
            tokens: body.tokens,
            exclude: body.exclude,
            like: body.like,
            filter: body.filter,
            mode: body.mode,
            min_match: body.min_match,
            all: body.all,
        };
        let picture = PictureRef::Id(body.id);
        let mut request = ask.request(shared)?;
        request.rerank = body.rerank.then(|| ask::rerank(1, shared)).transpose()?;
        let explanation = snapshot.collection.explain(&request, &picture)?;
        let typed = ask.query.as_deref().unwrap_or_default();
        Ok(Explained::new(typed, &explanation, |path| snapshot.shown(path)))
    });
    work.await.map(Json)
}
