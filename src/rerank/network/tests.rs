//! The network against a reference made with another program: `tests/reference/late.py`.

use proptest::prelude::*;
use safetensors::SafeTensors;

use super::*;

const REFERENCE: &[u8] = include_bytes!("../../../tests/reference/late.safetensors");

fn towers() -> ModelConfig {
    let block = |kernel, stride, expand, inputs, outputs, residual| {
        serde_json::json!({
            "kernel": kernel, "stride": stride, "expand": expand, "inputs": inputs,
            "outputs": outputs, "residual": residual,
        })
    };
    serde_json::from_value(serde_json::json!({
        "format": "sightword-model/1", "name": "small", "vocabulary": 30, "hidden": 24, "heads": 4,
        "intermediate": 48, "layer_norm_eps": 1e-12, "impact_scale": 1.0,
        "text": { "layers": 2, "max_tokens": 12, "lowercase": true },
        "image": {
            "layers": 0, "size": 16, "grid": 4, "mean": 127.0, "std": 128.0,
            "backbone": {
                "kind": "efficientnet-lite2", "stem": 8, "head": 20,
                "blocks": [block(3, 1, 1, 8, 8, true), block(5, 2, 3, 8, 12, false)],
            },
        },
        "keep": { "image": 1, "text": 1 },
    }))
    .unwrap()
}

fn config() -> LateConfig {
    LateConfig::parse(
        br#"{"format": "sightword-reranker/2", "name": "reference", "towers": "", "layers": 2, "width": 10,
        "token_scale": 20.0, "sentence_scale": 7.0, "logit_weight": 1.0, "sparse_weight": 1.0}"#,
    )
    .unwrap()
}

const SIZES: Sizes = Sizes { whole: 24, width: 10, patches: 16 };

fn weights() -> Weights {
    Weights::borrowed(REFERENCE).unwrap()
}

fn tensor(name: &str) -> (Vec<usize>, &'static [u8]) {
    let tensors = SafeTensors::deserialize(REFERENCE).unwrap();
    let tensor = tensors.tensor(name).unwrap();
    (tensor.shape().to_vec(), tensor.data())
}

fn floats(name: &str) -> Vec<f32> {
    bytemuck::pod_collect_to_vec(tensor(name).1)
}

fn question() -> Question {
    let ids: Vec<i32> = bytemuck::pod_collect_to_vec(tensor("ids").1);
    let ids: Vec<TokenId> = ids.iter().map(|&id| TokenId(u16::try_from(id).unwrap())).collect();
    let words = Arc::new(Words::new(&weights(), &towers()).unwrap());
    TextSide::new(&weights(), &towers(), &config(), &words).unwrap().question(&ids).unwrap()
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn features_and_scores_equal_the_reference() {
    let (shape, pixels) = tensor("pixels");
    let pictures: Vec<&[u8]> = pixels.chunks_exact(pixels.len() / shape[0]).collect();
    let side = PictureSide::new(&weights(), &towers(), &config()).unwrap();
    let features = side.features(&pictures).unwrap();
    let mut room = Vec::new();
    let made: Vec<f32> =
        features.iter().flat_map(|features| widened(features, &mut room).to_vec()).collect();
    let expected = floats("features");
    let difference = largest_difference(&made, &expected);
    assert!(difference <= 1e-3, "features in half precision differ by {difference}");

    let question = question();
    let score = |features: &[f32]| fit(SIZES, &question.0, features, &mut Vec::new());
    let scores: Vec<f32> = expected.chunks_exact(SIZES.feature_len()).map(score).collect();
    let spread = scores[0] - scores[1];
    assert!(spread.abs() > 0.1, "a reference whose scores are all the same would show nothing");
    let difference = largest_difference(&scores, &floats("scores"));
    assert!(difference <= 1e-4, "scores differ by {difference}");
}

#[test]
fn a_picture_with_a_vector_that_fits_better_is_never_worse() {
    let question = question();
    let features = floats("features");
    let picture = &features[..SIZES.feature_len()];
    let before = fit(SIZES, &question.0, picture, &mut Vec::new());
    for token in question.0[SIZES.whole..].chunks_exact(SIZES.width) {
        // One more patch: what this token looks for.
        let mut better = picture.to_vec();
        let wanted = scaled(token.to_vec(), 1.0);
        better.extend_from_slice(&wanted);
        let sizes = Sizes { patches: SIZES.patches + 1, ..SIZES };
        assert!(fit(sizes, &question.0, &better, &mut Vec::new()) >= before);
    }
}

proptest! {
    /// `fit` is the sum in the file's first lines, computed plainly.
    #[test]
    fn the_fit_is_the_sum_of_the_best_patches(
        values in prop::collection::vec(-2.0f32..2.0, 3 + 4 * 5 + 3 + 6 * 5),
    ) {
        let sizes = Sizes { whole: 3, width: 5, patches: 6 };
        let (text, picture) = values.split_at(3 + 4 * 5);
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let mut expected = dot(&text[..3], &picture[..3]);
        for token in text[3..].chunks(5) {
            let found = picture[3..].chunks(5).map(|patch| dot(token, patch));
            expected += found.fold(f32::NEG_INFINITY, f32::max);
        }
        let got = fit(sizes, text, picture, &mut Vec::new());
        prop_assert!((got - expected).abs() <= 1e-3, "{got} and {expected}");
        let parts = parts(sizes, text, picture);
        let sum: f32 = parts.iter().map(|part| part.score).sum();
        prop_assert!((sum - got).abs() <= 1e-3, "parts of {sum}, a fit of {got}");
        let tokens: Vec<Option<usize>> = parts.iter().map(|part| part.token).collect();
        prop_assert_eq!(tokens, [Some(1), Some(2), Some(3), Some(4), None]);
    }
}
