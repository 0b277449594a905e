//! `/v1/images`: the pictures without a query, the latest first.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ask, cursor, images::ImageBody, input::Query, problem::Problem, shared::Shared};

/// The most pictures in one answer.
const MOST_PICTURES: usize = 1_000;

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct BrowseParams {
    /// A part of the path, or a glob.
    #[param(example = "2021/**")]
    path: Option<String>,
    /// A part of the camera's name.
    camera: Option<String>,
    /// Taken on this day, month or year, or later.
    #[param(example = "2021-07")]
    after: Option<String>,
    /// Taken before this day, month or year.
    before: Option<String>,
    /// The most pictures to answer with.
    #[param(minimum = 1, maximum = 1000)]
    k: Option<usize>,
    /// Where to go on: the `cursor` of the answer before.
    cursor: Option<String>,
}

/// Pictures of the index.
#[derive(Serialize, ToSchema)]
pub(crate) struct BrowseBody {
    /// How many pass the filters.
    matched: u64,
    /// Where the next ones are to be had; none if these are the last.
    cursor: Option<String>,
    /// The pictures, the latest first.
    hits: Vec<ImageBody>,
}

/// The pictures, the latest first, as far as they pass the filters
#[utoipa::path(get, path = "/v1/images", tag = "images", params(BrowseParams), responses(
    (status = 200, body = BrowseBody),
))]
pub(crate) async fn get_images(
    State(shared): State<Arc<Shared>>,
    Query(params): Query<BrowseParams>,
) -> Result<Json<BrowseBody>, Problem> {
    let k = params.k.unwrap_or(20);
    if !(1..=MOST_PICTURES).contains(&k) {
        let detail = format!("k is a number from 1 to {MOST_PICTURES}");
        return Err(Problem::invalid("bad_k", detail));
    }
    let BrowseParams { path, camera, after, before, cursor: from, .. } = params;
    let named = [("path", path), ("camera", camera), ("after", after), ("before", before)];
    let given = named.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?)));
    let filters = given.map(|(name, value)| ask::filter(name, value));
    let filters = filters.collect::<Result<Vec<_>, _>>()?;
    let work = shared.work(move |_, snapshot| {
        let generation = snapshot.collection.generation();
        let offset = from.map_or(Ok(0), |cursor| cursor::offset_of(&cursor, generation))?;
        let (pictures, matched) = snapshot.collection.browse(&filters, offset, k)?;
        let end = offset + pictures.len();
        let is_more = !pictures.is_empty() && (end as u64) < matched;
        Ok(BrowseBody {
            matched,
            cursor: is_more.then(|| cursor::at(end, generation)),
            hits: pictures.iter().map(|picture| ImageBody::new(picture, snapshot)).collect(),
        })
    });
    work.await.map(Json)
}
