//! Do the names of things find the photos that show them? One query for each label, searched like
//! any text; the photos with that label are right.

use std::collections::BTreeMap;

use serde::Serialize;

use super::bootstrap::Sample;
use super::error::EvalError;
use super::measures::{DEPTH, PAGE, average_precision, hundredths, page_share, percent};
use super::queries::{Query, Text, queries};
use super::samples::Samples;
use super::searchable::places;
use super::trec::Trec;
use super::trial::Trial;
use crate::query::QueryMode;

/// Classes that are listed as the worst.
const WORST: usize = 10;

/// Queries by label.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Classes {
    /// Different labels.
    pub labels: usize,
    /// Photos that have one.
    pub photos: usize,
    /// The greatest precision at 10 that can be had: a label with 5 photos reaches 50 at the most.
    pub greatest_p10: f64,
    /// With the text tower; absent when all is measured with the table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tower: Option<ClassFigures>,
    /// With the table of weights.
    pub table: ClassFigures,
}

/// How well labels find their photos: means over labels, in percent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassFigures {
    /// Precision at 10: right photos among the first ten.
    pub p10: f64,
    /// Mean average precision, of the first 1,000 photos found.
    pub map: f64,
    /// The labels with the least average precision, worst first.
    pub worst: Vec<Class>,
}

/// One label.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Class {
    /// The label.
    pub label: String,
    /// Photos that have it.
    pub photos: usize,
    /// Precision at 10 in percent.
    pub p10: f64,
    /// Average precision in percent.
    pub ap: f64,
}

/// The labels as queries, by rising text; ids are numbers, as a label may have spaces.
pub(crate) fn label_queries(trial: &Trial<'_>, mode: QueryMode) -> Result<Vec<Query>, EvalError> {
    let mut photos_with: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, photo) in trial.photos.iter().enumerate() {
        for label in &photo.labels {
            let photos = photos_with.entry(label).or_default();
            if photos.last() != Some(&at) {
                photos.push(at);
            }
        }
    }
    let texts = (1..).zip(photos_with).map(|(number, (text, right)): (u32, _)| {
        let id = number.to_string();
        Text { id, text, right }
    });
    queries(trial.encoder, texts.collect(), mode, trial.options.jobs, |_, _| ())
}

/// Searches with the labels; `asked` are their queries in the mode that was asked for.
pub(crate) fn classes(
    trial: &Trial<'_>,
    asked: &[Query],
    samples: &mut Samples,
    trec: &mut Trec,
) -> Result<Classes, EvalError> {
    let reachable = |query: &Query| percent(query.right.len().min(PAGE), PAGE);
    let greatest = Sample::mean(asked.iter().map(reachable).enumerate());
    let (tower, table) = match trial.options.mode {
        QueryMode::Table => (None, figures("classes.table", trial, asked, samples, trec)?),
        QueryMode::Tower => {
            let tower = figures("classes.tower", trial, asked, samples, trec)?;
            let by_table = label_queries(trial, QueryMode::Table)?;
            let table = figures(
                "classes.table",
                trial,
                &by_table,
                samples,
                &mut Trec::start(None, "", 0)?,
            )?;
            (Some(tower), table)
        }
    };
    Ok(Classes {
        labels: asked.len(),
        photos: trial.photos.iter().filter(|photo| !photo.labels.is_empty()).count(),
        greatest_p10: hundredths(greatest.value()),
        tower,
        table,
    })
}

fn figures(
    path: &str,
    trial: &Trial<'_>,
    queries: &[Query],
    samples: &mut Samples,
    trec: &mut Trec,
) -> Result<ClassFigures, EvalError> {
    let mut found = Vec::with_capacity(queries.len());
    for query in queries {
        let ranking = trial.index.best(&query.compiled.sparse, DEPTH)?;
        let scored = ranking.iter().map(|ranked| (trial.id(ranked.at), ranked.score));
        let right = query.right.iter().map(|&photo| trial.id(photo));
        trec.write((&query.id, &query.text), scored, right)?;
        let places = places(&ranking);
        found.push(Class {
            label: query.text.clone(),
            photos: query.right.len(),
            p10: page_share(&places, |photo| query.is_right(photo)),
            ap: average_precision(&places, &query.right),
        });
    }
    // A class brings all its photos with it: classes are drawn anew, not photos.
    let mut add = |name: &str, value: fn(&Class) -> f64| {
        samples.add(format!("{path}.{name}"), Sample::mean(found.iter().map(value).enumerate()))
    };
    let (p10, map) = (add("p10", |class| class.p10), add("map", |class| class.ap));
    Ok(ClassFigures { p10, map, worst: worst(found) })
}

fn worst(mut classes: Vec<Class>) -> Vec<Class> {
    classes.sort_by(|a, b| a.ap.total_cmp(&b.ap).then_with(|| a.label.cmp(&b.label)));
    classes.truncate(WORST);
    for class in &mut classes {
        (class.p10, class.ap) = (hundredths(class.p10), hundredths(class.ap));
    }
    classes
}
