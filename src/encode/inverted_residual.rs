//! An inverted residual block (Sandler et al., arXiv 1801.04381): more channels, a depthwise
//! convolution, fewer channels again.
//!
//! Some rows at a time: the map between is six times as wide as what goes in and out, 10 MB in the first
//! blocks, and as a whole it would leave the cache before it is read again.

use super::config::BlockConfig;
use super::ops::{Activation, Depthwise, Inputs, Linear};
use super::weights::Weights;

/// Positions that are multiplied at once, at least: with fewer, weights would be read too often.
const POSITIONS: usize = 64;

/// One block.
pub(crate) struct Block {
    expand: Option<Linear>,
    depthwise: Depthwise,
    project: Linear,
    residual: bool,
}

/// What blocks keep between, on one thread.
#[derive(Default)]
pub(crate) struct Scratch {
    /// Rows of the wide map, row r at place r modulo how many fit.
    expanded: Vec<f32>,
    /// Rows of what the convolution makes of them.
    convolved: Vec<f32>,
}

impl Block {
    /// Reads the tensors below `name`, for maps of `size` × `size`.
    pub(crate) fn new(
        weights: &Weights,
        name: &str,
        block: &BlockConfig,
        size: usize,
    ) -> Result<Self, String> {
        if block.residual && (block.stride != 1 || block.inputs != block.outputs) {
            return Err(format!("{name}: a residual needs an output like the input"));
        }
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

    /// Side of the output.
    pub(crate) fn output_size(&self) -> usize {
        self.depthwise.output_size()
    }

    /// Channels of the output.
    pub(crate) fn channels(&self) -> usize {
        self.project.outputs()
    }

    /// `x` [size · size, channels] → [output size · output size, channels].
    pub(crate) fn forward(&self, x: &[f32], scratch: &mut Scratch) -> Vec<f32> {
        let Scratch { expanded, convolved } = scratch;
        let side = self.output_size();
        let at_once = POSITIONS.div_ceil(side).min(side);
        let width = side * self.depthwise.channels();
        let mut wide = Wide::new(self, x, expanded);
        let mut out = vec![0.0; side * side * self.channels()];
        for (first, out) in
            (0..side).step_by(at_once).zip(out.chunks_mut(at_once * side * self.channels()))
        {
            let rows = at_once.min(side - first);
            convolved.resize(rows * width, 0.0);
            for (row, convolved) in (first..).zip(convolved.chunks_exact_mut(width)) {
                self.depthwise.row(wide.rows(row), row, convolved);
            }
            let from = first * side * self.channels();
            let residual = self.residual.then(|| &x[from..from + out.len()]);
            self.project.many(convolved, residual, out);
        }
        out
    }
}

/// The wide map, made as far as it is needed.
struct Wide<'a> {
    block: &'a Block,
    x: &'a [f32],
    rows: &'a mut Vec<f32>,
    /// Rows that have been made.
    made: usize,
    /// Rows that are made at once.
    at_once: usize,
}

impl<'a> Wide<'a> {
    fn new(block: &'a Block, x: &'a [f32], rows: &'a mut Vec<f32>) -> Self {
        let depthwise = &block.depthwise;
        let at_once = POSITIONS.div_ceil(depthwise.size()).min(depthwise.size());
        // All that an output row needs, and those that are made with the last of it.
        let held = (depthwise.kernel() - 1).next_multiple_of(at_once) + at_once;
        rows.resize(held * depthwise.size() * depthwise.channels(), 0.0);
        Self { block, x, rows, made: 0, at_once }
    }

