//! `sightword export`: the vectors, for other engines.

use std::io::{BufWriter, Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use clap::{Args, ValueEnum};
use serde::{Serialize, Serializer};
use sightword::collection::{Collection, Exported};
use sightword::encode::Encoder;
use sightword::wire::JsonPath;
use sightword_index::exchange::{Document, Words, ciff, npz};
use sightword_index::{SparseVector, TokenId};

use super::Outcome;
use super::console::Console;
use super::explain::folder_of;
use super::json;
use super::paths::Viewpoint;
use super::place::{Model, Place};

/// Print every picture's words and weights
#[derive(Debug, Args)]
#[command(help_template = super::TEMPLATE, before_help = "Examples:
  sightword export --to jsonl > vectors.jsonl
  sightword export --to jsonl -o vectors.jsonl --in ~/Photos
  sightword export --to npz -o vectors.npz        for SciPy")]
pub(crate) struct Export {
    /// The form
    #[arg(long, value_enum, value_name = "FORM")]
    to: Form,

    /// Write into this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Form {
    /// A line a picture: `{"id", "path", "vector": {token: weight}}`
    Jsonl,
    /// The Common Index File Format: an inverted index with whole impacts
    Ciff,
    /// SciPy's sparse matrix, a row a picture, a column a token, with the array `ids`
    Npz,
}

/// One picture as it is exported. Weights are exact: whole numbers over the model's scale.
#[derive(Serialize)]
struct Line<'a> {
    id: String,
    path: Option<JsonPath>,
    vector: Weights<'a>,
}

struct Weights<'a> {
    vector: &'a SparseVector,
    encoder: &'a Encoder,
}

impl Serialize for Weights<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let scale = f64::from(self.encoder.config().impact_scale);
        serializer.collect_map(self.vector.entries().map(|entry| {
            (self.encoder.vocabulary().token(entry.token), f64::from(entry.impact) / scale)
        }))
    }
}

pub(crate) fn run(args: &Export, model: &Model, console: &mut Console) -> anyhow::Result<Outcome> {
    let encoder = model.load()?;
    let collection = args.place.open(Arc::clone(&encoder))?;
    let viewpoint = console.viewpoint().clone();
    let pictures = Pictures { collection: &collection, encoder: &encoder, viewpoint };
    match &args.output {
        None => pictures.write(args.to, console.out())?,
        Some(output) => pictures.write_file(args.to, output)?,
    }
    Ok(Outcome::Found)
}

struct Pictures<'a> {
    collection: &'a Collection,
    encoder: &'a Encoder,
    viewpoint: Viewpoint,
}

impl Pictures<'_> {
    fn write(&self, form: Form, out: &mut dyn Write) -> anyhow::Result<()> {
        match form {
            Form::Jsonl => self.write_lines(out),
            Form::Ciff => {
                let vocabulary = self.encoder.vocabulary();
                let ids = (0..=u16::MAX).map(TokenId).take(vocabulary.len());
                let words = Words::closed(ids.map(|id| vocabulary.token(id).to_owned()))?;
                Ok(ciff::write(&self.documents()?, &words, self.scale(), out)?)
            }
            Form::Npz => {
                // The form's directory stands at its end, and points back.
                let mut file = Cursor::new(Vec::new());
                let vocab = u32::try_from(self.encoder.vocabulary().len())?;
                npz::write(&self.documents()?, vocab, &mut file)?;
                Ok(out.write_all(file.get_ref())?)
            }
        }
    }

    fn scale(&self) -> f32 {
        self.encoder.config().impact_scale
    }

    fn documents(&self) -> anyhow::Result<Vec<Document>> {
        let document = |picture: Exported| {
            Document::of(format!("b3:{}", picture.id.hex()), &picture.vector, self.scale())
        };
        self.collection.export()?.map(|picture| Ok(document(picture?))).collect()
    }

    fn write_lines(&self, out: &mut dyn Write) -> anyhow::Result<()> {
        for picture in self.collection.export()? {
            let picture = picture?;
            let path = picture.paths.first().map(|path| JsonPath::new(&self.viewpoint.shown(path)));
            let vector = Weights { vector: &picture.vector, encoder: self.encoder };
            let id = format!("b3:{}", picture.id.hex());
            json::line(&Line { id, path, vector }, out)?;
        }
        Ok(())
    }

    /// Into a file that is there whole or not at all.
    fn write_file(&self, form: Form, output: &Path) -> anyhow::Result<()> {
        let cannot = || format!("cannot write {}", output.display());
        let file = tempfile::NamedTempFile::new_in(folder_of(output)).with_context(cannot)?;
        let mut buffered = BufWriter::new(file);
        self.write(form, &mut buffered).with_context(cannot)?;
        let file =
            buffered.into_inner().map_err(|error| error.into_error()).with_context(cannot)?;
        file.as_file().sync_all().with_context(cannot)?;
        file.persist(output).with_context(cannot)?;
        Ok(())
    }
}
