//! What a run is going to do: the config held against the model and the records.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::Device;

use crate::encode::{Encoder, ModelConfig};

use super::config::{ConfigError, StagePart, TrainConfig};
use super::error::TrainError;
use super::photos::records;
use super::processor::Processor;
use super::records::{Records, Skipped, Use};
use super::targets::Places;

/// A run that has not begun.
pub struct Plan {
    pub(crate) config: TrainConfig,
    pub(crate) start: Arc<Encoder>,
    /// Sizes and rules of the model that is trained.
    pub(crate) model: ModelConfig,
    /// Where steps are computed.
    pub(crate) device: Device,
    /// What stands where a word is hidden.
    pub(crate) mask_token: u16,
    /// Where each token is among those that a photo or text can have.
    pub(crate) places: Places,
    pub(crate) records: Records,
    pub(crate) out: PathBuf,
    summary: Summary,
}

/// What there is to learn from.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Summary {
    /// Photos to learn from.
    pub train: usize,
    /// Photos to measure on.
    pub dev: usize,
    /// Captions of both.
    pub captions: usize,
    /// What was left out, by reason.
    pub skipped: Skipped,
}

impl Plan {
    /// Reads the records that the config names, and checks that the model can do what it asks for.
    /// Photos are not read, and nothing is written.
    ///
    /// # Errors
    /// [`TrainError`] names the file, the key or the record.
    pub fn new(config: &TrainConfig, start: &Arc<Encoder>, out: &Path) -> Result<Self, TrainError> {
        let model = model(config, start)?;
        let names: Vec<String> = start.weights()?.into_keys().collect();
        for stage in &config.stages {
            check_rates(config, stage, &names)?;
        }
        let records = records(config, start)?;
        let summary = Summary {
            train: records.of(Use::Train).len(),
            dev: records.of(Use::Dev).len(),
            captions: records.list.iter().map(|record| record.captions.len()).sum(),
            skipped: records.skipped.clone(),
        };
        if summary.train == 0 {
            return Err(TrainError::Data { what: "there is no photo to learn from".to_owned() });
        }
        let mask_token = start.vocabulary().id("[MASK]").ok_or_else(|| TrainError::Data {
            what: "the model's vocabulary has no [MASK] to hide words with".to_owned(),
        })?;
        let (config, places, start) = (config.clone(), Places::new(start), Arc::clone(start));
        let mask_token = mask_token.0;
        let device = Device::Cpu;
        Ok(Self {
            device,
            config,
            start,
            model,
            mask_token,
            places,
            records,
            out: out.to_owned(),
            summary,
        })
    }

    /// The same run, its steps computed on `processor` instead of the CPU. Losses then differ in their
    /// last digits.
    ///
    /// # Errors
    /// [`TrainError::Processor`] if it cannot be used.
    pub fn on(self, processor: Processor) -> Result<Self, TrainError> {
        Ok(Self { device: processor.device()?, ..self })
    }

    /// What there is to learn from.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.summary
    }
}

/// The config of the model that is trained.
fn model(config: &TrainConfig, start: &Encoder) -> Result<ModelConfig, ConfigError> {
    let mut model = start.config().clone();
    let part = &config.model;
    let blocks = model.image.backbone.blocks.len();
    if part.frozen_blocks > blocks {
        let what = format!("{} of {blocks} blocks", part.frozen_blocks);
        return Err(config.wrong("model.frozen_blocks", what));
    }
    let outputs = start.output_tokens().len();
    let keep = &mut model.keep;
    for (key, asked, kept) in [
        ("model.keep_image", part.keep_image, &mut keep.image),
        ("model.keep_text", part.keep_text, &mut keep.text),
    ] {
        if let Some(asked) = asked {
            if asked.get() > outputs {
                let what = format!("{asked} tokens, but the model has {outputs}");
                return Err(config.wrong(key, what));
            }
            *kept = asked.get();
        }
    }
    model.name.clone_from(&part.name);
    Ok(model)
}

/// A prefix that fits no parameter is a slip of the pen.
fn check_rates(
    config: &TrainConfig,
    stage: &StagePart,
    names: &[String],
) -> Result<(), ConfigError> {
    let unknown = stage.rates.keys().find(|prefix| {
        !super::learner::OWN.contains(&prefix.as_str())
            && !names.iter().any(|name| name.starts_with(prefix.as_str()))
    });
    let Some(prefix) = unknown else { return Ok(()) };
    let key = format!("stage {:?}: rates.{prefix}", stage.name);
    Err(config.wrong(&key, "no parameter of the model has a name that begins so".to_owned()))
}
