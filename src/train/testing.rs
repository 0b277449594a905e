//! A model that is small enough for tests, with all parts that the large one has.

use std::collections::BTreeMap;

use candle_core::Tensor;

use super::ops::testing::random;
use super::towers::{PATCH_HEAD, PATCH_MASK};
use crate::encode::ModelConfig;

/// Positions of the frozen features that [`weights`] takes: 6 × 6 × 4 channels.
pub(crate) const FEATURES: [usize; 2] = [36, 4];

/// One frozen block, three trained ones, two layers a tower.
pub(crate) fn config() -> ModelConfig {
    let block = |kernel: usize, stride: usize, expand: usize, inputs: usize, outputs: usize| {
        serde_json::json!({
            "kernel": kernel, "stride": stride, "expand": expand, "inputs": inputs,
            "outputs": outputs, "residual": stride == 1 && inputs == outputs,
        })
    };
    let blocks =
        [block(3, 1, 1, 3, 4), block(3, 1, 1, 4, 4), block(5, 2, 2, 4, 6), block(3, 1, 2, 6, 6)];
    let json = serde_json::json!({
        "format": "sightword-model/1", "name": "tiny", "vocabulary": 40, "hidden": 8, "heads": 2,
        "intermediate": 16, "layer_norm_eps": 1e-12,
        "text": {"layers": 2, "max_tokens": 10},
        "image": {
            "layers": 2, "size": 12, "mean": 127.0, "std": 128.0, "grid": 3,
            "backbone": {"kind": "efficientnet-lite0", "stem": 3, "blocks": blocks, "head": 12},
        },
        "keep": {"image": 5, "text": 5}, "impact_scale": 64.0,
    });
    ModelConfig::parse(json.to_string().as_bytes()).unwrap()
}

/// The ids that [`config`]'s vectors are of.
pub(crate) fn outputs() -> Vec<u16> {
    (5..35).collect()
}

/// Random weights of every name that the towers read, and of those that only training has.
pub(crate) fn weights() -> BTreeMap<String, Tensor> {
    let config = config();
    let (hidden, inner) = (config.hidden, config.intermediate);
    let mut shapes: Vec<(String, Vec<usize>)> = vec![
        ("token_embeddings".into(), vec![config.vocabulary, hidden]),
        ("image.positions".into(), vec![config.image.grid.pow(2), hidden]),
        ("text.positions".into(), vec![config.text.max_tokens, hidden]),
        ("text.token_type".into(), vec![hidden]),
        (PATCH_MASK.into(), vec![hidden]),
    ];
    let mut linear = |name: &str, weight: Vec<usize>| {
        shapes.push((format!("{name}.bias"), vec![weight[0]]));
        shapes.push((format!("{name}.weight"), weight));
    };
    for tower in ["image", "text"] {
        linear(&format!("{tower}.embedding_norm"), vec![hidden]);
        linear(&format!("{tower}.transform.dense"), vec![hidden, hidden]);
        linear(&format!("{tower}.transform.norm"), vec![hidden]);
        for layer in 0..2 {
            let name = |part: &str| format!("{tower}.layers.{layer}.{part}");
            for part in ["query", "key", "value", "attention_output"] {
                linear(&name(part), vec![hidden, hidden]);
            }
            linear(&name("attention_norm"), vec![hidden]);
            linear(&name("intermediate"), vec![inner, hidden]);
            linear(&name("output"), vec![hidden, inner]);
            linear(&name("output_norm"), vec![hidden]);
        }
    }
    for (number, block) in config.image.backbone.blocks.iter().enumerate() {
        let name = |part: &str| format!("image.backbone.blocks.{number}.{part}");
        let inner = block.inputs * block.expand;
        if block.expand != 1 {
            linear(&name("expand"), vec![inner, block.inputs, 1, 1]);
        }
        linear(&name("depthwise"), vec![inner, 1, block.kernel, block.kernel]);
        linear(&name("project"), vec![block.outputs, inner, 1, 1]);
    }
    linear("image.backbone.head", vec![config.image.backbone.head, 6, 1, 1]);
    linear("image.projection", vec![hidden, config.image.backbone.head]);
    linear(PATCH_HEAD, vec![FEATURES[1], hidden]);
    for tower in ["image", "text"] {
        shapes.push((format!("{tower}.decoder_bias"), vec![config.vocabulary]));
    }
    let seeded = shapes.into_iter().zip(1..);
    seeded.map(|((name, shape), seed)| (name, random(&shape, seed))).collect()
}
