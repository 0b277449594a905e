//! Our own re-ranker, ready to look: the one inside the program, or one from a folder.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use candle_core::{Device, Tensor};
use half::f16;
use half::slice::HalfFloatSliceExt;

use super::config::FusionConfig;
use super::network::Network;
use super::{Blend, Features, PictureInput, QueryInput, RerankError, Reranker};
use crate::encode::weights::Weights;
use crate::encode::{Encoder, HiddenStates, ModelError, read_files, set_up};

/// The files of a re-ranker, in the order in which they are hashed.
const FILES: [&str; 2] = ["config.json", "model.safetensors"];

// `EMBEDDED: Option<(&[u8], &[u8], &str)>`: config, weights and hash of the re-ranker that stands in
// `models/reranker` when the program is built.
include!(concat!(env!("OUT_DIR"), "/reranker.rs"));

/// A small network in which the text looks at the picture's patches, on top of the two towers of
/// the model that it was trained with.
pub struct Fusion {
    folder: PathBuf,
    config: FusionConfig,
    hash: Cow<'static, str>,
    weights: Weights,
    /// Set up when it is first used: every search asks what is stored for the re-ranker, and few look.
    network: OnceLock<Network>,
}

impl Fusion {
    /// The re-ranker that is compiled into the program, if there is one.
    ///
    /// # Errors
    /// As [`Fusion::open`].
    pub fn embedded(encoder: &Encoder) -> Result<Option<Self>, RerankError> {
        let Some((config, weights, hash)) = EMBEDDED else { return Ok(None) };
        let folder = Path::new("(embedded re-ranker)");
        let weights = Weights::borrowed(weights);
        Self::new(folder, Cow::Borrowed(hash), config, weights, encoder).map(Some)
    }

    /// A re-ranker from a folder of `config.json` and `model.safetensors`, for the states of `encoder`.
    ///
    /// # Errors
    /// [`RerankError::Model`] names the file that is missing or damaged; [`RerankError::OtherTowers`]
    /// if it was trained with another model.
    pub fn open(folder: &Path, encoder: &Encoder) -> Result<Self, RerankError> {
        let ([config, weights], hash) = read_files(folder, FILES)?;
        let fusion =
            Self::new(folder, Cow::Owned(hash), &config, Weights::owned(weights), encoder)?;
        // A stranger's weights are looked at before anything is done with them.
        fusion.network()?;
        Ok(fusion)
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
        let config = FusionConfig::parse(config).map_err(damaged(FILES[0]))?;
        if config.towers != encoder.hash() {
            return Err(RerankError::OtherTowers {
                folder: PathBuf::from(folder),
                trained_on: config.towers,
                model: format!("{} ({})", encoder.name(), encoder.hash()),
            });
        }
        let towers = encoder.config();
        let (patches, width) = (towers.image.grid * towers.image.grid, towers.hidden);
        if (config.patches, config.inputs) != (patches, width) {
            let what = format!(
                "{} patches of width {}, but its model has {patches} of width {width}",
                config.patches, config.inputs
            );
            return Err(damaged(FILES[0])(what).into());
        }
        let weights = weights.map_err(damaged(FILES[1]))?;
        Ok(Self { folder: folder.to_owned(), config, hash, weights, network: OnceLock::new() })
    }

    fn network(&self) -> Result<&Network, ModelError> {
        set_up(&self.network, || {
            let damaged = |what| ModelError::Damaged { path: self.folder.join(FILES[1]), what };
            Network::new(&self.weights, &self.config).map_err(damaged)
        })
    }

    /// The values of states of the width that it was trained on.
    fn values<'a>(&self, states: &'a HiddenStates) -> Result<&'a [f32], RerankError> {
        let (found, taken) = (states.width(), self.config.inputs);
        if found == taken && !states.values().is_empty() {
            return Ok(states.values());
        }
        Err(RerankError::Compute(format!("it takes states of width {taken}, not {found}")))
    }
}

/// `values` as [batch, positions, width].
fn tensor(values: Vec<f32>, batch: usize, width: usize) -> Result<Tensor, RerankError> {
    let positions = values.len() / (batch * width);
    Ok(Tensor::from_vec(values, (batch, positions, width), &Device::Cpu)?)
}

impl Reranker for Fusion {
    fn name(&self) -> &str {
        &self.config.name
    }

    fn hash(&self) -> &str {
        &self.hash
    }

    fn feature_len(&self) -> usize {
        self.config.patches * self.config.width
    }

    fn blend(&self) -> Blend {
        self.config.blend()
    }

    fn prepare(&self, pictures: &[PictureInput<'_>]) -> Result<Vec<Features>, RerankError> {
        if pictures.is_empty() {
            return Ok(Vec::new());
        }
        let FusionConfig { patches, inputs, .. } = self.config;
        let mut states = Vec::with_capacity(pictures.len() * patches * inputs);
        for picture in pictures {
            states.extend_from_slice(self.values(picture.states)?);
        }
        if states.len() != pictures.len() * patches * inputs {
            return Err(RerankError::Compute(format!("it takes pictures of {patches} patches")));
        }
        let features = self.network()?.features(&tensor(states, pictures.len(), inputs)?)?;
        let values: Vec<f32> = features.flatten_all()?.to_vec1()?;
        let each = values.chunks_exact(self.feature_len());
        Ok(each
            .map(|values| Features(values.iter().map(|&v| f16::from_f32(v)).collect()))
            .collect())
    }

    fn score(
        &self,
        query: &QueryInput<'_>,
        candidates: &[Features],
    ) -> Result<Vec<f32>, RerankError> {
        if candidates.is_empty() {
            return Ok(Vec::new());
        }
        let text = tensor(self.values(query.states)?.to_vec(), 1, self.config.inputs)?;
        let length = self.feature_len();
        let mut values = vec![0.0; candidates.len() * length];
        for (Features(features), out) in candidates.iter().zip(values.chunks_exact_mut(length)) {
            if features.len() != length {
                let what = format!("features of {} values, not {length}", features.len());
                return Err(RerankError::Compute(what));
            }
            features.convert_to_f32_slice(out);
        }
        let features = tensor(values, candidates.len(), self.config.width)?;
        let logits = self.network()?.logits(&text, &features)?;
        match logits.iter().all(|logit| logit.is_finite()) {
            true => Ok(logits),
            false => Err(RerankError::Compute("a score is not a number".into())),
        }
    }
}
