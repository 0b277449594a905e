//! tantivy's segment plugin: writes both files of a segment, and merges them.
//!
//! Payloads are kept in a flat arena until tantivy flushes the segment; merges stream from the mapped
//! sources. Sources are verified as they are read, so a damaged one fails its merge and stays as it
//! is. Documents keep the order that tantivy gives them: an order of anybody else's is refused,
//! since tantivy does not let a plugin see it.

use std::any::Any;
use std::io;
use std::path::Path;

use tantivy::directory::{TerminatingWrite, WritePtr};
use tantivy::index::SegmentComponent;
use tantivy::indexer::doc_id_mapping::{DocIdMapping, MappingType};
use tantivy::schema::document::{ErasedDocument, ErasedValue, ReferenceValueLeaf};
use tantivy::schema::{Field, Schema};
use tantivy::{
    DocId, PluginMergeContext, PluginWriter, PluginWriterContext, Segment, SegmentPlugin,
    TantivyError,
};

use crate::arena::Arena;
use crate::error::OpenError;
use crate::field::sparse_field;
use crate::format::inverted::{WINDOW_LOG2, WriteError};
use crate::format::{forward, inverted};
use crate::merge::Sources;
use crate::order::order;
use crate::segment::SegmentFiles;
use crate::vector::SparseVector;

/// Registered by the constructors of this crate.
pub(crate) struct SparsePlugin;

impl SegmentPlugin for SparsePlugin {
    fn extensions(&self) -> &[&str] {
        &[inverted::EXTENSION, forward::EXTENSION]
    }

    fn create_writer(
        &self,
        ctx: &PluginWriterContext<'_>,
    ) -> tantivy::Result<Box<dyn PluginWriter>> {
        let (field, params) =
            sparse_field(&ctx.segment.schema()).map_err(|error| schema_error(&error))?;
        Ok(Box::new(SparseWriter { field, vocab: params.vocab, arena: Arena::default() }))
    }

    fn merge(&self, ctx: PluginMergeContext<'_>) -> tantivy::Result<()> {
        if ctx.doc_id_mapping.mapping_type() == MappingType::Shuffled {
            return Err(reordered());
        }
        let (_, params) = sparse_field(ctx.schema).map_err(|error| schema_error(&error))?;
        let files = ctx.readers.iter().map(|reader| SegmentFiles::open(reader, params.vocab));
        let files = files.collect::<Result<Vec<_>, _>>()?;
        let sources = Sources::new(files.iter().zip(ctx.readers));
        create(ctx.target_segment, forward::EXTENSION, |out| {
            forward::write(out, params.vocab, &sources)
        })?;
        create(ctx.target_segment, inverted::EXTENSION, |out| {
            let order = order(&sources)?;
            inverted::write(out, &order, params.vocab, WINDOW_LOG2, &sources.lists(&order))
        })
    }
}

fn schema_error(error: &OpenError) -> TantivyError {
    TantivyError::SchemaError(error.to_string())
}

fn reordered() -> TantivyError {
    let message = "a field of sparse vectors cannot be kept in an index that reorders documents";
    TantivyError::InvalidArgument(message.to_owned())
}

/// Gathers the vectors of one segment.
struct SparseWriter {
    field: Field,
    vocab: u32,
    arena: Arena,
}

impl PluginWriter for SparseWriter {
    fn add_document(
        &mut self,
        _doc_id: DocId,
        doc: &dyn ErasedDocument,
        _schema: &Schema,
    ) -> tantivy::Result<()> {
        let mut vector = None;
        for (_, value) in doc.erased_fields().filter(|(field, _)| *field == self.field) {
            let ErasedValue::Leaf(ReferenceValueLeaf::Custom(bytes)) = value else {
                return Err(refused("the value is not that of a sparse vector"));
            };
            if vector.replace(bytes).is_some() {
                return Err(refused("a document has at most one vector"));
            }
        }
        let vector = vector.map_or(Ok(SparseVector::default()), SparseVector::from_bytes);
        let vector = vector.map_err(|error| refused(&error))?;
        vector.check_vocab(self.vocab).map_err(|error| refused(&error))?;
        self.arena.add(&vector);
        Ok(())
    }

    fn serialize(
        self: Box<Self>,
        segment: &Segment,
        doc_id_map: Option<&DocIdMapping>,
    ) -> tantivy::Result<()> {
        if doc_id_map.is_some() {
            return Err(reordered());
        }
        let (arena, vocab) = (&self.arena, self.vocab);
        create(segment, forward::EXTENSION, |out| forward::write(out, vocab, arena))?;
        create(segment, inverted::EXTENSION, |out| {
            let order = order(arena)?;
            inverted::write(out, &order, vocab, WINDOW_LOG2, &arena.invert(&order))
        })
    }

    fn mem_usage(&self) -> usize {
        self.arena.bytes()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

fn refused(reason: &(impl ToString + ?Sized)) -> TantivyError {
    TantivyError::InvalidArgument(reason.to_string())
}

/// Writes one file of a segment. Errors of the disk name the file.
fn create(
    segment: &Segment,
    extension: &str,
    write: impl FnOnce(WritePtr) -> Result<WritePtr, WriteError>,
) -> tantivy::Result<()> {
    let component = SegmentComponent::Custom(extension.to_owned());
    let file = segment.relative_path(component.clone());
    let out = segment.open_write(component)?;
    match write(out) {
        Ok(out) => out.terminate().map_err(|error| disk_error(&file, &error)),
        Err(WriteError::Io(error)) => Err(disk_error(&file, &error)),
        Err(WriteError::Source(error)) => Err(error.into()),
        Err(error @ WriteError::TooMany { .. }) => Err(refused(&error)),
    }
}

fn disk_error(file: &Path, error: &io::Error) -> TantivyError {
    io::Error::new(error.kind(), format!("cannot write {}: {error}", file.display())).into()
}
