//! Why a training run cannot go on.

use std::path::PathBuf;

use crate::encode::{EncodeError, ModelError};
use crate::eval::DatasetError;

use super::config::ConfigError;
use super::records::RecordsError;

/// Why a training run cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The config cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The records cannot be read.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// A photo cannot be read.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The model to start from cannot be used.
    #[error("cannot start from this model")]
    Model(#[from] ModelError),
    /// The frozen blocks cannot be computed.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A tensor operation failed.
    #[error("the step cannot be computed")]
    Compute(#[from] candle_core::Error),
    /// The processor asked for cannot be used.
    #[error("cannot compute on {name}\n  try: {}", advice(name, *built))]
    Processor {
        /// Its name on the command line.
        name: &'static str,
        /// Whether this program was built for it.
        built: bool,
        /// What its driver said.
        source: candle_core::Error,
    },
    /// A file cannot be read or written.
    #[error("cannot read or write {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: std::io::Error,
    },
    /// Classes or a teacher's answers are not what they should be.
    #[error("{}: {what}", path.display())]
    Teacher {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the line.
        what: String,
    },
    /// The stored outputs of the frozen blocks are damaged.
    #[error("{} is damaged\n  try: delete it, the same command makes it again", path.display())]
    Features {
        /// The file.
        path: PathBuf,
    },
    /// There is too little to learn from.
    #[error("{what}")]
    Data {
        /// What is missing.
        what: String,
    },
    /// The folder holds a run already.
    #[error(
        "{} holds a run already\n  try: --resume, or another folder", path.display()
    )]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// There is nothing to go on from.
    #[error("{} holds no run to go on with\n  try: the same command without --resume", path.display())]
    NothingToResume {
        /// The folder.
        path: PathBuf,
    },
    /// A checkpoint cannot be gone on from.
    #[error("{}: {what}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
    /// A loss is no number any more.
    #[error(
        "{loss} is {value} in step {step} of stage {stage:?}; {kept}\n  try: a lower learning_rate in that stage"
    )]
    NotFinite {
        /// The loss, or `gradient`.
        loss: String,
        /// Its value.
        value: f32,
        /// The step within the stage, from 1.
        step: usize,
        /// The stage.
        stage: String,
        /// What is left of the run.
        kept: String,
    },
}

/// What to do where a processor cannot be used.
fn advice(name: &str, built: bool) -> String {
    if built {
        "--device cpu".to_owned()
    } else {
        format!("a program that was built with --features {name}, or --device cpu")
    }
}
