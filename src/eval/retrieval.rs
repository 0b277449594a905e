//! Encodes a dataset, puts it into a real index, and searches it both ways.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use sightword_index::{
    FieldParams, OpenError, SearchError, SearchOptions, SparseQuery, SparseSearcher, SparseVector,
    add_sparse_field, add_vector, create_in_dir, open_writer,
};
use tantivy::TantivyDocument;
use tantivy::schema::{FAST, SchemaBuilder};

use super::dataset::{Dataset, DatasetError};
use super::measures::{NoAnswer, Recall, Report, mean, percent};
use crate::collection::{default_min_match, least_score};
use crate::encode::{EncodeError, Encoder};
use crate::ingest::{DecodeOptions, decode, parallel_map};
use crate::query::{CompileError, CompiledQuery, ParsedQuery, QueryMode, compile};

/// Captions and photos are looked for among the first so many.
const DEPTH: usize = 10;

/// Memory that tantivy may use before it writes a segment, in bytes.
const WRITER_BYTES: usize = 100 << 20;

/// What to measure, and how.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EvalOptions {
    /// How captions become queries.
    pub mode: QueryMode,
    /// Threads.
    pub jobs: NonZeroUsize,
    /// A file of queries, one a line, about things that no photo shows.
    pub no_answer: Option<PathBuf>,
    /// The least coverage that counts as an answer, 0 to 1.
    pub min_match: f32,
}

impl EvalOptions {
    /// On all cores, with the verdict's usual threshold for the mode.
    #[must_use]
    pub fn new(mode: QueryMode) -> Self {
        let jobs = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self { mode, jobs, no_answer: None, min_match: default_min_match(mode) }
    }
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// Photos are decoded and encoded.
    Photos,
    /// Captions are encoded.
    Captions,
}

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// The dataset cannot be read.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The model cannot be computed.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A caption is no query.
    #[error("caption {caption:?} is no query")]
    Caption {
        /// The caption.
        caption: String,
        /// Why not.
        source: CompileError,
    },
    /// The index cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The index cannot be searched.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// The index cannot be written.
    #[error("cannot write the index that is searched")]
    Write(#[from] tantivy::TantivyError),
    /// A temporary folder cannot be made.
    #[error("cannot make a temporary folder")]
    Folder(#[source] std::io::Error),
}

/// Photos and captions, encoded.
struct Encoded {
    photos: Vec<SparseVector>,
    captions: Vec<CompiledQuery>,
    /// The photo of each caption.
    owners: Vec<usize>,
    unreadable: usize,
}

/// Searches a dataset's photos with its captions, and its captions with its photos.
///
/// `progress` is told how many of how many are done.
///
/// # Errors
/// [`EvalError`]. A photo that cannot be decoded is counted and left out with its captions.
pub fn evaluate(
    encoder: &Encoder,
    dataset: &Dataset,
    options: &EvalOptions,
    mut progress: impl FnMut(Stage, usize, usize),
) -> Result<Report, EvalError> {
    let encoded = encode(encoder, dataset, options, &mut progress)?;
    let photos = Searchable::new(encoder, encoded.photos.iter().cloned())?;
    let ranks: Vec<Option<usize>> = encoded
        .captions
        .iter()
        .zip(&encoded.owners)
        .map(|(caption, &owner)| photos.rank(&caption.sparse, |key| key == owner))
        .collect::<Result<_, _>>()?;
    let vectors: Vec<SparseVector> = encoded.captions.iter().map(as_document).collect();
    let captions = Searchable::new(encoder, vectors.into_iter())?;
    let back: Vec<Option<usize>> = encoded
        .photos
        .iter()
        .enumerate()
        .map(|(photo, vector)| captions.rank(&as_query(vector), |key| encoded.owners[key] == photo))
        .collect::<Result<_, _>>()?;
    let no_answer = options
        .no_answer
        .as_deref()
        .map(|file| no_answer(encoder, &photos, &encoded, file, options))
        .transpose()?;
    let image_tokens = encoded.photos.iter().map(SparseVector::len).sum();
    let text_tokens = encoded.captions.iter().map(|caption| caption.sparse.terms().len()).sum();
    Ok(Report {
        model: encoder.name().to_owned(),
        query_mode: mode_name(options.mode).to_owned(),
        photos: encoded.photos.len(),
        unreadable: encoded.unreadable,
        captions: encoded.captions.len(),
        t2i: Recall::of(&ranks),
        i2t: Recall::of(&back),
        image_tokens: mean(image_tokens, encoded.photos.len()),
        text_tokens: mean(text_tokens, encoded.captions.len()),
        no_answer,
    })
}

fn mode_name(mode: QueryMode) -> &'static str {
    match mode {
        QueryMode::Tower => "tower",
        QueryMode::Table => "table",
    }
}

fn encode(
    encoder: &Encoder,
    dataset: &Dataset,
    options: &EvalOptions,
    progress: &mut impl FnMut(Stage, usize, usize),
) -> Result<Encoded, EvalError> {
    let photos: Vec<Option<SparseVector>> = in_order(
        dataset.photos.len(),
        options.jobs,
        |at| {
            let bytes = dataset.photos[at].read()?;
            let picture = decode(&bytes, &DecodeOptions::default()).ok();
            let vectors = picture.map(|picture| encoder.encode_images(&[picture])).transpose()?;
            Ok::<_, EvalError>(vectors.and_then(|mut vectors| vectors.pop()))
        },
        |done, all| progress(Stage::Photos, done, all),
    )?;
    let unreadable = photos.iter().filter(|photo| photo.is_none()).count();
    let readable = dataset.photos.iter().zip(&photos).filter(|(_, vector)| vector.is_some());
    let texts: Vec<(usize, &str)> = readable
        .enumerate()
        .flat_map(|(at, (photo, _))| photo.captions.iter().map(move |text| (at, text.as_str())))
        .collect();
    let captions = in_order(
        texts.len(),
        options.jobs,
        |at| query(encoder, texts[at].1, options.mode),
        |done, all| progress(Stage::Captions, done, all),
    )?;
    let owners = texts.iter().map(|(owner, _)| *owner).collect();
    Ok(Encoded { photos: photos.into_iter().flatten().collect(), captions, owners, unreadable })
}

