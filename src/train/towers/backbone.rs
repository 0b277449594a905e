//! The last blocks of the convolutional backbone (inverted residuals, Sandler et al., arXiv 1801.04381) and
//! the projection, in the layout [channel, position, picture]: every convolution is a matrix product.

use candle_core::{Result, Tensor, bail};

use super::layer::linear_of;
use crate::encode::{BlockConfig, ModelConfig};
use crate::train::Parameters;
use crate::train::ops::{Depthwise, pointwise, pointwise_relu6};

/// The stem halves the picture.
const STEM_STRIDE: usize = 2;

pub(super) struct Backbone {
    blocks: Vec<Block>,
    head: [Tensor; 2],
    projection: [Tensor; 2],
}

struct Block {
    expand: Option<[Tensor; 2]>,
    depthwise: Depthwise,
    filters: [Tensor; 2],
    project: [Tensor; 2],
    residual: bool,
}

impl Backbone {
    /// The blocks from number `first` on. Batch norms are folded into the weights.
    pub(super) fn new(parameters: &Parameters, config: &ModelConfig, first: usize) -> Result<Self> {
        let blocks = &config.image.backbone.blocks;
        if first > blocks.len() {
            bail!("{first} frozen blocks, but the backbone has {}", blocks.len());
        }
        let mut size = usize::try_from(config.image.size)?.div_ceil(STEM_STRIDE);
        let mut trained = Vec::with_capacity(blocks.len() - first);
        for (number, block) in blocks.iter().enumerate() {
            if number >= first {
                trained.push(Block::new(parameters, number, block, size)?);
            }
            size = size.div_ceil(block.stride);
        }
        Ok(Self {
            blocks: trained,
            head: linear_of(parameters, "image.backbone.head")?,
            projection: linear_of(parameters, "image.projection")?,
        })
    }

    /// `x` [channels, positions, pictures] → [hidden, patches, pictures].
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.blocks.iter().try_fold(x.clone(), |x, block| block.forward(&x))?;
        let x = pointwise_relu6(&x, &self.head[0], &self.head[1])?;
        pointwise(&x, &self.projection[0], &self.projection[1])
    }
}

impl Block {
    fn new(
        parameters: &Parameters,
        number: usize,
        block: &BlockConfig,
        size: usize,
    ) -> Result<Self> {
        let part =
            |part: &str| linear_of(parameters, &format!("image.backbone.blocks.{number}.{part}"));
        Ok(Self {
            expand: (block.expand != 1).then(|| part("expand")).transpose()?,
            depthwise: Depthwise { kernel: block.kernel, stride: block.stride, size },
            filters: part("depthwise")?,
            project: part("project")?,
            residual: block.residual,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let expanded = match &self.expand {
            Some([weight, bias]) => pointwise_relu6(x, weight, bias)?,
            None => x.clone(),
        };
        let y = self.depthwise.forward(&expanded, &self.filters[0], &self.filters[1])?;
        let y = pointwise(&y, &self.project[0], &self.project[1])?;
        if self.residual { x + y } else { Ok(y) }
    }
}
