//! Which photos come in which step, with which caption and view?
//!
//! All of it follows from the seed, the stage and the step, so that a resumed run needs no more than
//! their numbers.

use candle_core::{Device, Tensor};
use rand::Rng;
use rand::seq::SliceRandom;

use super::photos::Photo;
use super::random::Random;

/// One photo of a batch: its place in the list, and which of its captions and views.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Draw {
    pub(crate) photo: usize,
    pub(crate) caption: usize,
    pub(crate) view: usize,
}

/// What random numbers are for: each purpose has streams of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    Epoch = 1,
    Batch = 2,
    Step = 3,
    Start = 4,
}

/// The generator for something that happens `number` times in a stage.
pub(crate) fn random(seed: u64, stage: usize, purpose: Purpose, number: usize) -> Random {
    Random::seeded(seed, (stage as u64) << 48 | (purpose as u64) << 40 | number as u64)
}

/// Draws the batches of a stage.
pub(crate) struct Sampler<'a> {
    photos: &'a [Photo],
    /// The share of each set that an epoch draws.
    shares: Vec<f64>,
    views: usize,
    batch: usize,
    seed: u64,
    stage: usize,
    /// The last epoch asked for, and the order of its photos.
    epoch: Option<(usize, Vec<usize>)>,
}

impl<'a> Sampler<'a> {
    pub(crate) fn new(
        photos: &'a [Photo],
        shares: Vec<f64>,
        views: usize,
        batch: usize,
        (seed, stage): (u64, usize),
    ) -> Self {
        Self { photos, shares, views, batch, seed, stage, epoch: None }
    }

    /// Steps of an epoch. Photos that do not fill a last batch wait for another epoch.
    pub(crate) fn steps_per_epoch(&self) -> usize {
        self.order(0).len() / self.batch
    }

    /// The batch of a step, from 0. There must be at least one batch in an epoch.
    pub(crate) fn draw(&mut self, step: usize) -> Vec<Draw> {
        let steps = self.steps_of_epoch().max(1);
        let number = step / steps;
        if self.epoch.as_ref().is_none_or(|(known, _)| *known != number) {
            self.epoch = Some((number, self.order(number)));
        }
        let order = self.epoch.as_ref().map_or(&[][..], |(_, order)| order);
        let mut random = random(self.seed, self.stage, Purpose::Batch, step);
        let chosen = order.iter().skip(step % steps * self.batch).take(self.batch);
        chosen
            .map(|&photo| Draw {
                photo,
                caption: random.random_range(0..self.photos[photo].captions.len()),
                view: random.random_range(0..self.views),
            })
            .collect()
    }

    /// The same in every epoch: shares are of fixed sizes.
    fn steps_of_epoch(&self) -> usize {
        self.epoch.as_ref().map_or_else(|| self.order(0).len(), |(_, order)| order.len())
            / self.batch
    }

    /// The photos of an epoch: a random share of each set, shuffled.
    fn order(&self, number: usize) -> Vec<usize> {
        let mut random = random(self.seed, self.stage, Purpose::Epoch, number);
        let mut order: Vec<usize> = Vec::with_capacity(self.photos.len());
        for (set, &share) in self.shares.iter().enumerate() {
            let of_set = (0..self.photos.len()).filter(|&at| self.photos[at].set == set);
            let mut of_set: Vec<usize> = of_set.collect();
            of_set.shuffle(&mut random);
            of_set.truncate(part(of_set.len(), share));
            order.extend(of_set);
        }
        order.shuffle(&mut random);
        order
    }
}

fn part(count: usize, share: f64) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "share is 0 to 1")]
    #[expect(clippy::cast_precision_loss, reason = "counts of photos")]
    let part = (count as f64 * share).round() as usize;
    part.min(count)
}

/// Which captions are right for which photos, [batch, batch]: each row is shared by its own and those
/// of photos with the same label.
pub(crate) fn positives(batch: &[&Photo], device: &Device) -> candle_core::Result<Tensor> {
    let share_a_label = |a: &Photo, b: &Photo| a.labels.iter().any(|l| b.labels.contains(l));
    let mut right = Vec::with_capacity(batch.len() * batch.len());
    for (at, photo) in batch.iter().enumerate() {
        let row: Vec<bool> = batch
            .iter()
            .enumerate()
            .map(|(other, of)| other == at || share_a_label(photo, of))
            .collect();
        #[expect(clippy::cast_precision_loss, reason = "a batch is small")]
        let share = 1.0 / row.iter().filter(|right| **right).count() as f32;
        right.extend(row.into_iter().map(|right| if right { share } else { 0.0 }));
    }
    Tensor::from_vec(right, (batch.len(), batch.len()), device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::Place;
    use crate::train::photos::Caption;

    fn photo(set: usize, labels: &[usize]) -> Photo {
        let caption =
            || Caption { text: String::new(), ids: vec![1], places: vec![], words: vec![] };
        Photo {
            set,
            place: Place::of_file("Cargo.toml".into()).unwrap(),
            entry: 0,
            captions: vec![caption(), caption()],
            labels: labels.to_vec(),
            words: vec![],
            seen: vec![],
        }
    }

    fn photos() -> Vec<Photo> {
        (0..10).map(|at| photo(usize::from(at >= 6), &[])).collect()
    }

    #[test]
    fn an_epoch_draws_every_photo_once_and_half_of_a_set_where_asked() {
        let photos = photos();
        let mut sampler = Sampler::new(&photos, vec![1.0, 0.5], 3, 4, (1, 0));
        assert_eq!(sampler.steps_per_epoch(), 2);
        let mut drawn: Vec<usize> =
            (0..2).flat_map(|step| sampler.draw(step)).map(|draw| draw.photo).collect();
        drawn.sort_unstable();
        assert_eq!(drawn[..6], [0, 1, 2, 3, 4, 5]);
        drawn.dedup();
        assert_eq!(drawn.len(), 8);
    }

    #[test]
    fn a_step_draws_the_same_whatever_was_drawn_before() {
        let photos = photos();
        let sampler = || Sampler::new(&photos, vec![1.0, 1.0], 3, 3, (7, 1));
        let mut through = sampler();
        let all: Vec<_> = (0..8).map(|step| through.draw(step)).collect();
        assert_eq!(sampler().draw(7), all[7]);
        assert_ne!(all[0], all[3], "another epoch has another order");
    }

    #[test]
    fn photos_of_one_label_are_right_for_each_other() {
        let photos = [photo(0, &[1]), photo(0, &[]), photo(0, &[2, 1])];
        let right = positives(&photos.iter().collect::<Vec<_>>(), &Device::Cpu).unwrap();
        let expected = [[0.5, 0.0, 0.5], [0.0, 1.0, 0.0], [0.5, 0.0, 0.5]];
        assert_eq!(right.to_vec2::<f32>().unwrap(), expected);
    }
}
