//! How weights are read: from one `model.safetensors`, in half precision or 8 bit, without a copy.
//!
//! An 8-bit matrix `name` is an `I8` tensor with one `F32` scale a row in `name.scale`:
//! `w = value · scale` (symmetric, per output channel). Everything else is `F16` or `F32`.

use std::collections::BTreeMap;
use std::ops::{Deref, Range};
use std::sync::Arc;

use candle_core::{Device, Tensor};
use half::f16;
use safetensors::tensor::{Dtype, Metadata, SafeTensors, TensorInfo, TensorView};

/// Bytes that live as long as the program or as long as they are used.
#[derive(Clone)]
enum Source {
    Static(&'static [u8]),
    Shared(Arc<Vec<u8>>),
}

/// A part of the model's file.
#[derive(Clone)]
pub(crate) struct Bytes {
    source: Source,
    range: Range<usize>,
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.source {
            Source::Static(bytes) => &bytes[self.range.clone()],
            Source::Shared(bytes) => &bytes[self.range.clone()],
        }
    }
}

/// The named tensors of a model.
pub(crate) struct Weights {
    source: Source,
    data: usize,
    metadata: Metadata,
}

impl Weights {
    /// Weights compiled into the program.
    pub(crate) fn borrowed(bytes: &'static [u8]) -> Result<Self, String> {
        Self::new(Source::Static(bytes), bytes)
    }

    /// Weights read from a file.
    pub(crate) fn owned(bytes: Vec<u8>) -> Result<Self, String> {
        let bytes = Arc::new(bytes);
        Self::new(Source::Shared(Arc::clone(&bytes)), &bytes)
    }

    fn new(source: Source, bytes: &[u8]) -> Result<Self, String> {
        // `read_metadata` also checks that the tensors fill the file exactly.
        let (header, metadata) =
            SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
        Ok(Self { source, data: header + 8, metadata })
    }

    /// A matrix of `rows` × `columns`; further dimensions count as columns.
    pub(crate) fn matrix(&self, name: &str, rows: usize, columns: usize) -> Result<Matrix, String> {
        let info = self.info(name)?;
        let fits = info.shape.first() == Some(&rows)
            && info.shape.iter().product::<usize>() == rows * columns;
        if !fits {
            return Err(format!("{name} is {:?}, not {rows} × {columns}", info.shape));
        }
        let bytes = self.bytes(info);
        let values = match info.dtype {
            Dtype::F32 => Values::F32(bytes),
            Dtype::F16 => Values::F16(bytes),
            Dtype::I8 => {
                Values::Q8 { values: bytes, scales: self.vector(&format!("{name}.scale"), rows)? }
            }
            other => return Err(format!("{name} is {other:?}, not F32, F16 or I8")),
        };
        Ok(Matrix { rows, columns, values })
    }

    /// A vector of `len` floats.
    pub(crate) fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>, String> {
        let mut vector = vec![0.0; len];
        self.matrix(name, len, 1)?.read(0..len, &mut vector);
        Ok(vector)
    }

    /// A list of ids, each below `limit`, strictly increasing.
    pub(crate) fn ids(&self, name: &str, limit: usize) -> Result<Vec<u16>, String> {
        let bytes = self.column(name, Dtype::I32)?;
        let ids = bytes.as_chunks::<4>().0.iter().map(|&bytes| i32::from_le_bytes(bytes));
        let ids: Option<Vec<u16>> =
            ids.map(|id| u16::try_from(id).ok().filter(|&id| usize::from(id) < limit)).collect();
        ids.filter(|ids| ids.is_sorted_by(|a, b| a < b))
            .ok_or(format!("{name} is not a rising list of ids below {limit}"))
    }

    /// A list of whole numbers that do not fall, 0 or more.
    pub(crate) fn ends(&self, name: &str) -> Result<Vec<usize>, String> {
        let bytes = self.column(name, Dtype::I32)?;
        let ends = bytes.as_chunks::<4>().0.iter().map(|&bytes| i32::from_le_bytes(bytes));
        let ends: Option<Vec<usize>> = ends.map(|end| usize::try_from(end).ok()).collect();
        ends.filter(|ends| ends.is_sorted()).ok_or(format!("{name} falls, or is below 0"))
    }

    /// A list of tokens, each below `limit`.
    pub(crate) fn tokens(&self, name: &str, limit: usize) -> Result<Vec<u16>, String> {
        let bytes = self.column(name, Dtype::U16)?;
        let tokens = bytes.as_chunks::<2>().0.iter().map(|&bytes| u16::from_le_bytes(bytes));
        let tokens: Vec<u16> = tokens.collect();
        let right = tokens.iter().all(|token| usize::from(*token) < limit);
        right.then_some(tokens).ok_or(format!("{name} holds tokens of {limit} and above"))
    }

