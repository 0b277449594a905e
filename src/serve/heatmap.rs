//! Where in a picture is a word? Its weight at every patch, before the maximum is taken.

use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::{problem::Problem, snapshot::Snapshot, thumbnail};
use crate::{
    collection::Exported,
    encode::Encoder,
    ingest::{DecodeOptions, Picture, decode},
    wire::four_digits,
};

/// A word's weight at every patch of a picture.
#[derive(Serialize, ToSchema)]
pub(crate) struct HeatmapBody {
    /// The picture.
    id: String,
    /// The word.
    token: String,
    /// Rows of the grid from the top, each with its weights from the left.
    weights: Vec<Vec<f64>>,
    /// What it was computed from: the picture, or a small copy while its disk is not there.
    source: HeatSource,
}

/// What a heat map was computed from.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum HeatSource {
    /// The picture's file.
    Picture,
    /// A thumbnail: the weights are near those of the picture, not the same.
    Thumbnail,
}

/// Computes the image tower anew, with all patches in view.
pub(crate) fn heatmap(
    snapshot: &Snapshot,
    picture: &Exported,
    word: &str,
) -> Result<HeatmapBody, Problem> {
    let encoder = snapshot.collection.encoder();
    let word = word.to_lowercase();
    // A word in pieces is where any of its pieces is.
    let tokens = match encoder.vocabulary().id(&word) {
        Some(token) => vec![token],
        None => encoder.vocabulary().tokenize(&word).into_iter().map(|piece| piece.id).collect(),
    };
    let (pixels, source) = pixels(snapshot, picture, encoder)?;
    let each = encoder.patch_weights(&pixels, &tokens)?;
    if each.is_empty() {
        let detail = format!("'{word}' is no word that a picture can have");
        return Err(Problem::invalid("unknown_token", detail));
    }
    let grid = encoder.config().image.grid;
    let strongest = |at: usize| each.iter().map(|weights| weights[at]).fold(0.0, f32::max);
    let row = |row: usize| {
        (row * grid..(row + 1) * grid).map(|at| four_digits(strongest(at).into())).collect()
    };
    let weights = (0..grid).map(row).collect();
    Ok(HeatmapBody { id: picture.id.to_string(), token: word, weights, source })
}

fn pixels(
    snapshot: &Snapshot,
    picture: &Exported,
    encoder: &Encoder,
) -> Result<(Picture, HeatSource), Problem> {
    let side = encoder.config().image.size;
    let away = match thumbnail::original(picture, side) {
        Ok(original) => return Ok((original, HeatSource::Picture)),
        Err(away) if away.status == StatusCode::NOT_FOUND => away,
        Err(other) => return Err(other),
    };
    let kept = thumbnail::kept(snapshot, picture.id).ok_or(away)?;
    let options = DecodeOptions { target: side, ..DecodeOptions::default() };
    Ok((decode(&kept, &options)?, HeatSource::Thumbnail))
}
