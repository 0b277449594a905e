//! A model, ready to encode: the embedded one or one from a folder.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use candle_core::Tensor;
use sightword_index::{SparseVector, TokenId, VectorError};

use super::bank::Bank;
use super::config::ModelConfig;
use super::head::{Pooled, Words};
use super::image::ImageTower;
use super::prune::{Pruning, TokenWeights, length_factor, quantise, strongest};
use super::text::TextTower;
use super::vocabulary::Vocabulary;
use super::weights::Weights;
use crate::ingest::{Picture, resize};

/// The files of a model, in the order in which they are hashed.
const FILES: [&str; 3] = ["config.json", "model.safetensors", "tokenizer.json"];

/// Why a model cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A file of the model cannot be read.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: std::io::Error,
    },
    /// A file of the model holds something else than it should.
    #[error("{}: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

/// Why something could not be encoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A tower could not be set up.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The arithmetic failed.
    #[error("the model could not be computed: {0}")]
    Compute(String),
    /// The model gave what is no vector.
    #[error("the model gave a bad vector")]
    Vector(#[from] VectorError),
}

impl From<candle_core::Error> for EncodeError {
    fn from(error: candle_core::Error) -> Self {
        Self::Compute(error.to_string())
    }
}

/// A model: pictures and texts in, sparse vectors over its vocabulary out.
///
/// Opening one reads a header; each tower is set up when it is first used, so that a text search
/// never touches the image tower. It may be shared between threads, and a call runs on the thread
/// that makes it.
///
/// ```
/// let encoder = sightword::encode::Encoder::embedded()?;
/// let weights = encoder.encode_text("a cat")?;
/// let strongest = weights.iter().max_by(|a, b| a.1.total_cmp(&b.1));
/// let strongest = strongest.map(|(token, _)| encoder.vocabulary().token(*token));
/// assert_eq!(strongest, Some("cat"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Encoder {
    folder: PathBuf,
    hash: Cow<'static, str>,
    config: ModelConfig,
    weights: Weights,
    words: Arc<Words>,
    vocabulary: Vocabulary,
    text: OnceLock<TextTower>,
    image: OnceLock<ImageTower>,
    table: OnceLock<Vec<f32>>,
    bank: OnceLock<Option<Bank>>,
}

impl Encoder {
    /// The model that is compiled into the program.
    ///
    /// # Errors
    /// [`ModelError::Damaged`] when the program was built with a broken model.
    pub fn embedded() -> Result<Self, ModelError> {
        static WEIGHTS: &[u8] = include_bytes!("../../models/default/model.safetensors");
        static CONFIG: &[u8] = include_bytes!("../../models/default/config.json");
        static VOCABULARY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/vocabulary.bin"));
        let hash = Cow::Borrowed(env!("SIGHTWORD_MODEL_HASH"));
        let vocabulary = |outputs: &[u16]| Vocabulary::new(Cow::Borrowed(VOCABULARY), outputs);
        let folder = Path::new("(embedded model)");
        Self::new(folder, hash, CONFIG, Weights::borrowed(WEIGHTS), vocabulary)
    }

    /// A model from a folder of `config.json`, `model.safetensors` and `tokenizer.json`.
    ///
    /// # Errors
    /// [`ModelError`] names the file that is missing or damaged.
    pub fn open(folder: &Path) -> Result<Self, ModelError> {
        let ([config, weights, tokenizer], hash) = read_files(folder, FILES)?;
        let vocabulary = |outputs: &[u16]| Vocabulary::from_json(&tokenizer, outputs);
        Self::new(folder, Cow::Owned(hash), &config, Weights::owned(weights), vocabulary)
    }

    fn new(
        folder: &Path,
        hash: Cow<'static, str>,
        config: &[u8],
        weights: Result<Weights, String>,
        vocabulary: impl Fn(&[u16]) -> Result<Vocabulary, String>,
    ) -> Result<Self, ModelError> {
        let damaged = |name: &str| {
            let path = folder.join(name);
            move |what| ModelError::Damaged { path, what }
        };
        let config = ModelConfig::parse(config).map_err(damaged(FILES[0]))?;
        let weights = weights.map_err(damaged(FILES[1]))?;
        let words = Words::new(&weights, &config).map_err(damaged(FILES[1]))?;
        let vocabulary = vocabulary(&words.outputs).map_err(damaged(FILES[2]))?;
        if vocabulary.len() != config.vocabulary {
            let what = format!("{} tokens, not {}", vocabulary.len(), config.vocabulary);
            return Err(damaged(FILES[2])(what));
        }
        Ok(Self {
            folder: folder.to_owned(),
            hash,
            config,
            weights,
            words: Arc::new(words),
            vocabulary,
            text: OnceLock::new(),
            image: OnceLock::new(),
            table: OnceLock::new(),
            bank: OnceLock::new(),
        })
    }

