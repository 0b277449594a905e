//! The weights of a stage: which of them are trained, how a step changes them, and their average.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use rand::Rng;

use super::batches::{Purpose, random};
use super::checkpoint::Checkpoint;
use super::config::{StagePart, Trained};
use super::error::TrainError;
use super::plan::Plan;
use super::towers::{PATCH_HEAD, PATCH_MASK};
use super::{AdamW, Average, Group, Optimiser, Parameters, TowerSettings, Towers, cosine};

/// The logarithm of the factor of the scores.
pub(crate) const LOG_SCALE: &str = "log_scale";
/// What a matching pair's scaled score must reach.
pub(crate) const MATCH_SCORE: &str = "match_score";
/// Parameters of the training, which the model does not keep, by the beginnings of their names.
pub(crate) const OWN: [&str; 4] = [LOG_SCALE, MATCH_SCORE, PATCH_MASK, PATCH_HEAD];

/// Dot products are tens at first; a tenth of them is a fair start for the contrast.
const FIRST_SCALE: f32 = 0.1;
/// Share of activations that a step leaves out.
const DROPOUT: f32 = 0.1;
/// Tokens of a photo or caption that pass a gradient on, those with the largest.
const GRADIENTS: usize = 512;
/// CLIP's second beta (arXiv 2103.00020, table 18), BERT's norm.
const ADAM: AdamW = AdamW { beta1: 0.9, beta2: 0.98, eps: 1e-8, largest_norm: 2.0 };
/// Of the average of the weights.
const DECAY: f64 = 0.995;
/// Share of the learning rate that is left at the end of a stage.
const LEAST_RATE: f64 = 0.02;
/// A document frequency forgets so much in a step: it is that of the last hundred or so.
const FORGET: f64 = 0.01;

/// What a step did.
pub(crate) struct Stepped {
    /// The norm of all gradients.
    pub(crate) gradient: f32,
    pub(crate) learning_rate: f64,
}

/// The weights of a stage.
pub(crate) struct Learner {
    parameters: Parameters,
    towers: Towers,
    optimiser: Optimiser,
    average: Average,
    /// Averages of all weights before the stage, and of those that it does not train.
    earlier: BTreeMap<String, Tensor>,
    /// The share of photos that have each output token, for DF-FLOPS.
    frequency: Tensor,
    learning_rate: f64,
    warm_up: usize,
}

/// The weights that a run begins with: the model's, and those of the training only. `channels` is the
/// width of the frozen blocks' features.
pub(crate) fn first_weights(
    plan: &Plan,
    channels: usize,
) -> Result<BTreeMap<String, Tensor>, TrainError> {
    let mut weights = plan.start.weights()?;
    let hidden = plan.model.hidden;
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu);
    // Of a size that keeps that of the hidden states (He et al., arXiv 1502.01852). Not zeros: nothing
    // has no direction, which is what the loss compares.
    let mut random = random(plan.config.seed, 0, Purpose::Start, 0);
    #[expect(clippy::cast_precision_loss, reason = "some hundreds")]
    let size = (3.0 / hidden as f32).sqrt();
    let head: Vec<f32> = (0..channels * hidden).map(|_| random.random_range(-size..size)).collect();
    let own = [
        (LOG_SCALE.to_owned(), Tensor::new(FIRST_SCALE.ln(), &Device::Cpu)?),
        (MATCH_SCORE.to_owned(), zeros(&[])?),
        (PATCH_MASK.to_owned(), zeros(&[hidden])?),
        (format!("{PATCH_HEAD}.weight"), Tensor::from_vec(head, (channels, hidden), &Device::Cpu)?),
        (format!("{PATCH_HEAD}.bias"), zeros(&[channels])?),
    ];
    weights.extend(own);
    Ok(weights)
}

impl Learner {
    /// At the first step of a stage, from the weights and averages of the one before.
    pub(crate) fn new(
        plan: &Plan,
        stage: &StagePart,
        weights: &BTreeMap<String, Tensor>,
        average: &BTreeMap<String, Tensor>,
    ) -> Result<Self, TrainError> {
        let groups = groups(stage, plan.config.model.frozen_blocks);
        let parameters = Parameters::new(weights, &groups, &plan.device)?;
        let towers = towers(plan, &parameters, Some(stage))?;
        let outputs = plan.start.output_tokens().len();
        Ok(Self {
            optimiser: Optimiser::new(&parameters, ADAM)?,
            average: Average::new(&parameters, DECAY)?,
            earlier: average.clone(),
            frequency: Tensor::zeros(outputs, DType::F32, &plan.device)?,
            learning_rate: stage.learning_rate,
            warm_up: stage.warm_up,
            parameters,
            towers,
        })
    }

    pub(crate) fn towers(&self) -> &Towers {
        &self.towers
    }

    pub(crate) fn parameter(&self, name: &str) -> candle_core::Result<&Tensor> {
        self.parameters.get(name)
    }

