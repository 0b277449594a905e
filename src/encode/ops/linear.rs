//! A linear layer (or 1 × 1 convolution): `activation(x · Wᵀ + b)`, or `x · Wᵀ + b + residual`.

use std::cell::RefCell;
use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, bail};

use super::activation::{Activation, Finish};
use super::bytes::{ByteMatrix, ByteRows};
use super::multiply::{View, multiply};
use crate::encode::weights::{Matrix, Weights};

thread_local! {
    static BYTES: RefCell<ByteRows> = RefCell::default();
    /// Weights of a block of outputs, and what they give, for a text.
    static SCRATCH: RefCell<(Vec<f32>, Vec<f32>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// Up to so many rows (a text has at most 40 tokens), weights are read from 8 bit each time: that
/// costs less than preparing them once, and a search asks once.
const FEW_ROWS: usize = 48;

/// Outputs done at once for few rows: their weights (384 floats each) stay in the second cache.
const OUTPUT_BLOCK: usize = 128;

/// Floats written at once for many rows, about a quarter of a core's second-level cache: they are
/// still there when the bias is added.
const OUT_FLOATS: usize = 128 * 1024;

/// How rows meet weights of 8 bits. (Weights of more bits are always multiplied as floats.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inputs {
    /// As they are.
    Floats,
    /// Rounded to bytes: for pictures, where the products take most of the time.
    Bytes,
}

/// A linear layer whose weights stay in the file's precision until many rows need them.
pub(crate) struct Linear {
    weight: Matrix,
    bias: Vec<f32>,
    activation: Activation,
    /// [`Inputs::Bytes`] for weights of 8 bits only.
    kind: Inputs,
    prepared: OnceLock<Prepared>,
}

/// Weights as they are multiplied fastest with many rows.
enum Prepared {
    /// `Wᵀ`, row by row.
    Floats(Vec<f32>),
    Bytes(ByteMatrix),
}

impl Linear {
    /// Reads `name.weight` [outputs, inputs] and `name.bias`.
    pub(crate) fn new(
        weights: &Weights,
        name: &str,
        (inputs, outputs): (usize, usize),
        activation: Activation,
        kind: Inputs,
    ) -> std::result::Result<Self, String> {
        let weight = weights.matrix(&format!("{name}.weight"), outputs, inputs)?;
        let kind = if weight.bytes().is_some() { kind } else { Inputs::Floats };
        Ok(Self {
            weight,
            bias: weights.vector(&format!("{name}.bias"), outputs)?,
            activation,
            kind,
            prepared: OnceLock::new(),
        })
    }

    /// `x` [.., inputs] → [.., outputs].
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.apply_op1_no_bwd(self)
    }

    /// `x` [.., inputs] and `residual` [.., outputs] → `x · Wᵀ + b + residual`.
    pub(crate) fn forward_onto(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        x.apply_op2_no_bwd(residual, self)
    }

    /// The number of outputs.
    pub(crate) fn outputs(&self) -> usize {
        self.weight.rows()
    }

    fn compute(
        &self,
        x: &[f32],
        layout: &Layout,
        residual: Option<&[f32]>,
    ) -> Result<(CpuStorage, Shape)> {
        let (inputs, outputs) = (self.weight.columns(), self.weight.rows());
        let mut shape = layout.dims().to_vec();
        match shape.last_mut() {
            Some(last) if *last == inputs => *last = outputs,
            _ => bail!("linear takes {inputs} channels, not {:?}", layout.dims()),
        }
        let rows = x.len() / inputs;
        if residual.is_some_and(|residual| residual.len() != rows * outputs) {
            bail!("the residual has another shape than {shape:?}");
        }
        let mut out = vec![0.0; rows * outputs];
        if self.kind == Inputs::Floats && rows <= FEW_ROWS {
            self.few(x, residual, &mut out);
        } else {
            self.many(x, residual, &mut out);
        }
        Ok((CpuStorage::F32(out), Shape::from(shape)))
    }

    /// Many rows of `x` [rows, inputs] → `out` [rows, outputs]; `residual`, where given, is like `out`.
    pub(crate) fn many(&self, x: &[f32], residual: Option<&[f32]>, out: &mut [f32]) {
        let (inputs, outputs) = (self.weight.columns(), self.weight.rows());
        let prepared = self.prepared.get_or_init(|| Prepared::new(&self.weight, self.kind));
        let rows = (OUT_FLOATS / outputs).max(32);
        let mut residual = residual.map(|residual| residual.chunks(rows * outputs));
        for (x, out) in x.chunks(rows * inputs).zip(out.chunks_mut(rows * outputs)) {
            match prepared {
                Prepared::Floats(weight) => {
                    let x = View::by_rows(x, x.len() / inputs, inputs);
                    multiply(x, View::by_rows(weight, inputs, outputs), out, outputs);
                }
                Prepared::Bytes(matrix) => BYTES.with_borrow_mut(|rows| {
                    rows.fill(x, inputs);
                    matrix.multiply(rows, out);
                }),
            }
            self.finish(out, residual.as_mut().and_then(Iterator::next));
        }
    }

    /// As `W · xᵀ`, so that weights are read in the order in which they are stored.
    fn few(&self, x: &[f32], residual: Option<&[f32]>, out: &mut [f32]) {
        let (inputs, outputs) = (self.weight.columns(), self.weight.rows());
        let rows = x.len() / inputs;
        let x = transpose(x, inputs);
        let x = View::by_rows(&x, inputs, rows);
        SCRATCH.with_borrow_mut(|(weight, block)| {
            for start in (0..outputs).step_by(OUTPUT_BLOCK) {
                let end = outputs.min(start + OUTPUT_BLOCK);
                weight.resize((end - start) * inputs, 0.0);
                block.resize((end - start) * rows, 0.0);
                self.weight.read(start..end, weight);
                multiply(View::by_rows(weight, end - start, inputs), x, block, rows);
                for (output, values) in (start..end).zip(block.chunks_exact(rows)) {
                    for (row, &value) in values.iter().enumerate() {
                        out[row * outputs + output] = value;
                    }
                }
            }
        });
        self.finish(out, residual);
    }

    fn finish(&self, rows: &mut [f32], residual: Option<&[f32]>) {
        let (activation, bias) = (self.activation, self.bias.as_slice());
        pulp::Arch::new().dispatch(Finish { activation, rows, bias, residual });
    }
}

