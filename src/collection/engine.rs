//! The engine's side of a collection: opening an index, looking a picture up, what one commit shows.

use std::{collections::HashSet, path::Path};

use sightword_index::{SparseSearcher, SparseVector, create_in_dir, open_in_dir};
use tantivy::{
    DocAddress, DocSet, Index, IndexReader, ReloadPolicy, Searcher, TERMINATED, TantivyDocument,
    Term, schema::IndexRecordOption,
};

use super::{
    error::{Blame, CollectionError},
    layout::Layout,
    schema::{Fields, Record, schema},
};
use crate::{encode::Encoder, ingest::ContentId};

/// Indexes up to this size are checked against their checksums whenever they are opened: that
/// takes a few milliseconds. Of larger ones only the structure is; `doctor` reads all of them.
const CHECKED_ON_OPEN_BYTES: u64 = 32 << 20;

/// An open index.
#[derive(Clone)]
pub(crate) struct Engine {
    pub(crate) index: Index,
    pub(crate) fields: Fields,
    reader: IndexReader,
}

/// One commit, as a reader sees it: later commits do not change it.
#[derive(Clone)]
pub(crate) struct View {
    pub(crate) searcher: Searcher,
    pub(crate) sparse: SparseSearcher,
}

impl Engine {
    /// Makes an empty index.
    pub(crate) fn create(
        layout: &Layout,
        encoder: &Encoder,
        blame: Blame<'_>,
    ) -> Result<(), CollectionError> {
        let dir = layout.index();
        std::fs::create_dir_all(&dir).map_err(|error| blame.io("create", &dir, error))?;
        create_in_dir(&dir, schema(encoder)).map_err(|error| blame.open(error))?;
        Ok(())
    }

    pub(crate) fn open(layout: &Layout, blame: Blame<'_>) -> Result<Self, CollectionError> {
        let index = open_in_dir(&layout.index()).map_err(|error| blame.open(error))?;
        let engine = |error| blame.engine(error);
        let fields = Fields::of(&index.schema()).map_err(engine)?;
        check_small(&index, &layout.index(), blame)?;
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .num_warming_threads(0)
            .try_into()
            .map_err(engine)?;
        Ok(Self { index, fields, reader })
    }

    /// The newest commit, with what `view` has open already.
    pub(crate) fn reopen(&self, view: &View, blame: Blame<'_>) -> Result<View, CollectionError> {
        self.reader.reload().map_err(|error| blame.engine(error))?;
        let searcher = self.reader.searcher();
        let sparse = view.sparse.reopen(&searcher).map_err(|error| blame.open(error))?;
        Ok(View { searcher, sparse })
    }

    /// The newest commit.
    pub(crate) fn view(&self, blame: Blame<'_>) -> Result<View, CollectionError> {
        self.reader.reload().map_err(|error| blame.engine(error))?;
        let searcher = self.reader.searcher();
        let sparse = SparseSearcher::open(&searcher, self.fields.vector, self.fields.key)
            .map_err(|error| blame.open(error))?;
        Ok(View { searcher, sparse })
    }
}

/// Whether no picture was ever committed to the index in this folder: one whose making was cut off.
pub(crate) fn is_blank(layout: &Layout) -> bool {
    !layout.index().join("meta.json").exists()
        || open_in_dir(&layout.index())
            .ok()
            .and_then(|index| index.searchable_segment_metas().ok())
            .is_some_and(|segments| segments.is_empty())
}

fn check_small(index: &Index, dir: &Path, blame: Blame<'_>) -> Result<(), CollectionError> {
    let files = segment_files(index).map_err(|error| blame.engine(error))?;
    let size = |file: &String| std::fs::metadata(dir.join(file)).map_or(0, |found| found.len());
    if files.iter().map(size).sum::<u64>() > CHECKED_ON_OPEN_BYTES {
        return Ok(());
    }
    match damaged_files(index, &files).into_iter().next() {
        Some((file, what)) => Err(blame.damaged(Path::new(super::layout::INDEX).join(file), what)),
        None => Ok(()),
    }
}

