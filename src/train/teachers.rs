//! What do other models say: which photos and captions belong together, and how nearly?
//!
//! Each looks at every training photo and caption once, before the first step.

use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};

use crate::encode::{EncodeError, Encoder, TokenWeights};
use crate::ingest::{DecodeOptions, decode};

use super::batches::Draw;
use super::error::TrainError;
use super::parallel::{OnDone, for_each};
use super::photos::Photo;

/// Models whose scores are to be learnt.
#[derive(Default)]
pub(crate) struct Teachers {
    /// What each model saw in each photo.
    models: Vec<Vec<Seen>>,
}

/// A photo and its captions as a model sees them.
#[derive(Clone, Default)]
struct Seen {
    photo: TokenWeights,
    captions: Vec<TokenWeights>,
}

impl Teachers {
    /// Lets each model look at the photos; `None` when `progress` said to stop.
    pub(crate) fn open(
        folders: &[PathBuf],
        photos: &[Photo],
        progress: &mut OnDone<'_>,
    ) -> Result<Option<Self>, TrainError> {
        let mut teachers = Self::default();
        for folder in folders {
            let Some(seen) = look(folder, photos, progress)? else { return Ok(None) };
            teachers.models.push(seen);
        }
        Ok(Some(teachers))
    }

    /// The mean of the models' scores of a batch's photos with its captions: dot products,
    /// [photos, captions].
    pub(crate) fn scores(&self, draws: &[Draw], device: &Device) -> candle_core::Result<Tensor> {
        let mut scores = vec![0.0; draws.len() * draws.len()];
        for seen in &self.models {
            for (draw, row) in draws.iter().zip(scores.chunks_exact_mut(draws.len())) {
                for (other, score) in draws.iter().zip(row) {
                    let caption = &seen[other.photo].captions[other.caption];
                    *score += product(&seen[draw.photo].photo, caption);
                }
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "a handful of models")]
        let models = self.models.len() as f64;
        Tensor::from_vec(scores, (draws.len(), draws.len()), device)? / models
    }
}

fn look(
    folder: &Path,
    photos: &[Photo],
    progress: &mut OnDone<'_>,
) -> Result<Option<Vec<Seen>>, TrainError> {
    let model = Encoder::open(folder)?;
    let mut seen = vec![Seen::default(); photos.len()];
    let keep = |at: usize, found| {
        seen[at] = found;
        Ok(())
    };
    let flow = for_each(photos.len(), |at| look_at(&photos[at], &model), keep, progress)?;
    Ok(flow.is_continue().then_some(seen))
}

/// A photo that cannot be decoded any more matches nothing.
fn look_at(photo: &Photo, model: &Encoder) -> Result<Seen, TrainError> {
    let picture = decode(&photo.place.read()?, &DecodeOptions::default()).ok();
    let vectors = model.encode_images(picture.as_slice())?;
    let scale = model.config().impact_scale;
    let entries = vectors.iter().flat_map(|vector| vector.entries());
    let photo_weights = entries.map(|entry| (entry.token, f32::from(entry.impact) / scale));
    let texts = photo.captions.iter().map(|caption| model.encode_text(&caption.text));
    let captions = texts.collect::<Result<_, EncodeError>>()?;
    Ok(Seen { photo: photo_weights.collect(), captions })
}

/// The dot product of two lists of rising tokens.
fn product(a: &TokenWeights, b: &TokenWeights) -> f32 {
    let (mut sum, mut at) = (0.0, 0);
    for (token, weight) in a {
        while b.get(at).is_some_and(|(other, _)| other < token) {
            at += 1;
        }
        if let Some((_, other)) = b.get(at).filter(|(other, _)| other == token) {
            sum += weight * other;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use sightword_index::TokenId;

    use super::*;

    #[test]
    fn scores_are_the_mean_of_the_models_products() {
        let words = |pairs: &[(u16, f32)]| -> TokenWeights {
            pairs.iter().map(|&(token, weight)| (TokenId(token), weight)).collect()
        };
        let seen = |scale: f32| {
            vec![
                Seen { photo: words(&[(1, scale), (4, 2.0)]), captions: vec![words(&[(4, 1.0)])] },
                Seen { photo: words(&[(1, 3.0)]), captions: vec![words(&[(0, 9.0), (1, 1.0)])] },
            ]
        };
        let teachers = Teachers { models: vec![seen(1.0), seen(3.0)] };
        let draws = [0, 1].map(|photo| Draw { photo, caption: 0, view: 0 });
        let scores = teachers.scores(&draws, &Device::Cpu).unwrap();
        assert_eq!(scores.to_vec2::<f32>().unwrap(), [[2.0, 2.0], [0.0, 3.0]]);
    }
}