    /// The share of photos that have each output token, with these weights [batch, outputs] taken in.
    pub(crate) fn frequency(&mut self, weights: &Tensor) -> candle_core::Result<&Tensor> {
        let here = weights.detach().gt(0.0)?.to_dtype(DType::F32)?.mean(0)?;
        self.frequency = ((&self.frequency * (1.0 - FORGET))? + (here * FORGET)?)?;
        Ok(&self.frequency)
    }

    /// Changes the weights against the gradient of `total`; `done` of `steps` are behind.
    pub(crate) fn step(
        &mut self,
        total: &Tensor,
        done: usize,
        steps: usize,
    ) -> candle_core::Result<Stepped> {
        let gradients = total.backward()?;
        let learning_rate =
            self.learning_rate * cosine(done, steps, self.warm_up.min(steps), LEAST_RATE);
        let norm = self.optimiser.step(&self.parameters, &gradients, learning_rate)?;
        if norm.is_finite() {
            self.average.update(&self.parameters)?;
        }
        #[expect(clippy::cast_possible_truncation, reason = "to be shown")]
        Ok(Stepped { gradient: norm as f32, learning_rate })
    }

    /// Copies of all weights.
    pub(crate) fn weights(&self) -> candle_core::Result<BTreeMap<String, Tensor>> {
        self.parameters.tensors()
    }

    /// The averages of all weights.
    pub(crate) fn average(&self) -> candle_core::Result<BTreeMap<String, Tensor>> {
        let mut average = self.earlier.clone();
        average.extend(self.average.tensors()?);
        Ok(average)
    }

    /// All that the next step depends on.
    pub(crate) fn state(
        &self,
    ) -> candle_core::Result<[(&'static str, BTreeMap<String, Tensor>); 5]> {
        let frequency = BTreeMap::from([("photos".to_owned(), self.frequency.clone())]);
        Ok([
            ("weights", self.weights()?),
            ("average", self.average()?),
            ("averaging", self.average.state()?),
            ("optimiser", self.optimiser.state()?),
            ("frequency", frequency),
        ])
    }

    /// Goes on where a checkpoint of this stage was written. The weights were given to [`Self::new`].
    pub(crate) fn restore(&mut self, checkpoint: &Checkpoint) -> Result<(), TrainError> {
        self.average.restore(&checkpoint.group("averaging", &self.average.state()?)?)?;
        self.optimiser.restore(&checkpoint.group("optimiser", &self.optimiser.state()?)?)?;
        let like = BTreeMap::from([("photos".to_owned(), self.frequency.clone())]);
        if let Some((_, frequency)) = checkpoint.group("frequency", &like)?.pop_first() {
            self.frequency = frequency.to_device(self.frequency.device())?;
        }
        Ok(())
    }
}

/// Towers that only look.
pub(crate) fn still_towers(
    plan: &Plan,
    weights: &BTreeMap<String, Tensor>,
) -> Result<Towers, TrainError> {
    towers(plan, &Parameters::new(weights, &[], &plan.device)?, None)
}

fn towers(
    plan: &Plan,
    parameters: &Parameters,
    stage: Option<&StagePart>,
) -> Result<Towers, TrainError> {
    #[expect(clippy::cast_possible_truncation, reason = "a share")]
    let masked_words = stage.map_or(0.0, |stage| stage.mask_words as f32);
    let settings = TowerSettings {
        first_trained_block: plan.config.model.frozen_blocks,
        dropout: DROPOUT,
        masked_words,
        mask_token: plan.mask_token,
        gradients: Some(GRADIENTS),
    };
    Ok(Towers::new(parameters, &plan.model, plan.start.output_tokens(), settings)?)
}

/// Which parameters a stage trains, and how fast. The embeddings of the vocabulary belong to both towers,
/// so they rest when one of these does.
fn groups(stage: &StagePart, frozen_blocks: usize) -> Vec<Group> {
    let mut frozen = vec!["query_table".to_owned(), "image.backbone.stem".to_owned()];
    frozen.extend((0..frozen_blocks).map(|block| format!("image.backbone.blocks.{block}.")));
    match stage.train {
        Trained::Both => {}
        Trained::Image => frozen.extend(["text", "token_embeddings"].map(str::to_owned)),
        Trained::Text => frozen.extend(["image", "token_embeddings"].map(str::to_owned)),
    }
    let group = |prefix: &str, rate: f64| Group {
        prefix: prefix.to_owned(),
        rate,
        weight_decay: stage.weight_decay,
    };
    let is_frozen = |prefix: &str| frozen.iter().any(|frozen| prefix.starts_with(frozen));
    let rates = stage.rates.iter().filter(|(prefix, _)| !is_frozen(prefix));
    let all = (!stage.rates.contains_key("")).then(|| group("", 1.0));
    all.into_iter()
        .chain(rates.map(|(prefix, &rate)| group(prefix, rate)))
        .chain(frozen.iter().map(|prefix| group(prefix, 0.0)))
        .collect()
}
