//! Which queries fail, and why? For each: the right photo, what was found in its place, and the words
//! that led there.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;

use super::error::EvalError;
use super::measures::{PAGE, first_right};
use super::page;
use super::queries::Query;
use super::searchable::{Ranked, places};
use super::trial::Trial;
use crate::collection::Shower;
use crate::ingest::{DecodeOptions, Pixels, decode, resize};

/// Queries shown, worst first: more would make a page that no browser likes.
const SHOWN: usize = 100;

/// Wrong photos shown of each query.
const WRONG: usize = 4;

/// The longer side of a thumbnail in pixels.
const SIDE: u32 = 128;

/// The quality of a thumbnail, of 100.
const QUALITY: u8 = 70;

/// A page that is still empty: that it can be written is known before anything is measured.
pub(crate) struct PageFile {
    path: PathBuf,
    file: File,
}

impl PageFile {
    pub(crate) fn create(path: &Path) -> Result<Self, EvalError> {
        let path = path.to_owned();
        match File::create(&path) {
            Ok(file) => Ok(Self { path, file }),
            Err(source) => Err(EvalError::Write { path, source }),
        }
    }
}

/// A query without a right photo among the first ten.
pub(crate) struct Failure<'a> {
    pub(crate) text: &'a str,
    /// The first right photo.
    pub(crate) right: Shown<'a>,
    /// The first wrong ones.
    pub(crate) wrong: Vec<Shown<'a>>,
}

/// A photo under a query.
pub(crate) struct Shown<'a> {
    pub(crate) id: &'a str,
    /// Its place in `thumbnails`.
    pub(crate) photo: usize,
    /// From 1; `None` if it shares no word with the query.
    pub(crate) rank: Option<usize>,
    pub(crate) score: f64,
    /// Words of the query that the photo has, with what each adds to the score; heaviest first.
    pub(crate) matched: Vec<(String, f64)>,
    /// Words of the query that it does not have, with their weights; heaviest first.
    pub(crate) missed: Vec<(String, f64)>,
}

/// Writes the page of queries that have no right photo among the first ten, worst first.
pub(crate) fn write(
    trial: &Trial<'_>,
    queries: &[&Query],
    page: PageFile,
) -> Result<(), EvalError> {
    let mut ranked = Vec::new();
    for query in queries {
        let rank = rank_of(&trial.index.best(&query.compiled.sparse, 0)?, query);
        if rank.is_none_or(|rank| rank > PAGE) {
            ranked.push((rank.unwrap_or(usize::MAX), *query));
        }
    }
    let failed = ranked.len();
    // A stable sort: what fails alike stays in the order asked.
    ranked.sort_by_key(|(rank, _)| std::cmp::Reverse(*rank));
    let mut failures = Vec::new();
    for (_, query) in ranked.into_iter().take(SHOWN) {
        let ranking = trial.index.best(&query.compiled.sparse, 0)?;
        failures.push(failure(trial, query, &ranking));
    }
    let thumbnails = thumbnails(trial, &failures)?;
    let heading = page::Heading { model: trial.encoder.name(), asked: queries.len(), failed };
    let mut out = BufWriter::new(page.file);
    page::write(&heading, &failures, &thumbnails, &mut out)
        .and_then(|()| out.flush())
        .map_err(|source| EvalError::Write { path: page.path, source })
}

fn rank_of(ranking: &[Ranked], query: &Query) -> Option<usize> {
    first_right(&places(ranking), |photo| query.is_right(photo))
}

fn failure<'a>(trial: &Trial<'a>, query: &'a Query, ranking: &[Ranked]) -> Failure<'a> {
    let shower = Shower::new(&query.compiled, trial.encoder);
    let show = |photo: usize, rank: Option<usize>| {
        let vector = &trial.vectors[photo];
        let (score, terms) = shower.table(vector);
        let missing = shower.missing(vector);
        Shown {
            id: trial.id(photo),
            photo,
            rank,
            score: score.shown,
            matched: terms.into_iter().map(|term| (term.token, term.shown)).collect(),
            missed: missing.into_iter().map(|token| (token.token, token.weight)).collect(),
        }
    };
    let rank = rank_of(ranking, query);
    let right = rank.map_or(query.right[0], |rank| ranking[rank - 1].at);
    let wrong = (1..).zip(ranking).filter(|(_, ranked)| !query.is_right(ranked.at)).take(WRONG);
    Failure {
        text: &query.text,
        right: show(right, rank),
        wrong: wrong.map(|(rank, ranked)| show(ranked.at, Some(rank))).collect(),
    }
}

/// The JPEG files of all photos shown, each made once.
fn thumbnails(
    trial: &Trial<'_>,
    failures: &[Failure<'_>],
) -> Result<HashMap<usize, Vec<u8>>, EvalError> {
    let mut thumbnails = HashMap::new();
    for shown in failures.iter().flat_map(|failure| failure.wrong.iter().chain([&failure.right])) {
        if thumbnails.contains_key(&shown.photo) {
            continue;
        }
        let options = DecodeOptions { target: SIDE, ..DecodeOptions::default() };
        let bytes = trial.photos[shown.photo].read()?;
        // It was decoded before; if it cannot be any more, the page shows a gap.
        let picture = decode(&bytes, &options).ok();
        let jpeg = picture.and_then(|picture| thumbnail(&picture.pixels));
        thumbnails.insert(shown.photo, jpeg.unwrap_or_default());
    }
    Ok(thumbnails)
}

/// A small JPEG file; `None` if the encoder fails.
fn thumbnail(pixels: &Pixels) -> Option<Vec<u8>> {
    let longer = pixels.width().max(pixels.height());
    let scaled = |side: u32| (side * SIDE).div_ceil(longer).max(1);
    let (width, height) = (scaled(pixels.width()), scaled(pixels.height()));
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY)
        .encode(&resize(pixels, width, height), width, height, ExtendedColorType::Rgb8)
        .ok()?;
    Some(jpeg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thumbnail_keeps_the_shape() {
        let pixels = Pixels::new(400, 100, vec![90; 400 * 100 * 3]).unwrap();
        let jpeg = thumbnail(&pixels).unwrap();
        let picture = decode(&jpeg, &DecodeOptions::default()).unwrap();
        assert_eq!((picture.facts.width, picture.facts.height), (SIDE, SIDE / 4));
        let line = Pixels::new(1, 3000, vec![90; 9000]).unwrap();
        assert!(thumbnail(&line).is_some());
    }
}
