//! What a model's `config.json` says.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::bank::BankConfig;
use super::calibration::Calibration;
use super::prune::Pruning;
use super::saturation::Saturation;

/// The format that this program reads.
pub(crate) const FORMAT: &str = "sightword-model/1";

/// A model's sizes and rules, as its `config.json` holds them.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[non_exhaustive]
pub struct ModelConfig {
    /// Always `sightword-model/1`.
    pub format: String,
    /// The model's name, as shown to people.
    pub name: String,
    /// Size of the vocabulary, at most 65,536.
    pub vocabulary: usize,
    /// Width of the hidden states.
    pub hidden: usize,
    /// Attention heads of a layer.
    pub heads: usize,
    /// Width of the feed-forward layer.
    pub intermediate: usize,
    /// Added to the variance in every layer norm.
    pub layer_norm_eps: f64,
    /// The text tower.
    pub text: TextConfig,
    /// The image tower.
    pub image: ImageConfig,
    /// How many tokens are kept on either side.
    pub keep: Keep,
    /// How far pictures and texts are evened out that have much weight altogether: their weights are
    /// divided by their Euclidean length to this power, 0 (not at all) to 1 (scores are cosines).
    #[serde(default)]
    pub length_norm: f32,
    /// How texts that match pictures in general are evened out, if they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bank: Option<BankConfig>,
    /// What a match amounts to with this model.
    #[serde(default)]
    pub calibration: Calibration,
    /// A weight `w` is stored as the whole number `round(w · impact_scale)`, at most 255.
    pub impact_scale: f32,
}

/// The text tower.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[non_exhaustive]
pub struct TextConfig {
    /// Transformer layers.
    pub layers: usize,
    /// Ids read at the most, `[CLS]` and `[SEP]` included; a longer text loses its end.
    pub max_tokens: usize,
}

/// The image tower.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[non_exhaustive]
pub struct ImageConfig {
    /// Transformer layers.
    pub layers: usize,
    /// Side of the square input in pixels.
    pub size: u32,
    /// Subtracted from every channel (0 to 255).
    pub mean: f32,
    /// Then divided by.
    pub std: f32,
    /// Side of the square grid of patches, at most 16, so that a patch is a `u8`.
    pub grid: usize,
    /// How a maximum over the patches becomes a weight.
    #[serde(default)]
    pub saturation: Saturation,
    /// The convolutional backbone.
    pub backbone: BackboneConfig,
}

/// An EfficientNet-Lite backbone (Tan and Le, arXiv 1905.11946; Lite: no squeeze-and-excite, ReLU6).
#[derive(Debug, Clone, Deserialize, Serialize)]
#[non_exhaustive]
pub struct BackboneConfig {
    /// The family; `efficientnet-lite…` is the one known.
    pub kind: String,
    /// Channels after the stem.
    pub stem: usize,
    /// Inverted residual blocks, in order.
    pub blocks: Vec<BlockConfig>,
    /// Channels of the output.
    pub head: usize,
}

/// An inverted residual block (Sandler et al., arXiv 1801.04381, section 3.3).
#[derive(Debug, Clone, Deserialize, Serialize)]
#[non_exhaustive]
pub struct BlockConfig {
    /// Side of the depthwise kernel.
    pub kernel: usize,
    /// Stride of the depthwise convolution.
    pub stride: usize,
    /// Factor by which channels grow inside; 1 means no expansion layer.
    pub expand: usize,
    /// Channels in.
    pub inputs: usize,
    /// Channels out.
    pub outputs: usize,
    /// Whether the input is added to the output.
    pub residual: bool,
}

/// How many tokens are kept on either side.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Keep {
    /// Of a picture.
    pub image: usize,
    /// Of a text.
    pub text: usize,
}

/// What a width or a side may be; beyond is a mistake and not a model.
const SIZES: RangeInclusive<usize> = 1..=65_536;

impl BackboneConfig {
    /// Positions and channels of the map behind the stem and the first `blocks` blocks, for square
    /// pictures of `size` pixels a side.
    pub(crate) fn map(&self, blocks: usize, size: usize) -> (usize, usize) {
        let passed = &self.blocks[..blocks.min(self.blocks.len())];
        let side = passed.iter().fold(size.div_ceil(2), |side, block| side.div_ceil(block.stride));
        (side * side, passed.last().map_or(self.stem, |block| block.outputs))
    }
}

