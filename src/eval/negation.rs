//! Does `dog -grass` find dogs without grass? Queries with a word that must not be in the picture.

use std::collections::HashSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::bootstrap::Sample;
use super::dataset::{Dataset, lines};
use super::error::EvalError;
use super::measures::{PAGE, page_share};
use super::queries::compile_parsed;
use super::samples::Samples;
use super::searchable::places;
use super::trial::Trial;
use crate::query::{ParsedQuery, parse};

/// What excluding a word does: means over queries, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Negation {
    /// Queries asked.
    pub queries: usize,
    /// `query -not`, as a user would type it.
    pub with: Page,
    /// `query` alone.
    pub without: Page,
}

/// What the first ten places hold, in percent of ten.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Page {
    /// Photos that are right: precision at 10.
    pub p10: f64,
    /// Photos that show what must not be there.
    pub forbidden: f64,
}

/// A line of the file.
#[derive(Deserialize)]
struct Record {
    query: String,
    not: String,
    relevant: Vec<String>,
    forbidden: Vec<String>,
}

/// A query with an exclusion, and the photos that matter, by their ids.
pub(crate) struct Case {
    with: ParsedQuery,
    without: ParsedQuery,
    relevant: HashSet<String>,
    forbidden: HashSet<String>,
}

/// The cases in a file, one a line. All photos must be in the dataset.
pub(crate) fn read(file: &Path, dataset: &Dataset) -> Result<Vec<Case>, EvalError> {
    let known: HashSet<&str> = dataset.photos.iter().map(|photo| photo.id.as_str()).collect();
    let case = |(line, text): (usize, String)| case(&text, &known, file, line);
    let cases: Vec<Case> = lines(file)?.into_iter().map(case).collect::<Result<_, _>>()?;
    if cases.is_empty() {
        return Err(EvalError::NoQueries { path: file.to_owned() });
    }
    Ok(cases)
}

fn case(text: &str, known: &HashSet<&str>, file: &Path, line: usize) -> Result<Case, EvalError> {
    let path = || file.to_owned();
    let record: Record = serde_json::from_str(text).map_err(|source| EvalError::NegationLine {
        path: path(),
        line,
        source,
    })?;
    let mut photos = record.relevant.iter().chain(&record.forbidden);
    if let Some(id) = photos.find(|id| !known.contains(id.as_str())) {
        return Err(EvalError::UnknownPhoto { path: path(), line, id: id.clone() });
    }
    let read = |text: &str| {
        parse(text).map_err(|source| EvalError::NegationQuery { path: path(), line, source })
    };
    Ok(Case {
        with: read(&format!("{} -\"{}\"", record.query, record.not))?,
        without: read(&record.query)?,
        relevant: record.relevant.into_iter().collect(),
        forbidden: record.forbidden.into_iter().collect(),
    })
}

/// Searches each case with and without its exclusion.
pub(crate) fn negation(
    trial: &Trial<'_>,
    cases: &[Case],
    samples: &mut Samples,
) -> Result<Negation, EvalError> {
    let mut page = |name: &str, asked: fn(&Case) -> &ParsedQuery| {
        let (mut right, mut forbidden) = (Vec::new(), Vec::new());
        for case in cases {
            let query = compile_parsed(trial.encoder, asked(case), trial.options.mode)?;
            let places = places(&trial.index.best(&query.sparse, PAGE)?);
            right.push(page_share(&places, |photo| case.relevant.contains(trial.id(photo))));
            forbidden.push(page_share(&places, |photo| case.forbidden.contains(trial.id(photo))));
        }
        let mut add = |figure: &str, shares: Vec<f64>| {
            let sample = Sample::mean(shares.into_iter().enumerate());
            samples.add(format!("negation.{name}.{figure}"), sample)
        };
        Ok::<_, EvalError>(Page { p10: add("p10", right), forbidden: add("forbidden", forbidden) })
    };
    Ok(Negation {
        queries: cases.len(),
        with: page("with", |case| &case.with)?,
        without: page("without", |case| &case.without)?,
    })
}
