//! Captions search for their photo, and photos for their captions (the protocol of Karpathy and
//! Fei-Fei, CVPR 2015, section 4.1).

use serde::Serialize;
use sightword_index::{SparseQuery, SparseVector};

use super::bootstrap::Sample;
use super::error::EvalError;
use super::measures::{first_right, mean, reciprocal_rank, success};
use super::samples::Samples;
use super::searchable::{Searchable, places};
use super::trec::Trec;
use super::trial::Trial;

/// How well queries with one right answer find it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(into = "BothNames")]
pub struct Recall {
    /// Share of queries, in percent, whose right answer comes first: `R@1` of the vision-language
    /// papers, `Success@1` of the information-retrieval ones.
    pub r1: f64,
    /// Among the first five.
    pub r5: f64,
    /// Among the first ten.
    pub r10: f64,
    /// The median of the right answer's rank, from 1. A right answer that shares no word with its
    /// query counts as the last one.
    pub median_rank: f64,
    /// The mean of 1 ÷ rank in percent, 0 from the eleventh place on.
    pub mrr10: f64,
}

/// The JSON form: recall under both its names.
#[derive(Serialize)]
struct BothNames {
    r1: f64,
    r5: f64,
    r10: f64,
    #[serde(rename = "success@1")]
    success1: f64,
    #[serde(rename = "success@5")]
    success5: f64,
    #[serde(rename = "success@10")]
    success10: f64,
    median_rank: f64,
    mrr10: f64,
}

impl From<Recall> for BothNames {
    fn from(recall: Recall) -> Self {
        let Recall { r1, r5, r10, median_rank, mrr10 } = recall;
        let (success1, success5, success10) = (r1, r5, r10);
        Self { r1, r5, r10, success1, success5, success10, median_rank, mrr10 }
    }
}

/// One query's outcome: the photo that it belongs to, and the rank of its right answer.
pub(crate) struct Outcome {
    pub(crate) photo: usize,
    pub(crate) rank: Option<usize>,
}

/// Text → image: each caption looks for its photo.
pub(crate) fn text_to_image(
    trial: &Trial<'_>,
    samples: &mut Samples,
    trec: &mut Trec,
) -> Result<Recall, EvalError> {
    let mut outcomes = Vec::with_capacity(trial.captions.len());
    for caption in &trial.captions {
        let ranking = trial.index.best(&caption.compiled.sparse, 0)?;
        let right = caption.right.iter().map(|&photo| trial.id(photo));
        let found = ranking.iter().map(|ranked| (trial.id(ranked.at), ranked.score));
        trec.write((&caption.id, &caption.text), found, right)?;
        let rank = first_right(&places(&ranking), |photo| caption.is_right(photo));
        outcomes.push(Outcome { photo: caption.right[0], rank });
    }
    Ok(recall("t2i", &outcomes, trial.photos.len(), samples))
}

/// Image → text: each photo that has captions looks for any of them.
pub(crate) fn image_to_text(
    trial: &Trial<'_>,
    samples: &mut Samples,
    trec: &mut Trec,
) -> Result<Recall, EvalError> {
    let captions = &trial.captions;
    let index = Searchable::new(trial.encoder, trial.caption_vectors()?.into_iter())?;
    let mut outcomes = Vec::with_capacity(trial.photos.len());
    for (photo, vector) in trial.vectors.iter().enumerate() {
        if trial.photos[photo].captions.is_empty() {
            continue;
        }
        let ranking = index.best(&as_query(vector), 0)?;
        let own = captions.iter().filter(|caption| caption.is_right(photo));
        let found = ranking.iter().map(|ranked| (captions[ranked.at].id.as_str(), ranked.score));
        trec.write((trial.id(photo), ""), found, own.map(|caption| caption.id.as_str()))?;
        let rank = first_right(&places(&ranking), |at| captions[at].is_right(photo));
        outcomes.push(Outcome { photo, rank });
    }
    Ok(recall("i2t", &outcomes, captions.len(), samples))
}

/// A photo as a query: its impacts are weights of the same scale.
fn as_query(photo: &SparseVector) -> SparseQuery {
    let terms = photo.entries().map(|entry| (entry.token, entry.impact)).collect();
    // The entries of a vector keep the rules of a query.
    SparseQuery::new(terms, Vec::new()).unwrap_or_default()
}

/// The figures of text → image or image → text, which stand at `path` in the report.
pub(crate) fn recall(
    path: &str,
    outcomes: &[Outcome],
    candidates: usize,
    samples: &mut Samples,
) -> Recall {
    let values = |value: &dyn Fn(Option<usize>) -> f64| -> Vec<(usize, f64)> {
        outcomes.iter().map(|outcome| (outcome.photo, value(outcome.rank))).collect()
    };
    let mut add = |name: &str, sample| samples.add(format!("{path}.{name}"), sample);
    Recall {
        r1: add("r1", Sample::mean(values(&|rank| success(rank, 1)))),
        r5: add("r5", Sample::mean(values(&|rank| success(rank, 5)))),
        r10: add("r10", Sample::mean(values(&|rank| success(rank, 10)))),
        median_rank: add(
            "median_rank",
            Sample::median(values(&|rank| mean(rank.unwrap_or(candidates), 1))),
        ),
        mrr10: add("mrr10", Sample::mean(values(&reciprocal_rank))),
    }
}
