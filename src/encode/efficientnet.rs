//! The convolutional backbone, EfficientNet-Lite (Tan and Le, arXiv 1905.11946).
//!
//! Channels come last everywhere, so that a 1 × 1 convolution is one matrix product over all
//! positions and a depthwise one runs along channels. Batch norms are folded into the weights.

use candle_core::{Device, Result, Tensor};

use super::config::{BlockConfig, ModelConfig};
use super::ops::{Activation, Depthwise, Inputs, Linear};
use super::weights::Weights;

/// Side of the stem's kernel.
const STEM_KERNEL: usize = 3;
/// Stride of the stem.
const STEM_STRIDE: usize = 2;

/// Side of a map from which on pictures go through the blocks one by one.
const LARGE_MAP: usize = 14;

/// Stem, inverted residual blocks, head.
pub(crate) struct Backbone {
    stem: Linear,
    blocks: Vec<Block>,
    head: Linear,
    size: usize,
    mean: f32,
    std: f32,
}

struct Block {
    expand: Option<Linear>,
    depthwise: Depthwise,
    project: Linear,
    residual: bool,
}

impl Backbone {
    /// Reads the tensors below `image.backbone`; the blocks must end in the config's grid.
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
            if block.inputs != channels || block.stride == 0 || block.kernel == 0 {
                return Err(format!("block {number} does not fit the one before it"));
            }
            let block = Block::new(weights, &format!("{name}.blocks.{number}"), block, size)?;
            size = block.depthwise.output_size();
            channels = backbone.blocks[number].outputs;
            blocks.push(block);
        }
        if size != config.image.grid {
            return Err(format!("the blocks end in {size} rows, not in {}", config.image.grid));
        }
        let shape = (channels, backbone.head);
        let name = format!("{name}.head");
        let head = Linear::new(weights, &name, shape, Activation::Relu6, Inputs::Bytes)?;
        let (mean, std) = (config.image.mean, config.image.std);
        Ok(Self { stem, blocks, head, size: input, mean, std })
    }

    /// Pictures of `size` × `size` RGB8 pixels → [pictures, grid · grid, channels].
    ///
    /// One picture at a time while its map is large, so that it stays in the cache; all together
    /// once the weights are what is large.
    pub(crate) fn forward(&self, pictures: &[&[u8]]) -> Result<Tensor> {
        self.head.forward(&self.first_blocks(pictures, self.blocks.len())?)
    }

    /// The same through the stem and the first `blocks` blocks only → [pictures, positions, channels].
    pub(crate) fn first_blocks(&self, pictures: &[&[u8]], blocks: usize) -> Result<Tensor> {
        let blocks = &self.blocks[..blocks.min(self.blocks.len())];
        let is_large = |block: &&Block| block.depthwise.size() > LARGE_MAP;
        let (large, small) = blocks.split_at(blocks.iter().take_while(is_large).count());
        let through = |x, blocks: &[Block]| blocks.iter().try_fold(x, |x, block| block.forward(&x));
        let maps: Vec<Tensor> = pictures
            .iter()
            .map(|pixels| through(self.stem.forward(&self.stem_patches(pixels)?)?, large))
            .collect::<Result<_>>()?;
        through(Tensor::cat(&maps, 0)?, small)
    }

    /// The pixels under each position of the stem's kernel, channel by channel (im2col), centred
    /// and scaled; what lies outside of the picture is 0.
    fn stem_patches(&self, pixels: &[u8]) -> Result<Tensor> {
        let side = self.size.div_ceil(STEM_STRIDE);
        let padding = ((side - 1) * STEM_STRIDE + STEM_KERNEL).saturating_sub(self.size) / 2;
        let width = 3 * STEM_KERNEL * STEM_KERNEL;
        let mut patches = vec![0.0; side * side * width];
        for (position, patch) in patches.chunks_exact_mut(width).enumerate() {
            let (top, left) = (position / side * STEM_STRIDE, position % side * STEM_STRIDE);
            self.stem_patch(pixels, (top, left), padding, patch);
        }
        Tensor::from_vec(patches, (1, side * side, width), &Device::Cpu)
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

impl Block {
    fn new(
        weights: &Weights,
        name: &str,
        block: &BlockConfig,
        size: usize,
    ) -> std::result::Result<Self, String> {
        let inner = block.inputs * block.expand;
        let linear = |part: &str, shape, activation| {
            Linear::new(weights, &format!("{name}.{part}"), shape, activation, Inputs::Bytes)
        };
        let expand = (block.expand != 1)
            .then(|| linear("expand", (block.inputs, inner), Activation::Relu6))
            .transpose()?;
        let filter = (block.kernel, block.stride);
        let depthwise = Depthwise::new(weights, &format!("{name}.depthwise"), inner, filter, size)?;
        let project = linear("project", (inner, block.outputs), Activation::None)?;
        Ok(Self { expand, depthwise, project, residual: block.residual })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let expanded = self.expand.as_ref().map(|expand| expand.forward(x)).transpose()?;
        let y = self.depthwise.forward(expanded.as_ref().unwrap_or(x))?;
        if self.residual { self.project.forward_onto(&y, x) } else { self.project.forward(&y) }
    }
}
