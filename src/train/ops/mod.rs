//! Which steps of the towers are computed here, forward and backward, and not by candle's graph?
//!
//! Those whose plain graph has no backward in candle (layer norm, softmax), and those that it does
//! slowly on a CPU: grouped convolutions, logits of a whole vocabulary, chains of element-wise
//! steps. Each is a custom operator for CPUs; on any other device its plain graph runs, which is
//! also what the tests hold the operator to.
//!
//! Rows of all sequences of a batch lie one after the other, [rows, channels], without padding:
//! [`Sequences`] says where each ends.
//!
//! | file | answers |
//! | --- | --- |
//! | `sequences.rs` | which rows belong together? |
//! | `linear.rs`, `norm.rs`, `gelu.rs`, `attention.rs` | the parts of a transformer layer |
//! | `pointwise.rs`, `depthwise.rs` | the convolutions, in the layout [channel, position, picture] |
//! | `max_pool.rs` | logits of the vocabulary and their maximum over positions |
//! | `dropout.rs` | which activations does a step leave out? |

mod attention;
mod depthwise;
mod dropout;
mod gelu;
mod linear;
mod max_pool;
mod norm;
mod pointwise;
mod sequences;
#[cfg(test)]
pub(crate) mod testing;

pub use attention::attention;
pub use depthwise::Depthwise;
pub use dropout::dropout;
pub use gelu::gelu;
pub use linear::linear;
pub use max_pool::{max_logits, plain_max_logits};
pub use norm::layer_norm;
pub use pointwise::{pointwise, pointwise_relu6};
pub use sequences::Sequences;

use std::ops::{Deref, Range};

use candle_core::{CpuStorage, Device, Layout, Result, Shape, Storage, StorageRef, Tensor, bail};
use rayon::prelude::*;

use crate::encode::ops::floats;

/// Floats that one thread does at a time in element-wise loops: enough to pay for the hand-over.
pub(super) const PART: usize = 1 << 15;

/// The floats of a contiguous tensor on the CPU, borrowed.
struct Floats<'a> {
    storage: StorageRef<'a>,
    range: Range<usize>,
}

impl<'a> Floats<'a> {
    fn of(tensor: &'a Tensor) -> Result<Self> {
        let (storage, layout) = tensor.storage_and_layout();
        match &*storage {
            Storage::Cpu(values) => floats(values, layout, "an operator of training")?,
            _ => bail!("this operator reads tensors on the CPU"),
        };
        let start = layout.start_offset();
        let range = start..start + layout.shape().elem_count();
        Ok(Self { storage, range })
    }
}

impl Deref for Floats<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match &*self.storage {
            Storage::Cpu(CpuStorage::F32(values)) => &values[self.range.clone()],
            // `of` has looked.
            _ => &[],
        }
    }
}

/// The gradient of `tensor`, where it takes one.
fn gradient_of(tensor: &Tensor, values: Vec<f32>) -> Result<Option<Tensor>> {
    tensor.track_op().then(|| gradient(values, tensor.shape())).transpose()
}

/// A gradient on the CPU.
fn gradient(values: Vec<f32>, shape: &Shape) -> Result<Tensor> {
    Tensor::from_vec(values, shape, &Device::Cpu)
}

/// The sum of squares, in 64 bits. Parts are added in their order, so that threads do not change it.
pub(super) fn squared_norm(tensor: &Tensor) -> Result<f64> {
    if !tensor.device().is_cpu() {
        return Ok(tensor.sqr()?.sum_all()?.to_scalar::<f32>()?.into());
    }
    let tensor = tensor.contiguous()?;
    let squares = |part: &[f32]| part.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>();
    let parts: Vec<f64> = Floats::of(&tensor)?.par_chunks(PART).map(squares).collect();
    Ok(parts.iter().sum())
}

/// The nearest 32-bit number.
pub(super) fn single(x: f64) -> f32 {
    #[expect(clippy::cast_possible_truncation, reason = "that is what is asked for")]
    let x = x as f32;
    x
}

/// The memory of a tensor that is changed where it is, and that of one that is read.
pub(super) fn in_place<'a>(
    (changed, changed_layout): (&'a mut CpuStorage, &Layout),
    (read, read_layout): (&'a CpuStorage, &Layout),
) -> Result<(&'a mut [f32], &'a [f32])> {
    let read = floats(read, read_layout, "the optimiser")?;
    match (changed, changed_layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((start, end))) => Ok((&mut values[start..end], read)),
        _ => bail!("the optimiser takes contiguous 32-bit floats"),
    }
}
