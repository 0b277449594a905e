//! Our own re-ranker, ready to look: the one inside the program, or one from a folder.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::config::LateConfig;
use super::network::{PictureSide, Sizes, TextSide, fit, parts, widened};
use super::{Blend, Features, Part, QueryInput, Question, RerankError, Reranker};
use crate::encode::weights::Weights;
use crate::encode::{Encoder, ModelConfig, ModelError, Words, read_files, set_up};
use crate::ingest::{Picture, resize};

/// The files of a re-ranker, in the order in which they are hashed.
const FILES: [&str; 2] = ["config.json", "model.safetensors"];

// `EMBEDDED: Option<(&[u8], &[u8], &str)>`: config, weights and hash of the re-ranker that stands in
// `models/reranker` when the program is built.
include!(concat!(env!("OUT_DIR"), "/reranker.rs"));

/// Two towers of its own whose tokens and patches are compared one by one. Trained apart from the
/// first stage, it errs elsewhere: that is what makes both together better than either.
pub struct LateInteraction {
    folder: PathBuf,
    config: LateConfig,
    hash: Cow<'static, str>,
    weights: Weights,
    towers: ModelConfig,
    words: Arc<Words>,
    /// Each side is set up when it is first used: every search asks what is stored for the re-ranker,
    /// few look, and fewer still make features.
    pictures: OnceLock<PictureSide>,
    texts: OnceLock<TextSide>,
}

impl LateInteraction {
    /// The re-ranker that is compiled into the program, if there is one.
    ///
    /// # Errors
    /// As [`LateInteraction::open`].
    pub fn embedded(encoder: &Encoder) -> Result<Option<Self>, RerankError> {
        let Some((config, weights, hash)) = EMBEDDED else { return Ok(None) };
        let folder = Path::new("(embedded re-ranker)");
        let weights = Weights::borrowed(weights);
        Self::new(folder, Cow::Borrowed(hash), config, weights, encoder).map(Some)
    }

    /// A re-ranker from a folder of `config.json` and `model.safetensors`, for the model `encoder`.
    ///
    /// # Errors
    /// [`RerankError::Model`] names the file that is missing or damaged; [`RerankError::OtherTowers`]
    /// if it was trained for another model.
    pub fn open(folder: &Path, encoder: &Encoder) -> Result<Self, RerankError> {
        let ([config, weights], hash) = read_files(folder, FILES)?;
        let late = Self::new(folder, Cow::Owned(hash), &config, Weights::owned(weights), encoder)?;
        // A stranger's weights are looked at before anything is done with them.
        late.texts()?;
        late.pictures()?;
        Ok(late)
    }

    fn new(
        folder: &Path,
        hash: Cow<'static, str>,
        config: &[u8],
        weights: Result<Weights, String>,
        encoder: &Encoder,
    ) -> Result<Self, RerankError> {
        let damaged = |name: &str| {
            let path = folder.join(name);
            move |what| ModelError::Damaged { path, what }
        };
        let config = LateConfig::parse(config).map_err(damaged(FILES[0]))?;
        if config.towers != encoder.hash() {
            return Err(RerankError::OtherTowers {
                folder: PathBuf::from(folder),
                trained_for: config.towers,
                model: format!("{} ({})", encoder.name(), encoder.hash()),
            });
        }
        let weights = weights.map_err(damaged(FILES[1]))?;
        Ok(Self {
            folder: folder.to_owned(),
            config,
            hash,
            weights,
            towers: encoder.config().clone(),
            words: Arc::clone(encoder.words()),
            pictures: OnceLock::new(),
            texts: OnceLock::new(),
        })
    }

    fn pictures(&self) -> Result<&PictureSide, ModelError> {
        set_up(&self.pictures, || {
            PictureSide::new(&self.weights, &self.towers, &self.config).map_err(self.damaged())
        })
    }

    fn texts(&self) -> Result<&TextSide, ModelError> {
        set_up(&self.texts, || {
            TextSide::new(&self.weights, &self.towers, &self.config, &self.words)
                .map_err(self.damaged())
        })
    }

    fn damaged(&self) -> impl FnOnce(String) -> ModelError {
        let path = self.folder.join(FILES[1]);
        move |what| ModelError::Damaged { path, what }
    }

    fn sizes(&self) -> Sizes {
        let grid = self.towers.image.grid;
        Sizes { whole: self.towers.hidden, width: self.config.width, patches: grid * grid }
    }

    /// The sizes that a question and candidates have, if they are this re-ranker's.
    fn sizes_of(&self, text: &Question, candidates: &[Features]) -> Result<Sizes, RerankError> {
        let (sizes, text) = (self.sizes(), text.0.len());
        let fits = text > sizes.whole
            && (text - sizes.whole).is_multiple_of(sizes.width)
            && candidates.iter().all(|features| features.0.len() == sizes.feature_len());
        let other = || RerankError::Compute("vectors of another re-ranker".into());
        fits.then_some(sizes).ok_or_else(other)
    }
}

impl Reranker for LateInteraction {
    fn name(&self) -> &str {
        &self.config.name
    }

    fn hash(&self) -> &str {
        &self.hash
    }

    fn feature_len(&self) -> usize {
        self.sizes().feature_len()
    }

    fn blend(&self) -> Blend {
        self.config.blend()
    }

    fn prepare(&self, pictures: &[Picture]) -> Result<Vec<Features>, RerankError> {
        if pictures.is_empty() {
            return Ok(Vec::new());
        }
        let side = self.towers.image.size;
        let pixels: Vec<Vec<u8>> =
            pictures.iter().map(|picture| resize(&picture.pixels, side, side)).collect();
        let pixels: Vec<&[u8]> = pixels.iter().map(Vec::as_slice).collect();
        Ok(self.pictures()?.features(&pixels)?)
    }

    fn read(&self, query: &QueryInput<'_>) -> Result<Question, RerankError> {
        if query.tokens.len() < 2 {
            let what = format!("a text of {} tokens: [CLS] and one more", query.tokens.len());
            return Err(RerankError::Compute(what));
        }
        Ok(self.texts()?.question(query.tokens)?)
    }

    fn score(&self, question: &Question, candidates: &[Features]) -> Result<Vec<f32>, RerankError> {
        let (sizes, text) = (self.sizes_of(question, candidates)?, question.0.as_slice());
        let (mut picture, mut scratch) = (Vec::new(), Vec::new());
        let scores: Vec<f32> = candidates
            .iter()
            .map(|features| fit(sizes, text, widened(features, &mut picture), &mut scratch))
            .collect();
        match scores.iter().all(|score| score.is_finite()) {
            true => Ok(scores),
            false => Err(RerankError::Compute("a score is not a number".into())),
        }
    }

    fn parts(&self, question: &Question, candidate: &Features) -> Result<Vec<Part>, RerankError> {
        let sizes = self.sizes_of(question, std::slice::from_ref(candidate))?;
        Ok(parts(sizes, &question.0, widened(candidate, &mut Vec::new())))
    }
}
