//! What a training run is told to do, read from a TOML file.
//!
//! Unknown keys and impossible values are errors that name the key. `examples/train.toml` explains
//! every key.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Display;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Why a config cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: std::io::Error,
    },
    /// The file is no TOML, or has a key that is not known, or a value of another kind.
    #[error("{}: {what}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the line.
        what: String,
    },
    /// A value is impossible.
    #[error("{}: {key}: {what}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The key, from the top of the file.
        key: String,
        /// What is wrong with its value.
        what: String,
    },
}

/// A training run.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// All random choices come from it.
    pub(crate) seed: u64,
    /// Steps from one measurement on the dev photos to the next, each with a checkpoint.
    pub(crate) every: NonZeroUsize,
    pub(crate) model: ModelPart,
    pub(crate) data: DataPart,
    /// Done in this order.
    #[serde(rename = "stage")]
    pub(crate) stages: Vec<StagePart>,
    /// The file that all this comes from.
    #[serde(skip)]
    path: PathBuf,
}

/// What becomes of the model that the training starts from.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelPart {
    /// The new model's name.
    pub(crate) name: String,
    /// Blocks of the backbone that stay as they are: their outputs are computed once.
    pub(crate) frozen_blocks: usize,
    /// Tokens kept of a picture, else as many as before.
    pub(crate) keep_image: Option<NonZeroUsize>,
    /// Tokens kept of a text, else as many as before.
    pub(crate) keep_text: Option<NonZeroUsize>,
}

/// Photos and what is known about them.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DataPart {
    #[serde(rename = "set")]
    pub(crate) sets: Vec<SetPart>,
    /// Views of each training photo: plain, mirrored, then random crops.
    #[serde(default = "one")]
    pub(crate) views: NonZeroUsize,
    /// Classes as weighted words.
    #[serde(skip_serializing)]
    pub(crate) classes: Option<PathBuf>,
    /// The classes that a teacher sees in each photo.
    #[serde(skip_serializing)]
    pub(crate) teacher: Option<PathBuf>,
    /// Folders of models whose scores are to be learnt.
    #[serde(default, skip_serializing)]
    pub(crate) score_teachers: Vec<PathBuf>,
    /// Where the outputs of the frozen blocks are kept, else in the run's folder.
    #[serde(skip_serializing)]
    pub(crate) cache: Option<PathBuf>,
}

/// One file of records.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetPart {
    #[serde(skip_serializing)]
    pub(crate) file: PathBuf,
    /// The folder of the photos and tar files, else the file's own.
    #[serde(skip_serializing)]
    pub(crate) pictures: Option<PathBuf>,
    /// The share of its training photos that an epoch draws, 0 to 1.
    #[serde(default = "whole")]
    pub(crate) share: f64,
}

/// A stage of the training.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StagePart {
    pub(crate) name: String,
    pub(crate) length: Length,
    /// Photos, each with one caption, in a step.
    pub(crate) batch: NonZeroUsize,
    pub(crate) train: Trained,
    /// Whether a text has no weights but those of its own tokens (STAIR, stage 1).
    #[serde(default)]
    pub(crate) text_mask: bool,
    pub(crate) learning_rate: f64,
    /// Factors of the learning rate for parameters whose names begin so; 0 freezes them.
    #[serde(default)]
    pub(crate) rates: BTreeMap<String, f64>,
    #[serde(default = "weight_decay")]
    pub(crate) weight_decay: f64,
    /// Steps over which the learning rate rises from 0.
    #[serde(default)]
    pub(crate) warm_up: usize,
    /// The share of the stage over which the regularisers rise to their weights, 0 to 1.
    #[serde(default = "ramp")]
    pub(crate) ramp: f64,
    /// The share of patches that a step looks at, chosen at random; above 0, up to 1.
    #[serde(default = "whole")]
    pub(crate) keep_patches: f64,
    /// The share of a caption's tokens that the text tower is not shown, 0 to below 1.
    #[serde(default)]
    pub(crate) mask_words: f64,
    /// Whether vectors are pruned within the loss, as they will be when searched.
    #[serde(default)]
    pub(crate) prune: bool,
    /// What each loss counts in the sum; one of weight 0 is not computed.
    pub(crate) losses: BTreeMap<Loss, f64>,
}

/// How long a stage is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Length {
    Steps(NonZeroUsize),
    Epochs(NonZeroUsize),
}

