//! `/v1/images/{id}`: what is known of one picture. By its id only: no path leads to a file.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    heatmap::{self, HeatmapBody},
    input::{Path, Query},
    problem::Problem,
    shared::Shared,
    snapshot::Snapshot,
    thumbnail,
};
use crate::{
    collection::{Exported, PictureRef, SearchRequest},
    query::ParsedQuery,
    wire::{Match, Weighted},
};

/// A picture of the index.
#[derive(Serialize, ToSchema)]
pub(crate) struct ImageBody {
    /// `b3:` and the first digits of the hash of its file.
    id: String,
    /// The whole hash, 64 digits.
    hash: String,
    /// Its file, below its folder of pictures.
    path: String,
    /// Further files with the same content.
    copies: Vec<String>,
    /// Pixels in a row, upright.
    width: u32,
    /// Rows of pixels.
    height: u32,
    /// Bytes of the file.
    bytes: u64,
    /// When it was taken, in seconds since 1970 by the camera's clock.
    taken: Option<i64>,
    /// The camera.
    camera: Option<String>,
    /// Whether one of its files is there now.
    available: bool,
}

impl ImageBody {
    pub(crate) fn new(picture: &Exported, snapshot: &Snapshot) -> Self {
        let mut paths = picture.paths.iter().map(|path| snapshot.shown(path));
        Self {
            id: picture.id.to_string(),
            hash: picture.id.hex(),
            path: paths.next().unwrap_or_default(),
            copies: paths.collect(),
            width: picture.size.0,
            height: picture.size.1,
            bytes: picture.bytes,
            taken: picture.taken,
            camera: picture.camera.clone(),
            available: picture.paths.iter().any(|path| path.is_file()),
        }
    }
}

/// The facts of a picture
#[utoipa::path(get, path = "/v1/images/{id}", tag = "images",
    params(("id" = String, Path, description = "b3: and the first digits of the picture's hash")),
    responses(
        (status = 200, body = ImageBody),
    ))]
pub(crate) async fn get_image(
    State(shared): State<Arc<Shared>>,
    Path(id): Path,
) -> Result<Json<ImageBody>, Problem> {
    let work = shared
        .work(move |_, snapshot| Ok(ImageBody::new(&snapshot.collection.picture(&id)?, snapshot)));
    work.await.map(Json)
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ThumbnailParams {
    /// The longer side in pixels: the copy is of 256, 512 or 1024, whichever is the least that is enough.
    #[param(minimum = 1, maximum = 1024, default = 256)]
    #[serde(default = "grid_width")]
    w: u32,
}

/// The width of a picture in a grid.
fn grid_width() -> u32 {
    thumbnail::SIDES[0]
}

/// A small copy of a picture
#[utoipa::path(get, path = "/v1/images/{id}/thumbnail", tag = "images",
    params(
        ("id" = String, Path, description = "b3: and the first digits of the picture's hash"),
        ThumbnailParams,
    ),
    responses(
        (status = 200, description = "The copy, image/jpeg"),
        (status = 304, description = "The client has it"),
    ))]
pub(crate) async fn get_thumbnail(
    State(shared): State<Arc<Shared>>,
    Path(id): Path,
    Query(params): Query<ThumbnailParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let side = thumbnail::side(params.w)?;
    let known = headers.get(header::IF_NONE_MATCH).cloned();
    let work = shared.work(move |shared, snapshot| {
        let picture = snapshot.collection.picture(&id)?;
        let tag = format!("\"{}-{side}\"", &picture.id.hex()[..32]);
        // The id is the hash of the content, so what it names never changes.
        let caching = [
            (header::CACHE_CONTROL, String::from("private, max-age=31536000, immutable")),
            (header::ETAG, tag.clone()),
        ];
        if known.is_some_and(|known| known == tag.as_str()) {
            return Ok((StatusCode::NOT_MODIFIED, caching).into_response());
        }
        let bytes = thumbnail::jpeg(shared, snapshot, &picture, side)?;
        Ok((caching, [(header::CONTENT_TYPE, "image/jpeg")], bytes).into_response())
    });
    work.await
}

/// The words of a picture.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokensBody {
    /// The picture.
    id: String,
    /// Fields of the grid of patches in a row, and rows.
    grid: usize,
    /// Its words, heaviest first.
    tokens: Vec<Weighted>,
}

/// The words of a picture, heaviest first
#[utoipa::path(get, path = "/v1/images/{id}/tokens", tag = "images",
    params(("id" = String, Path, description = "b3: and the first digits of the picture's hash")),
    responses(
        (status = 200, body = TokensBody),
    ))]
pub(crate) async fn get_tokens(
    State(shared): State<Arc<Shared>>,
    Path(id): Path,
) -> Result<Json<TokensBody>, Problem> {
    let work = shared.work(move |_, snapshot| {
        let found = snapshot.collection.tokens_of(&PictureRef::Id(id))?;
        Ok(TokensBody {
            id: found.id.to_string(),
            grid: found.grid,
            tokens: found.tokens.into_iter().map(Weighted::from).collect(),
        })
    });
    work.await.map(Json)
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SimilarParams {
    /// The most pictures to answer with.
    #[param(minimum = 1, maximum = 1000)]
    k: Option<usize>,
}

/// Pictures that share words with a picture.
#[derive(Serialize, ToSchema)]
pub(crate) struct SimilarBody {
    /// The picture.
    id: String,
    /// The others, the most similar first.
    hits: Vec<Match<String>>,
}

/// Pictures like a picture, the most similar first; itself left out
#[utoipa::path(get, path = "/v1/images/{id}/similar", tag = "images",
    params(
        ("id" = String, Path, description = "b3: and the first digits of the picture's hash"),
        SimilarParams,
    ),
    responses(
        (status = 200, body = SimilarBody),
    ))]
pub(crate) async fn get_similar(
    State(shared): State<Arc<Shared>>,
    Path(id): Path,
    Query(params): Query<SimilarParams>,
) -> Result<Json<SimilarBody>, Problem> {
    let k = params.k.unwrap_or(12);
    if !(1..=1_000).contains(&k) {
        return Err(Problem::invalid("bad_k", "k is a number from 1 to 1000"));
    }
    let work = shared.work(move |_, snapshot| {
        let itself = snapshot.collection.picture(&id)?.id;
        let mut request = SearchRequest::new(ParsedQuery::default());
        // One more, since the picture is like itself.
        (request.like, request.all, request.k) = (Some(PictureRef::Id(id)), true, k + 1);
        let reply = snapshot.collection.search(&request)?;
        let others = reply.hits.iter().filter(|hit| hit.id != itself).take(k);
        let hits = others.map(|hit| Match::new(hit, |path| snapshot.shown(path))).collect();
        Ok(SimilarBody { id: itself.to_string(), hits })
    });
    work.await.map(Json)
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct HeatmapParams {
    /// The word.
    #[param(example = "dog")]
    token: String,
}

/// Where in a picture a word is
#[utoipa::path(get, path = "/v1/images/{id}/heatmap", tag = "images",
    params(
        ("id" = String, Path, description = "b3: and the first digits of the picture's hash"),
        HeatmapParams,
    ),
    responses(
        (status = 200, body = HeatmapBody),
    ))]
pub(crate) async fn get_heatmap(
    State(shared): State<Arc<Shared>>,
    Path(id): Path,
    Query(params): Query<HeatmapParams>,
) -> Result<Json<HeatmapBody>, Problem> {
    let work = shared.work(move |_, snapshot| {
        let picture = snapshot.collection.picture(&id)?;
        heatmap::heatmap(snapshot, &picture, &params.token)
    });
    work.await.map(Json)
}
