//! Every loss against its twin in PyTorch: `tests/reference/losses.py` made the fixture.

use std::collections::HashMap;

use candle_core::{Device, Result, Tensor, Var};

use super::*;
use crate::train::Random;
use crate::train::ops::testing::{difference, random};

const CPU: &Device = &Device::Cpu;

fn reference() -> HashMap<String, Tensor> {
    candle_core::safetensors::load("tests/reference/losses.safetensors", CPU).unwrap()
}

/// Both the value and the gradients for `inputs` are those of PyTorch. The tensors of a loss are named
/// `loss.input`, `loss.value` and `loss.grad.input`.
#[track_caller]
fn assert_twin(loss: &str, inputs: &[&str], f: impl Fn(&[Tensor]) -> Result<Tensor>) {
    let reference = reference();
    let get = |part: &str| &reference[&format!("{loss}.{part}")];
    let variables: Vec<Var> =
        inputs.iter().map(|name| Var::from_tensor(get(name)).unwrap()).collect();
    let tensors: Vec<Tensor> = variables.iter().map(|v| v.as_tensor().clone()).collect();
    let value = f(&tensors).unwrap();
    assert!(difference(&value, get("value")) < 1e-5, "{loss}: {value} and {}", get("value"));
    let gradients = value.backward().unwrap();
    for (name, variable) in inputs.iter().zip(&variables) {
        let gradient = gradients.get(variable).expect("a gradient");
        let apart = difference(gradient, get(&format!("grad.{name}")));
        assert!(apart < 1e-5, "{loss}: the gradient for {name} differs by {apart}");
    }
}

#[test]
fn contrast_is_pytorchs() {
    let positives = &reference()["itc.positives"];
    let inputs = ["pictures", "texts", "log_scale"];
    assert_twin("itc", &inputs, |v| itc(&scaled_scores(&v[0], &v[1], &v[2])?, positives, 0.05));
    assert_twin("itc_evened", &inputs, |v| {
        let (pictures, texts) = (evened(&v[0], 0.4)?, evened(&v[1], 0.4)?);
        itc(&scaled_scores(&pictures, &texts, &v[2])?, positives, 0.05)
    });
}

#[test]
fn sparsity_is_pytorchs() {
    let reference = reference();
    assert_twin("flops", &["z"], |v| flops(&v[0]));
    let frequency = &reference["df_flops.document_frequency"];
    assert_twin("df_flops", &["z"], |v| df_flops(&v[0], frequency, 0.1, 10.0));
}

#[test]
fn grounding_is_pytorchs() {
    let target = &reference()["grounding.target"];
    assert_twin("grounding", &["pooled"], |v| grounding(&v[0], target));
}

#[test]
fn distillation_is_pytorchs() {
    let teacher = &reference()["distillation.teacher"];
    assert_twin("distillation", &["student"], |v| score_distillation(&v[0], teacher, 0.05));
}

#[test]
fn masked_words_and_patches_are_pytorchs() {
    let reference = reference();
    let targets: Vec<u32> = reference["mlm.targets"].to_vec1().unwrap();
    assert_twin("mlm", &["logits"], |v| mlm(&v[0], &targets));
    assert_twin("mvm", &["predicted"], |v| mvm(&v[0], &reference["mvm.target"]));
}

#[test]
fn matching_is_pytorchs() {
    let inputs = ["pairs", "wrong_pictures", "wrong_texts"];
    assert_twin("itm", &inputs, |v| itm(&v[0], &v[1], &v[2]));
}

#[test]
fn losses_stay_finite_at_the_ends() {
    let finite = |loss: Result<Tensor>| loss.unwrap().to_scalar::<f32>().unwrap().is_finite();
    let scores = Tensor::new(&[[1e4_f32, -1e4], [-1e4, 1e4]], CPU).unwrap();
    let own = Tensor::new(&[[1_f32, 0.0], [0.0, 1.0]], CPU).unwrap();
    assert!(finite(itc(&scores, &own, 0.0)));
    assert!(finite(score_distillation(&scores, &scores, 1e-3)));
    let logits = Tensor::new(&[1e4_f32, -1e4], CPU).unwrap();
    assert!(finite(itm(&logits, &logits, &logits)));
    let never = Tensor::zeros(3, candle_core::DType::F32, CPU).unwrap();
    assert!(finite(df_flops(&random(&[2, 3], 1), &never, 0.1, 10.0)));
    assert!(finite(mvm(&never.unsqueeze(0).unwrap(), &random(&[1, 3], 2))));
    assert!(finite(mlm(&random(&[1, 3], 1), &[])));
}

#[test]
fn a_ramp_is_quadratic_and_ends_at_one() {
    let steps = [0, 50, 100, 1_000].map(|step| ramp(step, 100));
    assert!(steps.iter().zip([0.0, 0.25, 1.0, 1.0]).all(|(a, b)| (a - b).abs() < 1e-12));
    assert!((ramp(0, 0) - 1.0).abs() < 1e-12, "no ramp is full weight at once");
}

#[test]
fn hard_negatives_are_the_likely_ones_and_never_positives() {
    let scores = Tensor::new(&[[9_f32, 3.0, 0.0], [9.0, 9.0, 9.0], [0.0, 0.0, 9.0]], CPU).unwrap();
    let positives =
        Tensor::new(&[[1_f32, 0.0, 0.0], [0.3, 0.3, 0.4], [0.0, 0.0, 1.0]], CPU).unwrap();
    let mut random = Random::seeded(1, 0);
    let mut hard = 0;
    for _ in 0..200 {
        let negatives = hard_negatives(&scores, &positives, &mut random).unwrap();
        assert_eq!(negatives.texts[1], None, "all are positives");
        assert_ne!(negatives.texts[0], Some(0));
        assert_eq!(negatives.pictures[1].filter(|&picture| picture != 1), negatives.pictures[1]);
        hard += usize::from(negatives.texts[0] == Some(1));
    }
    // e³ to 1.
    assert!((180..200).contains(&hard), "{hard} of 200");
}
