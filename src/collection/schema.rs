//! What the engine stores of a picture: one document a content, with its vector and facts.

use sightword_index::{FieldParams, SparseVector, add_sparse_field, add_vector};
use tantivy::{
    TantivyDocument, Term,
    schema::{FAST, Field, INDEXED, STORED, STRING, Schema, TextOptions, Value},
};

use super::files::{self, SeenFile};
use crate::{
    encode::Encoder,
    ingest::{ContentId, Facts, Place, Taken},
};

/// The fields of a document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields {
    /// The content's hash, 64 digits.
    pub(crate) id: Field,
    /// Its first eight bytes: orders hits of equal score.
    pub(crate) key: Field,
    /// The sparse vector.
    pub(crate) vector: Field,
    /// Where the content was last seen, as JSON.
    pub(crate) files: Field,
    /// The same paths, for filters.
    pub(crate) path: Field,
    /// 1 for a content of which no file is left, else 0.
    pub(crate) gone: Field,
    pub(crate) taken: Field,
    /// In lower case, for filters.
    pub(crate) camera: Field,
    /// As the file has it.
    pub(crate) camera_name: Field,
    pub(crate) latitude: Field,
    pub(crate) longitude: Field,
    pub(crate) width: Field,
    pub(crate) height: Field,
    pub(crate) bytes: Field,
}

/// The names of the fields that are read as columns.
pub(crate) mod column {
    pub(crate) const KEY: &str = "key";
    pub(crate) const TAKEN: &str = "taken";
    pub(crate) const LATITUDE: &str = "latitude";
    pub(crate) const LONGITUDE: &str = "longitude";
    pub(crate) const WIDTH: &str = "width";
    pub(crate) const HEIGHT: &str = "height";
    pub(crate) const BYTES: &str = "bytes";
}

/// The schema of an index made with `encoder`.
pub(crate) fn schema(encoder: &Encoder) -> Schema {
    let config = encoder.config();
    let params = FieldParams {
        vocab: u32::try_from(encoder.vocabulary().len()).unwrap_or(u32::MAX),
        scale: config.impact_scale,
        model: encoder.hash().into(),
    };
    let mut schema = Schema::builder();
    schema.add_text_field("id", STRING | STORED);
    schema.add_u64_field(column::KEY, FAST);
    add_sparse_field(&mut schema, "sv", &params);
    schema.add_bytes_field("files", STORED);
    schema.add_text_field("path", STRING);
    schema.add_u64_field("gone", INDEXED | FAST | STORED);
    schema.add_i64_field(column::TAKEN, INDEXED | FAST | STORED);
    schema.add_text_field("camera", STRING);
    schema.add_text_field("camera_name", TextOptions::from(STORED));
    schema.add_f64_field(column::LATITUDE, FAST | STORED);
    schema.add_f64_field(column::LONGITUDE, FAST | STORED);
    schema.add_u64_field(column::WIDTH, FAST | STORED);
    schema.add_u64_field(column::HEIGHT, FAST | STORED);
    schema.add_u64_field(column::BYTES, FAST | STORED);
    schema.build()
}

impl Fields {
    /// Finds the fields in an index's schema.
    pub(crate) fn of(schema: &Schema) -> tantivy::Result<Self> {
        let field = |name| schema.get_field(name);
        Ok(Self {
            id: field("id")?,
            key: field(column::KEY)?,
            vector: field("sv")?,
            files: field("files")?,
            path: field("path")?,
            gone: field("gone")?,
            taken: field(column::TAKEN)?,
            camera: field("camera")?,
            camera_name: field("camera_name")?,
            latitude: field(column::LATITUDE)?,
            longitude: field(column::LONGITUDE)?,
            width: field(column::WIDTH)?,
            height: field(column::HEIGHT)?,
            bytes: field(column::BYTES)?,
        })
    }

    /// The term that only the document of this picture has.
    pub(crate) fn term_of(&self, id: ContentId) -> Term {
        Term::from_field_text(self.id, &id.hex())
    }
}

