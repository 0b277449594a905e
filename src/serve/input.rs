//! Reads what clients send, so that whatever is wrong with it becomes a problem with a sentence.

use std::sync::Arc;

use axum::{
    body,
    extract::{FromRequest, FromRequestParts, Request},
    http::{StatusCode, header, request::Parts},
};
use serde::de::DeserializeOwned;

use super::{problem::Problem, shared::Shared};

/// A body of JSON.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<Shared>> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Result<Self, Problem> {
        check_type(&request)?;
        let limit = shared.limits.body_bytes;
        let too_large = || {
            let detail = format!("the body is over the limit of {limit} bytes");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
        };
        let announced = request.headers().get(header::CONTENT_LENGTH);
        let announced = announced.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|length| length > limit as u64) {
            return Err(too_large());
        }
        let reading = body::to_bytes(request.into_body(), limit);
        let bytes = tokio::time::timeout(shared.limits.client_time, reading).await;
        let bytes = bytes.map_err(|_| {
            let seconds = shared.limits.client_time.as_secs();
            let detail = format!("the body did not come within {seconds} s");
            Problem::new(StatusCode::REQUEST_TIMEOUT, "slow_body", detail)
        })?;
        // The limit is the one error of reading that the client is still there to be told of.
        let bytes = bytes.map_err(|_| too_large())?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| bad_json(&error))
    }
}

fn check_type(request: &Request) -> Result<(), Problem> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    // A page of another site cannot send this type without asking first.
    if kind.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let detail = format!("a body of type application/json is expected, not {kind:?}");
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", detail))
}

fn bad_json(error: &serde_json::Error) -> Problem {
    match error.classify() {
        serde_json::error::Category::Data => Problem::invalid("wrong_type", error.to_string()),
        _ => Problem::new(
            StatusCode::BAD_REQUEST,
            "malformed_json",
            format!("the body is no JSON: {error}"),
        ),
    }
}

/// The parameters behind the `?`.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        query.map(|query| Self(query.0)).map_err(|error| {
            let detail = error.body_text();
            Problem::invalid("bad_parameter", detail)
        })
    }
}

/// The variable parts of the path.
pub(crate) struct Path(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Path {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::<String>::from_request_parts(parts, state).await;
        path.map(|path| Self(path.0)).map_err(|error| Problem::invalid("bad_id", error.body_text()))
    }
}
