//! Which processor computes the steps?

use candle_core::Device;

use super::error::TrainError;

/// What computes the steps of a run. The frozen blocks, which run once, are always computed on the CPU,
/// and so is everything but training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Processor {
    /// All cores, with the operators of [`ops`](super::ops).
    #[default]
    Cpu,
    /// The first NVIDIA GPU, in a program that was built with the feature `cuda`.
    Cuda,
    /// The first GPU of a Mac, in a program that was built with the feature `metal`.
    Metal,
}

impl Processor {
    /// Makes it ready.
    ///
    /// # Errors
    /// [`TrainError::Processor`] if the program was built without it, or there is none.
    pub(crate) fn device(self) -> Result<Device, TrainError> {
        let (name, built, device) = match self {
            Self::Cpu => return Ok(Device::Cpu),
            Self::Cuda => ("cuda", cfg!(feature = "cuda"), Device::new_cuda(0)),
            Self::Metal => ("metal", cfg!(feature = "metal"), Device::new_metal(0)),
        };
        device.map_err(|source| TrainError::Processor { name, built, source })
    }
}
