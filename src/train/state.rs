//! Named tensors that change with every step, how many steps they have seen, and how both are written
//! down.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Result, Tensor, bail};

use super::parameters::find;

/// Name of the number of steps in a written state. No parameter is called so.
const STEPS: &str = "steps";

pub(super) struct Counted {
    pub(super) steps: usize,
    tensors: BTreeMap<String, Tensor>,
}

impl Counted {
    pub(super) fn new(tensors: BTreeMap<String, Tensor>) -> Self {
        Self { steps: 0, tensors }
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Result<&mut Tensor> {
        match self.tensors.get_mut(name) {
            Some(tensor) => Ok(tensor),
            None => bail!("{name} was not trained when this was made"),
        }
    }

    /// Copies: the tensors themselves change with the next step.
    pub(super) fn tensors(&self) -> Result<BTreeMap<String, Tensor>> {
        let copy = |(name, tensor): (&String, &Tensor)| Ok((name.clone(), tensor.copy()?));
        self.tensors.iter().map(copy).collect()
    }

    /// The tensors and the number of steps.
    pub(super) fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut state = self.tensors()?;
        state.insert(STEPS.to_owned(), Tensor::new(i64::try_from(self.steps)?, &Device::Cpu)?);
        Ok(state)
    }

    /// Goes on from a written state. Nothing is changed when a tensor is missing or of another shape.
    pub(super) fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<()> {
        let steps = find(state, STEPS, &[])?.to_dtype(DType::I64)?.to_scalar::<i64>()?;
        let tensors = self.tensors.iter().map(|(name, tensor)| {
            let restored = find(state, name, tensor.dims())?;
            Ok((name.clone(), restored.to_device(tensor.device())?.copy()?))
        });
        let tensors = tensors.collect::<Result<_>>()?;
        (self.steps, self.tensors) = (usize::try_from(steps)?, tensors);
        Ok(())
    }
}