impl ModelConfig {
    /// How the image tower's logits become weights.
    pub(crate) fn of_pictures(&self) -> Pruning {
        let saturation = self.image.saturation;
        Pruning { keep: self.keep.image, saturation, length_norm: self.length_norm }
    }

    /// How the text tower's logits become weights.
    pub(crate) fn of_texts(&self) -> Pruning {
        let saturation = Saturation::Once;
        Pruning { keep: self.keep.text, saturation, length_norm: self.length_norm }
    }

    /// Widths and sides, by their names in the file.
    fn sizes(&self) -> impl Iterator<Item = (String, usize)> {
        let Self { hidden, intermediate, image, .. } = self;
        let BackboneConfig { stem, head, blocks, .. } = &image.backbone;
        let side = usize::try_from(image.size).unwrap_or(usize::MAX);
        let own = [
            ("hidden", *hidden),
            ("intermediate", *intermediate),
            ("image.size", side),
            ("stem", *stem),
            ("head", *head),
        ];
        let own = own.into_iter().map(|(name, size)| (name.to_owned(), size));
        own.chain(blocks.iter().enumerate().flat_map(|(number, block)| {
            let BlockConfig { kernel, stride, expand, inputs, outputs, .. } = *block;
            let of = move |name| format!("{name} of block {number}");
            [
                (of("kernel"), kernel),
                (of("stride"), stride),
                (of("expand"), expand),
                (of("inputs"), inputs),
                (of("outputs"), outputs),
            ]
        }))
    }

    /// Reads a `config.json` and checks what the towers rely on.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, String> {
        let config: Self = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        let wrong = |what: String| Err(what);
        if config.format != FORMAT {
            return wrong(format!("format {:?}, this program reads {FORMAT:?}", config.format));
        }
        if config.vocabulary == 0 || config.vocabulary > usize::from(u16::MAX) + 1 {
            return wrong(format!("a vocabulary of {} tokens", config.vocabulary));
        }
        if let Some((name, size)) = config.sizes().find(|(_, size)| !SIZES.contains(size)) {
            return wrong(format!("{name} is {size}, not from 1 to {}", SIZES.end()));
        }
        if config.heads == 0 || !config.hidden.is_multiple_of(config.heads) {
            return wrong(format!("{} heads for a width of {}", config.heads, config.hidden));
        }
        if config.image.grid == 0 || config.image.grid > 16 {
            return wrong(format!(
                "a grid of {0} × {0} patches, at most 16 × 16",
                config.image.grid
            ));
        }
        let side = usize::try_from(config.image.size).map_err(|error| error.to_string())?;
        let (positions, _) = config.image.backbone.map(config.image.backbone.blocks.len(), side);
        if positions != config.image.grid.pow(2) {
            let grid = config.image.grid;
            return wrong(format!("the blocks end in {positions} patches, not in {grid} × {grid}"));
        }
        if !config.image.backbone.kind.starts_with("efficientnet-lite") {
            return wrong(format!("unknown backbone {:?}", config.image.backbone.kind));
        }
        if !(config.impact_scale.is_finite() && config.impact_scale > 0.0) {
            return wrong(format!("impact_scale {}", config.impact_scale));
        }
        if !(0.0..=1.0).contains(&config.length_norm) {
            return wrong(format!("length_norm {}, not from 0 to 1", config.length_norm));
        }
        if let Some(problem) = config.bank.and_then(BankConfig::problem) {
            return wrong(problem);
        }
        match config.calibration.problem() {
            Some(problem) => wrong(problem),
            None => Ok(config),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn sizes_that_cannot_be_are_named() {
        let file = std::fs::read("models/default/config.json").unwrap();
        assert!(ModelConfig::parse(&file).is_ok());
        let cases = [
            ("/hidden", json!(0), "hidden is 0, not from 1 to 65536"),
            ("/image/size", json!(4_000_000_000_u32), "image.size is 4000000000, not"),
            ("/image/backbone/head", json!(0), "head is 0, not"),
            ("/image/backbone/blocks/3/stride", json!(0), "stride of block 3 is 0, not"),
            ("/image/backbone/blocks/7/expand", json!(1_u64 << 60), "expand of block 7 is 11529"),
            ("/image/size", json!(224), "the blocks end in 49 patches, not in 10 × 10"),
        ];
        for (place, size, expected) in cases {
            let mut config: Value = serde_json::from_slice(&file).unwrap();
            *config.pointer_mut(place).unwrap() = size;
            let error = ModelConfig::parse(config.to_string().as_bytes()).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
