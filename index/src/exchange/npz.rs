//! A sparse matrix in rows (CSR) as SciPy keeps it: one document a row, one token a column.
//!
//! `scipy.sparse.load_npz` reads what is written here, and `scipy.sparse.save_npz` writes what is
//! read, compressed or not. One array more, `ids`, holds the documents' names; without it the rows'
//! numbers are the names.

use std::io::{self, BufReader, Read, Seek, Write};

use npyz::{NpyFile, WriterBuilder};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::{Document, ExchangeError};
use crate::vector::TokenId;

const FORM: &str = "npz";

fn wrong<T: ToString>(what: T) -> ExchangeError {
    let text = what.to_string();
    drop(what);
    ExchangeError::form(FORM, text)
}

/// Reads the documents and the number of tokens in the vocabulary (the matrix's columns).
///
/// # Errors
/// [`ExchangeError::Form`] when the file is no such matrix or contradicts itself, and those of
/// [`Document::new`].
pub fn read(input: impl Read + Seek) -> Result<(Vec<Document>, u32), ExchangeError> {
    let mut zip = ZipArchive::new(input).map_err(wrong)?;
    let shape = numbers(&mut zip, "shape")?;
    let &[rows, columns] = shape.as_slice() else { return Err(wrong("shape has two numbers")) };
    let (Ok(rows), Ok(1..=65_536)) = (usize::try_from(rows), u32::try_from(columns)) else {
        return Err(wrong(format!("{rows} rows of {columns} columns: at most 65,536 tokens")));
    };
    let starts = numbers(&mut zip, "indptr")?;
    let indices = numbers(&mut zip, "indices")?;
    let data = weights(&mut zip)?;
    if starts.len() != rows + 1 || data.len() != indices.len() {
        return Err(wrong("indptr, indices and data do not have the lengths of one matrix"));
    }
    let names = names(&mut zip, rows)?;
    let token = |column: &i64| match u16::try_from(*column) {
        Ok(token) if *column < columns => Ok(TokenId(token)),
        _ => Err(wrong(format!("column {column} of {columns}"))),
    };
    let mut documents = Vec::with_capacity(rows);
    for (row, name) in starts.windows(2).zip(names) {
        let range = usize::try_from(row[0]).ok().zip(usize::try_from(row[1]).ok());
        let row = range.and_then(|(from, to)| indices.get(from..to).zip(data.get(from..to)));
        let Some((columns, weights)) = row else {
            return Err(wrong(format!("row {name:?} does not lie in the data")));
        };
        let tokens = columns.iter().map(token);
        let weights = tokens.zip(weights).map(|(token, weight)| Ok((token?, *weight)));
        documents.push(Document::new(name, weights.collect::<Result<_, ExchangeError>>()?)?);
    }
    Ok((documents, u32::try_from(columns).unwrap_or(u32::MAX)))
}

/// One array. Its values are read one by one: without a buffer each would be a call to the system.
fn array<'a, R: Read + Seek>(
    zip: &'a mut ZipArchive<R>,
    name: &str,
) -> Result<NpyFile<BufReader<zip::read::ZipFile<'a, R>>>, ExchangeError> {
    let file = zip.by_name(&npyz::npz::file_name_from_array_name(name));
    let file = file.map_err(|error| wrong(format!("array {name}: {error}")))?;
    NpyFile::new(BufReader::with_capacity(1 << 16, file))
        .map_err(|error| wrong(format!("array {name}: {error}")))
}

/// An array of whole numbers, of whatever width.
fn numbers<R: Read + Seek>(zip: &mut ZipArchive<R>, name: &str) -> Result<Vec<i64>, ExchangeError> {
    let file = array(zip, name)?;
    let file = match file.try_data::<i32>() {
        Ok(data) => return values(data),
        Err(file) => file,
    };
    let file = match file.try_data::<u32>() {
        Ok(data) => return values(data),
        Err(file) => file,
    };
    match file.try_data::<i64>() {
        Ok(data) => values(data),
        Err(file) => Err(wrong(format!("array {name} is of {}", file.dtype().descr()))),
    }
}

