//! Small copies of pictures, kept beside the index so that each is made once, and is there while the disk
//! of the picture is not.

use std::{fs, path::PathBuf};

use image::{ExtendedColorType, codecs::jpeg::JpegEncoder};

use super::{problem::Problem, shared::Shared, snapshot::Snapshot};
use crate::{
    collection::Exported,
    ingest::{ContentId, DecodeOptions, Picture, Pixels, read, resize},
};

/// The longer sides that there are, in pixels.
pub(crate) const SIDES: [u32; 3] = [256, 512, 1_024];
/// Of 100: what eyes do not miss at these sizes.
const QUALITY: u8 = 80;

/// The side to answer with where `wanted` pixels are asked for: the least that is enough.
pub(crate) fn side(wanted: u32) -> Result<u32, Problem> {
    let enough = SIDES.into_iter().find(|side| (1..=*side).contains(&wanted));
    enough.ok_or_else(|| {
        Problem::invalid("bad_width", format!("w is a number of pixels from 1 to {}", SIDES[2]))
    })
}

/// A JPEG of a picture, its longer side at most `side` pixels.
pub(crate) fn jpeg(
    shared: &Shared,
    snapshot: &Snapshot,
    picture: &Exported,
    side: u32,
) -> Result<Vec<u8>, Problem> {
    let place = place(snapshot, picture.id, side);
    if let Ok(bytes) = fs::read(&place) {
        return Ok(bytes);
    }
    let bytes = encode(&fit(&original(picture, side)?.pixels, side)?)?;
    // Without it the next request takes longer: a full or read-only disk is no reason not to answer.
    let _ = shared.shelf.put(&snapshot.collection.thumbnails_dir(), &place, &bytes);
    Ok(bytes)
}

/// The largest copy that is kept of a picture, if any.
pub(crate) fn kept(snapshot: &Snapshot, id: ContentId) -> Option<Vec<u8>> {
    SIDES.into_iter().rev().find_map(|side| fs::read(place(snapshot, id, side)).ok())
}

/// The picture from whichever of its files still holds it, decoded for `side` pixels.
pub(crate) fn original(picture: &Exported, side: u32) -> Result<Picture, Problem> {
    let options = DecodeOptions { target: side, ..DecodeOptions::default() };
    let mut readable = picture.paths.iter().filter_map(|path| read(path, &options).ok());
    readable.find(|read| read.id == picture.id).ok_or_else(|| {
        let detail = format!("no file of {} can be read now; is its disk there?", picture.id);
        Problem::new(axum::http::StatusCode::NOT_FOUND, "picture_unavailable", detail)
    })
}

fn place(snapshot: &Snapshot, id: ContentId, side: u32) -> PathBuf {
    let hex = id.hex();
    snapshot.collection.thumbnails_dir().join(&hex[..2]).join(format!("{hex}-{side}.jpg"))
}

/// The picture with its longer side at most `side`, its shape kept.
fn fit(pixels: &Pixels, side: u32) -> Result<Pixels, Problem> {
    let longer = pixels.width().max(pixels.height());
    if longer <= side {
        return Ok(pixels.clone());
    }
    let scaled = |length: u32| {
        let scaled = u64::from(length) * u64::from(side) / u64::from(longer);
        u32::try_from(scaled).unwrap_or(side).max(1)
    };
    let (width, height) = (scaled(pixels.width()), scaled(pixels.height()));
    Pixels::new(width, height, resize(pixels, width, height))
        .map_err(|error| Problem::internal(error.to_string()))
}

fn encode(pixels: &Pixels) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY)
        .encode(pixels.rgb(), pixels.width(), pixels.height(), ExtendedColorType::Rgb8)
        .map_err(|error| Problem::internal(error.to_string()))?;
    Ok(bytes)
}
