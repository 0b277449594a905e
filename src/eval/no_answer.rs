//! Is the verdict "nothing found" honest? Queries about things that no photo shows should get it,
//! captions should not.

use std::path::Path;

use serde::Serialize;

use crate::collection::default_min_match;
use crate::encode::LeastMatch;

use super::bootstrap::Sample;
use super::dataset::lines;
use super::error::EvalError;
use super::queries::compile_plain;
use super::samples::Samples;
use super::trial::Trial;

/// How often the verdict "nothing found" is wrong, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct NoAnswer {
    /// The least coverage that counts as an answer.
    pub threshold: LeastMatch,
    /// Queries about things that no photo shows.
    pub queries: usize,
    /// Of these, answered all the same.
    pub false_answers: f64,
    /// Captions, of which nothing was found although their photo is there.
    pub lost_answers: f64,
}

/// The queries in a file, one a line.
pub(crate) fn read(file: &Path) -> Result<Vec<String>, EvalError> {
    let queries: Vec<String> =
        lines(file)?.into_iter().map(|(_, line)| line.trim().to_owned()).collect();
    if queries.is_empty() {
        return Err(EvalError::NoQueries { path: file.to_owned() });
    }
    Ok(queries)
}

/// Asks each of the `absent` things, and each caption.
pub(crate) fn no_answer(
    trial: &Trial<'_>,
    absent: &[String],
    samples: &mut Samples,
) -> Result<NoAnswer, EvalError> {
    let options = trial.options;
    let calibrated = default_min_match(&trial.encoder.config().calibration, options.mode);
    let min_match = options.min_match.map_or(calibrated, LeastMatch::always);
    let mut answered = Vec::new();
    for text in absent {
        let query = compile_plain(trial.encoder, text, options.mode)?;
        let least = min_match.of(query.own_words);
        answered.push(share(trial.index.answers(&query, least)?));
    }
    let mut lost = Vec::new();
    for caption in &trial.captions {
        let least = min_match.of(caption.compiled.own_words);
        let is_answered = trial.index.answers(&caption.compiled, least)?;
        lost.push((caption.right[0], share(!is_answered)));
    }
    let false_answers = Sample::mean(answered.into_iter().enumerate());
    Ok(NoAnswer {
        threshold: min_match,
        queries: absent.len(),
        false_answers: samples.add("no_answer.false_answers", false_answers),
        lost_answers: samples.add("no_answer.lost_answers", Sample::mean(lost)),
    })
}

fn share(is_wrong: bool) -> f64 {
    if is_wrong { 100.0 } else { 0.0 }
}
