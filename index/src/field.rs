//! The custom field type `sightword.v1`, and the constructors that register its plugin.
//!
//! What a vector means is written down in the schema: the vocabulary's size, the scale of impacts
//! and the name of the model. So a program can refuse an index that another model made.

use std::path::Path;
use std::sync::Arc;

use tantivy::directory::{MmapDirectory, RamDirectory};
use tantivy::schema::{CustomOptions, Field, FieldType, Schema, SchemaBuilder};
use tantivy::{Directory, Index, TantivyDocument, TantivyError};

use crate::error::OpenError;
use crate::guard::Guard;
use crate::plugin::SparsePlugin;
use crate::vector::SparseVector;

/// The type's name in the schema, and its format parameter.
pub(crate) const TYPE: &str = "sightword.v1";
/// What type names of every version begin with.
const FAMILY: &str = "sightword.";
/// The greatest vocabulary: token ids are 16 bits wide.
const MAX_VOCAB: u32 = 1 << 16;

/// What the numbers in a field mean.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldParams {
    /// Tokens in the vocabulary, 1 to 65,536.
    pub vocab: u32,
    /// Impact = weight × scale, rounded. Finite and above 0.
    pub scale: f32,
    /// The model that made the vectors.
    pub model: String,
}

impl FieldParams {
    /// The name of the first parameter out of range.
    fn fault(&self) -> Option<&'static str> {
        match self {
            Self { vocab, .. } if !(1..=MAX_VOCAB).contains(vocab) => Some("vocab"),
            Self { scale, .. } if !(scale.is_finite() && *scale > 0.0) => Some("scale"),
            _ => None,
        }
    }
}

/// Adds a field of sparse vectors to a schema. A schema takes one of them.
///
/// Parameters out of range are reported when an index is made of the schema.
pub fn add_sparse_field(builder: &mut SchemaBuilder, name: &str, params: &FieldParams) -> Field {
    builder.add_custom_field(name, TYPE, to_json(params))
}

/// `J` is the JSON value that tantivy takes; naming its crate here would only add a dependency.
fn to_json<J>(params: &FieldParams) -> J
where
    J: From<&'static str> + From<u32> + From<f64> + From<String> + FromIterator<(String, J)>,
{
    let pairs: [(&str, J); 4] = [
        ("format", TYPE.into()),
        ("vocab", params.vocab.into()),
        ("scale", f64::from(params.scale).into()),
        ("model", params.model.clone().into()),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// What the numbers in a field mean, as the schema says it.
///
/// # Errors
/// [`OpenError`] when the field holds no sparse vectors, is of another format, or a parameter is
/// missing or out of range.
pub fn field_params(schema: &Schema, field: Field) -> Result<FieldParams, OpenError> {
    let entry = schema.get_field_entry(field);
    let name = || entry.name().to_owned();
    let Some(options) = family(entry.field_type()) else {
        return Err(OpenError::NotSparse { field: name() });
    };
    let params = options.params();
    let found = params["format"].as_str().unwrap_or(options.type_name());
    if found != TYPE || options.type_name() != TYPE {
        return Err(OpenError::Format { field: name(), found: found.to_owned(), known: TYPE });
    }
    let missing = |parameter| move || OpenError::Parameter { field: name(), parameter };
    let vocab = params["vocab"].as_u64().and_then(|vocab| u32::try_from(vocab).ok());
    let params = FieldParams {
        vocab: vocab.ok_or_else(missing("vocab"))?,
        scale: params["scale"].as_f64().map(narrow).ok_or_else(missing("scale"))?,
        model: params["model"].as_str().ok_or_else(missing("model"))?.to_owned(),
    };
    match params.fault() {
        Some(parameter) => Err(missing(parameter)()),
        None => Ok(params),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the value was widened from an f32")]
fn narrow(scale: f64) -> f32 {
    scale as f32
}

/// The options of a field of this crate, in whatever version.
fn family(field_type: &FieldType) -> Option<&CustomOptions> {
    match field_type {
        FieldType::Custom(options) if options.type_name().starts_with(FAMILY) => Some(options),
        _ => None,
    }
}

/// The one field of sparse vectors in a schema, and what its numbers mean.
///
/// # Errors
/// [`OpenError::FieldCount`] when there is none or several, else as [`field_params`].
pub fn sparse_field(schema: &Schema) -> Result<(Field, FieldParams), OpenError> {
    let fields = schema.fields().filter(|(_, entry)| family(entry.field_type()).is_some());
    let fields: Vec<_> = fields.map(|(field, _)| field).collect();
    match fields[..] {
        [field] => Ok((field, field_params(schema, field)?)),
        _ => Err(OpenError::FieldCount { found: fields.len() }),
    }
}

/// Gives a document its vector. A document has at most one; one without is never found by tokens.
///
/// Tokens must be in the field's vocabulary ([`SparseVector::check_vocab`]): a writer that meets
/// another one stops with an error.
pub fn add_vector(doc: &mut TantivyDocument, field: Field, vector: &SparseVector) {
    doc.add_custom(field, &vector.to_bytes());
}

/// Makes an index in an existing directory.
///
/// # Errors
/// [`OpenError`] when the schema has not exactly one valid field of sparse vectors, when there is an
/// index already, or the directory cannot be written.
pub fn create_in_dir(directory: &Path, schema: Schema) -> Result<Index, OpenError> {
    create_in(MmapDirectory::open(directory).map_err(TantivyError::from)?, schema)
}

/// Makes an index that lives as long as the value.
///
/// # Errors
/// As [`create_in_dir`].
pub fn create_in_ram(schema: Schema) -> Result<Index, OpenError> {
    create_in(RamDirectory::create(), schema)
}

/// Makes an index in any directory of tantivy's.
///
/// # Errors
/// As [`create_in_dir`].
pub fn create_in(
    directory: impl Into<Box<dyn Directory>>,
    schema: Schema,
) -> Result<Index, OpenError> {
    sparse_field(&schema)?;
    let directory = directory.into();
    if Index::exists(&*directory).map_err(TantivyError::from)? {
        return Err(TantivyError::IndexAlreadyExists.into());
    }
    let builder = Index::builder().schema(schema).register_plugin(Arc::new(SparsePlugin));
    Ok(builder.open_or_create(Guard::new(directory))?)
}

/// Opens the index in a directory.
///
/// # Errors
/// [`OpenError::NoIndex`] when there is none, else as [`open_in`].
pub fn open_in_dir(directory: &Path) -> Result<Index, OpenError> {
    let no_index = || OpenError::NoIndex { directory: directory.to_path_buf() };
    if !directory.is_dir() {
        return Err(no_index());
    }
    let mapped = MmapDirectory::open(directory).map_err(TantivyError::from)?;
    if !Index::exists(&mapped).map_err(TantivyError::from)? {
        return Err(no_index());
    }
    open_in(mapped)
}

/// Opens the index in any directory of tantivy's.
///
/// # Errors
/// [`OpenError`] when the schema has not exactly one field of sparse vectors of a format that this
/// program reads, or tantivy cannot open the index.
pub fn open_in(directory: impl Into<Box<dyn Directory>>) -> Result<Index, OpenError> {
    let mut index = Index::open(Guard::new(directory.into()))?;
    sparse_field(&index.schema())?;
    index.register_plugin(Arc::new(SparsePlugin));
    Ok(index)
}
