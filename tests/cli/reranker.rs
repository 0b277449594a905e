//! A re-ranker with random weights in a folder, in the format of a trained one.

use std::fs;
use std::path::Path;

use half::f16;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use sightword::encode::Encoder;

/// Sizes of a late-interaction re-ranker.
pub(crate) struct Sizes {
    pub(crate) layers: usize,
    pub(crate) width: usize,
}

/// Writes `config.json` and `model.safetensors` into a folder, for the model inside the program, which
/// is `encoder`: its towers, and random projections of what they give.
pub(crate) fn write(folder: &Path, encoder: &Encoder, sizes: &Sizes) {
    let Sizes { layers, width } = *sizes;
    let towers = encoder.config();
    let config = serde_json::json!({
        "format": "sightword-reranker/2", "name": "random", "towers": encoder.hash(),
        "layers": layers, "width": width, "token_scale": 20.0, "sentence_scale": 10.0,
        "logit_weight": 3.0, "sparse_weight": 0.5,
    });
    fs::create_dir_all(folder).expect("a folder");
    fs::write(folder.join("config.json"), config.to_string()).expect("a file");

    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/models/default/model.safetensors");
    let model = fs::read(model).expect("the model");
    let mut weights = Weights { tensors: towers_of(&model, layers), seed: 7 };
    let (channels, hidden) = (towers.image.backbone.head, towers.hidden);
    for (name, inputs, outputs) in [
        ("picture.patch", channels, width),
        ("picture.pool", channels, 1),
        ("picture.whole", channels, hidden),
        ("text.token", hidden, width),
        ("text.gate", hidden, 1),
        ("text.whole", hidden, hidden),
    ] {
        weights.linear(name, inputs, outputs);
    }
    weights.write(&folder.join("model.safetensors"));
}

type Tensor = (String, Vec<usize>, Dtype, Vec<u8>);

/// The tensors of a model's backbone and of its text tower's first layers.
fn towers_of(model: &[u8], layers: usize) -> Vec<Tensor> {
    let tensors = SafeTensors::deserialize(model).expect("tensors");
    let layers: Vec<String> = (0..layers).map(|layer| format!("text.layers.{layer}.")).collect();
    let parts = ["image.backbone.", "text.positions", "text.token_type", "text.embedding_norm."];
    let is_part = |name: &str| {
        let parts = parts.into_iter().chain(layers.iter().map(String::as_str));
        parts.into_iter().any(|part| name.starts_with(part))
    };
    let tensors = tensors.iter().filter(|(name, _)| is_part(name));
    tensors
        .map(|(name, view)| {
            (name.to_owned(), view.shape().to_vec(), view.dtype(), view.data().to_vec())
        })
        .collect()
}

struct Weights {
    tensors: Vec<Tensor>,
    seed: u64,
}

impl Weights {
    fn linear(&mut self, name: &str, inputs: usize, outputs: usize) {
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        let scale = 2.0 / (inputs as f32).sqrt();
        self.add(format!("{name}.weight"), vec![outputs, inputs], scale);
        self.add(format!("{name}.bias"), vec![outputs], 0.1);
    }

    /// Values between `−scale` and `scale`.
    fn add(&mut self, name: String, shape: Vec<usize>, scale: f32) {
        let mut bytes = Vec::new();
        for _ in 0..shape.iter().product() {
            self.seed ^= self.seed << 13;
            self.seed ^= self.seed >> 7;
            self.seed ^= self.seed << 17;
            let [a, b, ..] = self.seed.to_le_bytes();
            let random = f32::from(u16::from_le_bytes([a, b])) / 32768.0 - 1.0;
            bytes.extend(f16::from_f32(scale * random).to_le_bytes());
        }
        self.tensors.push((name, shape, Dtype::F16, bytes));
    }

    fn write(&self, path: &Path) {
        let views = self.tensors.iter().map(|(name, shape, dtype, bytes)| {
            (name, TensorView::new(*dtype, shape.clone(), bytes).expect("a tensor"))
        });
        let bytes = safetensors::serialize(views, None).expect("tensors");
        fs::write(path, bytes).expect("a file");
    }
}
