//! A re-ranker with random weights in a folder, in the format of a trained one.

use std::fs;
use std::path::Path;

use half::f16;
use safetensors::tensor::{Dtype, TensorView};
use sightword::encode::Encoder;

/// Sizes of a fusion re-ranker.
pub(crate) struct Sizes {
    pub(crate) width: usize,
    pub(crate) heads: usize,
    pub(crate) layers: usize,
    pub(crate) intermediate: usize,
}

/// Writes `config.json` and `model.safetensors` into a folder, for the towers of `encoder`.
pub(crate) fn write(folder: &Path, encoder: &Encoder, sizes: &Sizes) {
    let Sizes { width, heads, layers, intermediate } = *sizes;
    let towers = encoder.config();
    let config = serde_json::json!({
        "format": "sightword-reranker/1", "name": "random", "towers": encoder.hash(),
        "width": width, "heads": heads, "layers": layers, "intermediate": intermediate,
        "inputs": towers.hidden, "patches": towers.image.grid * towers.image.grid,
        "layer_norm_eps": 1e-12, "logit_weight": 3.0, "sparse_weight": 0.5,
    });
    fs::create_dir_all(folder).expect("a folder");
    fs::write(folder.join("config.json"), config.to_string()).expect("a file");

    let mut weights = Weights { tensors: Vec::new(), seed: 7 };
    for side in ["text", "image"] {
        weights.linear(&format!("{side}_projection"), towers.hidden, width);
        weights.norm(&format!("{side}_norm"), width);
    }
    let squares = ["query", "key", "value", "attention_output"].into_iter().chain([
        "cross_query",
        "cross_key",
        "cross_value",
        "cross_output",
    ]);
    for layer in 0..layers {
        for square in squares.clone() {
            weights.linear(&format!("layers.{layer}.{square}"), width, width);
        }
        weights.linear(&format!("layers.{layer}.intermediate"), width, intermediate);
        weights.linear(&format!("layers.{layer}.output"), intermediate, width);
        for norm in ["self_norm", "cross_norm", "feed_norm"] {
            weights.norm(&format!("layers.{layer}.{norm}"), width);
        }
    }
    weights.norm("final_norm", width);
    weights.linear("score", width, 1);
    weights.write(&folder.join("model.safetensors"));
}

struct Weights {
    tensors: Vec<(String, Vec<usize>, Vec<u8>)>,
    seed: u64,
}

impl Weights {
    fn linear(&mut self, name: &str, inputs: usize, outputs: usize) {
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        let scale = 2.0 / (inputs as f32).sqrt();
        self.add(format!("{name}.weight"), vec![outputs, inputs], scale, 0.0);
        self.add(format!("{name}.bias"), vec![outputs], 0.1, 0.0);
    }

    fn norm(&mut self, name: &str, width: usize) {
        self.add(format!("{name}.weight"), vec![width], 0.1, 1.0);
        self.add(format!("{name}.bias"), vec![width], 0.1, 0.0);
    }

    /// Values between `mean − scale` and `mean + scale`.
    fn add(&mut self, name: String, shape: Vec<usize>, scale: f32, mean: f32) {
        let mut bytes = Vec::new();
        for _ in 0..shape.iter().product() {
            self.seed ^= self.seed << 13;
            self.seed ^= self.seed >> 7;
            self.seed ^= self.seed << 17;
            let [a, b, ..] = self.seed.to_le_bytes();
            let random = f32::from(u16::from_le_bytes([a, b])) / 32768.0 - 1.0;
            bytes.extend(f16::from_f32(mean + scale * random).to_le_bytes());
        }
        self.tensors.push((name, shape, bytes));
    }

    fn write(&self, path: &Path) {
        let views = self.tensors.iter().map(|(name, shape, bytes)| {
            (name, TensorView::new(Dtype::F16, shape.clone(), bytes).expect("a tensor"))
        });
        let bytes = safetensors::serialize(views, None).expect("tensors");
        fs::write(path, bytes).expect("a file");
    }
}
