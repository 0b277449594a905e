//! `/v1/index`: what the index holds, and how it is brought up to date.

use std::{ops::ControlFlow, path::PathBuf, sync::Arc};

use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    input::{Body, Path},
    jobs::{JobBody, Outcome},
    problem::Problem,
    shared::Shared,
};
use crate::{
    collection::{Collection, CollectionError, Progress, RefreshOptions, RefreshReport},
    wire::IndexLine,
};

/// What to do with the index: exactly one of these.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum IndexBody {
    /// Bring it up to date with its folders. The value must be true.
    Refresh(bool),
    /// Add folders of this machine, and index them. Only where a token is needed: whoever may ask could
    /// see what is in them.
    #[schema(value_type = Vec<String>)]
    Add(Vec<PathBuf>),
    /// Forget these pictures, by id. Their files stay, and a later refresh takes them up again.
    Remove(Vec<String>),
}

/// What the index holds
#[utoipa::path(get, path = "/v1/index", tag = "index", responses(
    (status = 200, body = IndexLine<String>),
))]
pub(crate) async fn get_index(
    State(shared): State<Arc<Shared>>,
) -> Result<Json<IndexLine<String>>, Problem> {
    let work = shared.work(|_, snapshot| {
        let info = snapshot.info()?;
        Ok(IndexLine::new(info, |path| path.to_string_lossy().into_owned()))
    });
    work.await.map(Json)
}

/// Begins to bring the index up to date; searches go on meanwhile
#[utoipa::path(post, path = "/v1/index", tag = "index", request_body = IndexBody, responses(
    (status = 202, body = JobBody),
))]
pub(crate) async fn post_index(
    State(shared): State<Arc<Shared>>,
    Body(body): Body<IndexBody>,
) -> Result<(StatusCode, Json<JobBody>), Problem> {
    check(&body, &shared)?;
    let snapshot = shared.newest.get()?;
    let for_job = Arc::clone(&shared);
    let job = shared.jobs.begin(move |progress| {
        let outcome = run(&body, snapshot.collection.clone(), progress);
        for_job.newest.refresh();
        outcome
    })?;
    Ok((StatusCode::ACCEPTED, Json(job)))
}

/// How far a job is
#[utoipa::path(get, path = "/v1/index/jobs/{job}", tag = "index",
    params(("job" = String, Path, description = "The job's name")),
    responses((status = 200, body = JobBody)))]
pub(crate) async fn get_job(
    State(shared): State<Arc<Shared>>,
    Path(name): Path,
) -> Result<Json<JobBody>, Problem> {
    let unknown = || Problem::new(StatusCode::NOT_FOUND, "unknown_job", "no job has this name");
    shared.jobs.get(&name).map(Json).ok_or_else(unknown)
}

fn check(body: &IndexBody, shared: &Shared) -> Result<(), Problem> {
    match body {
        IndexBody::Refresh(false) => {
            Err(Problem::invalid("nothing_to_do", "'refresh' must be true"))
        }
        IndexBody::Add(folders) if folders.is_empty() => {
            Err(Problem::invalid("nothing_to_do", "'add' names no folder"))
        }
        IndexBody::Add(folders) if !folders.iter().all(|folder| folder.is_absolute()) => {
            Err(Problem::invalid("bad_folder", "'add' takes absolute paths of folders"))
        }
        IndexBody::Add(_) if !shared.access.needs_token() => {
            let detail = "folders can only be added where a token is needed; try: serve --token, or \
                          sightword index DIR";
            Err(Problem::new(StatusCode::FORBIDDEN, "token_needed", detail))
        }
        IndexBody::Remove(ids) if ids.is_empty() => {
            Err(Problem::invalid("nothing_to_do", "'remove' names no picture"))
        }
        _ => Ok(()),
    }
}

fn run(
    body: &IndexBody,
    mut collection: Collection,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Outcome {
    let told = |error: CollectionError| Problem::from(error).detail;
    if let IndexBody::Remove(ids) = body {
        let removed = collection.remove(ids).map_err(told)?;
        return Ok((format!("{removed} forgotten"), false));
    }
    if let IndexBody::Add(folders) = body {
        let (dir, encoder) = (collection.dir().to_owned(), Arc::clone(collection.encoder()));
        collection = Collection::open_or_create(folders, Some(&dir), encoder).map_err(told)?;
    }
    let report = collection.refresh(&RefreshOptions::default(), progress).map_err(told)?;
    Ok((summary(&report), report.interrupted))
}

fn summary(report: &RefreshReport) -> String {
    format!(
        "{} new, {} changed, {} moved, {} copied, {} restored, {} removed, {} skipped",
        report.new,
        report.changed,
        report.moved,
        report.copied,
        report.restored,
        report.removed,
        report.skipped.len()
    )
}
