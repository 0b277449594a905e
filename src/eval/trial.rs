//! One model on one dataset, encoded and indexed once: what every measure starts from.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use sightword_index::SparseVector;

use super::dataset::{Dataset, Photo};
use super::error::EvalError;
use super::evaluate::{EvalOptions, Stage};
use super::queries::{Query, Text, as_document, queries};
use super::searchable::Searchable;
use crate::collection::{Encoded, encode};
use crate::encode::Encoder;
use crate::ingest::{DecodeOptions, decode, parallel_map};
use crate::rerank::Features;

/// A model, and the photos of a dataset as it sees them.
pub(crate) struct Trial<'a> {
    pub(crate) encoder: &'a Encoder,
    pub(crate) options: &'a EvalOptions,
    /// The photos that could be read, by falling id. A photo is known by its place in this list.
    pub(crate) photos: Vec<&'a Photo>,
    /// One a photo.
    pub(crate) vectors: Vec<SparseVector>,
    /// What the re-ranker keeps of each photo, where there is one.
    pub(crate) features: Vec<Features>,
    /// The vectors, to be searched.
    pub(crate) index: Searchable,
    /// By falling id, which is `photo#number`.
    pub(crate) captions: Vec<Query>,
}

impl<'a> Trial<'a> {
    pub(crate) fn new(
        encoder: &'a Encoder,
        dataset: &'a Dataset,
        options: &'a EvalOptions,
        progress: &mut impl FnMut(Stage, usize, usize),
    ) -> Result<Self, EvalError> {
        let encoded = in_order(
            dataset.photos.len(),
            options.jobs,
            |at| encoded(encoder, options, &dataset.photos[at]),
            |done, all| progress(Stage::Photos, done, all),
        )?;
        let both = dataset.photos.iter().zip(encoded);
        let (photos, encoded): (Vec<_>, Vec<Encoded>) =
            both.filter_map(|(photo, encoded)| Some((photo, encoded?))).unzip();
        let (vectors, features): (Vec<_>, Vec<_>) = encoded.into_iter().unzip();
        if photos.is_empty() {
            return Err(EvalError::NoPhotos { photos: dataset.photos.len() });
        }
        let index = Searchable::new(encoder, vectors.iter().cloned())?;
        let captions =
            queries(encoder, captions_of(&photos), options.mode, options.jobs, |done, all| {
                progress(Stage::Captions, done, all);
            })?;
        let features = features.into_iter().flatten().collect();
        Ok(Self { encoder, options, photos, vectors, features, index, captions })
    }

    /// The captions as what photos look for, in their order.
    pub(crate) fn caption_vectors(&self) -> Result<Vec<SparseVector>, EvalError> {
        let EvalOptions { jobs, mode, .. } = *self.options;
        let vector = |at: usize| as_document(self.encoder, &self.captions[at].text, mode);
        in_order(self.captions.len(), jobs, vector, |_, _| ())
    }

    /// The id of a photo.
    pub(crate) fn id(&self, photo: usize) -> &'a str {
        &self.photos[photo].id
    }
}

/// `None` for a photo that cannot be decoded.
fn encoded(
    encoder: &Encoder,
    options: &EvalOptions,
    photo: &Photo,
) -> Result<Option<Encoded>, EvalError> {
    let reranker = options.rerank.as_ref().map(|rerank| &*rerank.reranker);
    let target = encoder.config().image.size;
    let decoding = DecodeOptions { target, ..DecodeOptions::default() };
    let Ok(picture) = decode(&photo.read()?, &decoding) else { return Ok(None) };
    Ok(encode(encoder, reranker, &[picture])?.pop())
}

fn captions_of<'a>(photos: &[&'a Photo]) -> Vec<Text<'a>> {
    let of_photo = |(at, photo): (usize, &&'a Photo)| {
        let caption = |(number, text): (usize, &'a String)| Text {
            id: format!("{}#{number}", photo.id),
            text: text.as_str(),
            right: vec![at],
        };
        photo.captions.iter().enumerate().map(caption).collect::<Vec<_>>()
    };
    let mut texts: Vec<Text<'a>> = photos.iter().enumerate().flat_map(of_photo).collect();
    texts.sort_by(|a, b| b.id.cmp(&a.id));
    texts
}

/// `work(0), work(1), …` on several threads, in order; the first error ends it.
pub(crate) fn in_order<T: Send>(
    count: usize,
    jobs: NonZeroUsize,
    work: impl Fn(usize) -> Result<T, EvalError> + Sync,
    mut progress: impl FnMut(usize, usize),
) -> Result<Vec<T>, EvalError> {
    let mut results: Vec<(usize, T)> = Vec::with_capacity(count);
    let mut failure = None;
    let numbered = |at| (at, work(at));
    parallel_map(0..count, jobs, numbered, |(at, result)| match result {
        Ok(result) => {
            results.push((at, result));
            progress(results.len(), count);
            ControlFlow::Continue(())
        }
        Err(error) => {
            failure = Some(error);
            ControlFlow::Break(())
        }
    });
    results.sort_unstable_by_key(|(at, _)| *at);
    failure.map_or(Ok(results.into_iter().map(|(_, result)| result).collect()), Err)
}
