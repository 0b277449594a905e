//! What do the towers compute while they are trained?
//!
//! The same as `encode`'s towers, from variables and with a way back for gradients, on whole batches:
//! pooled logits of a batch of pictures or texts, one row each.
//!
//! | file | answers |
//! | --- | --- |
//! | `layer.rs` | the transformer layers and the head's transform that both towers share |
//! | `backbone.rs` | the backbone's last blocks, from the frozen ones' features on |
//! | `masking.rs` | which words and patches are hidden in a step? |

mod backbone;
mod layer;
mod masking;
#[cfg(test)]
mod tests;

pub use masking::{MaskedWords, mask_patches, mask_words, sample_patches};

use candle_core::{DType, Result, Tensor, bail};

use self::backbone::Backbone;
use self::layer::{Layer, Norm, Transform, linear_of};
use super::ops::{Sequences, dropout, linear, max_logits};
use super::{Parameters, Random};
use crate::encode::{ModelConfig, Saturation};

/// The vector that stands for a hidden patch, \[hidden\]: only masked visual modelling needs it.
pub const PATCH_MASK: &str = "masked_patch";
/// Predicts a hidden patch's features from its hidden state: `.weight` [channels, hidden], `.bias`.
pub const PATCH_HEAD: &str = "patch_head";

/// What a run decides about the towers.
#[derive(Debug, Clone, PartialEq)]
pub struct TowerSettings {
    /// So many of the backbone's blocks are frozen: pictures come as these blocks' features.
    pub first_trained_block: usize,
    /// Share of activations left out after the embeddings and after each feed-forward layer.
    pub dropout: f32,
    /// Share of a text's words that are hidden.
    pub masked_words: f32,
    /// The id of `[MASK]`.
    pub mask_token: u16,
    /// Tokens of a picture or text that pass a gradient on; `None`: all.
    pub gradients: Option<usize>,
}

/// Which tower.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Pictures.
    Image,
    /// Texts.
    Text,
}

/// Hidden states after a head's transform: the rows of all pictures or texts, one after the other.
#[derive(Debug, Clone)]
pub struct States {
    /// [rows, hidden].
    pub rows: Tensor,
    /// Whose they are.
    pub sequences: Sequences,
}

/// Both towers.
pub struct Towers {
    settings: TowerSettings,
    embeddings: Tensor,
    /// Ids of the output tokens, u32.
    outputs: Tensor,
    image: ImageTower,
    text: TextTower,
}

struct ImageTower {
    backbone: Backbone,
    positions: Tensor,
    norm: Norm,
    layers: Vec<Layer>,
    transform: Transform,
    bias: Tensor,
    /// [`PATCH_MASK`], and [`PATCH_HEAD`]'s weight and bias.
    masked: Option<[Tensor; 3]>,
}

struct TextTower {
    positions: Tensor,
    token_type: Tensor,
    norm: Norm,
    layers: Vec<Layer>,
    transform: Transform,
    bias: Tensor,
    max_tokens: usize,
}

impl Towers {
    /// Towers that read `parameters`, now and after every later change of them.
    ///
    /// # Errors
    /// Names a tensor that is missing.
    pub fn new(
        parameters: &Parameters,
        config: &ModelConfig,
        output_tokens: &[u16],
        settings: TowerSettings,
    ) -> Result<Self> {
        let embeddings = parameters.get("token_embeddings")?.clone();
        let outputs: Vec<u32> = output_tokens.iter().map(|&id| u32::from(id)).collect();
        let outputs = Tensor::new(outputs, embeddings.device())?;
        let layers = |tower: &str, count: usize| -> Result<Vec<Layer>> {
            (0..count)
                .map(|layer| Layer::new(parameters, &format!("{tower}.layers.{layer}"), config))
                .collect()
        };
        let get = |name: &str| parameters.get(name).cloned();
        let norm = |name: &str| Norm::new(parameters, name, config.layer_norm_eps);
        let image = ImageTower {
            backbone: Backbone::new(parameters, config, settings.first_trained_block)?,
            positions: get("image.positions")?,
            norm: norm("image.embedding_norm")?,
            layers: layers("image", config.image.layers)?,
            transform: Transform::new(parameters, "image.transform", config)?,
            bias: get("image.decoder_bias")?,
            masked: match get(PATCH_MASK) {
                Ok(mask) => {
                    let [weight, bias] = linear_of(parameters, PATCH_HEAD)?;
                    Some([mask, weight, bias])
                }
                Err(_) => None,
            },
        };
        let text = TextTower {
            positions: get("text.positions")?,
            token_type: get("text.token_type")?,
            norm: norm("text.embedding_norm")?,
            layers: layers("text", config.text.layers)?,
            transform: Transform::new(parameters, "text.transform", config)?,
            bias: get("text.decoder_bias")?,
            max_tokens: config.text.max_tokens,
        };
        Ok(Self { settings, embeddings, outputs, image, text })
    }