/// Which towers a stage changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Trained {
    Both,
    Image,
    Text,
}

/// A loss of `losses/`, and which side of a pair it holds to what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Loss {
    Itc,
    GroundingImage,
    GroundingText,
    Classes,
    FlopsImage,
    FlopsText,
    DfFlops,
    Mlm,
    Mvm,
    Itm,
    Distillation,
}

impl Loss {
    /// Its key.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Itc => "itc",
            Self::GroundingImage => "grounding_image",
            Self::GroundingText => "grounding_text",
            Self::Classes => "classes",
            Self::FlopsImage => "flops_image",
            Self::FlopsText => "flops_text",
            Self::DfFlops => "df_flops",
            Self::Mlm => "mlm",
            Self::Mvm => "mvm",
            Self::Itm => "itm",
            Self::Distillation => "distillation",
        }
    }

    /// Whether it only keeps vectors short, so that it has to rise slowly.
    pub(crate) fn is_regulariser(self) -> bool {
        matches!(self, Self::FlopsImage | Self::FlopsText | Self::DfFlops)
    }
}

fn one() -> NonZeroUsize {
    NonZeroUsize::MIN
}

fn whole() -> f64 {
    1.0
}

fn weight_decay() -> f64 {
    0.05
}

fn ramp() -> f64 {
    0.3
}

impl TrainConfig {
    /// Reads and checks a config. Its relative paths start at its own folder.
    ///
    /// # Errors
    /// [`ConfigError`] names the file and the key.
    pub fn open(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Io { path: path.to_owned(), source })?;
        let mut config = Self::parse(path, &text)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for path in config.paths() {
            *path = folder.join(&path);
        }
        Ok(config)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let mut config: Self = toml::from_str(text).map_err(|error| ConfigError::Form {
            path: path.to_owned(),
            what: error.to_string().trim_end().to_owned(),
        })?;
        config.path = path.to_owned();
        config.check().map_err(|(key, what)| config.wrong(&key, what))?;
        Ok(config)
    }

    /// The error that names a key.
    pub(crate) fn wrong(&self, key: &str, what: String) -> ConfigError {
        ConfigError::Value { path: self.path.clone(), key: key.to_owned(), what }
    }

    /// A number that is the same for configs that lead to the same steps: paths do not count.
    pub(crate) fn fingerprint(&self) -> String {
        // Numbers, names and lists of them: nothing that JSON could not hold.
        let json = serde_json::to_vec(self).unwrap_or_default();
        blake3::hash(&json).to_hex().to_string()
    }

    fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let data = &mut self.data;
        let teachers = data.score_teachers.iter_mut();
        let sets =
            data.sets.iter_mut().flat_map(|set| [Some(&mut set.file), set.pictures.as_mut()]);
        let others = [&mut data.classes, &mut data.teacher, &mut data.cache];
        others.into_iter().map(Option::as_mut).chain(sets).flatten().chain(teachers)
    }

    fn check(&self) -> Result<(), (String, String)> {
        let wrong = |key: &str, what: &str| Err((key.to_owned(), what.to_owned()));
        if self.stages.is_empty() {
            return wrong("stage", "no stage");
        }
        if self.data.sets.is_empty() {
            return wrong("data.set", "no set of photos");
        }
        for set in &self.data.sets {
            within(&format!("data.set {}: share", set.file.display()), set.share, 0.0..=1.0)?;
        }
        let mut names = HashSet::new();
        for stage in &self.stages {
            let key = format!("stage {:?}", stage.name);
            if !names.insert(&stage.name) {
                return wrong(&key, "two stages have this name");
            }
            stage.check(&key)?;
            let has_teacher = self.data.classes.is_some() && self.data.teacher.is_some();
            if stage.has(Loss::Classes) && !has_teacher {
                let key = format!("{key}: losses.classes");
                return wrong(&key, "needs data.classes and data.teacher");
            }
            if stage.has(Loss::Distillation) && self.data.score_teachers.is_empty() {
                return wrong(&format!("{key}: losses.distillation"), "needs data.score_teachers");
            }
        }
        Ok(())
    }
}

