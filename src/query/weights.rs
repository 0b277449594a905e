//! Raw token weights as JSON: `{"dog": 2, "beach": 1.5}`.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use super::error::{ParseError, Problem};
use super::parse::{bad_weight, is_weight};

/// Reads the object that starts at byte `start` of `query`; returns the weights in the order given
/// and the byte behind the object.
pub(super) fn read(query: &str, start: usize) -> Result<(Vec<(String, f32)>, usize), ParseError> {
    let text = &query[start..];
    let bad = |at, reason: &str| {
        ParseError::new(query, at, Problem::BadJson { reason: reason.to_owned() })
    };
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Weights>();
    let weights = match stream.next() {
        Some(Ok(Weights(weights))) => weights,
        Some(Err(error)) => {
            let at = start + offset(text, error.line(), error.column());
            let message = error.to_string();
            return Err(bad(at, message.split(" at line").next().unwrap_or_default()));
        }
        None => return Err(bad(start, "it is empty")),
    };
    let end = start + stream.byte_offset();
    if weights.is_empty() {
        return Err(bad(start, "it is empty"));
    }
    match weights.iter().find(|(_, weight)| !is_weight(*weight)) {
        Some((_, weight)) => Err(ParseError::new(query, start, bad_weight(&weight.to_string()))),
        None => Ok((weights, end)),
    }
}

/// The byte at a line and column, both from 1 (column 0: before the line).
fn offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    before + column.saturating_sub(1)
}

struct Weights(Vec<(String, f32)>);

impl<'de> Deserialize<'de> for Weights {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(WeightsVisitor)
    }
}

/// Collects the pairs itself, because a map would let a token given twice pass in silence.
struct WeightsVisitor;

impl<'de> Visitor<'de> for WeightsVisitor {
    type Value = Weights;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of token weights")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Weights, A::Error> {
        let mut weights: Vec<(String, f32)> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        while let Some((token, weight)) = map.next_entry::<String, f32>()? {
            if !seen.insert(token.clone()) {
                return Err(serde::de::Error::custom(format!("'{token}' is given twice")));
            }
            weights.push((token, weight));
        }
        Ok(Weights(weights))
    }
}