impl Prepared {
    fn new(weight: &Matrix, kind: Inputs) -> Self {
        match weight.bytes() {
            Some((values, scales)) if kind == Inputs::Bytes => {
                Self::Bytes(ByteMatrix::new(values, scales))
            }
            _ => Self::Floats(transposed(weight)),
        }
    }
}

/// `W` [outputs, inputs] → `Wᵀ` [inputs, outputs].
fn transposed(weight: &Matrix) -> Vec<f32> {
    let mut rows = vec![0.0; weight.rows() * weight.columns()];
    weight.read(0..weight.rows(), &mut rows);
    transpose(&rows, weight.columns())
}

/// Rows of `width` floats → columns.
pub(super) fn transpose(rows: &[f32], width: usize) -> Vec<f32> {
    let height = rows.len() / width;
    let mut columns = vec![0.0; rows.len()];
    for (column, out) in columns.chunks_exact_mut(height).enumerate() {
        for (row, out) in out.iter_mut().enumerate() {
            *out = rows[row * width + column];
        }
    }
    columns
}

impl CustomOp1 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        self.compute(super::floats(storage, layout, "linear")?, layout, None)
    }
}

impl CustomOp2 for Linear {
    fn name(&self) -> &'static str {
        "linear onto a residual"
    }

    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        layout: &Layout,
        residual: &CpuStorage,
        residual_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let x = super::floats(storage, layout, "linear")?;
        let residual = super::floats(residual, residual_layout, "linear")?;
        self.compute(x, layout, Some(residual))
    }
}