    /// Whether this is the model that is compiled into the program.
    #[must_use]
    pub fn is_embedded(&self) -> bool {
        self.hash == env!("SIGHTWORD_MODEL_HASH")
    }

    /// The model's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// BLAKE3 of the model's three files, one after the other, as 64 hex digits.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Sizes and rules.
    #[must_use]
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The words behind the dimensions.
    #[must_use]
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// The vectors of pictures: at most `keep.image` tokens each, with their winning patches.
    ///
    /// Several at once take as long as one by one; about 10 MB of memory are needed meanwhile, and 1 MB more for
    /// each.
    ///
    /// # Errors
    /// [`EncodeError`] when the image tower cannot be set up or computed.
    pub fn encode_images(&self, pictures: &[Picture]) -> Result<Vec<SparseVector>, EncodeError> {
        let side = self.config.image.size;
        let pixels: Vec<Vec<u8>> =
            pictures.iter().map(|picture| resize(&picture.pixels, side, side)).collect();
        let pixels: Vec<&[u8]> = pixels.iter().map(Vec::as_slice).collect();
        if pixels.is_empty() {
            return Ok(Vec::new());
        }
        let pooled = self.image_tower()?.forward(&pixels)?;
        pooled.iter().map(|pooled| self.picture_vector(pooled)).collect()
    }

    fn picture_vector(&self, pooled: &Pooled) -> Result<SparseVector, EncodeError> {
        let kept = strongest(&pooled.logits, self.config.of_pictures());
        let entries = kept.into_iter().filter_map(|kept| {
            let impact = quantise(kept.weight, self.config.impact_scale);
            // A patch is a whole number below 16 · 16: the grid was checked when the model opened.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "< 256")]
            let patch = pooled.winners[kept.at] as u8;
            (impact > 0).then(|| (TokenId(self.words.outputs[kept.at]), impact, patch))
        });
        Ok(SparseVector::with_patches(entries)?)
    }

    /// How strongly each patch of a picture, row by row of the grid, shows each of some tokens: their
    /// weights before the maximum over patches is taken. Tokens that no picture can have are left out.
    ///
    /// # Errors
    /// [`EncodeError`] when the image tower cannot be set up or computed.
    pub fn patch_weights(
        &self,
        picture: &Picture,
        tokens: &[TokenId],
    ) -> Result<Vec<Vec<f32>>, EncodeError> {
        let outputs =
            tokens.iter().filter_map(|token| self.words.outputs.binary_search(&token.0).ok());
        let side = self.config.image.size;
        let pixels = resize(&picture.pixels, side, side);
        let (pooled, logits) =
            self.image_tower()?.patch_logits(&pixels, &outputs.collect::<Vec<_>>())?;
        let pruning = self.config.of_pictures();
        let uneven = strongest(&pooled.logits, Pruning { length_norm: 0.0, ..pruning });
        let factor = length_factor(&uneven, pruning.length_norm);
        let weight = |logit| factor * pruning.saturation.weight(logit);
        let weights = |row: Vec<f32>| row.into_iter().map(weight).collect();
        Ok(logits.into_iter().map(weights).collect())
    }

    /// A text's words with weights, expanded by the text tower: at most `keep.text`.
    ///
    /// # Errors
    /// [`EncodeError`] when the text tower cannot be set up or computed.
    pub fn encode_text(&self, text: &str) -> Result<TokenWeights, EncodeError> {
        let pooled = self.text_tower()?.forward(&self.text_ids(text))?;
        let kept = strongest(&pooled.logits, self.config.of_texts());
        let token = |at: usize| TokenId(self.words.outputs[at]);
        Ok(kept.into_iter().map(|kept| (token(kept.at), kept.weight)).collect())
    }

