//! Why nothing could be measured.

use std::path::PathBuf;

use sightword_index::{OpenError, SearchError};

use super::dataset::DatasetError;
use crate::encode::EncodeError;
use crate::query::{CompileError, ParseError};
use crate::rerank::RerankError;

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// The dataset or a list of queries cannot be read.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The model cannot be computed.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The re-ranker cannot be computed.
    #[error(transparent)]
    Rerank(#[from] RerankError),
    /// A caption, a label or a line of a list is no query.
    #[error("{text:?} is no query")]
    Text {
        /// The text.
        text: String,
        /// Why not.
        source: CompileError,
    },
    /// A file of queries holds none.
    #[error("{}: there is no query in it", path.display())]
    NoQueries {
        /// The file.
        path: PathBuf,
    },
    /// No photo of the dataset can be read.
    #[error("none of the {photos} photos can be read: index the folder to see why")]
    NoPhotos {
        /// Photos of the dataset.
        photos: usize,
    },
    /// A line of the negation set is no record.
    #[error("{}:{line}: not a record of query, not, relevant and forbidden", path.display())]
    NegationLine {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A line of the negation set is no query.
    #[error("{}:{line}: not a query", path.display())]
    NegationQuery {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Why not.
        source: ParseError,
    },
    /// A line of the negation set names a photo that the dataset does not have.
    #[error(
        "{}:{line}: there is no photo {id:?} among those searched: was it made for another split?",
        path.display()
    )]
    UnknownPhoto {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The photo's id.
        id: String,
    },
    /// The index cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The index cannot be searched.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// The index cannot be written.
    #[error("cannot write the index that is searched")]
    Index(#[from] tantivy::TantivyError),
    /// A temporary folder cannot be made.
    #[error("cannot make a temporary folder")]
    Folder(#[source] std::io::Error),
    /// A run or qrels file, or the page of failures, cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: std::io::Error,
    },
    /// An id that a run file cannot hold.
    #[error("the id {id:?} has white space in it, which a TREC file cannot hold")]
    TrecId {
        /// The photo's id.
        id: String,
    },
}
