//! How do gradients become new weights?

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, DType, InplaceOp2, Layout, Result, Tensor};
use rayon::prelude::*;

use super::ops::{PART, in_place, single, squared_norm};
use super::parameters::Parameters;
use super::state::Counted;

/// What AdamW is told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamW {
    /// Decay of the mean gradient.
    pub beta1: f64,
    /// Decay of the mean squared gradient.
    pub beta2: f64,
    /// Added to the root of the latter.
    pub eps: f64,
    /// The norm of all gradients together is cut to this.
    pub largest_norm: f64,
}

/// AdamW (Loshchilov and Hutter, arXiv 1711.05101, algorithm 2) over all that is trained.
pub struct Optimiser {
    settings: AdamW,
    /// Mean gradient and mean squared gradient of each, [2, elements].
    moments: Counted,
}

impl Optimiser {
    /// At the first step.
    ///
    /// # Errors
    /// What the device says.
    pub fn new(parameters: &Parameters, settings: AdamW) -> Result<Self> {
        let moments = parameters.trained().map(|(name, trained)| {
            let variable = &trained.variable;
            let shape = (2, variable.elem_count());
            Ok((name.to_owned(), Tensor::zeros(shape, DType::F32, variable.device())?))
        });
        Ok(Self { settings, moments: Counted::new(moments.collect::<Result<_>>()?) })
    }

    /// Changes what is trained, and returns the norm that all gradients had together; where that is no
    /// finite number, nothing is changed. What has no gradient in this step is left as it is.
    ///
    /// # Errors
    /// What the device says.
    pub fn step(
        &mut self,
        parameters: &Parameters,
        gradients: &GradStore,
        learning_rate: f64,
    ) -> Result<f64> {
        let norm = total_norm(parameters, gradients)?;
        if !norm.is_finite() {
            return Ok(norm);
        }
        self.moments.steps += 1;
        // As PyTorch's clip_grad_norm_.
        let factor = (self.settings.largest_norm / (norm + 1e-6)).min(1.0);
        for (name, trained) in parameters.trained() {
            let Some(gradient) = gradients.get(&trained.variable) else { continue };
            let update = Update::new(
                self.settings,
                self.moments.steps,
                learning_rate * trained.rate,
                trained.weight_decay,
            );
            let moments = self.moments.get_mut(name)?;
            let moment = Moments::new(self.settings, factor);
            let variable = &trained.variable;
            if variable.device().is_cpu() {
                moments.inplace_op2(&gradient.contiguous()?, &moment)?;
                variable.inplace_op2(moments, &update)?;
            } else {
                *moments = moment.plain(moments, gradient)?;
                variable.set(&update.plain(variable, moments)?)?;
            }
        }
        Ok(norm)
    }

    /// Steps done.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.moments.steps
    }

    /// All that the next step depends on, as named tensors.
    ///
    /// # Errors
    /// What the device says.
    pub fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        self.moments.state()
    }

    /// Goes on from a written state.
    ///
    /// # Errors
    /// Names the tensor that is missing or of another shape; nothing is changed then.
    pub fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<()> {
        self.moments.restore(state)
    }
}

/// The norm of all gradients together.
fn total_norm(parameters: &Parameters, gradients: &GradStore) -> Result<f64> {
    let squared = parameters.trained().filter_map(|(_, trained)| gradients.get(&trained.variable));
    Ok(squared.map(squared_norm).sum::<Result<f64>>()?.sqrt())
}

/// `m ← β₁ m + (1 − β₁) g` and `v ← β₂ v + (1 − β₂) g²`.
struct Moments {
    beta1: f64,
    beta2: f64,
    /// Times the gradient: cuts its norm.
    factor: f64,
}

impl Moments {
    fn new(AdamW { beta1, beta2, .. }: AdamW, factor: f64) -> Self {
        Self { beta1, beta2, factor }
    }

    fn plain(&self, moments: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        let gradient = (gradient.flatten_all()? * self.factor)?;
        let mean = ((moments.get(0)? * self.beta1)? + (&gradient * (1.0 - self.beta1))?)?;
        let squared = ((moments.get(1)? * self.beta2)? + (gradient.sqr()? * (1.0 - self.beta2))?)?;
        Tensor::stack(&[mean, squared], 0)
    }
}