fn query(encoder: &Encoder, text: &str, mode: QueryMode) -> Result<CompiledQuery, EvalError> {
    compile(&ParsedQuery::plain(text), None, encoder, mode)
        .map_err(|source| EvalError::Caption { caption: text.to_owned(), source })
}

/// `work(0), work(1), …` on several threads, in order; the first error ends it.
fn in_order<T: Send>(
    count: usize,
    jobs: NonZeroUsize,
    work: impl Fn(usize) -> Result<T, EvalError> + Sync,
    mut progress: impl FnMut(usize, usize),
) -> Result<Vec<T>, EvalError> {
    let mut results: Vec<(usize, T)> = Vec::with_capacity(count);
    let mut failure = None;
    let numbered = |at| (at, work(at));
    parallel_map(0..count, jobs, numbered, |(at, result)| match result {
        Ok(result) => {
            results.push((at, result));
            progress(results.len(), count);
            ControlFlow::Continue(())
        }
        Err(error) => {
            failure = Some(error);
            ControlFlow::Break(())
        }
    });
    results.sort_unstable_by_key(|(at, _)| *at);
    failure.map_or(Ok(results.into_iter().map(|(_, result)| result).collect()), Err)
}

/// A caption as a document: its query weights are impacts of the same scale.
fn as_document(caption: &CompiledQuery) -> SparseVector {
    // The terms of a query keep the rules of a vector: rising tokens, weights from 1.
    SparseVector::new(caption.sparse.terms().iter().copied()).unwrap_or_default()
}

/// A photo as a query: its impacts are weights of the same scale.
fn as_query(photo: &SparseVector) -> SparseQuery {
    let terms = photo.entries().map(|entry| (entry.token, entry.impact)).collect();
    // The entries of a vector keep the rules of a query.
    SparseQuery::new(terms, Vec::new()).unwrap_or_default()
}

/// Vectors in an index on disk, keyed by their place in the list, which also breaks ties.
struct Searchable {
    searcher: SparseSearcher,
    _folder: tempfile::TempDir,
}

impl Searchable {
    fn new(
        encoder: &Encoder,
        vectors: impl Iterator<Item = SparseVector>,
    ) -> Result<Self, EvalError> {
        let folder = tempfile::tempdir().map_err(EvalError::Folder)?;
        let mut schema = SchemaBuilder::new();
        let key = schema.add_u64_field("key", FAST);
        let config = encoder.config();
        let params = FieldParams {
            // A vocabulary has at most 65,536 tokens: checked when the model was opened.
            vocab: u32::try_from(config.vocabulary).unwrap_or(u32::MAX),
            scale: config.impact_scale,
            model: encoder.hash().to_owned(),
        };
        let field = add_sparse_field(&mut schema, "sv", &params);
        let index = create_in_dir(folder.path(), schema.build())?;
        let mut writer = open_writer(&index, NonZeroUsize::MIN, WRITER_BYTES)?;
        for (at, vector) in vectors.enumerate() {
            let mut document = TantivyDocument::new();
            document.add_u64(key, at as u64);
            add_vector(&mut document, field, &vector);
            writer.add_document(document)?;
        }
        writer.commit()?;
        let searcher = SparseSearcher::open(&index.reader()?.searcher(), field, key)?;
        Ok(Self { searcher, _folder: folder })
    }

    /// The rank, from 1, of the first right answer among the first [`DEPTH`].
    fn rank(
        &self,
        query: &SparseQuery,
        is_right: impl Fn(usize) -> bool,
    ) -> Result<Option<usize>, SearchError> {
        let mut options = SearchOptions::default();
        options.k = DEPTH;
        let hits = self.searcher.search(query, &options)?.hits;
        // Keys were made from a `usize`.
        let right = hits.iter().position(|hit| usize::try_from(hit.key).is_ok_and(&is_right));
        Ok(right.map(|position| position + 1))
    }

    /// Whether anything covers the query well enough to be an answer.
    fn answers(&self, query: &CompiledQuery, min_match: f32) -> Result<bool, SearchError> {
        let mut options = SearchOptions::default();
        options.k = 1;
        options.min_score = least_score(min_match, query.reachable);
        Ok(!self.searcher.search(&query.sparse, &options)?.hits.is_empty())
    }
}

fn no_answer(
    encoder: &Encoder,
    photos: &Searchable,
    encoded: &Encoded,
    file: &Path,
    options: &EvalOptions,
) -> Result<NoAnswer, EvalError> {
    let text = std::fs::read_to_string(file)
        .map_err(|source| DatasetError::Io { path: file.to_owned(), source })?;
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let answered = |query: &CompiledQuery| photos.answers(query, options.min_match);
    let mut false_answers = 0;
    for line in &lines {
        false_answers += usize::from(answered(&query(encoder, line, options.mode)?)?);
    }
    let mut lost_answers = 0;
    for caption in &encoded.captions {
        lost_answers += usize::from(!answered(caption)?);
    }
    Ok(NoAnswer {
        // To four decimals: an `f32` has no more to say.
        threshold: (f64::from(options.min_match) * 1e4).round() / 1e4,
        queries: lines.len(),
        false_answers: percent(false_answers, lines.len()),
        lost_answers: percent(lost_answers, encoded.captions.len()),
    })
}
