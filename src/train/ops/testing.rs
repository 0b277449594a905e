//! Holds an operator to another way to compute the same.

use candle_core::{Device, Result, Tensor, Var};
use rand::Rng;

use crate::train::Random;

/// Floats between −1 and 1.
pub(crate) fn random(shape: &[usize], seed: u64) -> Tensor {
    let mut random = Random::seeded(seed, 0);
    let count = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|_| random.random_range(-1.0..1.0)).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// Largest difference, as a part of the norm of `expected`.
pub(crate) fn difference(actual: &Tensor, expected: &Tensor) -> f64 {
    let flat = |tensor: &Tensor| -> Vec<f32> { tensor.flatten_all().unwrap().to_vec1().unwrap() };
    assert_eq!(actual.dims(), expected.dims());
    let (actual, expected) = (flat(actual), flat(expected));
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    let mut apart = actual.iter().zip(&expected).map(|(a, b)| f64::from(a - b));
    norm(&mut apart) / norm(&mut expected.iter().map(|&x| f64::from(x))).max(1e-12)
}

/// Both functions give the same, and so do the gradients of a weighted sum of it.
#[track_caller]
pub(crate) fn assert_same_gradients(
    inputs: &[Tensor],
    ours: impl Fn(&[Tensor]) -> Result<Tensor>,
    plain: impl Fn(&[Tensor]) -> Result<Tensor>,
) {
    let through = |f: &dyn Fn(&[Tensor]) -> Result<Tensor>| {
        let variables: Vec<Var> = inputs.iter().map(|x| Var::from_tensor(x).unwrap()).collect();
        let tensors: Vec<Tensor> = variables.iter().map(|v| v.as_tensor().clone()).collect();
        let out = f(&tensors).unwrap();
        let weights = random(out.dims(), 99);
        let gradients = (&out * weights).unwrap().sum_all().unwrap().backward().unwrap();
        let gradients: Vec<Tensor> =
            tensors.iter().map(|x| gradients.get(x).expect("a gradient").clone()).collect();
        (out, gradients)
    };
    let ((ours, our_gradients), (plain, gradients)) = (through(&ours), through(&plain));
    assert!(difference(&ours, &plain) < 2e-6, "values differ by {}", difference(&ours, &plain));
    for (at, (ours, plain)) in our_gradients.iter().zip(&gradients).enumerate() {
        let apart = difference(ours, plain);
        assert!(apart < 1e-5, "the gradient of input {at} differs by {apart}");
    }
}
