//! Which picture does the user mean?

use std::path::{Path, PathBuf};

use sightword_index::SparseVector;
use tantivy::{DocAddress, Term};

use super::{
    Collection,
    error::CollectionError,
    examine::shrink,
    files::FileKey,
    layout::normalize,
    reply::PictureRef,
    schema::{Record, StoredFacts},
};
use crate::ingest::{ContentId, DecodeOptions, Picture, hash_file, read};

/// The most pictures that are named when an id could be any of them.
const MOST_CANDIDATES: usize = 10;

/// A picture that was looked up: indexed, or encoded just now.
pub(crate) struct Found {
    pub(crate) id: ContentId,
    pub(crate) paths: Vec<PathBuf>,
    pub(crate) vector: SparseVector,
    pub(crate) facts: StoredFacts,
    /// Where it is in the index.
    pub(crate) address: Option<DocAddress>,
}

impl Collection {
    /// Finds a picture, and encodes it if it is not indexed.
    pub(crate) fn look_up(&self, picture: &PictureRef) -> Result<Found, CollectionError> {
        match picture {
            PictureRef::Id(prefix) => self.by_id(prefix),
            PictureRef::Path(path) => self.by_path(path),
            PictureRef::Decoded(picture) => {
                match self.present(self.view.find(&self.engine.fields, picture.id))? {
                    Some(address) => self.indexed(address),
                    None => self.encode(Picture::clone(picture), Vec::new(), 0),
                }
            }
        }
    }

    fn by_path(&self, path: &Path) -> Result<Found, CollectionError> {
        let address = match hash_file(path) {
            Ok(id) => self.present(self.view.find(&self.engine.fields, id))?,
            // A file on a disk that is not there now is still known by its name.
            Err(error) => match self.by_name(path)? {
                Some(address) => Some(address),
                None => return Err(error.into()),
            },
        };
        match address {
            Some(address) => self.indexed(address),
            None => {
                let side = self.encoder.config().image.size;
                let options = DecodeOptions { target: side, ..DecodeOptions::default() };
                let bytes = path.metadata().map_or(0, |found| found.len());
                let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
                self.encode(read(path, &options)?, vec![absolute], bytes)
            }
        }
    }

    /// The document of a file that the index knows by this name.
    fn by_name(&self, path: &Path) -> Result<Option<DocAddress>, CollectionError> {
        let fields = &self.engine.fields;
        let path = normalize(&std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
        for (number, root) in self.roots.iter().enumerate() {
            let Ok(below) = path.strip_prefix(root) else { continue };
            let key = FileKey { root: number, path: below.to_owned() };
            let term = Term::from_field_text(fields.path, &key.shown());
            let with_name = self.view.all_with(&term);
            for address in with_name.map_err(|error| self.blame().engine(error))? {
                let record = self.view.record(fields, address, self.blame())?;
                if !record.gone && record.files.iter().any(|file| file.key == key) {
                    return Ok(Some(address));
                }
            }
        }
        Ok(None)
    }

    fn by_id(&self, id: &str) -> Result<Found, CollectionError> {
        let digits = id.strip_prefix("b3:").unwrap_or(id).to_ascii_lowercase();
        let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        if digits.is_empty() || digits.len() > 64 || !is_hex {
            return Err(CollectionError::BadId { id: id.into() });
        }
        let candidates = self.with_prefix(&digits).map_err(|error| self.blame().engine(error))?;
        let mut present = Vec::new();
        for id in candidates {
            present
                .extend(self.present(self.view.find(&self.engine.fields, id))?.map(|at| (id, at)));
            if present.len() == MOST_CANDIDATES {
                break;
            }
        }
        match present.as_slice() {
            [] => Err(CollectionError::UnknownId { id: id.into() }),
            [(_, address)] => self.indexed(*address),
            several => {
                let candidates = several.iter().map(|(id, _)| *id).collect();
                Err(CollectionError::AmbiguousId { id: id.into(), candidates })
            }
        }
    }

    /// The ids, gone ones too, that begin with these digits.
    fn with_prefix(&self, digits: &str) -> tantivy::Result<Vec<ContentId>> {
        let mut ids = Vec::new();
        for reader in self.view.searcher.segment_readers() {
            let inverted = reader.inverted_index(self.engine.fields.id)?;
            let mut terms = inverted.terms().range().ge(digits).into_stream()?;
            while let Some((term, _)) = terms.next() {
                if !term.starts_with(digits.as_bytes()) {
                    break;
                }
                let hex = std::str::from_utf8(term).ok();
                ids.extend(hex.and_then(|hex| ContentId::from_hex(hex).ok()));
            }
        }
        ids.sort();
        ids.dedup();
        Ok(ids)
    }

    /// `found`, unless it is gone.
    fn present(
        &self,
        found: tantivy::Result<Option<DocAddress>>,
    ) -> Result<Option<DocAddress>, CollectionError> {
        let found = found.map_err(|error| self.blame().engine(error))?;
        let Some(address) = found else { return Ok(None) };
        let record = self.view.record(&self.engine.fields, address, self.blame())?;
        Ok((!record.gone).then_some(address))
    }

    fn indexed(&self, address: DocAddress) -> Result<Found, CollectionError> {
        let record = self.view.record(&self.engine.fields, address, self.blame())?;
        Ok(Found {
            id: record.id,
            paths: self.paths(&record),
            vector: self.view.vector(address, self.blame())?,
            facts: record.facts,
            address: Some(address),
        })
    }

    /// A picture that is not in the index, of a file with so many bytes.
    fn encode(
        &self,
        picture: Picture,
        paths: Vec<PathBuf>,
        bytes: u64,
    ) -> Result<Found, CollectionError> {
        let picture = shrink(picture, self.encoder.config().image.size);
        let vector = self.encoder.encode_images(std::slice::from_ref(&picture))?.pop();
        Ok(Found {
            id: picture.id,
            paths,
            vector: vector.unwrap_or_default(),
            facts: StoredFacts::new(&picture.facts, bytes),
            address: None,
        })
    }

    /// A picture's files, absolute, the one to show first.
    pub(crate) fn paths(&self, record: &Record) -> Vec<PathBuf> {
        let mut files: Vec<_> = record.files.iter().collect();
        files.sort_by(|a, b| a.order(b));
        files.into_iter().map(|file| file.key.absolute(&self.roots)).collect()
    }
}
