//! What a batch is held to: the losses of a stage, and their sum.

use std::collections::BTreeMap;

use candle_core::{D, DType, Tensor};

use super::batches::{Draw, positives};
use super::config::{Loss, StagePart, Trained};
use super::learner::{LOG_SCALE, Learner, MATCH_SCORE};
use super::losses;
use super::photos::{Caption, Photo};
use super::plan::Plan;
use super::targets::{Words, matrix};
use super::teachers::Teachers;
use super::towers::{mask_patches, mask_words, sample_patches};
use super::{Random, saturate};
use crate::encode::Saturation;

/// Share of the right answer that is spread over the batch (Szegedy et al., arXiv 1512.00567, section 7).
const SMOOTHING: f64 = 0.05;
/// A token that a tenth of the photos have counts half (arXiv 2505.15070), and how steeply that rises.
const DF_ALPHA: f64 = 0.1;
const DF_BETA: f64 = 10.0;
/// What a teacher's dot products, which are tens, are divided by.
const TEMPERATURE: f64 = 5.0;

/// What a step came to.
pub(crate) struct Losses {
    /// The weighted sum.
    pub(crate) total: Tensor,
    /// Each loss before it is weighted, and `total`.
    pub(crate) values: BTreeMap<String, f32>,
    /// Mean number of tokens of a photo, and of a caption.
    pub(crate) image_tokens: f32,
    pub(crate) text_tokens: f32,
}

/// A step of a stage.
pub(crate) struct Step<'a> {
    stage: &'a StagePart,
    /// Steps that are done, and steps in all.
    progress: (usize, usize),
    plan: &'a Plan,
    photos: &'a [Photo],
    teachers: &'a Teachers,
}

/// A batch behind the towers.
struct Seen<'a> {
    draws: &'a [Draw],
    photos: Vec<&'a Photo>,
    captions: Vec<&'a Caption>,
    /// Pooled logits [batch, outputs].
    image: Tensor,
    text: Tensor,
    /// Weights [batch, outputs].
    image_weights: Tensor,
    text_weights: Tensor,
    /// How far scores even them out.
    length_norm: f64,
}

impl<'a> Step<'a> {
    pub(crate) fn new(
        stage: &'a StagePart,
        progress: (usize, usize),
        plan: &'a Plan,
        photos: &'a [Photo],
        teachers: &'a Teachers,
    ) -> Self {
        Self { stage, progress, plan, photos, teachers }
    }

    /// All losses of the stage that have a weight, and their sum.
    pub(crate) fn losses(
        &self,
        learner: &mut Learner,
        draws: &[Draw],
        features: &Tensor,
        random: &mut Random,
    ) -> candle_core::Result<Losses> {
        let seen = self.look(learner, draws, features, random)?;
        let mut values = BTreeMap::new();
        let mut total = Tensor::zeros((), DType::F32, features.device())?;
        for (&kind, &weight) in self.stage.losses.iter().filter(|(_, weight)| **weight > 0.0) {
            let loss = self.loss(kind, &seen, learner, features, random)?;
            let value: f32 = loss.to_scalar()?;
            values.insert(kind.name().to_owned(), value);
            if !value.is_finite() {
                // It ends the run, and the others could not be computed.
                break;
            }
            let factor = if kind.is_regulariser() { weight * self.ramp() } else { weight };
            total = (total + (loss * factor)?)?;
        }
        values.insert("total".to_owned(), total.to_scalar()?);
        Ok(Losses {
            total,
            values,
            image_tokens: tokens(&seen.image_weights)?,
            text_tokens: tokens(&seen.text_weights)?,
        })
    }

