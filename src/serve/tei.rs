//! The shapes of text-embeddings-inference: `/embed_sparse` and `/rerank`.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    input::Body,
    problem::Problem,
    relevance::{Document, best_first, relevances},
    shared::Shared,
};

/// The most texts in one request.
pub(crate) const MOST_TEXTS: usize = 256;

/// Texts to encode. Fields that have no meaning here (`truncate`, `normalize`, …) are ignored.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct EmbedSparseBody {
    /// One text or several.
    inputs: Inputs,
}

/// One text or several.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
enum Inputs {
    One(String),
    Many(Vec<String>),
}

/// A token and its weight.
#[derive(Serialize, ToSchema)]
pub(crate) struct SparseValue {
    /// The token's number.
    index: u16,
    /// Its weight.
    value: f32,
}

/// The words of texts, as text-embeddings-inference gives them
#[utoipa::path(post, path = "/embed_sparse", tag = "text-embeddings-inference",
    request_body = EmbedSparseBody,
    responses((status = 200, body = Vec<Vec<SparseValue>>)))]
pub(crate) async fn post_embed_sparse(
    State(shared): State<Arc<Shared>>,
    Body(body): Body<EmbedSparseBody>,
) -> Result<Json<Vec<Vec<SparseValue>>>, Problem> {
    let texts = match body.inputs {
        Inputs::One(text) => vec![text],
        Inputs::Many(texts) => texts,
    };
    check("inputs", &texts)?;
    let work = shared.work(move |shared, _| {
        let values = |text: &String| {
            let weights = shared.encoder.encode_text(text)?;
            let value = |(token, value): (sightword_index::TokenId, f32)| SparseValue {
                index: token.0,
                value,
            };
            Ok(weights.into_iter().map(value).collect())
        };
        texts.iter().map(values).collect()
    });
    work.await.map(Json)
}

/// A query, and texts to order by it. Fields that have no meaning here are ignored.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct TeiRerankBody {
    /// The query.
    query: String,
    /// The texts.
    #[schema(min_items = 1, max_items = 256)]
    texts: Vec<String>,
    /// Whether scores are sums of products; else they are shares from 0 to 1 of what the query can be
    /// expected to reach.
    #[serde(default)]
    raw_scores: bool,
    /// Whether the texts come back too.
    #[serde(default)]
    return_text: bool,
}

/// A text's place and score.
#[derive(Serialize, ToSchema)]
pub(crate) struct TeiRank {
    /// Its place among the texts sent, from 0.
    index: usize,
    /// Its score.
    score: f64,
    /// The text.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

/// Texts by how well they fit a query, the best first, as text-embeddings-inference gives them
#[utoipa::path(post, path = "/rerank", tag = "text-embeddings-inference",
    request_body = TeiRerankBody,
    responses((status = 200, body = Vec<TeiRank>)))]
pub(crate) async fn post_rerank(
    State(shared): State<Arc<Shared>>,
    Body(body): Body<TeiRerankBody>,
) -> Result<Json<Vec<TeiRank>>, Problem> {
    check("texts", &body.texts)?;
    let work = shared.work(move |_, snapshot| {
        let documents: Vec<_> = body.texts.iter().cloned().map(Document::Text).collect();
        let found = relevances(snapshot, &body.query, &documents)?;
        let rank = |index: usize| TeiRank {
            index,
            score: if body.raw_scores { found[index].score } else { found[index].coverage },
            text: body.return_text.then(|| body.texts[index].clone()),
        };
        Ok(best_first(&found).into_iter().map(rank).collect())
    });
    work.await.map(Json)
}

fn check(name: &str, texts: &[String]) -> Result<(), Problem> {
    if texts.is_empty() {
        let status = axum::http::StatusCode::BAD_REQUEST;
        return Err(Problem::new(status, "empty_input", format!("'{name}' is empty")));
    }
    if texts.len() > MOST_TEXTS {
        let detail = format!("{} texts are over the limit of {MOST_TEXTS}", texts.len());
        return Err(Problem::invalid("too_many_texts", detail));
    }
    Ok(())
}
