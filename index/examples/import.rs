//! Makes an index of vectors that other programs wrote, and searches it.
//!
//! ```sh
//! cargo run -p sightword-index --features exchange --example import -- VECTORS DIR [WORD …]
//! ```
//!
//! VECTORS is a file of JSON Lines (`{"id": …, "vector": {word: weight}}`), of the Common Index File Format
//! (`.ciff`) or of SciPy (`.npz`, whose words are column numbers). DIR is a new folder.
#![allow(clippy::print_stdout, reason = "what it found is for people")]

use std::error::Error;
use std::fs::{self, File};
use std::io::BufReader;
use std::num::NonZeroUsize;
use std::path::Path;

use sightword_index::exchange::{Document, Words, ciff, full_scale, jsonl, npz};
use sightword_index::{
    FieldParams, SearchOptions, SparseQuery, SparseSearcher, TokenId, add_sparse_field, add_vector,
    create_in_dir, open_writer,
};
use tantivy::schema::{FAST, INDEXED, STORED, STRING, Schema, Value};
use tantivy::{Index, TantivyDocument};

/// Memory for documents that are not on disk yet, in bytes.
const BUDGET_BYTES: usize = 100_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [vectors, dir, asked @ ..] = arguments.as_slice() else {
        return Err("expected: VECTORS DIR [WORD …]".into());
    };
    let (documents, words) = read(Path::new(vectors))?;
    let index = import(&documents, &words, Path::new(dir))?;
    println!("{} documents with {} words in {dir}", documents.len(), words.len());
    for (id, score) in search(&index, &words, asked)? {
        println!("{score:8.3}  {id}");
    }
    Ok(())
}

/// The documents of a file, and the name of each token.
fn read(path: &Path) -> Result<(Vec<Document>, Vec<String>), Box<dyn Error>> {
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let file = BufReader::new(file);
    let mut words = Words::open();
    let documents = match path.extension().and_then(|ending| ending.to_str()) {
        Some("npz") => {
            let (documents, columns) = npz::read(file)?;
            return Ok((documents, (0..columns).map(|column| column.to_string()).collect()));
        }
        Some("ciff") => ciff::read(file, &mut words)?,
        _ => jsonl::read(file, &mut words)?,
    };
    Ok((documents, words.names().to_vec()))
}

/// An index of the documents: a number as the key, the id to show, and the vector.
fn import(documents: &[Document], words: &[String], dir: &Path) -> Result<Index, Box<dyn Error>> {
    let mut schema = Schema::builder();
    let key = schema.add_u64_field("key", INDEXED | FAST);
    let id = schema.add_text_field("id", STRING | STORED);
    let vocab = u32::try_from(words.len().max(1))?;
    // The greatest weight becomes 255: what an impact is a whole number of.
    let scale = full_scale(documents);
    let params = FieldParams { vocab, scale, model: "imported".to_owned() };
    let vector = add_sparse_field(&mut schema, "vector", &params);

    fs::create_dir(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let index = create_in_dir(dir, schema.build())?;
    let mut writer = open_writer(&index, NonZeroUsize::MIN, BUDGET_BYTES)?;
    for (number, document) in (0..).zip(documents) {
        let mut doc = TantivyDocument::new();
        doc.add_u64(key, number);
        doc.add_text(id, &document.id);
        add_vector(&mut doc, vector, &document.quantise(scale)?);
        writer.add_document(doc)?;
    }
    writer.commit()?;
    Ok(index)
}

/// Ids and scores of the ten best for words of equal weight.
fn search(
    index: &Index,
    words: &[String],
    asked: &[String],
) -> Result<Vec<(String, f32)>, Box<dyn Error>> {
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let token = |word: &String| {
        let at = words.iter().position(|known| known == word);
        let at = at.ok_or_else(|| format!("no document has the word '{word}'"))?;
        Ok::<_, Box<dyn Error>>((TokenId(u16::try_from(at)?), 1))
    };
    let query = SparseQuery::new(asked.iter().map(token).collect::<Result<_, _>>()?, Vec::new())?;
    let schema = index.schema();
    let field = |name| schema.get_field(name);
    let reader = index.reader()?.searcher();
    let searcher = SparseSearcher::open(&reader, field("vector")?, field("key")?)?;
    let found = searcher.top(&query, &SearchOptions::default())?;
    let scale = searcher.params().scale;
    let hit = |hit: &sightword_index::ScoredDoc| {
        let doc: TantivyDocument = reader.doc(hit.address)?;
        let id = doc.get_first(field("id")?).and_then(|id| id.as_str()).unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "a score to be shown")]
        let score = hit.score as f32 / scale;
        Ok((id.to_owned(), score))
    };
    found.iter().map(hit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_of_three_kinds_of_files_are_found_again() -> Result<(), Box<dyn Error>> {
        let dir = tempfile::tempdir()?;
        let lines = "{\"id\": \"a\", \"vector\": {\"dog\": 2.0, \"beach\": 0.5}}\n\
                     {\"id\": \"b\", \"vector\": {\"dog\": 1.0}}\n";
        fs::write(dir.path().join("v.jsonl"), lines)?;
        let (documents, words) = read(&dir.path().join("v.jsonl"))?;
        let named = Words::closed(words.clone())?;
        ciff::write(
            &documents,
            &named,
            full_scale(&documents),
            File::create(dir.path().join("v.ciff"))?,
        )?;
        let vocab = u32::try_from(words.len())?;
        npz::write(&documents, vocab, File::create(dir.path().join("v.npz"))?)?;
        let column = words.iter().position(|word| word == "dog").unwrap_or_default().to_string();
        for (name, dog) in [("v.jsonl", "dog"), ("v.ciff", "dog"), ("v.npz", &column)] {
            let (documents, words) = read(&dir.path().join(name))?;
            let index = import(&documents, &words, &dir.path().join(format!("{name} index")))?;
            let found = search(&index, &words, &[dog.to_owned()])?;
            let ids: Vec<&str> = found.iter().map(|(id, _)| id.as_str()).collect();
            assert_eq!(ids.len(), 2, "{name}: {found:?}");
            assert!((found[0].1 / found[1].1 - 2.0).abs() < 0.02, "{name}: {found:?}");
        }
        Ok(())
    }
}
