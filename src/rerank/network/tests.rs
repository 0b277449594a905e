//! The network against a reference made with another program: `tests/reference/fusion.py`.

use candle_core::Device;
use safetensors::SafeTensors;

use super::*;

const REFERENCE: &[u8] = include_bytes!("../../../tests/reference/fusion.safetensors");

fn network() -> Network {
    let config = FusionConfig::parse(
        br#"{"format": "sightword-reranker/1", "name": "reference", "towers": "", "width": 32, "heads": 4,
        "layers": 3, "intermediate": 64, "inputs": 24, "patches": 9, "layer_norm_eps": 1e-12,
        "logit_weight": 1.0, "sparse_weight": 1.0}"#,
    );
    Network::new(&Weights::borrowed(REFERENCE).unwrap(), &config.unwrap()).unwrap()
}

fn reference(name: &str) -> Tensor {
    let tensors = SafeTensors::deserialize(REFERENCE).unwrap();
    let tensor = tensors.tensor(name).unwrap();
    let floats: Vec<f32> = bytemuck::pod_collect_to_vec(tensor.data());
    Tensor::from_vec(floats, tensor.shape(), &Device::Cpu).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn features_and_logits_equal_the_reference() {
    let network = network();
    let features = network.features(&reference("patches")).unwrap();
    let difference = largest_difference(&values(&features), &values(&reference("features")));
    assert!(difference <= 1e-4, "features differ by {difference}");
    let logits = network.logits(&reference("text"), &features).unwrap();
    let expected = values(&reference("logits"));
    let spread = expected.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b))
        - expected.iter().fold(f32::INFINITY, |a, &b| a.min(b));
    assert!(spread > 0.1, "a reference whose logits are all the same would show nothing");
    let difference = largest_difference(&logits, &expected);
    assert!(difference <= 1e-4, "logits differ by {difference}");
}

#[test]
fn a_logit_does_not_depend_on_the_other_candidates() {
    let network = network();
    let (text, features) = (reference("text"), reference("features"));
    let together = network.logits(&text, &features).unwrap();
    for (at, logit) in together.iter().enumerate() {
        let alone = network.logits(&text, &features.narrow(0, at, 1).unwrap()).unwrap();
        assert!((alone[0] - logit).abs() <= 1e-5, "{} and {logit}", alone[0]);
    }
}