    /// Features of the frozen blocks [pictures, positions, channels] → pooled logits
    /// [pictures, output tokens]. `keep` [pictures, kept], u32, names the patches that are used
    /// ([`sample_patches`]); with `random` activations are left out.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn image(
        &self,
        features: &Tensor,
        keep: Option<&Tensor>,
        random: Option<&mut Random>,
    ) -> Result<Tensor> {
        let patches = self.image.patches(features, None)?;
        self.pool(Side::Image, &self.image_states(&patches, keep, random)?)
    }

    /// Token ids, `[CLS]` and `[SEP]` included → pooled logits [texts, output tokens]. What is beyond
    /// the tower's limit is cut off. With `random` words are hidden and activations left out.
    ///
    /// # Errors
    /// No text, one without a token, or an id beyond the vocabulary.
    pub fn text(&self, ids: &[Vec<u16>], mut random: Option<&mut Random>) -> Result<Tensor> {
        let masked = match &mut random {
            Some(random) if self.settings.masked_words > 0.0 => {
                let TowerSettings { masked_words, mask_token, .. } = self.settings;
                Some(mask_words(ids, masked_words, mask_token, |_| Some(0), random).ids)
            }
            _ => None,
        };
        let states = self.text_states(masked.as_deref().unwrap_or(ids), random)?;
        self.pool(Side::Text, &states)
    }

    /// As [`Towers::text`], before the vocabulary, and with the words as they are given.
    ///
    /// # Errors
    /// As [`Towers::text`].
    pub fn text_states(&self, ids: &[Vec<u16>], random: Option<&mut Random>) -> Result<States> {
        let most = self.text.max_tokens;
        let ids: Vec<&[u16]> = ids.iter().map(|ids| &ids[..ids.len().min(most)]).collect();
        let sequences = Sequences::new(ids.iter().map(|ids| ids.len()));
        if ids.is_empty() || ids.iter().any(|ids| ids.is_empty()) {
            bail!("a text without a token");
        }
        let device = self.embeddings.device();
        let words: Vec<u32> = ids.iter().flat_map(|ids| ids.iter().map(|&id| id.into())).collect();
        let places = ids.iter().flat_map(|ids| (0_u32..).take(ids.len()));
        let places = Tensor::new(places.collect::<Vec<_>>(), device)?;
        let words = self.embeddings.index_select(&Tensor::new(words, device)?, 0)?;
        let places = self.text.positions.index_select(&places, 0)?;
        let x = (words + places)?.broadcast_add(&self.text.token_type)?;
        let text = &self.text;
        let rows =
            self.encode(&x, &text.norm, &text.layers, &text.transform, &sequences, random)?;
        Ok(States { rows, sequences })
    }

    fn image_states(
        &self,
        patches: &Tensor,
        keep: Option<&Tensor>,
        random: Option<&mut Random>,
    ) -> Result<States> {
        let (pictures, count, hidden) = patches.dims3()?;
        let rows = patches.reshape((pictures * count, hidden))?;
        let (rows, count) = match keep {
            Some(keep) => (rows.index_select(&row_ids(keep, count)?, 0)?, keep.dim(1)?),
            None => (rows, count),
        };
        let image = &self.image;
        let sequences = Sequences::equal(pictures, count);
        let (norm, layers) = (&image.norm, &image.layers);
        let rows = self.encode(&rows, norm, layers, &image.transform, &sequences, random)?;
        Ok(States { rows, sequences })
    }

    fn encode(
        &self,
        embedded: &Tensor,
        norm: &Norm,
        layers: &[Layer],
        transform: &Transform,
        sequences: &Sequences,
        mut random: Option<&mut Random>,
    ) -> Result<Tensor> {
        let share = self.settings.dropout;
        let mut x = norm.forward(embedded)?;
        if let Some(random) = &mut random {
            x = dropout(&x, share, random)?;
        }
        for layer in layers {
            x = layer.forward(
                &x,
                sequences,
                random.as_deref_mut().map(|random| (share, random)),
            )?;
        }
        transform.forward(&x)
    }

    /// The maximum over each picture's or text's positions of its output tokens' logits.
    ///
    /// # Errors
    /// A picture or text without a position.
    pub fn pool(&self, side: Side, states: &States) -> Result<Tensor> {
        let (embeddings, bias) = self.vocabulary(side)?;
        let gradients = self.settings.gradients;
        max_logits(&states.rows, &embeddings, &bias, &states.sequences, gradients)
    }

    fn vocabulary(&self, side: Side) -> Result<(Tensor, Tensor)> {
        let bias = match side {
            Side::Image => &self.image.bias,
            Side::Text => &self.text.bias,
        };
        let embeddings = self.embeddings.index_select(&self.outputs, 0)?;
        Ok((embeddings, bias.index_select(&self.outputs, 0)?))
    }

    /// Logits of the output tokens at each hidden word [words, output tokens], for
    /// [`mlm`](super::losses::mlm).
    ///
    /// # Errors
    /// As [`Towers::text`].
    pub fn masked_words(
        &self,
        masked: &MaskedWords,
        random: Option<&mut Random>,
    ) -> Result<Tensor> {
        let states = self.text_states(&masked.ids, random)?;
        let rows = Tensor::new(masked.rows.as_slice(), self.embeddings.device())?;
        let (embeddings, bias) = self.vocabulary(Side::Text)?;
        linear(&states.rows.index_select(&rows, 0)?, &embeddings, &bias)
    }

    /// The features that are predicted for each hidden patch, and those that it has in truth, both
    /// [patches, channels], for [`mvm`](super::losses::mvm). `masked` are the hidden ones' row numbers
    /// ([`mask_patches`]). Where the frozen blocks have more positions than the tower has patches, a
    /// patch's features are the mean of its positions.
    ///
    /// # Errors
    /// Parameters without [`PATCH_MASK`] and [`PATCH_HEAD`].
    pub fn masked_patches(
        &self,
        features: &Tensor,
        masked: &Tensor,
        random: Option<&mut Random>,
    ) -> Result<(Tensor, Tensor)> {
        let Some([_, weight, bias]) = &self.image.masked else {
            bail!("masked visual modelling needs {PATCH_MASK} and {PATCH_HEAD}");
        };
        let patches = self.image.patches(features, Some(masked))?;
        let count = patches.dim(1)?;
        let states = self.image_states(&patches, None, random)?;
        let predicted = linear(&states.rows.index_select(masked, 0)?, weight, bias)?;
        let target = patch_means(&features.detach(), count)?.index_select(masked, 0)?;
        Ok((predicted, target))
    }
}