/// The array `data`, of floating point or small whole numbers.
fn weights<R: Read + Seek>(zip: &mut ZipArchive<R>) -> Result<Vec<f32>, ExchangeError> {
    let file = array(zip, "data")?;
    let file = match file.try_data::<f32>() {
        Ok(data) => return values(data),
        Err(file) => file,
    };
    let file = match file.try_data::<u8>() {
        Ok(data) => return values(data),
        Err(file) => file,
    };
    match file.try_data::<f64>() {
        #[expect(clippy::cast_possible_truncation, reason = "weights are quantised to 8 bits")]
        Ok(data) => data.map(|value| Ok(value? as f32)).collect(),
        Err(file) => Err(wrong(format!("array data is of {}", file.dtype().descr()))),
    }
}

fn values<T: npyz::Deserialize, U: From<T>>(
    data: npyz::NpyReader<T, impl Read>,
) -> Result<Vec<U>, ExchangeError> {
    data.map(|value| Ok(value?.into())).collect()
}

fn names<R: Read + Seek>(
    zip: &mut ZipArchive<R>,
    rows: usize,
) -> Result<Vec<String>, ExchangeError> {
    if zip.index_for_name(&npyz::npz::file_name_from_array_name("ids")).is_none() {
        return Ok((0..rows).map(|row| row.to_string()).collect());
    }
    let names: Vec<Vec<u8>> = array(zip, "ids")?.into_vec().map_err(wrong)?;
    if names.len() != rows {
        return Err(wrong("the array ids does not have one name a row"));
    }
    names.into_iter().map(|name| String::from_utf8(name).map_err(wrong)).collect()
}

/// Writes documents over a vocabulary of `vocab` tokens. Weights are written as `f32`.
///
/// # Errors
/// [`ExchangeError::Io`] when the file cannot be written.
pub fn write(
    documents: &[Document],
    vocab: u32,
    output: impl Write + Seek,
) -> Result<(), ExchangeError> {
    let mut zip = ZipWriter::new(output);
    let weights = || documents.iter().flat_map(|document| &document.weights);
    let (rows, count) = (documents.len() as u64, weights().count() as u64);
    let starts = documents.iter().scan(0, |end: &mut u64, document| {
        *end += document.weights.len() as u64;
        Some(*end)
    });
    column(&mut zip, "indptr", rows + 1, signed(std::iter::once(0).chain(starts)))?;
    column(&mut zip, "indices", count, weights().map(|(token, _)| i32::from(token.0)))?;
    column(&mut zip, "data", count, weights().map(|(_, weight)| *weight))?;
    column(&mut zip, "shape", 2, signed([rows, u64::from(vocab)].into_iter()))?;
    let names = || documents.iter().map(|document| document.id.as_bytes());
    let longest = names().map(<[u8]>::len).max().unwrap_or(0).max(1);
    texts(&mut zip, "ids", longest, (&[rows], names()))?;
    texts(&mut zip, "format", 3, (&[], std::iter::once(b"csr".as_slice())))?;
    zip.finish().map_err(io::Error::from)?;
    Ok(())
}

/// SciPy's arrays of places are signed.
fn signed(values: impl Iterator<Item = u64>) -> impl Iterator<Item = i64> {
    values.map(|value| i64::try_from(value).unwrap_or(i64::MAX))
}

fn column<T: npyz::AutoSerialize>(
    zip: &mut ZipWriter<impl Write + Seek>,
    name: &str,
    len: u64,
    values: impl IntoIterator<Item = T>,
) -> Result<(), ExchangeError> {
    start(zip, name)?;
    let array = npyz::WriteOptions::new().default_dtype().shape(&[len]).writer(zip);
    let mut array = array.begin_nd()?;
    array.extend(values)?;
    Ok(array.finish()?)
}

/// An array of byte strings of at most `longest` bytes.
fn texts<'a>(
    zip: &mut ZipWriter<impl Write + Seek>,
    name: &str,
    longest: usize,
    (shape, values): (&[u64], impl Iterator<Item = &'a [u8]>),
) -> Result<(), ExchangeError> {
    start(zip, name)?;
    let kind = format!("|S{longest}").parse().map_err(|error| wrong(format!("{error}")))?;
    let array = npyz::WriteOptions::new().dtype(npyz::DType::Plain(kind)).shape(shape).writer(zip);
    let mut array = array.begin_nd()?;
    for value in values {
        array.push(value)?;
    }
    Ok(array.finish()?)
}

fn start(zip: &mut ZipWriter<impl Write + Seek>, name: &str) -> Result<(), ExchangeError> {
    // Stored as they are: weights hardly shrink. `large_file` lets an array have more than 4 GiB.
    let options =
        SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(true);
    zip.start_file(npyz::npz::file_name_from_array_name(name), options).map_err(io::Error::from)?;
    Ok(())
}
