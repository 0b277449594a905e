//! What every request passes on its way in, and every answer on its way out.

use std::{sync::Arc, time::Instant};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{dialect, page, problem::Problem, shared::Shared};

/// Only what this server sends may run or be shown on its pages; nobody may put them in a frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Lets a request pass, or answers it, within the time that it has.
pub(crate) async fn guard(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let path = request.uri().path().to_owned();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let response = match admit(&shared, &path, request.headers()) {
        Err(problem) => problem.into_response(),
        Ok(()) => {
            let limit = shared.limits.time;
            match tokio::time::timeout(limit, next.run(request)).await {
                // One that was ready when it was looked at may be late all the same.
                Ok(answer) if started.elapsed() <= limit => answer,
                _ => too_slow(&shared).into_response(),
            }
        }
    };
    let mut response = dialect::translated(&path, response);
    harden(response.headers_mut());
    let seconds = started.elapsed().as_secs_f64();
    shared.metrics.request(route.as_deref().unwrap_or("(none)"), response.status(), seconds);
    response
}

fn admit(shared: &Shared, path: &str, headers: &HeaderMap) -> Result<(), Problem> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if !shared.access.knows_host(host) {
        let detail = format!("this server is not known as {host:?}; try: --allow-host");
        return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "unknown_host", detail));
    }
    // The page itself holds nothing of the pictures: it asks for the token.
    let is_open = path == "/health" || path == "/v1/session" || page::is_part(path);
    if !is_open && !shared.access.admits(headers) {
        let detail = "a token is needed: send it as 'Authorization: Bearer …'";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "token_needed", detail));
    }
    Ok(())
}

fn too_slow(shared: &Shared) -> Problem {
    let detail = format!("this took longer than {} s", shared.limits.time.as_secs());
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", detail)
}

fn harden(headers: &mut HeaderMap) {
    let rules = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in rules {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}
