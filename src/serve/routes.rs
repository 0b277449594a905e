//! What can be asked: every route with its description, from which the OpenAPI document is made.

use std::sync::Arc;

use axum::{
    Json, Router,
    http::{HeaderValue, Method, StatusCode, Uri, header},
    middleware,
    routing::get,
};
use tower_http::cors::CorsLayer;
use utoipa::{
    OpenApi,
    openapi::{
        Content, OpenApi as Document, PathItem, Ref, RefOr, ResponseBuilder,
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    browse, cohere,
    dialect::{CohereError, TeiError},
    explain, guard, images, index, page,
    problem::{Problem, ProblemBody},
    search,
    shared::Shared,
    status, tei, words,
};

/// The name of the token in the OpenAPI document.
const BEARER: &str = "token";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "sightword",
        description = "Search photos by words, and see which words matched and where."
    ),
    components(schemas(ProblemBody, TeiError, CohereError))
)]
struct Described;

fn described() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::with_openapi(Described::openapi())
        .routes(routes!(search::get_search, search::post_search))
        .routes(routes!(explain::post_explain))
        .routes(routes!(browse::get_images))
        .routes(routes!(images::get_image))
        .routes(routes!(images::get_thumbnail))
        .routes(routes!(images::get_tokens))
        .routes(routes!(images::get_similar))
        .routes(routes!(images::get_heatmap))
        .routes(routes!(words::get_vocabulary))
        .routes(routes!(words::get_facets))
        .routes(routes!(index::get_index, index::post_index))
        .routes(routes!(index::get_job))
        .routes(routes!(tei::post_embed_sparse))
        .routes(routes!(tei::post_rerank))
        .routes(routes!(cohere::post_rerank_v1))
        .routes(routes!(cohere::post_rerank_v2))
        .routes(routes!(status::get_health))
        .routes(routes!(status::get_info))
        .routes(routes!(status::get_metrics))
        .routes(routes!(status::post_session))
}

/// The OpenAPI document of the API.
#[must_use]
pub fn openapi() -> Document {
    finished(described().into_openapi())
}

/// Adds what all routes have in common: the token, how errors are told, and a word on what has none.
fn finished(mut document: Document) -> Document {
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme(BEARER, SecurityScheme::Http(scheme));
    let no_scopes: [&str; 0] = [];
    document.security =
        Some(vec![SecurityRequirement::new(BEARER, no_scopes), SecurityRequirement::default()]);
    for (path, item) in &mut document.paths.paths {
        let (kind, schema) = match path.as_str() {
            "/embed_sparse" | "/rerank" => ("application/json", "TeiError"),
            "/v1/rerank" | "/v2/rerank" => ("application/json", "CohereError"),
            _ => ("application/problem+json", "ProblemBody"),
        };
        let error = ResponseBuilder::new()
            .description("What is wrong, and what to do")
            .content(kind, Content::new(Some(Ref::from_schema_name(schema))))
            .build();
        for operation in operations(item) {
            for response in operation.responses.responses.values_mut() {
                if let RefOr::T(response) = response
                    && response.description.is_empty()
                {
                    response.description = "The answer".into();
                }
            }
            operation.responses.responses.insert("default".into(), error.clone().into());
        }
    }
    document
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut utoipa::openapi::path::Operation> {
    [&mut item.get, &mut item.post].into_iter().filter_map(Option::as_mut)
}

/// Everything that is answered.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let (mut router, document) = described().split_for_parts();
    let document = Arc::new(finished(document));
    router = router.route(
        "/openapi.json",
        get(move || {
            let document = Arc::clone(&document);
            async move { Json((*document).clone()) }
        }),
    );
    for path in page::paths() {
        router = router.route(path, get(page::get_part));
    }
    let router = router.fallback(not_found).method_not_allowed_fallback(wrong_method);
    let guard = middleware::from_fn_with_state(Arc::clone(&shared), guard::guard);
    let router = router.layer(guard);
    match cors(&shared.origins) {
        Some(cors) => router.layer(cors),
        None => router,
    }
    .with_state(shared)
}

/// Lets pages of other origins read answers, where that was asked for.
fn cors(origins: &[String]) -> Option<CorsLayer> {
    let origins: Vec<HeaderValue> =
        origins.iter().filter_map(|origin| origin.parse().ok()).collect();
    (!origins.is_empty()).then(|| {
        CorsLayer::new()
            .allow_origin(origins)
            .allow_methods([Method::GET, Method::POST])
            .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
    })
}

async fn not_found(uri: Uri) -> Problem {
    let detail = format!("nothing is at {}; see /openapi.json", uri.path());
    Problem::new(StatusCode::NOT_FOUND, "not_found", detail)
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    let detail = format!("{} takes no {method}; see /openapi.json", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", detail)
}
