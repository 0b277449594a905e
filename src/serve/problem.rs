//! Errors over HTTP: a status, a code for programs and a sentence for people (RFC 9457).

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    collection::CollectionError,
    encode::EncodeError,
    ingest::DecodeError,
    query::{CompileError, ParseError},
};

/// Why a request was not answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    /// In lower case with underscores: what programs go by.
    pub(crate) code: &'static str,
    /// What is wrong, and what to do.
    pub(crate) detail: String,
    /// The byte of the query at which it is wrong.
    pub(crate) at: Option<usize>,
}

/// The body of an error, `application/problem+json`.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProblemBody {
    /// Names the kind of problem: `urn:sightword:problem:` and the code.
    #[serde(rename = "type")]
    kind: String,
    /// The code in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What is wrong, and what to do.
    detail: String,
    /// What programs go by.
    code: &'static str,
    /// The byte of the query at which it is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<usize>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), at: None }
    }

    /// What was sent cannot be meant.
    pub(crate) fn invalid(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    pub(crate) fn overloaded() -> Self {
        let detail = "too many requests wait already: try again in a moment";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "overloaded", detail)
    }

    /// Something failed that the client cannot help.
    pub(crate) fn internal(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }
}

impl IntoResponse for Problem {
    /// The response carries the problem itself too, for who tells it in another way (`dialect.rs`).
    fn into_response(self) -> Response {
        let title = self.code.replace('_', " ");
        let title = title[..1].to_uppercase() + &title[1..];
        let body = ProblemBody {
            kind: format!("urn:sightword:problem:{}", self.code.replace('_', "-")),
            title,
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            code: self.code,
            at: self.at,
        };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        let busy = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE];
        if busy.contains(&self.status) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<ParseError> for Problem {
    fn from(error: ParseError) -> Self {
        let mut problem = Self::invalid("bad_query", error.to_string());
        problem.at = Some(error.at);
        problem
    }
}

impl From<CompileError> for Problem {
    fn from(error: CompileError) -> Self {
        let detail = error.to_string();
        match error {
            CompileError::Empty => Self::invalid("empty_query", detail),
            CompileError::UnknownToken { .. } => Self::invalid("unknown_token", detail),
            CompileError::Encode(error) => error.into(),
            _ => Self::invalid("bad_query", detail),
        }
    }
}

impl From<EncodeError> for Problem {
    fn from(error: EncodeError) -> Self {
        Self::internal(chain(&error))
    }
}

impl From<DecodeError> for Problem {
    fn from(error: DecodeError) -> Self {
        let code = match error {
            DecodeError::TooManyPixels { .. } => "too_many_pixels",
            _ => "bad_image",
        };
        Self::invalid(code, format!("the picture cannot be used: {error}"))
    }
}

impl From<CollectionError> for Problem {
    fn from(error: CollectionError) -> Self {
        use CollectionError as Error;
        let detail = chain(&error);
        match error {
            Error::UnknownId { .. } => Self::new(StatusCode::NOT_FOUND, "unknown_id", detail),
            Error::BadId { .. } => Self::invalid("bad_id", detail),
            Error::AmbiguousId { .. } => Self::invalid("ambiguous_id", detail),
            Error::Query(error) => error.into(),
            Error::CannotRerank { why } => {
                Self::invalid("cannot_rerank", format!("cannot re-rank: {why}"))
            }
            Error::Locked { .. } => Self::new(StatusCode::CONFLICT, "index_busy", detail),
            Error::RootNotAvailable { .. } | Error::RootEmpty { .. } => {
                Self::new(StatusCode::CONFLICT, "root_not_available", detail)
            }
            Error::NoIndex { .. } | Error::Damaged { .. } | Error::OtherModel { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "index_unusable", detail)
            }
            _ => Self::internal(detail),
        }
    }
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text.replace('\n', "; ")
}