/// `w ← w − η λ w − η m̂ ÷ (√v̂ + ε)` with `m̂ = m ÷ (1 − β₁ᵗ)`, `v̂ = v ÷ (1 − β₂ᵗ)`.
struct Update {
    /// `1 − η λ`.
    keep: f64,
    /// `η ÷ (1 − β₁ᵗ)`.
    rate: f64,
    /// `1 ÷ √(1 − β₂ᵗ)`.
    scale: f64,
    eps: f64,
}

impl Update {
    fn new(settings: AdamW, step: usize, rate: f64, weight_decay: f64) -> Self {
        let AdamW { beta1, beta2, eps, .. } = settings;
        let step = i32::try_from(step).unwrap_or(i32::MAX);
        Self {
            keep: 1.0 - rate * weight_decay,
            rate: rate / (1.0 - beta1.powi(step)),
            scale: 1.0 / (1.0 - beta2.powi(step)).sqrt(),
            eps,
        }
    }

    fn plain(&self, variable: &Tensor, moments: &Tensor) -> Result<Tensor> {
        let root = ((moments.get(1)?.sqrt()? * self.scale)? + self.eps)?;
        let change = (moments.get(0)? / root)?.reshape(variable.shape())?;
        (variable.detach() * self.keep)? - (change * self.rate)?
    }
}

impl InplaceOp2 for Moments {
    fn name(&self) -> &'static str {
        "adamw-moments"
    }

    fn cpu_fwd(
        &self,
        moments: &mut CpuStorage,
        layout: &Layout,
        gradient: &CpuStorage,
        gradient_layout: &Layout,
    ) -> Result<()> {
        let (moments, gradient) = in_place((moments, layout), (gradient, gradient_layout))?;
        let (mean, squared) = moments.split_at_mut(gradient.len());
        let (keep, keep_squared) = (single(self.beta1), single(self.beta2));
        let (add, add_squared) = (single(1.0 - self.beta1), single(1.0 - self.beta2));
        let factor = single(self.factor);
        mean.par_chunks_mut(PART)
            .zip(squared.par_chunks_mut(PART))
            .zip(gradient.par_chunks(PART))
            .for_each(|((mean, squared), gradient)| {
                for ((mean, squared), g) in mean.iter_mut().zip(squared).zip(gradient) {
                    let g = g * factor;
                    *mean = keep * *mean + add * g;
                    *squared = keep_squared * *squared + add_squared * g * g;
                }
            });
        Ok(())
    }
}

impl InplaceOp2 for Update {
    fn name(&self) -> &'static str {
        "adamw-update"
    }

    fn cpu_fwd(
        &self,
        weights: &mut CpuStorage,
        layout: &Layout,
        moments: &CpuStorage,
        moments_layout: &Layout,
    ) -> Result<()> {
        let (weights, moments) = in_place((weights, layout), (moments, moments_layout))?;
        let (mean, squared) = moments.split_at(weights.len());
        let (keep, rate) = (single(self.keep), single(self.rate));
        let (scale, eps) = (single(self.scale), single(self.eps));
        weights
            .par_chunks_mut(PART)
            .zip(mean.par_chunks(PART))
            .zip(squared.par_chunks(PART))
            .for_each(|((weights, mean), squared)| {
                for ((w, m), v) in weights.iter_mut().zip(mean).zip(squared) {
                    *w = *w * keep - rate * m / (v.sqrt() * scale + eps);
                }
            });
        Ok(())
    }
}

/// Factor of the learning rate at a step: a straight line up over `warm_up` steps, then half a cosine
/// from 1 down to `least` at the last of `steps` (Loshchilov and Hutter, arXiv 1608.03983).
#[must_use]
pub fn cosine(step: usize, steps: usize, warm_up: usize, least: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a run has some thousand steps")]
    let share = |part: usize, whole: usize| (part as f64 / whole.max(1) as f64).min(1.0);
    if step < warm_up {
        return share(step + 1, warm_up);
    }
    let progress = share(step - warm_up, steps.saturating_sub(warm_up));
    least + (1.0 - least) * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
}

#[cfg(test)]
mod tests;
