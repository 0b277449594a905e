//! Which weights are kept in the end? Their average over the last steps.

use std::collections::BTreeMap;

use candle_core::{CpuStorage, InplaceOp2, Layout, Result, Tensor};
use rayon::prelude::*;

use super::ops::{PART, in_place, single};
use super::parameters::Parameters;
use super::state::Counted;

/// The exponential moving average of what is trained: a model that is better than the last step's
/// (Polyak and Juditsky 1992).
pub struct Average {
    decay: f64,
    averages: Counted,
}

impl Average {
    /// Starts from the parameters as they are. `decay` (0 to below 1) is that of later steps; the first
    /// ones forget faster, `(1 + t) ÷ (10 + t)`, so that the start does not weigh for long.
    ///
    /// # Errors
    /// What the device says.
    pub fn new(parameters: &Parameters, decay: f64) -> Result<Self> {
        let averages = parameters.trained().map(|(name, trained)| {
            Ok((name.to_owned(), trained.variable.as_detached_tensor().copy()?))
        });
        Ok(Self { decay, averages: Counted::new(averages.collect::<Result<_>>()?) })
    }

    /// Takes the parameters as they are now into the average.
    ///
    /// # Errors
    /// What the device says.
    pub fn update(&mut self, parameters: &Parameters) -> Result<()> {
        self.averages.steps += 1;
        #[expect(clippy::cast_precision_loss, reason = "a run has some thousand steps")]
        let steps = self.averages.steps as f64;
        let share = Share(1.0 - self.decay.min((1.0 + steps) / (10.0 + steps)));
        for (name, trained) in parameters.trained() {
            let average = self.averages.get_mut(name)?;
            let weights = trained.variable.as_detached_tensor();
            if average.device().is_cpu() {
                average.inplace_op2(&weights, &share)?;
            } else {
                *average = (&*average + ((weights - &*average)? * share.0)?)?;
            }
        }
        Ok(())
    }

    /// A copy of the averages, by the names of the parameters.
    ///
    /// # Errors
    /// What the device says.
    pub fn tensors(&self) -> Result<BTreeMap<String, Tensor>> {
        self.averages.tensors()
    }

    /// All that the next update depends on, as named tensors.
    ///
    /// # Errors
    /// What the device says.
    pub fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        self.averages.state()
    }

    /// Goes on from a written state.
    ///
    /// # Errors
    /// Names the tensor that is missing or of another shape; nothing is changed then.
    pub fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<()> {
        self.averages.restore(state)
    }
}

/// `a ← a + share · (w − a)`.
struct Share(f64);

impl InplaceOp2 for Share {
    fn name(&self) -> &'static str {
        "average"
    }

    fn cpu_fwd(
        &self,
        average: &mut CpuStorage,
        layout: &Layout,
        weights: &CpuStorage,
        weights_layout: &Layout,
    ) -> Result<()> {
        let (average, weights) = in_place((average, layout), (weights, weights_layout))?;
        let share = single(self.0);
        average.par_chunks_mut(PART).zip(weights.par_chunks(PART)).for_each(
            |(average, weights)| {
                average.iter_mut().zip(weights).for_each(|(a, w)| *a += share * (w - *a));
            },
        );
        Ok(())
    }
}
