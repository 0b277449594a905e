//! `/health`, `/info`, `/metrics` and the page's way to log in.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{access::COOKIE, input::Body, problem::Problem, shared::Shared, tei::MOST_TEXTS};
use crate::rerank::DEFAULT_DEPTH;

/// Whether the server is well.
#[derive(Serialize, ToSchema)]
pub(crate) struct HealthBody {
    /// `ok`.
    status: &'static str,
}

/// Whether it can answer: 503 when the index is gone or damaged
#[utoipa::path(get, path = "/health", tag = "server", security(()),
    responses((status = 200, body = HealthBody)))]
pub(crate) async fn get_health(
    State(shared): State<Arc<Shared>>,
) -> Result<Json<HealthBody>, Problem> {
    shared.newest.get().map(|_| Json(HealthBody { status: "ok" }))
}

/// What runs here; the first fields are those of text-embeddings-inference.
#[derive(Serialize, ToSchema)]
pub(crate) struct InfoBody {
    /// The model's name.
    model_id: String,
    /// The model's hash.
    model_sha: String,
    /// The kind of the numbers in which texts are multiplied.
    model_dtype: &'static str,
    /// Tokens of a text that are read, the two special ones included.
    max_input_length: usize,
    /// The most texts in one request.
    max_client_batch_size: usize,
    /// The program's version.
    version: &'static str,
    /// Pictures in the index.
    images: u64,
    /// Fields of the grid of patches in a row, and rows.
    grid: usize,
    /// Who looks again at the first hits where a request wants it.
    reranker: Option<RerankerInfo>,
}

/// A re-ranker.
#[derive(Serialize, ToSchema)]
pub(crate) struct RerankerInfo {
    /// Its name.
    name: String,
    /// Its hash.
    hash: String,
    /// At how many hits it looks where nobody says otherwise.
    depth: usize,
}

/// What runs here: the model, the index, the limits
#[utoipa::path(get, path = "/info", tag = "server", responses((status = 200, body = InfoBody)))]
pub(crate) async fn get_info(State(shared): State<Arc<Shared>>) -> Result<Json<InfoBody>, Problem> {
    let work = shared.work(|shared, snapshot| {
        let encoder = &shared.encoder;
        let reranker = shared.reranker.as_ref().map(|reranker| RerankerInfo {
            name: reranker.name().to_owned(),
            hash: reranker.hash().to_owned(),
            depth: DEFAULT_DEPTH,
        });
        Ok(InfoBody {
            model_id: encoder.name().to_owned(),
            model_sha: encoder.hash().to_owned(),
            model_dtype: "float32",
            max_input_length: encoder.config().text.max_tokens,
            max_client_batch_size: MOST_TEXTS,
            version: env!("CARGO_PKG_VERSION"),
            images: snapshot.info()?.images,
            grid: encoder.config().image.grid,
            reranker,
        })
    });
    work.await.map(Json)
}

/// Counters for Prometheus
#[utoipa::path(get, path = "/metrics", tag = "server", responses(
    (status = 200, body = String, content_type = "application/openmetrics-text"),
))]
pub(crate) async fn get_metrics(State(shared): State<Arc<Shared>>) -> Result<Response, Problem> {
    let work = shared.work(|shared, snapshot| {
        let info = snapshot.info()?;
        let shown = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        shared.metrics.images.set(shown(info.images));
        shared.metrics.bytes.set(shown(info.bytes));
        Ok(shared.metrics.text())
    });
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], work.await?).into_response())
}

/// The server's token.
#[derive(Deserialize, ToSchema)]
pub(crate) struct SessionBody {
    /// The token.
    token: String,
}

/// Keeps the token in a cookie, so that a browser can show the page with its pictures
#[utoipa::path(post, path = "/v1/session", tag = "server", security(()),
    request_body = SessionBody,
    responses((status = 204, description = "The cookie is set")))]
pub(crate) async fn post_session(
    State(shared): State<Arc<Shared>>,
    Body(body): Body<SessionBody>,
) -> Result<Response, Problem> {
    if !shared.access.is_token(&body.token) {
        let detail = "this is not the token of the server";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "wrong_token", detail));
    }
    // Without a token on the server there is nothing to keep, and what was sent is not ours to store.
    if !shared.access.needs_token() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let cookie = format!("{COOKIE}={}; Path=/; HttpOnly; SameSite=Strict", body.token);
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}
