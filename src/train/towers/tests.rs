//! The towers of training against those of another program, and against their own promises.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use candle_core::Device;
use safetensors::tensor::Dtype;
use sightword_index::TokenId;

use super::*;
use crate::encode::weights::{Weights, serialise};
use crate::encode::{Encoder, Pruning, strongest};
use crate::ingest::{DecodeOptions, read, resize};
use crate::train::ops::testing::random;
use crate::train::{Group, testing};

const CPU: &Device = &Device::Cpu;

fn settings(first_trained_block: usize) -> TowerSettings {
    TowerSettings {
        first_trained_block,
        dropout: 0.1,
        masked_words: 0.15,
        mask_token: 3,
        gradients: None,
    }
}

/// The folder of the half-precision model, which is too large to be kept beside the program.
fn full_model() -> Option<PathBuf> {
    let folder = std::env::var_os("SIGHTWORD_FULL_MODEL").map(PathBuf::from);
    if folder.is_none() {
        println!("skipped: SIGHTWORD_FULL_MODEL names no folder with the half-precision model");
    }
    folder
}

fn load(path: &Path) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(path, CPU).unwrap()
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f32 {
    assert_eq!(a.dims(), b.dims());
    (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar().unwrap()
}

/// The stem, which encoding does picture by picture and training never runs: pixels
/// [pictures, side, side, 3] → [pictures, positions, channels].
fn stem(pixels: &Tensor, weights: &BTreeMap<String, Tensor>) -> Tensor {
    let get =
        |part: &str| weights[&format!("image.backbone.stem.{part}")].to_dtype(DType::F32).unwrap();
    let x = pixels.to_dtype(DType::F32).unwrap().permute((0, 3, 1, 2)).unwrap();
    let x = ((x - 127.0).unwrap() / 128.0).unwrap().contiguous().unwrap();
    let x = x.pad_with_zeros(2, 0, 1).unwrap().pad_with_zeros(3, 0, 1).unwrap();
    let y = x.conv2d(&get("weight"), 0, 2, 1, 1).unwrap();
    let y = y.broadcast_add(&get("bias").reshape((1, (), 1, 1)).unwrap()).unwrap();
    let y = y.clamp(0_f32, 6_f32).unwrap().flatten_from(2).unwrap();
    y.transpose(1, 2).unwrap().contiguous().unwrap()
}

#[test]
fn towers_equal_the_reference() {
    let Some(folder) = full_model() else { return };
    let config = ModelConfig::parse(&std::fs::read(folder.join("config.json")).unwrap()).unwrap();
    let weights: BTreeMap<String, Tensor> =
        load(&folder.join("model.safetensors")).into_iter().collect();
    let outputs: Vec<u16> = weights["output_tokens"]
        .to_dtype(DType::U32)
        .unwrap()
        .to_vec1::<u32>()
        .unwrap()
        .into_iter()
        .map(|id| u16::try_from(id).unwrap())
        .collect();
    let reference = load(&folder.join("reference.safetensors"));
    let parameters = Parameters::new(&weights, &[], CPU).unwrap();
    let towers = Towers::new(&parameters, &config, &outputs, settings(0)).unwrap();

    let pooled = towers.image(&stem(&reference["pixels"], &weights), None, None).unwrap();
    let difference = largest_difference(&pooled, &reference["image_pooled"]);
    assert!(difference <= 1e-3, "image logits differ by {difference}");

    let ids = reference["text_ids"].to_dtype(DType::U32).unwrap().to_vec2::<u32>().unwrap();
    let mask = reference["text_mask"].to_vec2::<u8>().unwrap();
    let known = |(ids, mask): (Vec<u32>, Vec<u8>)| -> Vec<u16> {
        let known = ids.into_iter().zip(mask).filter(|(_, mask)| *mask == 1);
        known.map(|(id, _)| u16::try_from(id).unwrap()).collect()
    };
    let ids: Vec<Vec<u16>> = ids.into_iter().zip(mask).map(known).collect();
    let pooled = towers.text(&ids, None).unwrap();
    let difference = largest_difference(&pooled, &reference["text_pooled"]);
    assert!(difference <= 1e-3, "text logits differ by {difference}");
}

/// The embedded model with its 8-bit matrices as floats, as training computes: 8-bit ones round pictures.
fn embedded_in_floats() -> Encoder {
    let default = Path::new("models/default");
    let weights =
        Weights::owned(std::fs::read(default.join("model.safetensors")).unwrap()).unwrap();
    let floats = weights.floats().unwrap();
    let names = weights.names().into_iter().filter(|name| !name.ends_with(".scale"));
    let tensors = names.map(|name| {
        let info = weights.info(&name).unwrap();
        let (dtype, bytes) = match floats.get(&name) {
            Some(floats) => {
                let floats: Vec<f32> = floats.flatten_all().unwrap().to_vec1().unwrap();
                (Dtype::F32, bytemuck::pod_collect_to_vec(&floats))
            }
            None => (info.dtype, weights.bytes(info).to_vec()),
        };
        (name, dtype, info.shape.clone(), bytes)
    });
    let folder = tempfile::tempdir().unwrap();
    let file = serialise(&tensors.collect::<Vec<_>>()).unwrap();
    std::fs::write(folder.path().join("model.safetensors"), file).unwrap();
    for name in ["config.json", "tokenizer.json"] {
        std::fs::copy(default.join(name), folder.path().join(name)).unwrap();
    }
    Encoder::open(folder.path()).unwrap()
}

#[test]
fn towers_are_those_that_encode() {
    let encoder = embedded_in_floats();
    let parameters = Parameters::new(&encoder.weights().unwrap(), &[], CPU).unwrap();
    let outputs = encoder.output_tokens();
    let towers = Towers::new(&parameters, encoder.config(), outputs, settings(15)).unwrap();
    let weights = |pooled: Tensor, pruning: Pruning| -> BTreeMap<usize, f32> {
        let logits: Vec<f32> = pooled.flatten_all().unwrap().to_vec1().unwrap();
        strongest(&logits, pruning).into_iter().map(|kept| (kept.at, kept.weight)).collect()
    };
    let of = |weights: &BTreeMap<usize, f32>, token: TokenId| {
        let place = outputs.binary_search(&token.0).unwrap();
        weights.get(&place).copied().unwrap_or_default()
    };

    let text = "two dogs run through the snow";
    let ids: Vec<u16> = encoder.text_ids(text).into_iter().map(|id| id.0).collect();
    let trained = weights(towers.text(&[ids], None).unwrap(), encoder.config().of_texts());
    let encoded = encoder.encode_text(text).unwrap();
    assert!(encoded.len() > 10);
    for (token, weight) in encoded {
        let apart = (of(&trained, token) - weight).abs();
        assert!(apart < 1e-3, "token {} of the text differs by {apart}", token.0);
    }

    let photo = Path::new("examples/photos/astronaut.jpg");
    let photo = read(photo, &DecodeOptions::default()).unwrap();
    let side = encoder.config().image.size;
    let pixels = resize(&photo.pixels, side, side);
    let features = encoder.first_blocks(&[&pixels], 15).unwrap();
    let pooled = towers.image(&features, None, None).unwrap();
    let trained = weights(pooled, encoder.config().of_pictures());
    let encoded = encoder.encode_images(&[photo]).unwrap();
    assert!(encoded[0].len() > 10);
    for entry in encoded[0].entries() {
        let impact = of(&trained, entry.token) * encoder.config().impact_scale;
        let apart = (impact.min(255.0) - f32::from(entry.impact)).abs();
        // Impacts are whole numbers.
        assert!(apart < 0.5 + 0.064, "token {} of the picture differs by {apart}", entry.token.0);
    }
}

fn tiny() -> (Parameters, Towers) {
    let groups = [
        Group { prefix: String::new(), rate: 1.0, weight_decay: 0.0 },
        Group { prefix: "image.backbone.blocks.0".into(), rate: 0.0, weight_decay: 0.0 },
    ];
    let parameters = Parameters::new(&testing::weights(), &groups, CPU).unwrap();
    let towers =
        Towers::new(&parameters, &testing::config(), &testing::outputs(), settings(1)).unwrap();
    (parameters, towers)
}

fn features(pictures: usize) -> Tensor {
    let [positions, channels] = testing::FEATURES;
    (random(&[pictures, positions, channels], 7) * 3.0).unwrap()
}

#[test]
fn a_vector_does_not_depend_on_what_else_is_in_the_batch() {
    let (_, towers) = tiny();
    let features = features(3);
    let all = towers.image(&features, None, None).unwrap();
    let one = towers.image(&features.narrow(0, 1, 1).unwrap(), None, None).unwrap();
    assert!(largest_difference(&all.narrow(0, 1, 1).unwrap(), &one) < 1e-5);
    let texts = [vec![1, 7, 8, 9, 2], vec![1, 12, 2], vec![1, 30, 31, 32, 33, 34, 2]];
    let all = towers.text(&texts, None).unwrap();
    let one = towers.text(&texts[1..2], None).unwrap();
    assert!(largest_difference(&all.narrow(0, 1, 1).unwrap(), &one) < 1e-5);
}

#[test]
fn all_patches_kept_is_the_whole_picture_and_one_seed_repeats_a_step() {
    let (_, towers) = tiny();
    let features = features(2);
    let whole = towers.image(&features, None, None).unwrap();
    let keep = sample_patches(2, 9, 9, &mut Random::seeded(1, 0), CPU).unwrap();
    let kept = towers.image(&features, Some(&keep), None).unwrap();
    assert!(largest_difference(&whole, &kept) < 1e-5);
    let step = |seed| towers.image(&features, None, Some(&mut Random::seeded(seed, 0))).unwrap();
    assert!(largest_difference(&step(1), &step(1)) <= 0.0);
    assert!(largest_difference(&step(1), &step(2)) > 0.0);
}

#[test]
fn a_hidden_patch_is_not_seen_but_is_what_is_aimed_at() {
    let (_, towers) = tiny();
    let features = Tensor::ones((1, 36, 4), DType::F32, CPU).unwrap();
    let all = Tensor::new(&[0_u32, 1, 2, 3, 4, 5, 6, 7, 8], CPU).unwrap();
    let (predicted, target) = towers.masked_patches(&features, &all, None).unwrap();
    assert_eq!((predicted.dims(), target.dims()), (&[9, 4][..], &[9, 4][..]));
    let other = (&features * 2.0).unwrap();
    let (again, target_again) = towers.masked_patches(&other, &all, None).unwrap();
    assert!(largest_difference(&predicted, &again) <= 0.0, "all is hidden, so all looks alike");
    assert!(largest_difference(&(target * 2.0).unwrap(), &target_again) < 1e-6);
}

#[test]
fn a_text_without_a_token_and_an_unknown_id_are_refused() {
    let (_, towers) = tiny();
    assert!(towers.text(&[vec![]], None).is_err());
    assert!(towers.text(&[vec![1, 2], vec![]], None).is_err());
    assert!(towers.text(&[vec![1, 4_000]], None).is_err());
}
