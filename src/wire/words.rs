//! The words of a picture.

use serde::Serialize;
use utoipa::ToSchema;

use super::hit::pair;
use crate::collection::PictureToken;

/// A word, its weight, and where a picture shows it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Weighted {
    /// The word, or word piece.
    pub token: String,
    /// Its number in the vocabulary.
    pub id: u16,
    /// Its weight.
    pub weight: f64,
    /// Row and column of the patch that shows it best, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<[u8; 2]>,
}

impl From<PictureToken> for Weighted {
    fn from(token: PictureToken) -> Self {
        let patch = token.patch.as_ref().map(pair);
        Self { token: token.token, id: token.id.0, weight: token.weight, patch }
    }
}
