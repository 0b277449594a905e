//! From trained weights to a model folder that every other verb can use.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{DType, Tensor};
use half::f16;
use safetensors::tensor::Dtype;

use crate::encode::quantise_model::quantise_weights;
use crate::encode::weights::serialise;
use crate::encode::{Encoder, ModelConfig, Saturation};

use super::error::TrainError;

/// Weights for searching without the text tower, by token.
const TABLE: &str = "query_table";
/// A token's weight is the mean over at least so many texts; rarer ones get the median of the others.
const ENOUGH: usize = 3;
/// Captions that the table is made from at the most.
pub(crate) const TABLE_CAPTIONS: usize = 20_000;

/// What a model folder needs beside the weights.
pub(crate) struct Export<'a> {
    /// The model that the training began with.
    pub(crate) start: &'a Encoder,
    pub(crate) config: &'a ModelConfig,
}

impl Export<'_> {
    /// Writes a model in half precision and one in 8 bits, and returns the first one's folder.
    pub(crate) fn write(
        &self,
        weights: &BTreeMap<String, Tensor>,
        out: &Path,
    ) -> Result<PathBuf, TrainError> {
        let half = self.half_precision(weights)?;
        let eight = quantise_weights(half.clone()).map_err(|what| TrainError::Data {
            what: format!("the trained weights cannot be rounded: {what}"),
        })?;
        self.folder(&out.join("model-8bit"), &eight)?;
        let model = out.join("model");
        self.folder(&model, &half)?;
        Ok(model)
    }

    /// A `model.safetensors` of the tensors that the model began with, in half precision.
    fn half_precision(&self, weights: &BTreeMap<String, Tensor>) -> Result<Vec<u8>, TrainError> {
        let mut tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
        for (name, before) in self.start.weights()? {
            let tensor = weights.get(&name).unwrap_or(&before);
            let values: Vec<f16> = tensor.to_dtype(DType::F16)?.flatten_all()?.to_vec1()?;
            let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            tensors.push((name, Dtype::F16, tensor.dims().to_vec(), bytes));
        }
        let outputs = self.start.output_tokens();
        let ids = outputs.iter().flat_map(|&id| i32::from(id).to_le_bytes()).collect();
        tensors.push(("output_tokens".to_owned(), Dtype::I32, vec![outputs.len()], ids));
        serialise(&tensors).map_err(|what| TrainError::Data {
            what: format!("the trained weights cannot be written: {what}"),
        })
    }

    /// Makes the folder beside its place, then puts it there.
    fn folder(&self, to: &Path, weights: &[u8]) -> Result<(), TrainError> {
        let failed = |path: &Path| {
            let path: PathBuf = path.to_owned();
            move |source| TrainError::Io { path, source }
        };
        let beside = to.parent().unwrap_or(Path::new("."));
        let new = tempfile::Builder::new().prefix(".new-").tempdir_in(beside);
        let new = new.map_err(failed(beside))?;
        // Numbers and texts: nothing that JSON could not hold.
        let mut config = self.config.clone();
        // Its pictures are as the model saw them before.
        config.bank = None;
        let config = serde_json::to_vec_pretty(&config).unwrap_or_default();
        let tokenizer = self.start.vocabulary().to_json().to_string().into_bytes();
        let files = [
            ("config.json", config.as_slice()),
            ("tokenizer.json", &tokenizer),
            ("model.safetensors", weights),
        ];
        for (name, bytes) in files {
            fs::write(new.path().join(name), bytes).map_err(failed(&to.join(name)))?;
        }
        if to.exists() {
            fs::remove_dir_all(to).map_err(failed(to))?;
        }
        fs::rename(new.path(), to).map_err(failed(to))
    }
}

/// The weights of tokens when there is no time for the text tower: the mean weight that the tower gives
/// to a token in the texts that hold it, 0 for tokens that no picture can have.
pub(crate) struct QueryTable {
    sums: Vec<f32>,
    counts: Vec<usize>,
}

impl QueryTable {
    pub(crate) fn new(outputs: usize) -> Self {
        Self { sums: vec![0.0; outputs], counts: vec![0; outputs] }
    }

    /// Adds a text: the places of its own tokens, and its pooled logits.
    pub(crate) fn add(&mut self, places: &[usize], logits: &[f32]) {
        for &place in places {
            self.sums[place] += Saturation::Once.weight(logits[place]);
            self.counts[place] += 1;
        }
    }

    /// The table as a tensor [vocabulary], with its name.
    pub(crate) fn finish(self, start: &Encoder) -> Result<(String, Tensor), TrainError> {
        #[expect(clippy::cast_precision_loss, reason = "counts of captions")]
        let mean = |place: usize| self.sums[place] / self.counts[place] as f32;
        let is_known = |place: &usize| self.counts[*place] >= ENOUGH;
        let mut known: Vec<f32> = (0..self.sums.len()).filter(is_known).map(mean).collect();
        known.sort_by(f32::total_cmp);
        let median = known.get(known.len() / 2).copied().unwrap_or(1.0);
        let mut table = vec![0.0; start.config().vocabulary];
        for (place, &id) in start.output_tokens().iter().enumerate() {
            table[usize::from(id)] = if is_known(&place) { mean(place) } else { median };
        }
        let len = table.len();
        Ok((TABLE.to_owned(), Tensor::from_vec(table, len, &candle_core::Device::Cpu)?))
    }
}
