//! A whole training step.

use std::collections::BTreeMap;

use candle_core::{Device, Result, Tensor};

use super::losses::{
    df_flops, flops, grounding, hard_negatives, itc, itm, mlm, mvm, scaled_scores,
    score_distillation,
};
use super::ops::testing::random;
use super::towers::{mask_patches, mask_words};
use super::*;
use crate::encode::Saturation;

const CPU: &Device = &Device::Cpu;
/// What no gradient may reach.
const FROZEN: [&str; 2] = ["image.backbone.blocks.0", "text.layers.0.value"];

struct Batch {
    features: Tensor,
    texts: Vec<Vec<u16>>,
    own: Tensor,
    words: Tensor,
}

fn batch() -> Batch {
    let [positions, channels] = testing::FEATURES;
    let outputs = testing::outputs().len();
    Batch {
        features: (random(&[4, positions, channels], 7) * 3.0).unwrap(),
        texts: [[7, 8, 9], [12, 13, 14], [20, 8, 30], [31, 32, 33]]
            .map(|[a, b, c]| vec![1, a, b, c, 2])
            .to_vec(),
        own: Tensor::eye(4, candle_core::DType::F32, CPU).unwrap(),
        words: (random(&[4, outputs], 8).abs().unwrap() / 30.0).unwrap(),
    }
}

fn model() -> (Parameters, Towers) {
    let mut weights = testing::weights();
    weights.insert("log_scale".into(), Tensor::new(-1_f32, CPU).unwrap());
    let group = |prefix: &str, rate| Group { prefix: prefix.into(), rate, weight_decay: 0.01 };
    let groups = [group("", 1.0), group(FROZEN[0], 0.0), group(FROZEN[1], 0.0)];
    let parameters = Parameters::new(&weights, &groups, CPU).unwrap();
    let settings = TowerSettings {
        first_trained_block: 1,
        dropout: 0.1,
        masked_words: 0.15,
        mask_token: 3,
        gradients: Some(20),
    };
    let towers =
        Towers::new(&parameters, &testing::config(), &testing::outputs(), settings).unwrap();
    (parameters, towers)
}

/// The sum of all losses.
fn loss(parameters: &Parameters, towers: &Towers, random: &mut Random) -> Result<Tensor> {
    let Batch { features, texts, own, words } = batch();
    let image = towers.image(&features, None, Some(random))?;
    let text = towers.text(&texts, Some(random))?;
    let once = Saturation::Once;
    let (picture_weights, text_weights) = (saturate(&image, once)?, saturate(&text, once)?);
    let scores = scaled_scores(&picture_weights, &text_weights, parameters.get("log_scale")?)?;
    let negatives = hard_negatives(&scores, &own, random)?;
    let at = |pairs: Vec<(usize, usize)>| {
        let flat: Vec<u32> =
            pairs.into_iter().map(|(i, t)| u32::try_from(4 * i + t).unwrap()).collect();
        scores.flatten_all()?.index_select(&Tensor::new(flat, CPU)?, 0)
    };
    let wrong_texts = (0..4).zip(negatives.texts.into_iter().flatten()).collect();
    let wrong_pictures = negatives.pictures.into_iter().flatten().zip(0..4).collect();
    let place =
        |id: u16| (0..).zip(testing::outputs()).find(|&(_, other)| other == id).map(|(at, _)| at);
    let masked = mask_words(&texts, 0.5, 3, place, random);
    let hidden = mask_patches(4, 9, 4, random, CPU)?;
    let (predicted, target) = towers.masked_patches(&features, &hidden, Some(random))?;
    let frequency = (&words * 20.0)?.mean(0)?;
    let losses = [
        itc(&scores, &own, 0.05)?,
        flops(&picture_weights)?,
        df_flops(&text_weights, &frequency, 0.1, 10.0)?,
        grounding(&image, &words)?,
        grounding(&text, &words)?,
        score_distillation(&scores, &own, 0.5)?,
        itm(&at((0..4).map(|i| (i, i)).collect())?, &at(wrong_pictures)?, &at(wrong_texts)?)?,
        mlm(&towers.masked_words(&masked, Some(random))?, &masked.targets)?,
        mvm(&predicted, &target)?,
    ];
    Tensor::stack(&losses, 0)?.sum_all()
}

#[test]
fn every_trained_tensor_gets_a_gradient_and_no_frozen_one_does() {
    let (parameters, towers) = model();
    let loss = loss(&parameters, &towers, &mut Random::seeded(1, 0)).unwrap();
    let gradients = loss.backward().unwrap();
    let trained: BTreeMap<&str, &Trained> = parameters.trained().collect();
    for name in parameters.tensors().unwrap().keys() {
        let gradient = gradients.get(parameters.get(name).unwrap());
        let Some(trained) = trained.get(name.as_str()) else {
            let frozen = FROZEN.iter().any(|prefix| name.starts_with(prefix));
            assert!(frozen && gradient.is_none(), "{name} is not trained");
            continue;
        };
        let gradient = gradient.unwrap_or_else(|| panic!("{name} gets no gradient"));
        assert_eq!(gradient.dims(), trained.variable.dims(), "{name}");
        let largest = gradient.abs().unwrap().flatten_all().unwrap().max(0).unwrap();
        // What is added to all keys cancels out in the softmax: its gradient is 0 but for rounding.
        let none = name.ends_with("key.bias");
        let largest: f32 = largest.to_scalar().unwrap();
        assert!(none || largest > 1e-7, "the largest gradient of {name} is {largest}");
    }
}

#[test]
fn steps_lower_the_loss_and_one_seed_repeats_them() {
    let run = || {
        let (parameters, towers) = model();
        let settings = AdamW { beta1: 0.9, beta2: 0.98, eps: 1e-8, largest_norm: 2.0 };
        let mut optimiser = Optimiser::new(&parameters, settings).unwrap();
        let mut random = Random::seeded(3, 0);
        let mut step = || {
            let loss = loss(&parameters, &towers, &mut random).unwrap();
            optimiser.step(&parameters, &loss.backward().unwrap(), 0.01).unwrap();
            loss.to_scalar::<f32>().unwrap()
        };
        (0..30).map(|_| step()).collect::<Vec<f32>>()
    };
    let losses = run();
    let mean = |part: &[f32]| part.iter().sum::<f32>() / 5.0;
    let (first, last) = (mean(&losses[..5]), mean(&losses[25..]));
    assert!(last < 0.8 * first, "{first} at first, {last} at last");
    let bits = |losses: Vec<f32>| losses.into_iter().map(f32::to_bits).collect::<Vec<_>>();
    assert_eq!(bits(losses), bits(run()));
}
