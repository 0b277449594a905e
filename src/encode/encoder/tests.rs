//! Both towers against a reference made with another program.

use std::path::PathBuf;

use safetensors::SafeTensors;

use super::*;
use crate::encode::Saturation;
use crate::encode::head::Pooled;

/// The reference: inputs, and the outputs of every stage in 32-bit floats. Its own folder when the
/// half-precision weights are at hand.
struct Reference {
    bytes: Vec<u8>,
}

impl Reference {
    fn open(path: &Path) -> Self {
        Self { bytes: std::fs::read(path).unwrap() }
    }

    fn tensor(&self, name: &str) -> (Vec<usize>, Vec<u8>) {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let tensor = tensors.tensor(name).unwrap();
        (tensor.shape().to_vec(), tensor.data().to_vec())
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        bytemuck::pod_collect_to_vec(&self.tensor(name).1)
    }

    /// The ids of each text, without padding.
    fn texts(&self) -> Vec<Vec<TokenId>> {
        let (shape, ids) = self.tensor("text_ids");
        let ids: Vec<i32> = bytemuck::pod_collect_to_vec(&ids);
        let mask = self.tensor("text_mask").1;
        let rows = ids.chunks(shape[1]).zip(mask.chunks(shape[1]));
        rows.map(|(ids, mask)| {
            let known = ids.iter().zip(mask).filter(|(_, mask)| **mask == 1);
            known.map(|(&id, _)| TokenId(u16::try_from(id).unwrap())).collect()
        })
        .collect()
    }

    fn pictures(&self) -> Vec<Vec<u8>> {
        let (shape, pixels) = self.tensor("pixels");
        pixels.chunks(shape[1] * shape[2] * shape[3]).map(<[u8]>::to_vec).collect()
    }
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// The folder of the half-precision model, which is too large to be kept beside the program.
fn full_model() -> Option<PathBuf> {
    let folder = std::env::var_os("SIGHTWORD_FULL_MODEL").map(PathBuf::from);
    if folder.is_none() {
        println!("skipped: SIGHTWORD_FULL_MODEL names no folder with the half-precision model");
    }
    folder
}

#[test]
fn half_precision_towers_equal_the_reference() {
    let Some(folder) = full_model() else { return };
    let encoder = Encoder::open(&folder).unwrap();
    let reference = Reference::open(&folder.join("reference.safetensors"));
    let pictures = reference.pictures();
    let pictures: Vec<&[u8]> = pictures.iter().map(Vec::as_slice).collect();
    let tower = encoder.image_tower().unwrap();
    let features = tower.features(&pictures).unwrap();
    let hidden = tower.hidden(&features).unwrap();
    let flat = |tensor: Tensor| tensor.flatten_all().unwrap().to_vec1().unwrap();
    assert!(largest_difference(&flat(features), &reference.floats("features")) <= 1e-3);
    assert!(largest_difference(&flat(hidden), &reference.floats("image_hidden")) <= 1e-3);
    let pooled = tower.forward(&pictures).unwrap();
    let logits: Vec<f32> = pooled.iter().flat_map(|pooled| pooled.logits.clone()).collect();
    let difference = largest_difference(&logits, &reference.floats("image_pooled"));
    assert!(difference <= 1e-3, "image logits differ by {difference}");

    let tokens = encoder.words.outputs.len();
    let expected = reference.floats("text_pooled");
    for (ids, expected) in reference.texts().iter().zip(expected.chunks(tokens)) {
        let pooled = encoder.text_tower().unwrap().forward(ids).unwrap();
        let difference = largest_difference(&pooled.logits, expected);
        assert!(difference <= 1e-3, "text logits differ by {difference}");
    }
}

#[test]
fn winners_are_the_patches_of_the_reference() {
    let Some(folder) = full_model() else { return };
    let encoder = Encoder::open(&folder).unwrap();
    let reference = Reference::open(&folder.join("reference.safetensors"));
    let expected = reference.tensor("image_winner").1;
    let pictures = reference.pictures();
    let pictures: Vec<&[u8]> = pictures.iter().map(Vec::as_slice).collect();
    let pooled = encoder.image_tower().unwrap().forward(&pictures).unwrap();
    let winners = pooled.iter().flat_map(|pooled| &pooled.winners);
    let equal = winners.zip(&expected).filter(|(a, b)| (**a - f32::from(**b)).abs() < 0.5).count();
    // Two patches within 1e-3 of each other may change places.
    assert!(equal * 1000 >= expected.len() * 999, "{equal} of {}", expected.len());
}

/// How many of the `n` strongest tokens of two pooled vectors are the same.
fn overlap(a: &Pooled, b: &Pooled, n: usize) -> usize {
    let top = |pooled: &Pooled| {
        let pruning = Pruning { keep: n, saturation: Saturation::Once, length_norm: 0.0 };
        strongest(&pooled.logits, pruning).into_iter().map(|kept| kept.at).collect::<Vec<_>>()
    };
    let (a, b) = (top(a), top(b));
    a.iter().filter(|token| b.contains(token)).count()
}

#[test]
fn eight_bits_keep_the_strongest_words() {
    let encoder = Encoder::embedded().unwrap();
    let reference = Reference::open(Path::new("tests/reference/v3.safetensors"));
    let tokens = encoder.words.outputs.len();
    let exact = |name: &str| -> Vec<Pooled> {
        let logits = reference.floats(name);
        logits
            .chunks(tokens)
            .map(|logits| Pooled { logits: logits.to_vec(), winners: Vec::new() })
            .collect()
    };
    let pictures = reference.pictures();
    let pictures: Vec<&[u8]> = pictures.iter().map(Vec::as_slice).collect();
    let images = encoder.image_tower().unwrap().forward(&pictures).unwrap();
    let tower = encoder.text_tower().unwrap();
    let texts: Vec<Pooled> =
        reference.texts().iter().map(|ids| tower.forward(ids).unwrap()).collect();
    let (mut kept, mut all) = (0, 0);
    for (name, quantised) in [("image_pooled", images), ("text_pooled", texts)] {
        let exact = exact(name);
        let here: usize = exact.iter().zip(&quantised).map(|(a, b)| overlap(a, b, 20)).sum();
        println!("{name}: {here} of {} strongest tokens stay", 20 * exact.len());
        // One of the seven pictures is noise, on which no word is sure.
        assert!(here * 100 >= 94 * 20 * exact.len(), "{name}: {here} of {}", 20 * exact.len());
        (kept, all) = (kept + here, all + 20 * exact.len());
    }
    assert!(kept * 100 >= 95 * all, "{kept} of {all} stay");
}