impl ImageTower {
    /// Features of the frozen blocks → patches [pictures, patches, hidden] with their positions.
    fn patches(&self, features: &Tensor, masked: Option<&Tensor>) -> Result<Tensor> {
        let patches = self.backbone.forward(&features.permute((2, 1, 0))?.contiguous()?)?;
        let mut patches = patches.permute((2, 1, 0))?.contiguous()?;
        if let (Some(rows), Some([mask, ..])) = (masked, &self.masked) {
            let (pictures, count, _) = patches.dims3()?;
            let ones = Tensor::ones(rows.elem_count(), DType::F32, rows.device())?;
            let hidden = Tensor::zeros(pictures * count, DType::F32, rows.device())?;
            let hidden = hidden.index_add(rows, &ones, 0)?.reshape((pictures, count, 1))?;
            let shown = (1.0 - &hidden)?;
            patches = (patches.broadcast_mul(&shown)? + hidden.broadcast_mul(mask)?)?;
        }
        patches.broadcast_add(&self.positions)
    }
}

/// Patch numbers of each picture → row numbers in the batch.
fn row_ids(keep: &Tensor, patches: usize) -> Result<Tensor> {
    let (pictures, _) = keep.dims2()?;
    let patches = u32::try_from(patches)?;
    let starts: Vec<u32> = (0..).step_by(patches as usize).take(pictures).collect();
    let starts = Tensor::from_vec(starts, (pictures, 1), keep.device())?;
    keep.broadcast_add(&starts)?.flatten_all()
}

/// The mean of the positions that become one patch: [pictures, positions, channels] →
/// [pictures · patches, channels]. Both are squares, read row by row.
fn patch_means(features: &Tensor, patches: usize) -> Result<Tensor> {
    let (pictures, positions, channels) = features.dims3()?;
    let (side, grid) = (positions.isqrt(), patches.isqrt());
    if !side.is_multiple_of(grid) {
        bail!("{side} × {side} positions are not whole patches of {grid} × {grid}");
    }
    let cell = side / grid;
    let cells = features.reshape((pictures, grid, cell, grid, cell * channels))?.mean(2)?;
    let cells = cells.reshape((pictures, grid, grid, cell, channels))?.mean(3)?;
    cells.reshape((pictures * patches, channels))
}

/// Pooled logits → weights.
///
/// # Errors
/// What the device says.
pub fn saturate(pooled: &Tensor, saturation: Saturation) -> Result<Tensor> {
    let once = (pooled.relu()? + 1.0)?.log()?;
    match saturation {
        Saturation::Once => Ok(once),
        Saturation::Twice => (once + 1.0)?.log(),
    }
}