impl StagePart {
    fn check(&self, stage: &str) -> Result<(), (String, String)> {
        let numbers = [
            ("learning_rate", self.learning_rate, f64::MIN_POSITIVE..=1.0),
            ("weight_decay", self.weight_decay, 0.0..=1.0),
            ("ramp", self.ramp, 0.0..=1.0),
            ("keep_patches", self.keep_patches, 0.05..=1.0),
            ("mask_words", self.mask_words, 0.0..=0.9),
        ];
        for (key, value, range) in numbers {
            within(&format!("{stage}: {key}"), value, range)?;
        }
        for (name, &factor) in &self.rates {
            within(&format!("{stage}: rates.{name}"), factor, 0.0..=1000.0)?;
        }
        for (loss, &weight) in &self.losses {
            within(&format!("{stage}: losses.{}", loss.name()), weight, 0.0..=1e6)?;
        }
        let wrong = |key: &str, what: &str| Err((format!("{stage}: {key}"), what.to_owned()));
        if !self.losses.values().any(|weight| *weight > 0.0) {
            return wrong("losses", "no loss has a weight");
        }
        if self.has(Loss::Mlm) && self.mask_words == 0.0 {
            return wrong("losses.mlm", "needs mask_words above 0");
        }
        if self.has(Loss::Mvm) && self.keep_patches >= 1.0 {
            return wrong("losses.mvm", "needs keep_patches below 1");
        }
        Ok(())
    }

    /// Whether the loss counts.
    pub(crate) fn has(&self, loss: Loss) -> bool {
        self.losses.get(&loss).is_some_and(|weight| *weight > 0.0)
    }
}

fn within(key: &str, value: f64, range: RangeInclusive<f64>) -> Result<(), (String, String)> {
    if range.contains(&value) {
        return Ok(());
    }
    let is_open = *range.start() > 0.0 && *range.start() <= f64::MIN_POSITIVE;
    let least: &dyn Display = if is_open { &"above 0" } else { range.start() };
    Err((key.to_owned(), format!("{value} is not from {least} to {}", range.end())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINE: &str = r#"
seed = 1
every = 10
[model]
name = "mine"
frozen_blocks = 15
[data]
set = [{ file = "photos.jsonl" }]
[[stage]]
name = "one"
length = { steps = 20 }
batch = 8
train = "both"
learning_rate = 1e-3
losses = { itc = 1 }
"#;

    #[track_caller]
    fn complaint(from: &str, to: &str) -> String {
        assert!(FINE.contains(from), "{from}");
        let error = TrainConfig::parse(Path::new("train.toml"), &FINE.replace(from, to));
        error.unwrap_err().to_string()
    }

    #[test]
    fn a_plain_config_is_read() {
        let config = TrainConfig::parse(Path::new("train.toml"), FINE).unwrap();
        assert_eq!(config.stages[0].length, Length::Steps(NonZeroUsize::new(20).unwrap()));
        assert!(!config.stages[0].text_mask && config.stages[0].keep_patches >= 1.0);
    }

    #[test]
    fn an_unknown_key_is_named() {
        let told = complaint("batch = 8", "batch = 8\nbatches = 9");
        assert!(told.contains("train.toml") && told.contains("`batches`"), "{told}");
        let told = complaint("itc = 1", "itc = 1, itx = 2");
        assert!(told.contains("`itx`"), "{told}");
    }

    #[test]
    fn an_impossible_value_is_named_with_its_key() {
        let told = complaint("learning_rate = 1e-3", "learning_rate = -1.0");
        assert_eq!(told, "train.toml: stage \"one\": learning_rate: -1 is not from above 0 to 1");
        let told = complaint("learning_rate = 1e-3", "learning_rate = nan");
        assert!(told.contains("learning_rate: NaN"), "{told}");
        let told = complaint("batch = 8", "batch = 0");
        assert!(told.contains("batch = 0"), "{told}");
        let told = complaint("itc = 1", "itc = 0");
        assert!(told.contains("stage \"one\": losses: no"), "{told}");
        let told = complaint("itc = 1", "classes = 1");
        assert!(told.contains("losses.classes: needs data.classes"), "{told}");
        let told = complaint("steps = 20", "steps = 20, epochs = 3");
        assert!(told.contains("length"), "{told}");
    }

    #[test]
    fn paths_do_not_count_in_the_fingerprint_and_numbers_do() {
        let of =
            |text: &str| TrainConfig::parse(Path::new("train.toml"), text).unwrap().fingerprint();
        assert_eq!(of(FINE), of(&FINE.replace("photos.jsonl", "other/photos.jsonl")));
        assert_ne!(of(FINE), of(&FINE.replace("batch = 8", "batch = 9")));
    }
}
