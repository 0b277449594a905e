//! Writing: documents in, commits, and few segments in the end.

use std::num::NonZeroUsize;

use sightword_index::{SparseVector, open_writer};
use tantivy::{IndexWriter, TantivyDocument, indexer::LogMergePolicy};

use super::{
    Collection,
    engine::View,
    error::CollectionError,
    schema::{Record, StoredFacts},
};
use crate::ingest::ContentId;

/// Memory for documents that are not on disk yet, in bytes. A commit comes long before it is full.
const BUDGET_BYTES: usize = 32 << 20;
/// Segments with fewer documents are merged into one at the end of a run.
const SMALL_SEGMENT: u32 = 20_000;
/// A segment of which this share is deleted is written anew.
const MOST_DELETED: f32 = 0.3;

/// The one writer of an index. Nothing is opened before something is written.
pub(crate) struct Writer<'a> {
    collection: &'a Collection,
    engine: Option<IndexWriter<TantivyDocument>>,
    /// A commit to look known pictures up in; any will do that has them.
    view: View,
    /// Whether something was written since the last commit.
    is_pending: bool,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(collection: &'a Collection) -> Self {
        let view = collection.view.clone();
        Self { collection, engine: None, view, is_pending: false }
    }

    /// Adds a picture; `replaces`: instead of what the index has of it.
    pub(crate) fn put(
        &mut self,
        record: &Record,
        vector: &SparseVector,
        replaces: bool,
    ) -> Result<(), CollectionError> {
        let collection = self.collection;
        let fields = &collection.engine.fields;
        let document = record.to_document(fields, vector).map_err(|error| {
            let error = std::io::Error::other(error);
            collection.blame().io("store a picture in", &collection.layout.index(), error)
        })?;
        let engine = self.engine()?;
        if replaces {
            engine.delete_term(fields.term_of(record.id));
        }
        engine.add_document(document).map_err(|error| collection.blame().engine(error))?;
        Ok(())
    }

    /// Forgets a picture.
    pub(crate) fn forget(&mut self, id: ContentId) -> Result<(), CollectionError> {
        let term = self.collection.engine.fields.term_of(id);
        self.engine()?.delete_term(term);
        Ok(())
    }

    /// The facts and the vector of a picture that was committed.
    pub(crate) fn stored(
        &mut self,
        id: ContentId,
    ) -> Result<(StoredFacts, SparseVector), CollectionError> {
        let collection = self.collection;
        let (fields, blame) = (&collection.engine.fields, collection.blame());
        let mut address = self.view.find(fields, id).map_err(|error| blame.engine(error))?;
        if address.is_none() {
            // It was committed in this run.
            self.view = collection.engine.reopen(&self.view, blame)?;
            address = self.view.find(fields, id).map_err(|error| blame.engine(error))?;
        }
        let lost = || blame.damaged(super::layout::INDEX, format!("{id} is no longer in it"));
        let address = address.ok_or_else(lost)?;
        let record = self.view.record(fields, address, blame)?;
        Ok((record.facts, self.view.vector(address, blame)?))
    }

    /// Makes what was written so far durable and visible, all of it at once.
    pub(crate) fn commit(&mut self) -> Result<(), CollectionError> {
        let blame = self.collection.blame();
        if let Some(engine) = self.engine.as_mut().filter(|_| self.is_pending) {
            engine.commit().map_err(|error| blame.engine(error))?;
            self.is_pending = false;
        }
        Ok(())
    }

    /// Waits for merges, and leaves at most one small segment: also of those that a run has left
    /// which was killed before it came to this.
    pub(crate) fn finish(mut self) -> Result<(), CollectionError> {
        let blame = self.collection.blame();
        if let Some(engine) = self.engine.take() {
            engine.wait_merging_threads().map_err(|error| blame.engine(error))?;
        }
        self.merge_small()
    }

    fn merge_small(&self) -> Result<(), CollectionError> {
        let failed = |error| self.collection.blame().engine(error);
        let segments = self.collection.engine.index.searchable_segment_metas().map_err(failed)?;
        let small: Vec<_> =
            segments.iter().filter(|segment| segment.max_doc() < SMALL_SEGMENT).collect();
        #[expect(clippy::cast_precision_loss, reason = "a share needs no seven digits")]
        let is_stale = |deleted: u32, all: u32| deleted as f32 > MOST_DELETED * all as f32;
        let is_needed = match small.as_slice() {
            [] => false,
            [one] => is_stale(one.num_deleted_docs(), one.max_doc()),
            _ => true,
        };
        if !is_needed {
            return Ok(());
        }
        let ids: Vec<_> = small.iter().map(|segment| segment.id()).collect();
        let mut writer = self.open()?;
        writer.merge(&ids).wait().map_err(failed)?;
        writer.garbage_collect_files().wait().map_err(failed)?;
        writer.wait_merging_threads().map_err(failed)
    }

    /// The engine's writer, to write with.
    fn engine(&mut self) -> Result<&mut IndexWriter<TantivyDocument>, CollectionError> {
        let engine = match self.engine.take() {
            Some(engine) => engine,
            None => self.open()?,
        };
        self.is_pending = true;
        Ok(self.engine.insert(engine))
    }

    fn open(&self) -> Result<IndexWriter<TantivyDocument>, CollectionError> {
        // One thread: it keeps up with any number that encode, and leaves one segment a commit.
        let writer = open_writer(&self.collection.engine.index, NonZeroUsize::MIN, BUDGET_BYTES)
            .map_err(|error| self.collection.blame().open(error))?;
        let mut policy = LogMergePolicy::default();
        policy.set_del_docs_ratio_before_merge(MOST_DELETED);
        writer.set_merge_policy(Box::new(policy));
        Ok(writer)
    }
}
