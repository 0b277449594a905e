//! The same error in the words of those whose clients are to work here: text-embeddings-inference and
//! Cohere have bodies of their own.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::Problem;

/// An error as text-embeddings-inference tells it.
#[derive(Serialize, ToSchema)]
pub(crate) struct TeiError {
    /// What is wrong.
    error: String,
    /// The kind: `Unhealthy`, `Backend`, `Overloaded`, `Validation`, `Tokenizer` or `Empty`.
    error_type: &'static str,
}

/// An error as Cohere tells it.
#[derive(Serialize, ToSchema)]
pub(crate) struct CohereError {
    /// What is wrong.
    message: String,
}

/// Tells a problem in the words of the route at `path`; other answers stay as they are.
pub(crate) fn translated(path: &str, response: Response) -> Response {
    let Some(problem) = response.extensions().get::<Problem>().cloned() else { return response };
    let told = match path {
        "/embed_sparse" | "/rerank" => {
            let error_type = tei_type(&problem);
            let status = match error_type {
                "Backend" => StatusCode::FAILED_DEPENDENCY,
                _ => problem.status,
            };
            (status, Json(TeiError { error: problem.detail, error_type })).into_response()
        }
        "/v1/rerank" | "/v2/rerank" => {
            (problem.status, Json(CohereError { message: problem.detail })).into_response()
        }
        _ => return response,
    };
    let (mut parts, body) = told.into_parts();
    for (name, value) in response.headers() {
        parts.headers.entry(name).or_insert_with(|| value.clone());
    }
    Response::from_parts(parts, body)
}

fn tei_type(problem: &Problem) -> &'static str {
    match (problem.status, problem.code) {
        (_, "empty_input") => "Empty",
        (StatusCode::TOO_MANY_REQUESTS, _) => "Overloaded",
        (StatusCode::SERVICE_UNAVAILABLE, _) => "Unhealthy",
        (StatusCode::INTERNAL_SERVER_ERROR, _) => "Backend",
        _ => "Validation",
    }
}