/// What is stored of a picture beside its vector.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    pub(crate) id: ContentId,
    /// Where it is; where it was last, if it is gone.
    pub(crate) files: Vec<SeenFile>,
    pub(crate) gone: bool,
    pub(crate) facts: StoredFacts,
}

/// The facts of a picture that are kept.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StoredFacts {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) bytes: u64,
    pub(crate) taken: Option<Taken>,
    pub(crate) camera: Option<String>,
    pub(crate) place: Option<Place>,
}

impl StoredFacts {
    pub(crate) fn new(facts: &Facts, bytes: u64) -> Self {
        Self {
            width: facts.width,
            height: facts.height,
            bytes,
            taken: facts.taken,
            camera: facts.camera.clone(),
            place: facts.place,
        }
    }
}

impl Record {
    pub(crate) fn to_document(
        &self,
        fields: &Fields,
        vector: &SparseVector,
    ) -> Result<TantivyDocument, serde_json::Error> {
        let mut document = TantivyDocument::new();
        document.add_text(fields.id, self.id.hex());
        document.add_u64(fields.key, self.id.key());
        add_vector(&mut document, fields.vector, vector);
        document.add_bytes(fields.files, &files::to_json(&self.files)?);
        document.add_u64(fields.gone, u64::from(self.gone));
        for file in &self.files {
            document.add_text(fields.path, file.key.shown());
        }
        self.facts.add_to(&mut document, fields);
        Ok(document)
    }

    /// Reads a stored document back; the name of the field that is missing or wrong if not.
    pub(crate) fn from_document(
        document: &TantivyDocument,
        fields: &Fields,
    ) -> Result<Self, &'static str> {
        let text = |field| document.get_first(field).and_then(|value| value.as_str());
        let id = text(fields.id).and_then(|hex| ContentId::from_hex(hex).ok()).ok_or("id")?;
        let json = document.get_first(fields.files).and_then(|value| value.as_bytes());
        let files = json.and_then(|json| files::from_json(json).ok()).ok_or("files")?;
        let gone = number(document, fields.gone).ok_or("gone")? != 0;
        let facts = StoredFacts::from_document(document, fields).ok_or("width, height, bytes")?;
        Ok(Self { id, files, gone, facts })
    }
}

impl StoredFacts {
    fn add_to(&self, document: &mut TantivyDocument, fields: &Fields) {
        document.add_u64(fields.width, self.width.into());
        document.add_u64(fields.height, self.height.into());
        document.add_u64(fields.bytes, self.bytes);
        if let Some(taken) = self.taken {
            document.add_i64(fields.taken, taken.seconds());
        }
        if let Some(camera) = &self.camera {
            document.add_text(fields.camera, camera.to_lowercase());
            document.add_text(fields.camera_name, camera);
        }
        if let Some(place) = self.place {
            document.add_f64(fields.latitude, place.latitude);
            document.add_f64(fields.longitude, place.longitude);
        }
    }

    fn from_document(document: &TantivyDocument, fields: &Fields) -> Option<Self> {
        let first = |field| document.get_first(field);
        let degrees = |field| first(field).and_then(|value| value.as_f64());
        let place = degrees(fields.latitude).zip(degrees(fields.longitude));
        Some(Self {
            width: u32::try_from(number(document, fields.width)?).ok()?,
            height: u32::try_from(number(document, fields.height)?).ok()?,
            bytes: number(document, fields.bytes)?,
            taken: first(fields.taken).and_then(|v| v.as_i64()).map(Taken::from_seconds),
            camera: first(fields.camera_name).and_then(|v| v.as_str().map(str::to_owned)),
            place: place.map(|(latitude, longitude)| Place { latitude, longitude }),
        })
    }
}

fn number(document: &TantivyDocument, field: Field) -> Option<u64> {
    document.get_first(field).and_then(|value| value.as_u64())
}
