//! The index behind three C functions, so that `sparse.py` calls it as it calls the others: from Python.

use std::error::Error;
use std::ffi::{CStr, c_char};
use std::fs::File;
use std::num::NonZeroUsize;
use std::path::Path;
use std::slice;

use sightword_index::exchange::npz;
use sightword_index::{
    FieldParams, SearchOptions, SparseQuery, SparseSearcher, TokenId, add_sparse_field, add_vector,
    create_in_dir, open_in_dir, open_writer, sparse_field,
};
use tantivy::TantivyDocument;
use tantivy::schema::{FAST, INDEXED, Schema};

/// What the writer may use before it flushes a segment.
const WRITER_BYTES: usize = 300_000_000;

/// Builds an index in one segment from the rows of a file of impacts; 0 when all went well.
///
/// # Safety
/// Both are texts that end with a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn build(file: *const c_char, directory: *const c_char) -> i32 {
    // SAFETY: the caller says so.
    let (file, directory) = unsafe { (CStr::from_ptr(file), CStr::from_ptr(directory)) };
    let paths = file.to_str().ok().zip(directory.to_str().ok());
    paths.map_or(1, |(file, directory)| i32::from(try_build(file, directory).is_err()))
}

fn try_build(file: &str, directory: &str) -> Result<(), Box<dyn Error>> {
    let (documents, vocab) = npz::read(File::open(file)?)?;
    let mut schema = Schema::builder();
    let key = schema.add_u64_field("key", INDEXED | FAST);
    let params = FieldParams { vocab, scale: 1.0, model: "bench".to_owned() };
    let field = add_sparse_field(&mut schema, "vector", &params);
    let index = create_in_dir(Path::new(directory), schema.build())?;
    let mut writer = open_writer(&index, NonZeroUsize::MIN, WRITER_BYTES)?;
    for (number, document) in (0..).zip(&documents) {
        let mut row = TantivyDocument::new();
        row.add_u64(key, number);
        add_vector(&mut row, field, &document.quantise(1.0)?);
        writer.add_document(row)?;
    }
    writer.commit()?;
    let segments = index.searchable_segment_ids()?;
    if segments.len() > 1 {
        writer.merge(&segments).wait()?;
    }
    writer.wait_merging_threads()?;
    Ok(())
}

/// Opens an index; null when it cannot be opened. It stays open until the process ends.
///
/// # Safety
/// `directory` is a text that ends with a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn open(directory: *const c_char) -> *const SparseSearcher {
    // SAFETY: the caller says so.
    let directory = unsafe { CStr::from_ptr(directory) };
    let searcher = directory.to_str().ok().and_then(|directory| try_open(directory).ok());
    searcher.map_or(std::ptr::null(), |searcher| Box::leak(Box::new(searcher)))
}

fn try_open(directory: &str) -> Result<SparseSearcher, Box<dyn Error>> {
    let index = open_in_dir(Path::new(directory))?;
    let (field, _) = sparse_field(&index.schema())?;
    let key = index.schema().get_field("key")?;
    Ok(SparseSearcher::open(&index.reader()?.searcher(), field, key)?)
}

/// Writes the keys of the best `k` documents, best first, and returns how many there are.
///
/// # Safety
/// `searcher` comes from [`open`], `tokens` and `weights` hold `len` values, `keys` has room for `k`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn top(
    searcher: *const SparseSearcher,
    tokens: *const u16,
    weights: *const u8,
    len: usize,
    k: usize,
    keys: *mut u64,
) -> usize {
    // SAFETY: the caller says so.
    let (searcher, keys) = unsafe { (&*searcher, slice::from_raw_parts_mut(keys, k)) };
    // SAFETY: the caller says so.
    let (tokens, weights) =
        unsafe { (slice::from_raw_parts(tokens, len), slice::from_raw_parts(weights, len)) };
    let terms = tokens.iter().zip(weights).map(|(token, weight)| (TokenId(*token), *weight));
    let mut options = SearchOptions::default();
    options.k = k;
    let hits = SparseQuery::new(terms.collect(), vec![])
        .ok()
        .and_then(|query| searcher.top(&query, &options).ok())
        .unwrap_or_default();
    keys.iter_mut().zip(&hits).for_each(|(key, hit)| *key = hit.key);
    hits.len()
}