    /// The batch through both towers. A tower that is not trained in this stage passes nothing back.
    fn look<'b>(
        &'b self,
        learner: &Learner,
        draws: &'b [Draw],
        features: &Tensor,
        random: &mut Random,
    ) -> candle_core::Result<Seen<'b>> {
        let photos: Vec<&Photo> = draws.iter().map(|draw| &self.photos[draw.photo]).collect();
        let captions: Vec<&Caption> =
            photos.iter().zip(draws).map(|(photo, draw)| &photo.captions[draw.caption]).collect();
        let patches = self.plan.model.image.grid.pow(2);
        let kept = part(patches, self.stage.keep_patches);
        let chosen = sample_patches(photos.len(), patches, kept, random, features.device())?;
        let keep = (kept < patches).then_some(&chosen);
        let image = learner.towers().image(features, keep, Some(random))?;
        let text = learner.towers().text(&ids(&captions), Some(random))?;
        let still = |pooled: Tensor, tower| match self.stage.train == tower {
            true => pooled.detach(),
            false => pooled,
        };
        let (image, text) = (still(image, Trained::Text), still(text, Trained::Image));
        let (keep, saturation) = (self.plan.model.keep, self.plan.model.image.saturation);
        let image_weights = self.pruned(saturate(&image, saturation)?, keep.image)?;
        let mut text_weights = self.pruned(saturate(&text, Saturation::Once)?, keep.text)?;
        if self.stage.text_mask {
            text_weights = (text_weights * own_words(&captions, &text)?)?;
        }
        let length_norm = self.plan.model.length_norm.into();
        Ok(Seen { draws, photos, captions, image, text, image_weights, text_weights, length_norm })
    }

    /// Weights without those below the `keep` strongest of each row, if the stage prunes.
    fn pruned(&self, weights: Tensor, keep: usize) -> candle_core::Result<Tensor> {
        if !self.stage.prune || keep >= weights.dim(1)? {
            return Ok(weights);
        }
        let mut least = Vec::with_capacity(weights.dim(0)?);
        for mut row in weights.detach().to_vec2::<f32>()? {
            let (_, at, _) = row.select_nth_unstable_by(keep, |a, b| b.total_cmp(a));
            least.push(*at);
        }
        let least = Tensor::new(least, weights.device())?.unsqueeze(D::Minus1)?;
        let kept = weights.detach().broadcast_gt(&least)?.to_dtype(DType::F32)?;
        weights * kept
    }

    fn loss(
        &self,
        kind: Loss,
        seen: &Seen<'_>,
        learner: &mut Learner,
        features: &Tensor,
        random: &mut Random,
    ) -> candle_core::Result<Tensor> {
        let (outputs, device) = (seen.image.dim(1)?, features.device());
        let of_photos = |words: fn(&Photo) -> &Words| {
            let words: Vec<_> = seen.photos.iter().map(|photo| words(photo)).collect();
            matrix(&words, outputs, device)
        };
        match kind {
            Loss::Itc => {
                let scores = scores(seen, learner)?;
                losses::itc(&scores, &positives(&seen.photos, device)?, SMOOTHING)
            }
            Loss::GroundingImage => {
                losses::grounding(&seen.image, &of_photos(|photo| &photo.words)?)
            }
            Loss::GroundingText => {
                let words: Vec<_> = seen.captions.iter().map(|caption| &caption.words).collect();
                losses::grounding(&seen.text, &matrix(&words, outputs, device)?)
            }
            Loss::Classes => losses::grounding(&seen.image, &of_photos(|photo| &photo.seen)?),
            Loss::FlopsImage => losses::flops(&seen.image_weights),
            Loss::FlopsText => losses::flops(&seen.text_weights),
            Loss::DfFlops => {
                let frequency = learner.frequency(&seen.image_weights)?;
                losses::df_flops(&seen.image_weights, frequency, DF_ALPHA, DF_BETA)
            }
            Loss::Mlm => self.hidden_words(seen, learner, random),
            Loss::Mvm => self.hidden_patches(learner, features, random),
            Loss::Itm => matching(seen, learner, random),
            Loss::Distillation => {
                let theirs = self.teachers.scores(seen.draws, device)?;
                losses::score_distillation(&scores(seen, learner)?, &theirs, TEMPERATURE)
            }
        }
    }

    /// Other words are hidden than those that the vectors were made without: here only words count
    /// that have a place among the outputs.
    fn hidden_words(
        &self,
        seen: &Seen<'_>,
        learner: &Learner,
        random: &mut Random,
    ) -> candle_core::Result<Tensor> {
        #[expect(clippy::cast_possible_truncation, reason = "a share")]
        let share = self.stage.mask_words as f32;
        let place = |id| self.plan.places.of(&[id]).first().and_then(|&at| u32::try_from(at).ok());
        let masked = mask_words(&ids(&seen.captions), share, self.plan.mask_token, place, random);
        if masked.targets.is_empty() {
            return Tensor::zeros((), DType::F32, seen.text.device());
        }
        losses::mlm(&learner.towers().masked_words(&masked, Some(random))?, &masked.targets)
    }

    fn hidden_patches(
        &self,
        learner: &Learner,
        features: &Tensor,
        random: &mut Random,
    ) -> candle_core::Result<Tensor> {
        let patches = self.plan.model.image.grid.pow(2);
        let hidden = patches - part(patches, self.stage.keep_patches);
        let photos = features.dim(0)?;
        let masked = mask_patches(photos, patches, hidden, random, features.device())?;
        let (predicted, target) =
            learner.towers().masked_patches(features, &masked, Some(random))?;
        losses::mvm(&predicted, &target)
    }

    /// How far the regularisers have risen.
    fn ramp(&self) -> f64 {
        let (done, steps) = self.progress;
        losses::ramp(done, part(steps, self.stage.ramp))
    }
}

