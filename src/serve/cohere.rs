//! The shape of Cohere: `/v1/rerank` and `/v2/rerank`. Documents may be pictures of the index.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    input::Body,
    problem::Problem,
    relevance::{Document, best_first, relevances},
    shared::Shared,
};
use crate::wire::four_digits;

/// The most documents in one request.
const MOST_DOCUMENTS: usize = 1_000;

/// A query, and documents to order by it. Fields that have no meaning here are ignored.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct CohereRerankBody {
    /// Any name: this server has one model.
    #[serde(rename = "model")]
    _model: Option<String>,
    /// The query.
    query: String,
    /// The documents.
    #[schema(min_items = 1, max_items = 1000)]
    documents: Vec<CohereDocument>,
    /// The most results.
    top_n: Option<usize>,
    /// Whether the documents come back too.
    #[serde(default)]
    return_documents: bool,
}

/// A document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum CohereDocument {
    /// A text.
    Text(String),
    /// A text in an object.
    Object {
        /// The text.
        text: String,
    },
    /// A picture of the index.
    Image {
        /// Its id.
        image: String,
    },
}

impl CohereDocument {
    /// The form in which documents come back.
    fn as_object(&self) -> Self {
        match self {
            Self::Text(text) => Self::Object { text: text.clone() },
            other => other.clone(),
        }
    }
}

/// The documents by how well they fit.
#[derive(Serialize, ToSchema)]
pub(crate) struct CohereAnswer {
    /// Names the answer: the hash of what it says.
    id: String,
    /// The best first.
    results: Vec<CohereResult>,
    /// What speaks here.
    meta: CohereMeta,
}

/// A document's place and score.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct CohereResult {
    /// Its place among the documents sent, from 0.
    index: usize,
    /// The share of the score that the query can be expected to reach, 0 to 1.
    relevance_score: f64,
    /// The document.
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<CohereDocument>,
}

/// What speaks here.
#[derive(Serialize, ToSchema)]
pub(crate) struct CohereMeta {
    api_version: CohereVersion,
}

/// The version of the shape.
#[derive(Serialize, ToSchema)]
pub(crate) struct CohereVersion {
    version: &'static str,
}

/// Documents by how well they fit a query, the best first, as Cohere gives them
#[utoipa::path(post, path = "/v1/rerank", tag = "cohere", request_body = CohereRerankBody,
    responses((status = 200, body = CohereAnswer)))]
pub(crate) async fn post_rerank_v1(
    State(shared): State<Arc<Shared>>,
    Body(body): Body<CohereRerankBody>,
) -> Result<Json<CohereAnswer>, Problem> {
    body.answer(&shared, "1").await
}

/// Documents by how well they fit a query, the best first, as Cohere gives them
#[utoipa::path(post, path = "/v2/rerank", tag = "cohere", request_body = CohereRerankBody,
    responses((status = 200, body = CohereAnswer)))]
pub(crate) async fn post_rerank_v2(
    State(shared): State<Arc<Shared>>,
    Body(body): Body<CohereRerankBody>,
) -> Result<Json<CohereAnswer>, Problem> {
    body.answer(&shared, "2").await
}

impl CohereRerankBody {
    async fn answer(
        self,
        shared: &Arc<Shared>,
        version: &'static str,
    ) -> Result<Json<CohereAnswer>, Problem> {
        if self.documents.is_empty() || self.documents.len() > MOST_DOCUMENTS {
            let detail = format!("from 1 to {MOST_DOCUMENTS} documents are expected");
            return Err(Problem::invalid("bad_documents", detail));
        }
        let work = shared.work(move |_, snapshot| {
            let document = |document: &CohereDocument| match document {
                CohereDocument::Text(text) | CohereDocument::Object { text } => {
                    Document::Text(text.clone())
                }
                CohereDocument::Image { image } => Document::Image(image.clone()),
            };
            let documents: Vec<_> = self.documents.iter().map(document).collect();
            let found = relevances(snapshot, &self.query, &documents)?;
            let result = |index: usize| CohereResult {
                index,
                relevance_score: four_digits(found[index].coverage),
                document: self.return_documents.then(|| self.documents[index].as_object()),
            };
            let most = self.top_n.unwrap_or(usize::MAX);
            let results = best_first(&found).into_iter().take(most).map(result).collect();
            Ok(answer(results, &self.query, version))
        });
        work.await.map(Json)
    }
}

fn answer(results: Vec<CohereResult>, query: &str, version: &'static str) -> CohereAnswer {
    let said = format!("{query}\n{results:?}");
    let id = blake3::hash(said.as_bytes()).to_hex()[..32].to_owned();
    CohereAnswer { id, results, meta: CohereMeta { api_version: CohereVersion { version } } }
}