    /// The rows that the convolution's output row `row` needs. Rows are asked for in ascending order.
    fn rows(&mut self, row: usize) -> &[f32] {
        let Some(expand) = &self.block.expand else { return self.x };
        let depthwise = &self.block.depthwise;
        let size = depthwise.size();
        let (width, width_of_x) = (size * depthwise.channels(), self.x.len() / size);
        let held = self.rows.len() / width;
        while self.made < depthwise.needs(row).end {
            let count = self.at_once.min(size - self.made);
            let x = &self.x[self.made * width_of_x..][..count * width_of_x];
            let place = self.made % held;
            expand.many(x, None, &mut self.rows[place * width..][..count * width]);
            self.made += count;
        }
        self.rows
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Tensor;
    use proptest::prelude::*;
    use safetensors::tensor::Dtype;

    use super::*;
    use crate::encode::weights::serialise;
    use crate::train::ops::testing::random;

    /// The layers of a block: weight and bias of each.
    fn layers(config: &BlockConfig) -> Vec<(&'static str, Tensor, Tensor)> {
        let BlockConfig { inputs, outputs, kernel, expand, .. } = *config;
        let inner = inputs * expand;
        let layer = |name, shape: &[usize], seed| {
            (name, random(shape, seed), random(&shape[..1], seed + 1))
        };
        let mut layers = vec![
            layer("depthwise", &[inner, 1, kernel, kernel], 2),
            layer("project", &[outputs, inner, 1, 1], 4),
        ];
        if expand != 1 {
            layers.insert(0, layer("expand", &[inner, inputs, 1, 1], 6));
        }
        layers
    }

    fn block(config: &BlockConfig, size: usize) -> Block {
        let tensor = |name: String, values: &Tensor| {
            let floats: Vec<f32> = values.flatten_all().unwrap().to_vec1().unwrap();
            (name, Dtype::F32, values.dims().to_vec(), bytemuck::pod_collect_to_vec(&floats))
        };
        let tensors = layers(config).into_iter().flat_map(|(name, weight, bias)| {
            [tensor(format!("b.{name}.weight"), &weight), tensor(format!("b.{name}.bias"), &bias)]
        });
        let file = serialise(&tensors.collect::<Vec<_>>()).unwrap();
        Block::new(&Weights::owned(file).unwrap(), "b", config, size).unwrap()
    }

    /// The whole maps one after the other, by candle's convolutions: `x` [1, channels, size, size].
    fn definition(config: &BlockConfig, x: &Tensor) -> Tensor {
        let size = x.dim(2).unwrap();
        let side = size.div_ceil(config.stride);
        let padding = ((side - 1) * config.stride + config.kernel).saturating_sub(size);
        let (before, after) = (padding / 2, padding - padding / 2);
        let mut y = x.clone();
        for (name, weight, bias) in layers(config) {
            let bias = bias.reshape((1, (), 1, 1)).unwrap();
            let (stride, groups) = if name == "depthwise" {
                y = y.pad_with_zeros(2, before, after).unwrap();
                y = y.pad_with_zeros(3, before, after).unwrap();
                (config.stride, weight.dim(0).unwrap())
            } else {
                (1, 1)
            };
            y = y.conv2d(&weight, 0, stride, 1, groups).unwrap().broadcast_add(&bias).unwrap();
            if name != "project" {
                y = y.clamp(0_f32, 6_f32).unwrap();
            }
        }
        if config.residual { (y + x).unwrap() } else { y }
    }

    #[test]
    fn a_residual_of_another_shape_is_refused() {
        let file = serialise(&[]).unwrap();
        let weights = Weights::owned(file).unwrap();
        for (stride, outputs) in [(2, 8), (1, 6)] {
            let config =
                BlockConfig { kernel: 3, stride, expand: 1, inputs: 8, outputs, residual: true };
            let error = Block::new(&weights, "b", &config, 10).err();
            assert_eq!(error.as_deref(), Some("b: a residual needs an output like the input"));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn some_rows_at_a_time_are_the_whole_map(
            size in 1_usize..40,
            kernel in prop::sample::select(vec![1_usize, 3, 5, 7]),
            stride in 1_usize..=2,
            inputs in prop::sample::select(vec![3_usize, 8, 16]),
            expand in prop::sample::select(vec![1_usize, 2, 6]),
            is_residual: bool,
        ) {
            let residual = is_residual && stride == 1;
            let outputs = if residual { inputs } else { 5 };
            let config = BlockConfig { kernel, stride, expand, inputs, outputs, residual };
            let x = random(&[1, inputs, size, size], 0);
            let expected = definition(&config, &x).squeeze(0).unwrap().flatten_from(1).unwrap();
            let expected: Vec<f32> = expected.t().unwrap().flatten_all().unwrap().to_vec1().unwrap();
            let x = x.squeeze(0).unwrap().flatten_from(1).unwrap().t().unwrap();
            let x: Vec<f32> = x.flatten_all().unwrap().to_vec1().unwrap();
            let mut scratch = Scratch::default();
            let block = block(&config, size);
            // Twice, as a second picture finds what the first one left.
            for _ in 0..2 {
                let y = block.forward(&x, &mut scratch);
                prop_assert_eq!(y.len(), expected.len());
                for (y, expected) in y.iter().zip(&expected) {
                    prop_assert!((y - expected).abs() < 1e-3, "{} for {}", y, expected);
                }
            }
        }
    }
}