/// The names of the files that the newest commit consists of.
pub(crate) fn segment_files(index: &Index) -> tantivy::Result<Vec<String>> {
    let meta = index.load_metas()?;
    // Of the files that a segment may have, some exist only for some fields, and deletes only where
    // something was deleted: what was written is what the directory manages.
    let managed = index.directory().list_managed_files();
    let files: HashSet<_> = meta.list_segment_files();
    let mut names: Vec<String> =
        files.intersection(&managed).map(|file| file.to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}

/// Those of `files` that are missing or whose checksum does not hold, and what is wrong.
pub(crate) fn damaged_files(index: &Index, files: &[String]) -> Vec<(String, String)> {
    let check = |file: &String| {
        let what = match index.directory().validate_checksum(Path::new(file)) {
            Ok(true) => return None,
            Ok(false) => "its checksum does not hold".to_owned(),
            Err(tantivy::directory::error::OpenReadError::FileDoesNotExist(_)) => {
                "it is missing".to_owned()
            }
            Err(error) => error.to_string(),
        };
        Some((file.clone(), what))
    };
    files.iter().filter_map(check).collect()
}

impl View {
    /// Names what this commit consists of: segments, and what is deleted in them.
    pub(crate) fn generation(&self) -> u64 {
        let mut hash = blake3::Hasher::new();
        for (segment, deletes) in self.searcher.generation().segments() {
            hash.update(segment.uuid_string().as_bytes());
            hash.update(&deletes.map_or(0, |stamp| stamp + 1).to_le_bytes());
        }
        hash.finalize().as_bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    /// The document of a picture, gone or not.
    pub(crate) fn find(
        &self,
        fields: &Fields,
        id: ContentId,
    ) -> tantivy::Result<Option<DocAddress>> {
        Ok(self.all_with(&fields.term_of(id))?.into_iter().next())
    }

    /// The documents that have a term.
    pub(crate) fn all_with(&self, term: &Term) -> tantivy::Result<Vec<DocAddress>> {
        let mut found = Vec::new();
        for (segment, reader) in (0..).zip(self.searcher.segment_readers()) {
            let inverted = reader.inverted_index(term.field())?;
            let Some(mut postings) = inverted.read_postings(term, IndexRecordOption::Basic)? else {
                continue;
            };
            while postings.doc() != TERMINATED {
                if !reader.is_deleted(postings.doc()) {
                    found.push(DocAddress::new(segment, postings.doc()));
                }
                postings.advance();
            }
        }
        Ok(found)
    }

    /// What is stored of a picture.
    pub(crate) fn record(
        &self,
        fields: &Fields,
        address: DocAddress,
        blame: Blame<'_>,
    ) -> Result<Record, CollectionError> {
        let document: TantivyDocument =
            self.searcher.doc(address).map_err(|error| blame.engine(error))?;
        Record::from_document(&document, fields).map_err(|field| bad_record(field, blame))
    }

    pub(crate) fn vector(
        &self,
        address: DocAddress,
        blame: Blame<'_>,
    ) -> Result<SparseVector, CollectionError> {
        self.sparse.vector(address).map_err(|error| blame.search(error))
    }

    /// Calls `each` with every picture, gone ones included, in the order of the documents.
    pub(crate) fn for_each(
        &self,
        fields: &Fields,
        blame: Blame<'_>,
        mut each: impl FnMut(DocAddress, Record) -> Result<(), CollectionError>,
    ) -> Result<(), CollectionError> {
        for (segment, reader) in (0..).zip(self.searcher.segment_readers()) {
            let store = reader.get_store_reader(1).map_err(|error| blame.engine(error.into()))?;
            let documents = store.iter::<TantivyDocument>(reader.alive_bitset());
            for (doc, document) in reader.doc_ids_alive().zip(documents) {
                let document = document.map_err(|error| blame.engine(error))?;
                let record = Record::from_document(&document, fields)
                    .map_err(|field| bad_record(field, blame))?;
                each(DocAddress::new(segment, doc), record)?;
            }
        }
        Ok(())
    }
}

fn bad_record(field: &str, blame: Blame<'_>) -> CollectionError {
    blame.damaged(super::layout::INDEX, format!("a picture is stored without its {field}"))
}
