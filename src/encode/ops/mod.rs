//! What does candle do slowly on a CPU, and how is it done here?
//!
//! Each operator is a `CustomOp` on candle's tensors for CPUs. Loops are plain Rust that the
//! compiler turns into SIMD; `pulp` compiles them for several instruction sets and picks one at run
//! time (AVX2 or AVX-512 on x86-64, NEON on ARM).
//!
//! - [`Linear`]: `x · Wᵀ + b` and activation in one pass; for pictures, products of bytes ([`bytes`]), in
//!   instructions made for them ([`dot`]).
//! - [`Depthwise`]: one small filter a channel; candle runs one convolution for each channel.
//! - [`Attention`], [`Norm`]: on this thread, without copies; candle's wait for a thread pool.
//! - [`MaxLogits`]: vocabulary logits and their maximum over positions, never written out whole.

mod activation;
mod attention;
mod bytes;
mod depthwise;
#[cfg(target_arch = "x86_64")]
mod dot;
mod linear;
mod max_logits;
mod multiply;
mod norm;

pub(crate) use activation::{Activation, exp_of_negative, normal_cdf};
pub(crate) use attention::Attention;
pub(crate) use depthwise::Depthwise;
pub(crate) use linear::{Inputs, Linear};
pub(crate) use max_logits::{ByteEmbeddings, MaxLogits};
pub(crate) use multiply::{View, multiply};
pub(crate) use norm::{Norm, sum};

use candle_core::{CpuStorage, Layout, Result, bail};

/// The floats of an operator's input, which must be contiguous.
pub(crate) fn floats<'a>(
    storage: &'a CpuStorage,
    layout: &Layout,
    name: &str,
) -> Result<&'a [f32]> {
    let values: &[f32] = match storage {
        CpuStorage::F32(values) => values,
        _ => bail!("{name} takes 32-bit floats"),
    };
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&values[start..end]),
        None => bail!("{name} takes a contiguous tensor"),
    }
}
