//! `metrics.jsonl`: a line for each step and each measurement. The same run writes the same bytes.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::collection::write_atomically;

use super::dev::DevReport;
use super::error::TrainError;

/// A line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum Line {
    Step(StepLine),
    Dev(DevLine),
}

/// A step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StepLine {
    /// From 1, over all stages.
    pub(crate) step: usize,
    pub(crate) stage: String,
    pub(crate) learning_rate: f64,
    /// Each loss before it is weighted, and `total`, their weighted sum.
    pub(crate) losses: BTreeMap<String, f32>,
    /// Mean number of tokens of a photo before pruning.
    pub(crate) image_tokens: f32,
    /// Mean number of tokens of a caption before pruning.
    pub(crate) text_tokens: f32,
}

/// A measurement on the dev photos.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DevLine {
    /// Steps done, over all stages.
    pub(crate) step: usize,
    pub(crate) stage: String,
    #[serde(flatten)]
    pub(crate) report: DevReport,
}

impl Line {
    fn step(&self) -> usize {
        match self {
            Self::Step(line) => line.step,
            Self::Dev(line) => line.step,
        }
    }
}

/// The lines of a run, on disk and in memory.
pub(crate) struct Metrics {
    path: PathBuf,
    lines: Vec<Line>,
}

impl Metrics {
    /// Begins an empty file, or goes on behind `done` steps: what a run wrote after its last
    /// checkpoint is done again, so it is taken out.
    pub(crate) fn open(path: PathBuf, done: usize) -> Result<Self, TrainError> {
        let failed = |source| TrainError::Io { path: path.clone(), source };
        let before = match done {
            0 => String::new(),
            _ => std::fs::read_to_string(&path).map_err(failed)?,
        };
        let (mut lines, mut kept) = (Vec::new(), String::new());
        for text in before.lines() {
            // A line that a kill cut off is no line.
            let line = serde_json::from_str(text).ok();
            if let Some(line) = line.filter(|line: &Line| line.step() <= done) {
                lines.push(line);
                kept.push_str(text);
                kept.push('\n');
            }
        }
        write_atomically(&path, kept.as_bytes()).map_err(failed)?;
        Ok(Self { path, lines })
    }

    pub(crate) fn push(&mut self, line: Line) -> Result<(), TrainError> {
        let file = OpenOptions::new().append(true).open(&self.path);
        let written = file.and_then(|mut file| file.write_all(&json(&line)));
        written.map_err(|source| TrainError::Io { path: self.path.clone(), source })?;
        self.lines.push(line);
        Ok(())
    }

    pub(crate) fn lines(&self) -> &[Line] {
        &self.lines
    }
}

fn json(line: &Line) -> Vec<u8> {
    // Numbers, texts and maps keyed by texts: all that JSON can hold.
    let mut json = serde_json::to_vec(line).unwrap_or_default();
    json.push(b'\n');
    json
}
