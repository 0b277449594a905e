//! The convolutional backbone, EfficientNet-Lite (Tan and Le, arXiv 1905.11946).
//!
//! Channels come last everywhere, so that a 1 × 1 convolution is one matrix product over all
//! positions and a depthwise one runs along channels. Batch norms are folded into the weights.

use candle_core::{Device, Result, Tensor};

use super::config::ModelConfig;
use super::inverted_residual::{Block, Scratch};
use super::ops::{Activation, Inputs, Linear};
use super::weights::Weights;

/// Side of the stem's kernel.
const STEM_KERNEL: usize = 3;
/// Stride of the stem.
const STEM_STRIDE: usize = 2;

/// Stem, inverted residual blocks, head.
pub(crate) struct Backbone {
    stem: Linear,
    blocks: Vec<Block>,
    head: Linear,
    size: usize,
    mean: f32,
    std: f32,
}

impl Backbone {
    /// Reads the tensors below `image.backbone`.
    pub(crate) fn new(
        weights: &Weights,
        config: &ModelConfig,
    ) -> std::result::Result<Self, String> {
        let backbone = &config.image.backbone;
        let name = "image.backbone";
        let patch = 3 * STEM_KERNEL * STEM_KERNEL;
        let stem = Linear::new(
            weights,
            &format!("{name}.stem"),
            (patch, backbone.stem),
            Activation::Relu6,
            Inputs::Bytes,
        )?;
        let input = usize::try_from(config.image.size).map_err(|error| error.to_string())?;
        let mut size = input.div_ceil(STEM_STRIDE);
        let mut channels = backbone.stem;
        let mut blocks = Vec::with_capacity(backbone.blocks.len());
        for (number, block) in backbone.blocks.iter().enumerate() {
            if block.inputs != channels {
                return Err(format!("block {number} does not fit the one before it"));
            }
            let block = Block::new(weights, &format!("{name}.blocks.{number}"), block, size)?;
            size = block.output_size();
            channels = backbone.blocks[number].outputs;
            blocks.push(block);
        }
        let shape = (channels, backbone.head);
        let name = format!("{name}.head");
        let head = Linear::new(weights, &name, shape, Activation::Relu6, Inputs::Bytes)?;
        let (mean, std) = (config.image.mean, config.image.std);
        Ok(Self { stem, blocks, head, size: input, mean, std })
    }

    /// Pictures of `size` × `size` RGB8 pixels → [pictures, grid · grid, channels].
    pub(crate) fn forward(&self, pictures: &[&[u8]]) -> Result<Tensor> {
        self.head.forward(&self.first_blocks(pictures, self.blocks.len())?)
    }

    /// The same through the stem and the first `blocks` blocks only → [pictures, positions, channels].
    pub(crate) fn first_blocks(&self, pictures: &[&[u8]], blocks: usize) -> Result<Tensor> {
        let blocks = &self.blocks[..blocks.min(self.blocks.len())];
        let channels = blocks.last().map_or(self.stem.outputs(), Block::channels);
        let mut scratch = Scratch::default();
        // One by one, so that a picture's map stays in the cache.
        let maps = pictures.iter().flat_map(|pixels| {
            let mut map = vec![0.0; self.size.div_ceil(STEM_STRIDE).pow(2) * self.stem.outputs()];
            self.stem.many(&self.stem_patches(pixels), None, &mut map);
            blocks.iter().fold(map, |map, block| block.forward(&map, &mut scratch))
        });
        let maps: Vec<f32> = maps.collect();
        let positions = maps.len() / (channels * pictures.len().max(1));
        Tensor::from_vec(maps, (pictures.len(), positions, channels), &Device::Cpu)
    }

    /// The pixels under each position of the stem's kernel, channel by channel (im2col), centred
    /// and scaled; what lies outside of the picture is 0.
    fn stem_patches(&self, pixels: &[u8]) -> Vec<f32> {
        let side = self.size.div_ceil(STEM_STRIDE);
        let padding = ((side - 1) * STEM_STRIDE + STEM_KERNEL).saturating_sub(self.size) / 2;
        let width = 3 * STEM_KERNEL * STEM_KERNEL;
        let mut patches = vec![0.0; side * side * width];
        for (position, patch) in patches.chunks_exact_mut(width).enumerate() {
            let (top, left) = (position / side * STEM_STRIDE, position % side * STEM_STRIDE);
            self.stem_patch(pixels, (top, left), padding, patch);
        }
        patches
    }

    fn stem_patch(&self, pixels: &[u8], corner: (usize, usize), padding: usize, patch: &mut [f32]) {
        let inside = |start: usize, tap: usize| {
            (start + tap).checked_sub(padding).filter(|&at| at < self.size)
        };
        for row_tap in 0..STEM_KERNEL {
            let Some(row) = inside(corner.0, row_tap) else { continue };
            for column_tap in 0..STEM_KERNEL {
                let Some(column) = inside(corner.1, column_tap) else { continue };
                let pixel = &pixels[(row * self.size + column) * 3..][..3];
                for (channel, &value) in pixel.iter().enumerate() {
                    let tap = (channel * STEM_KERNEL + row_tap) * STEM_KERNEL + column_tap;
                    patch[tap] = (f32::from(value) - self.mean) / self.std;
                }
            }
        }
    }
}
