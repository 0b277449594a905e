//! A line a document: `{"id": "…", "vector": {token: weight, …}}`.
//!
//! Other keys of a line are passed over, so lines that hold more can be read too. Numbers as ids are
//! taken as text.

use std::fmt;
use std::io::{BufRead, Write};

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::{Document, ExchangeError, Words};
use crate::vector::TokenId;

#[derive(Deserialize)]
struct Line {
    id: Id,
    vector: Pairs,
}

/// An object's pairs as they stand there: a map would let a token given twice pass in silence.
struct Pairs(Vec<(String, f32)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PairsVisitor)
    }
}

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Pairs;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of token weights")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Pairs(pairs))
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Id {
    Text(String),
    Number(u64),
}

/// Reads all lines; empty ones are passed over.
///
/// # Errors
/// [`ExchangeError::Line`] names a line that is no such object, and those of [`Document::new`] and
/// [`Words`].
pub fn read(input: impl BufRead, words: &mut Words) -> Result<Vec<Document>, ExchangeError> {
    let mut documents = Vec::new();
    for (number, line) in (1..).zip(input.lines()) {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let line: Line = serde_json::from_str(&line)
            .map_err(|source| ExchangeError::Line { line: number, source })?;
        let id = match line.id {
            Id::Text(text) => text,
            Id::Number(number) => number.to_string(),
        };
        let weights =
            line.vector.0.iter().map(|(name, weight)| Ok((words.token(name, &id)?, *weight)));
        let weights = weights.collect::<Result<_, ExchangeError>>()?;
        documents.push(Document::new(id, weights)?);
    }
    Ok(documents)
}

#[derive(Serialize)]
struct Written<'a> {
    id: &'a str,
    vector: Weights<'a>,
}

struct Weights<'a> {
    weights: &'a [(TokenId, f32)],
    words: &'a Words,
}

impl Serialize for Weights<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(
            self.weights.iter().map(|(token, weight)| (self.words.name(*token), weight)),
        )
    }
}

/// Writes documents, one a line. Weights have as many digits as it takes to read the same again.
///
/// # Errors
/// [`ExchangeError::Io`] when the file cannot be written.
pub fn write(
    documents: &[Document],
    words: &Words,
    mut output: impl Write,
) -> Result<(), ExchangeError> {
    for document in documents {
        let vector = Weights { weights: &document.weights, words };
        let line = Written { id: &document.id, vector };
        serde_json::to_writer(&mut output, &line).map_err(std::io::Error::from)?;
        output.write_all(b"\n")?;
    }
    Ok(())
}