    /// A list of impacts.
    pub(crate) fn impacts(&self, name: &str) -> Result<Bytes, String> {
        self.column(name, Dtype::U8)
    }

    fn column(&self, name: &str, dtype: Dtype) -> Result<Bytes, String> {
        let info = self.info(name)?;
        if info.dtype != dtype {
            return Err(format!("{name} is {:?}, not {dtype:?}", info.dtype));
        }
        Ok(self.bytes(info))
    }

    /// Every tensor of floats by its name, as 32-bit floats: 8-bit matrices are multiplied out.
    pub(crate) fn floats(&self) -> Result<BTreeMap<String, Tensor>, String> {
        let is_float = |dtype| matches!(dtype, Dtype::F32 | Dtype::F16 | Dtype::I8);
        let mut floats = BTreeMap::new();
        for name in self.names() {
            let info = self.info(&name)?;
            let scaled = name.strip_suffix(".scale").and_then(|of| self.metadata.info(of));
            if !is_float(info.dtype) || scaled.is_some() {
                continue;
            }
            let rows = info.shape.first().copied().unwrap_or(1);
            let columns = info.shape.iter().skip(1).product();
            let mut values = vec![0.0; rows * columns];
            self.matrix(&name, rows, columns)?.read(0..rows, &mut values);
            let tensor = Tensor::from_vec(values, info.shape.as_slice(), &Device::Cpu);
            floats.insert(name, tensor.map_err(|error| error.to_string())?);
        }
        Ok(floats)
    }

    /// Names, types and shapes, in the file's order.
    pub(crate) fn names(&self) -> Vec<String> {
        self.metadata.offset_keys()
    }

    pub(crate) fn info(&self, name: &str) -> Result<&TensorInfo, String> {
        self.metadata.info(name).ok_or(format!("no tensor {name}"))
    }

    pub(crate) fn bytes(&self, info: &TensorInfo) -> Bytes {
        let (start, end) = info.data_offsets;
        Bytes { source: self.source.clone(), range: self.data + start..self.data + end }
    }
}

/// Named tensors, with their types, shapes and bytes, as the bytes of a file.
pub(crate) fn serialise(
    tensors: &[(String, Dtype, Vec<usize>, Vec<u8>)],
) -> Result<Vec<u8>, String> {
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        let view = TensorView::new(*dtype, shape.clone(), bytes);
        view.map(|view| (name, view)).map_err(|error| format!("{name}: {error}"))
    });
    let views: Vec<_> = views.collect::<Result<_, _>>()?;
    safetensors::serialize(views, None).map_err(|error| error.to_string())
}

/// A matrix, row by row, in the file's own precision.
pub(crate) struct Matrix {
    rows: usize,
    columns: usize,
    values: Values,
}

enum Values {
    F32(Bytes),
    F16(Bytes),
    Q8 { values: Bytes, scales: Vec<f32> },
}

impl Matrix {
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// The values of an 8-bit matrix, row by row, and the scale of each row.
    pub(crate) fn bytes(&self) -> Option<(&[i8], &[f32])> {
        match &self.values {
            Values::Q8 { values, scales } => Some((bytemuck::cast_slice(values), scales)),
            Values::F32(_) | Values::F16(_) => None,
        }
    }

    /// Writes the rows as floats, one after the other.
    pub(crate) fn read(&self, rows: Range<usize>, out: &mut [f32]) {
        let range = rows.start * self.columns..rows.end * self.columns;
        match &self.values {
            Values::F32(bytes) => {
                let values = bytes.as_chunks::<4>().0[range].iter();
                out.iter_mut().zip(values).for_each(|(out, &v)| *out = f32::from_le_bytes(v));
            }
            Values::F16(bytes) => {
                let values = bytes.as_chunks::<2>().0[range].iter();
                let float = |v| f16::from_le_bytes(v).to_f32();
                out.iter_mut().zip(values).for_each(|(out, &v)| *out = float(v));
            }
            Values::Q8 { values, scales } => {
                let values: &[i8] = bytemuck::cast_slice(&values[range]);
                let rows = values.chunks_exact(self.columns).zip(&scales[rows]);
                for (out, (row, &scale)) in out.chunks_exact_mut(self.columns).zip(rows) {
                    pulp::Arch::new().dispatch(|| {
                        out.iter_mut().zip(row).for_each(|(out, &v)| *out = f32::from(v) * scale);
                    });
                }
            }
        }
    }
}