    /// The weights of a text, as [`Encoder::encode_text`] gives them, for a collection of texts that a
    /// picture searches: those of a text that matches pictures in general are made less, by one factor.
    /// In a query a factor changes nothing.
    ///
    /// # Errors
    /// [`EncodeError::Model`] when the model's bank of pictures is damaged.
    pub fn among_texts(&self, mut weights: TokenWeights) -> Result<TokenWeights, EncodeError> {
        let bank = set_up(&self.bank, || {
            let read = |config| Bank::new(&self.weights, config, self.config.vocabulary);
            self.config.bank.map(read).transpose().map_err(|what| self.damaged(what))
        })?;
        if let Some(bank) = bank {
            let factor = bank.factor(weights.iter().map(|&(token, weight)| (token.0, weight)));
            weights.iter_mut().for_each(|(_, weight)| *weight *= factor);
        }
        Ok(weights)
    }

    /// A text's own words with the weight that each has in general: no network, microseconds.
    ///
    /// # Errors
    /// [`ModelError`] when the model has no such table.
    pub fn table_weights(&self, text: &str) -> Result<TokenWeights, ModelError> {
        let table = set_up(&self.table, || {
            let table = self.weights.vector("query_table", self.config.vocabulary);
            table.map_err(|what| self.damaged(what))
        })?;
        let pieces = self.vocabulary.tokenize(text);
        let mut tokens: Vec<TokenId> = pieces.into_iter().map(|piece| piece.id).collect();
        tokens.sort_unstable();
        tokens.dedup();
        let weighted = tokens.into_iter().map(|token| (token, table[usize::from(token.0)]));
        Ok(weighted.filter(|(_, weight)| *weight > 0.0).collect())
    }

    /// What the text tower reads of a text: `[CLS]`, its tokens, `[SEP]`; not cut.
    #[must_use]
    pub fn text_ids(&self, text: &str) -> Vec<TokenId> {
        let special = self.vocabulary.special();
        let pieces = self.vocabulary.tokenize(text);
        std::iter::once(special.cls)
            .chain(pieces.into_iter().map(|piece| piece.id))
            .chain(std::iter::once(special.sep))
            .collect()
    }

    /// The token embeddings, and which tokens can be put out.
    pub(crate) fn words(&self) -> &Arc<Words> {
        &self.words
    }

    /// Ids of the tokens that a picture or text can have, ascending.
    pub(crate) fn output_tokens(&self) -> &[u16] {
        &self.words.outputs
    }

    /// Every weight by its name, as 32-bit floats.
    pub(crate) fn weights(&self) -> Result<BTreeMap<String, Tensor>, ModelError> {
        self.weights.floats().map_err(|what| self.damaged(what))
    }

    /// What the first `blocks` blocks of the image tower's backbone make of pictures that have its
    /// size: [pictures, positions, channels].
    pub(crate) fn first_blocks(
        &self,
        pictures: &[&[u8]],
        blocks: usize,
    ) -> Result<Tensor, EncodeError> {
        Ok(self.image_tower()?.first_blocks(pictures, blocks)?)
    }

    fn text_tower(&self) -> Result<&TextTower, ModelError> {
        set_up(&self.text, || {
            TextTower::new(&self.weights, &self.config, &self.words).map_err(|e| self.damaged(e))
        })
    }

    fn image_tower(&self) -> Result<&ImageTower, ModelError> {
        set_up(&self.image, || {
            ImageTower::new(&self.weights, &self.config, &self.words).map_err(|e| self.damaged(e))
        })
    }

    fn damaged(&self, what: String) -> ModelError {
        ModelError::Damaged { path: self.folder.join(FILES[1]), what }
    }
}

/// Files of a model's folder, and the BLAKE3 hash of them, one after the other, as 64 hex digits.
pub(crate) fn read_files<const N: usize>(
    folder: &Path,
    names: [&str; N],
) -> Result<([Vec<u8>; N], String), ModelError> {
    let mut hash = blake3::Hasher::new();
    let mut files = [const { Vec::new() }; N];
    for (name, bytes) in names.iter().zip(&mut files) {
        let path = folder.join(name);
        *bytes = std::fs::read(&path).map_err(|source| ModelError::Io { path, source })?;
        hash.update(bytes);
    }
    Ok((files, hash.finalize().to_hex().to_string()))
}

/// `get_or_try_init`, which the standard library does not have yet: two threads may both build the
/// value, and one of the two is kept.
pub(crate) fn set_up<T>(
    cell: &OnceLock<T>,
    build: impl FnOnce() -> Result<T, ModelError>,
) -> Result<&T, ModelError> {
    if let Some(value) = cell.get() {
        return Ok(value);
    }
    let value = build()?;
    Ok(cell.get_or_init(|| value))
}

#[cfg(test)]
mod tests;
