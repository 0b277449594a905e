//! How do vectors come in from other programs, and go out to them?
//!
//! | file | form | holds |
//! | --- | --- | --- |
//! | [`jsonl`] | JSON Lines, `{"id", "vector": {token: weight}}` | names of documents and tokens |
//! | [`ciff`] | Common Index File Format (Lin et al., arXiv 2003.08276) | both names; whole numbers only |
//! | [`npz`] | SciPy's sparse matrices in rows, `scipy.sparse.save_npz` | numbers; names in an array of ours |
//!
//! All give and take [`Document`]s, whose weights are still floating point: [`Document::quantise`]
//! makes impacts of them. What cannot be a weight is an error that names the document.

pub mod ciff;
mod error;
pub mod jsonl;
pub mod npz;
#[cfg(test)]
mod tests;
mod words;

use std::ops::Range;

pub use error::ExchangeError;
pub use words::Words;

use crate::vector::{SparseVector, TokenId, VectorError};

/// Weights that can be quantised: above 0, and such that whole numbers fit.
const WEIGHTS: Range<f32> = 0.0..1e9;

/// A document as it is exchanged.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// What other programs call it.
    pub id: String,
    /// Tokens, strictly increasing, with weights above 0.
    pub weights: Vec<(TokenId, f32)>,
}

impl Document {
    /// Sorts weights and checks them. Zeros are left out: they say nothing.
    ///
    /// # Errors
    /// [`ExchangeError::Weight`] when a weight is negative, infinite or not a number,
    /// [`ExchangeError::Twice`] when a token occurs twice.
    pub fn new(id: String, mut weights: Vec<(TokenId, f32)>) -> Result<Self, ExchangeError> {
        if let Some((token, weight)) = weights.iter().find(|(_, weight)| !WEIGHTS.contains(weight))
        {
            return Err(ExchangeError::Weight { id, token: token.0, weight: *weight });
        }
        weights.retain(|(_, weight)| *weight > 0.0);
        weights.sort_unstable_by_key(|(token, _)| *token);
        match weights.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => Err(ExchangeError::Twice { id, token: pair[0].0.0 }),
            None => Ok(Self { id, weights }),
        }
    }

    /// The document of a stored vector: each weight is `impact / scale`.
    #[must_use]
    pub fn of(id: String, vector: &SparseVector, scale: f32) -> Self {
        let weight = |impact: u8| f32::from(impact) / scale;
        let weights = vector.entries().map(|entry| (entry.token, weight(entry.impact)));
        Self { id, weights: weights.collect() }
    }

    /// The vector to store: each impact is `round(weight · scale)`, at most 255. What rounds to 0 is
    /// left out.
    ///
    /// # Errors
    /// [`VectorError::TooLong`] with more tokens than a vector can have.
    pub fn quantise(&self, scale: f32) -> Result<SparseVector, VectorError> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "`as` saturates at 255, which is what is meant"
        )]
        let impact = |weight: f32| (weight * scale).round() as u8;
        let entries = self.weights.iter().map(|&(token, weight)| (token, impact(weight)));
        SparseVector::new(entries.filter(|(_, impact)| *impact > 0))
    }
}

/// The scale at which the greatest weight of all becomes the greatest impact, 255. 1 when there is no
/// weight.
#[must_use]
pub fn full_scale(documents: &[Document]) -> f32 {
    let weights = documents.iter().flat_map(|document| &document.weights);
    let greatest = weights.map(|(_, weight)| *weight).fold(0.0, f32::max);
    if greatest > 0.0 { 255.0 / greatest } else { 1.0 }
}
