//! What can go wrong: with a file, on opening, while searching.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tantivy::TantivyError;
use tantivy::error::DataCorruption;

/// A segment's file that cannot be trusted, and why.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}: {fault}", file.display())]
pub struct FileError {
    /// The file, as a path below the index directory.
    pub file: PathBuf,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a file.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The index names the file, but it is not there.
    #[error("the file is missing")]
    Missing,
    /// The file is there, but the system or tantivy could not read it.
    #[error("the file cannot be read: {source}")]
    Unreadable {
        /// What the reader said.
        source: Arc<io::Error>,
    },
    /// The file does not begin as files of this kind do.
    #[error("the file is not of the kind that its name says")]
    Kind,
    /// The file was written by a newer program.
    #[error("format version {found} is newer than the newest known, {known}")]
    TooNew {
        /// The version in the file.
        found: u32,
        /// The newest version that this program reads.
        known: u32,
    },
    /// The file was written by an older program, whose format is no longer read.
    #[error("format version {found} is older than the oldest known, {known}")]
    TooOld {
        /// The version in the file.
        found: u32,
        /// The oldest version that this program reads.
        known: u32,
    },
    /// The bytes end before the structure does.
    #[error("the file ends early, after {found} bytes")]
    Truncated {
        /// Bytes found.
        found: usize,
    },
    /// Stored and computed checksum differ: bytes were changed after they were written.
    #[error("{part} is damaged: checksum {computed:08x}, expected {stored:08x}")]
    Checksum {
        /// The part of the file that the checksum covers.
        part: Cow<'static, str>,
        /// The checksum in the file.
        stored: u32,
        /// The checksum of the bytes found.
        computed: u32,
    },
    /// The checksum holds, but the content breaks a rule of the format.
    #[error("{part} breaks a rule of the format: {rule}")]
    Structure {
        /// The part of the file.
        part: Cow<'static, str>,
        /// The rule.
        rule: &'static str,
    },
    /// The file belongs to a segment of another size.
    #[error("the file holds {found} documents, the segment {expected}")]
    Documents {
        /// Documents that the file announces.
        found: u32,
        /// Documents that the segment has, deleted ones included.
        expected: u32,
    },
    /// The file was written for another vocabulary.
    #[error("the file was written for a vocabulary of {found} tokens, the field has {expected}")]
    Vocabulary {
        /// Tokens that the file was written for.
        found: u32,
        /// Tokens that the field has.
        expected: u32,
    },
    /// The inverted and the forward file do not hold the same postings.
    #[error(
        "document {doc} and token {token} are not the same here as in the other file of the segment"
    )]
    Disagreement {
        /// The document's number in the segment.
        doc: u32,
        /// The token.
        token: u16,
    },
}

impl From<FileError> for TantivyError {
    fn from(error: FileError) -> Self {
        DataCorruption::new(error.file, error.fault.to_string()).into()
    }
}

/// Why an index or a searcher could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no index in this directory.
    #[error("no index in {}", directory.display())]
    NoIndex {
        /// The directory.
        directory: PathBuf,
    },
    /// The schema has no field of sparse vectors, or more than one.
    #[error("the schema has {found} fields of sparse vectors: exactly one is needed")]
    FieldCount {
        /// Fields found.
        found: usize,
    },
    /// The field is of another type.
    #[error("field {field} holds no sparse vectors")]
    NotSparse {
        /// The field's name.
        field: String,
    },
    /// The field was made by a program of another version.
    #[error("field {field} has format {found}, this program reads {known}")]
    Format {
        /// The field's name.
        field: String,
        /// The format that the schema names.
        found: String,
        /// The format that this program knows.
        known: &'static str,
    },
    /// A parameter of the field is missing or out of range.
    #[error("field {field} has no valid parameter {parameter} in the schema")]
    Parameter {
        /// The field's name.
        field: String,
        /// The parameter's name.
        parameter: &'static str,
    },
    /// The tie-breaker is not a `u64` fast field with exactly one value per document.
    #[error("field {field} of segment {segment} does not have one fast u64 value per document")]
    Key {
        /// The field's name.
        field: String,
        /// The segment.
        segment: String,
    },
    /// A segment's file is missing or damaged.
    #[error(transparent)]
    File(#[from] FileError),
    /// tantivy could not open the index.
    #[error(transparent)]
    Tantivy(#[from] TantivyError),
}

/// Why a search or a look-up failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// A segment's file turned out to be damaged.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is no document at this address.
    #[error("there is no document {doc} in segment {segment}")]
    NoDocument {
        /// The segment's place in the searcher.
        segment: u32,
        /// The document's number in the segment.
        doc: u32,
    },
    /// The filter could not be run.
    #[error(transparent)]
    Filter(#[from] TantivyError),
    /// The filter was made for another generation of the index, which does not have all segments.
    #[error("the filter was made by another searcher: make it anew from this one")]
    OtherFilter,
}