/// The scores of all photos with all captions, times the learned factor.
fn scores(seen: &Seen<'_>, learner: &Learner) -> candle_core::Result<Tensor> {
    let factor = learner.parameter(LOG_SCALE)?;
    let even = |weights| losses::evened(weights, seen.length_norm);
    losses::scaled_scores(&even(&seen.image_weights)?, &even(&seen.text_weights)?, factor)
}

/// Does a pair belong together? Its score says so, above a learned threshold.
fn matching(
    seen: &Seen<'_>,
    learner: &Learner,
    random: &mut Random,
) -> candle_core::Result<Tensor> {
    let scores = scores(seen, learner)?;
    let positives = positives(&seen.photos, scores.device())?;
    let negatives = losses::hard_negatives(&scores, &positives, random)?;
    let logits = scores.broadcast_sub(learner.parameter(MATCH_SCORE)?)?.flatten_all()?;
    let batch = seen.photos.len();
    let at = |places: Vec<usize>| -> candle_core::Result<Tensor> {
        let places: Vec<u32> = places.into_iter().map(u32::try_from).collect::<Result<_, _>>()?;
        let count = places.len();
        logits.index_select(&Tensor::from_vec(places, count, logits.device())?, 0)
    };
    // A photo's row, a caption's column.
    let pairs = (0..batch).map(|at| at * batch + at).collect();
    let others = |chosen: &[Option<usize>], place: fn(usize, usize, usize) -> usize| {
        let chosen = chosen.iter().enumerate();
        chosen.filter_map(|(own, other)| Some(place(own, (*other)?, batch))).collect()
    };
    let wrong_texts = others(&negatives.texts, |photo, text, batch| photo * batch + text);
    let wrong_pictures = others(&negatives.pictures, |text, photo, batch| photo * batch + text);
    losses::itm(&at(pairs)?, &at(wrong_pictures)?, &at(wrong_texts)?)
}

fn ids(captions: &[&Caption]) -> Vec<Vec<u16>> {
    captions.iter().map(|caption| caption.ids.clone()).collect()
}

/// 1 where a token is one of the caption's own, else 0 (STAIR, section 3.3).
fn own_words(captions: &[&Caption], pooled: &Tensor) -> candle_core::Result<Tensor> {
    let own: Vec<Words> = captions
        .iter()
        .map(|caption| caption.places.iter().map(|&place| (place, 1.0)).collect())
        .collect();
    matrix(&own.iter().collect::<Vec<_>>(), pooled.dim(1)?, pooled.device())
}

/// The mean number of weights above 0 in a row.
fn tokens(weights: &Tensor) -> candle_core::Result<f32> {
    let active = weights.detach().gt(0.0)?.to_dtype(DType::F32)?;
    active.sum(D::Minus1)?.mean_all()?.to_scalar()
}

/// A share of a count: at least 1 of any.
fn part(count: usize, share: f64) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "share is 0 to 1")]
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    let part = (count as f64 * share).round() as usize;
    part.clamp(1.min(count), count)
}
