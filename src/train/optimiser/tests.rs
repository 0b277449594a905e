//! AdamW and the average against PyTorch's: `tests/reference/optimiser.py` made the fixture.

use std::collections::{BTreeMap, HashMap};

use candle_core::Device;

use super::*;
use crate::train::ops::testing::difference;
use crate::train::{Average, Group};

const CPU: &Device = &Device::Cpu;
const NAMES: [&str; 4] = ["text.matrix", "text.vector", "image.matrix", "log_scale"];
const SETTINGS: AdamW = AdamW { beta1: 0.9, beta2: 0.98, eps: 1e-8, largest_norm: 2.0 };

struct Run {
    reference: HashMap<String, Tensor>,
    parameters: Parameters,
    optimiser: Optimiser,
    average: Average,
}

impl Run {
    fn new() -> Self {
        let reference =
            candle_core::safetensors::load("tests/reference/optimiser.safetensors", CPU).unwrap();
        let start =
            NAMES.map(|name| (name.to_owned(), reference[&format!("start.{name}")].clone()));
        let group = |prefix: &str, rate, weight_decay| {
            let prefix = prefix.to_owned();
            Group { prefix, rate, weight_decay }
        };
        let groups = [group("", 1.0, 0.05), group("text", 0.25, 0.05)];
        let parameters = Parameters::new(&BTreeMap::from(start), &groups, CPU).unwrap();
        let optimiser = Optimiser::new(&parameters, SETTINGS).unwrap();
        let average = Average::new(&parameters, 0.995).unwrap();
        Self { reference, parameters, optimiser, average }
    }

    /// A loss with just the gradients of the reference; returns their norm.
    fn step(&mut self, step: usize) -> f64 {
        let parts = NAMES.map(|name| {
            let gradient = &self.reference[&format!("gradient.{step}.{name}")];
            (self.parameters.get(name).unwrap() * gradient).unwrap().sum_all().unwrap()
        });
        let loss = Tensor::stack(&parts, 0).unwrap().sum_all().unwrap();
        let gradients = loss.backward().unwrap();
        let norm = self.optimiser.step(&self.parameters, &gradients, 0.01).unwrap();
        self.average.update(&self.parameters).unwrap();
        norm
    }
}

#[test]
fn steps_are_those_of_pytorch() {
    let mut run = Run::new();
    for step in 0..6 {
        let norm = run.step(step);
        let expected: f32 = run.reference[&format!("norm.{step}")].to_scalar().unwrap();
        assert!((norm / f64::from(expected) - 1.0).abs() < 1e-6, "{norm}, not {expected}");
        let (weights, averages) =
            (run.parameters.tensors().unwrap(), run.average.tensors().unwrap());
        for name in NAMES {
            let expected = |kind: &str| &run.reference[&format!("{kind}.{step}.{name}")];
            assert!(difference(&weights[name], expected("weights")) < 1e-6, "{name} at {step}");
            assert!(difference(&averages[name], expected("average")) < 1e-6, "{name} at {step}");
        }
    }
}

#[test]
fn the_plain_graph_makes_the_same_steps() {
    let gradient = crate::train::ops::testing::random(&[3, 4], 1);
    let moments = crate::train::ops::testing::random(&[2, 12], 2).abs().unwrap();
    let weights = crate::train::ops::testing::random(&[3, 4], 3);
    let (moment, update) = (Moments::new(SETTINGS, 0.5), Update::new(SETTINGS, 3, 0.01, 0.05));
    let plain_moments = moment.plain(&moments, &gradient).unwrap();
    let plain = update.plain(&weights, &plain_moments).unwrap();
    moments.inplace_op2(&gradient, &moment).unwrap();
    weights.inplace_op2(&moments, &update).unwrap();
    assert!(difference(&moments, &plain_moments) < 1e-6);
    assert!(difference(&weights, &plain) < 1e-6);
}

#[test]
fn a_written_state_goes_on_bit_for_bit() {
    let mut whole = Run::new();
    for step in 0..6 {
        whole.step(step);
    }

    let mut first = Run::new();
    for step in 0..3 {
        first.step(step);
    }
    let mut second = Run::new();
    second.parameters.restore(&first.parameters.tensors().unwrap()).unwrap();
    second.optimiser.restore(&first.optimiser.state().unwrap()).unwrap();
    second.average.restore(&first.average.state().unwrap()).unwrap();
    for step in 3..6 {
        second.step(step);
    }

    let flat = |tensors: BTreeMap<String, Tensor>| -> Vec<Vec<u32>> {
        let bits = |tensor: &Tensor| -> Vec<u32> {
            let values: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
            values.into_iter().map(f32::to_bits).collect()
        };
        tensors.values().map(bits).collect()
    };
    assert_eq!(second.optimiser.steps(), 6);
    let pairs = [
        (whole.parameters.tensors(), second.parameters.tensors()),
        (whole.average.tensors(), second.average.tensors()),
    ];
    for (whole, resumed) in pairs {
        assert_eq!(flat(whole.unwrap()), flat(resumed.unwrap()));
    }
}

#[test]
fn a_state_of_another_shape_is_refused_by_name() {
    let mut run = Run::new();
    let mut state = run.optimiser.state().unwrap();
    state.insert("text.vector".into(), Tensor::zeros((2, 8), DType::F32, CPU).unwrap());
    let error = run.optimiser.restore(&state).unwrap_err().to_string();
    assert!(error.contains("text.vector is [2, 8], not [2, 7]"), "{error}");
}

#[test]
fn gradients_that_are_no_numbers_change_nothing() {
    let mut run = Run::new();
    let before = run.parameters.tensors().unwrap();
    let loss = (run.parameters.get("text.vector").unwrap() * f64::NAN).unwrap().sum_all().unwrap();
    let norm = run.optimiser.step(&run.parameters, &loss.backward().unwrap(), 0.01).unwrap();
    assert!(norm.is_nan(), "{norm}");
    let after = run.parameters.tensors().unwrap();
    assert!(NAMES.iter().all(|name| difference(&after[*name], &before[*name]) <= 0.0));
}

#[test]
fn the_rate_climbs_and_falls() {
    let rates = [0, 9, 10, 60, 110, 500].map(|step| cosine(step, 110, 10, 0.02));
    let expected = [0.1, 1.0, 1.0, 0.51, 0.02, 0.02];
    let near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-9;
    assert!(rates.iter().zip(&expected).all(near), "{rates:?}");
}
