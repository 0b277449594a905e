//! `/v1/vocabulary` and `/v1/facets`: what there is to search for and to filter by.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{input::Query, problem::Problem, shared::Shared};
use crate::{
    collection::{Counted, Refinement},
    wire::four_digits,
};

/// The most words in one answer.
const MOST_WORDS: usize = 10_000;

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct VocabularyParams {
    /// What the words begin with.
    #[param(example = "bea")]
    prefix: Option<String>,
    /// The most words to answer with.
    #[param(minimum = 1, maximum = 10_000)]
    k: Option<usize>,
}

/// The words of all pictures.
#[derive(Serialize, ToSchema)]
pub(crate) struct VocabularyBody {
    /// How many words begin so.
    total: usize,
    /// The words, the most frequent first.
    words: Vec<WordBody>,
}

/// A word that pictures have.
#[derive(Serialize, ToSchema)]
pub(crate) struct WordBody {
    /// The word.
    token: String,
    /// Its number in the vocabulary.
    id: u16,
    /// Pictures that have it.
    images: u64,
}

/// The words of all pictures, the most frequent first
#[utoipa::path(get, path = "/v1/vocabulary", tag = "words", params(VocabularyParams), responses(
    (status = 200, body = VocabularyBody),
))]
pub(crate) async fn get_vocabulary(
    State(shared): State<Arc<Shared>>,
    Query(params): Query<VocabularyParams>,
) -> Result<Json<VocabularyBody>, Problem> {
    let k = params.k.unwrap_or(20);
    if !(1..=MOST_WORDS).contains(&k) {
        let detail = format!("k is a number from 1 to {MOST_WORDS}");
        return Err(Problem::invalid("bad_k", detail));
    }
    let prefix = params.prefix.unwrap_or_default();
    let work = shared.work(move |_, snapshot| {
        let (words, total) = snapshot.collection.words(&prefix, k);
        let body = words.into_iter().map(|word| WordBody {
            token: word.token,
            id: word.id.0,
            images: word.images,
        });
        Ok(VocabularyBody { total, words: body.collect() })
    });
    work.await.map(Json)
}

/// A word that tells the first hits of a search from the rest.
#[derive(Serialize, ToSchema)]
pub(crate) struct RefinementBody {
    /// The word.
    token: String,
    /// Its number in the vocabulary.
    id: u16,
    /// How many of the hits looked at, at most 50, have it.
    hits: u64,
    /// How many times more frequent it is among them than among all pictures.
    lift: f64,
}

impl From<Refinement> for RefinementBody {
    fn from(found: Refinement) -> Self {
        let lift = four_digits(found.lift);
        Self { token: found.token, id: found.id.0, hits: found.hits, lift }
    }
}

/// What pictures can be filtered by.
#[derive(Serialize, ToSchema)]
pub(crate) struct FacetsBody {
    /// Folders, with the pictures at any depth in them; by name.
    folders: Vec<CountedBody>,
    /// Cameras; by name.
    cameras: Vec<CountedBody>,
    /// The first and the last date taken, in seconds since 1970 by the cameras' clocks.
    taken: Option<[i64; 2]>,
}

/// A value, and how many pictures have it.
#[derive(Serialize, ToSchema)]
pub(crate) struct CountedBody {
    /// The value.
    value: String,
    /// Pictures that have it.
    images: u64,
}

/// The folders, cameras and dates of the pictures
#[utoipa::path(get, path = "/v1/facets", tag = "words", responses(
    (status = 200, body = FacetsBody),
))]
pub(crate) async fn get_facets(
    State(shared): State<Arc<Shared>>,
) -> Result<Json<FacetsBody>, Problem> {
    let work = shared.work(|_, snapshot| {
        let facets = snapshot.facets()?;
        let counted = |counted: &[Counted]| {
            let body = |c: &Counted| CountedBody { value: c.value.clone(), images: c.images };
            counted.iter().map(body).collect()
        };
        Ok(FacetsBody {
            folders: counted(&facets.folders),
            cameras: counted(&facets.cameras),
            taken: facets.taken.map(Into::into),
        })
    });
    work.await.map(Json)
}
