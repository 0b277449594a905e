//! How does a model come to its bank of pictures?

use std::cmp::Reverse;

use safetensors::tensor::Dtype;
use sightword_index::SparseVector;

use super::bank::{Bank, BankConfig};
use super::config::ModelConfig;
use super::weights::{Weights, serialise};

/// A bank to be made.
#[derive(Debug, Clone, Copy)]
pub struct NewBank<'a> {
    /// Typical pictures.
    pub pictures: &'a [SparseVector],
    /// The heaviest entries that it keeps of each.
    pub entries: usize,
    /// Typical texts that the model was not trained on. The middle one of these stays as it is.
    pub texts: &'a [SparseVector],
    /// See [`BankConfig::best`].
    pub best: usize,
    /// See [`BankConfig::power`].
    pub power: f32,
}

/// A model's `config.json` and `model.safetensors` with a bank in place of the one that they may have.
///
/// # Errors
/// A sentence that says what is wrong with the model or with the bank.
pub fn with_bank(
    json: &[u8],
    weights: Vec<u8>,
    new: &NewBank<'_>,
) -> Result<(Vec<u8>, Vec<u8>), String> {
    let config = ModelConfig::parse(json)?;
    let weights = with_columns(&Weights::owned(weights)?, new)?;
    let mut made = BankConfig { best: new.best, usual: 1.0, power: new.power };
    let bank = Bank::new(&Weights::owned(weights.clone())?, made, config.vocabulary)?;
    let score = |text: &SparseVector| {
        // A bank meets weights, of which impacts are a multiple.
        let weight = |impact| f32::from(impact) / config.impact_scale;
        bank.best_scores(text.entries().map(|entry| (entry.token.0, weight(entry.impact))))
    };
    let mut scores: Vec<f32> = new.texts.iter().map(score).collect();
    scores.sort_unstable_by(f32::total_cmp);
    made.usual = scores.get(scores.len() / 2).copied().unwrap_or_default();
    match made.problem() {
        Some(problem) => Err(problem),
        None => Ok((with_config(json, made)?, weights)),
    }
}

/// The file with the bank's three columns.
fn with_columns(weights: &Weights, new: &NewBank<'_>) -> Result<Vec<u8>, String> {
    let (mut ends, mut tokens, mut impacts) = (Vec::new(), Vec::new(), Vec::new());
    for vector in new.pictures {
        let mut heaviest: Vec<_> = vector.entries().collect();
        heaviest.sort_unstable_by_key(|entry| (Reverse(entry.impact), entry.token));
        heaviest.truncate(new.entries);
        heaviest.sort_unstable_by_key(|entry| entry.token);
        tokens.extend(heaviest.iter().flat_map(|entry| entry.token.0.to_le_bytes()));
        impacts.extend(heaviest.iter().map(|entry| entry.impact));
        let end = i32::try_from(impacts.len()).map_err(|_| "the bank is too large".to_owned())?;
        ends.extend(end.to_le_bytes());
    }
    let (vectors, postings) = (new.pictures.len(), impacts.len());
    let mut tensors = vec![
        ("bank.ends".to_owned(), Dtype::I32, vec![vectors], ends),
        ("bank.tokens".to_owned(), Dtype::U16, vec![postings], tokens),
        ("bank.impacts".to_owned(), Dtype::U8, vec![postings], impacts),
    ];
    for name in weights.names().into_iter().filter(|name| !name.starts_with("bank.")) {
        let info = weights.info(&name)?;
        tensors.push((name, info.dtype, info.shape.clone(), weights.bytes(info).to_vec()));
    }
    serialise(&tensors)
}

/// The configuration with the bank's numbers; all else as it was, by rising key.
fn with_config(json: &[u8], bank: BankConfig) -> Result<Vec<u8>, String> {
    let with = || {
        let mut config: serde_json::Value = serde_json::from_slice(json)?;
        // By way of a text: a short number stays one.
        config["bank"] = serde_json::from_str(&serde_json::to_string(&bank)?)?;
        serde_json::to_vec_pretty(&config)
    };
    with().map_err(|error: serde_json::Error| error.to_string())
}
