//! Do captions find their photo better when a re-ranker looks again at the first hits?

use serde::Serialize;

use super::error::EvalError;
use super::evaluate::Stage;
use super::measures::first_right;
use super::queries::Query;
use super::retrieval::{Outcome, Recall, recall};
use super::samples::Samples;
use super::trial::{Trial, in_order};
use crate::collection::Rerank;
use crate::rerank::{BATCH, Features, QueryInput, RerankError, reorder};

/// Text → image with a second look at each caption's first photos; the figures without one stand
/// beside it in the report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SecondLook {
    /// The re-ranker's name.
    pub name: String,
    /// The re-ranker's hash.
    pub hash: String,
    /// Photos looked at for each caption.
    pub depth: usize,
    /// Text → image: each caption looks for its photo.
    pub t2i: Recall,
}

/// Measures the second look. `trial` holds the features of its photos.
pub(crate) fn second_look(
    trial: &Trial<'_>,
    rerank: &Rerank,
    samples: &mut Samples,
    progress: &mut impl FnMut(Stage, usize, usize),
) -> Result<SecondLook, EvalError> {
    let ranks = in_order(
        trial.captions.len(),
        trial.options.jobs,
        |at| rank(trial, rerank, &trial.captions[at]),
        |done, all| progress(Stage::SecondLook, done, all),
    )?;
    let outcome = |(caption, rank): (&Query, _)| Outcome { photo: caption.right[0], rank };
    let outcomes: Vec<Outcome> = trial.captions.iter().zip(ranks).map(outcome).collect();
    Ok(SecondLook {
        name: rerank.reranker.name().into(),
        hash: rerank.reranker.hash().into(),
        depth: rerank.depth.get(),
        t2i: recall("second_look.t2i", &outcomes, trial.photos.len(), samples),
    })
}

/// The rank of a caption's photo after the second look.
fn rank(trial: &Trial<'_>, rerank: &Rerank, caption: &Query) -> Result<Option<usize>, EvalError> {
    let ranking = trial.index.best(&caption.compiled.sparse, 0)?;
    let (first, rest) = ranking.split_at(ranking.len().min(rerank.depth.get()));
    let (reranker, encoder) = (&*rerank.reranker, trial.encoder);
    let tokens = encoder.text_ids(&caption.text);
    let question = reranker.read(&QueryInput { text: &caption.text, tokens: &tokens })?;
    let mut logits = Vec::with_capacity(first.len());
    for batch in first.chunks(BATCH) {
        let features: Vec<Features> =
            batch.iter().filter_map(|ranked| trial.features.get(ranked.at).cloned()).collect();
        logits.extend(reranker.score(&question, &features)?);
    }
    if logits.len() != first.len() {
        let what = format!("{} scores of {} photos", logits.len(), first.len());
        return Err(RerankError::Compute(what).into());
    }
    let scale = f64::from(caption.compiled.scale) * f64::from(encoder.config().impact_scale);
    let blend = reranker.blend();
    let score = |(logit, score)| Some(blend.score(logit, f64::from(score) / scale));
    let sparse = first.iter().map(|ranked| ranked.score);
    let scores: Vec<Option<f64>> = logits.into_iter().zip(sparse).map(score).collect();
    let order = reorder(&scores).into_iter().map(|at| first[at].at);
    let order: Vec<usize> = order.chain(rest.iter().map(|ranked| ranked.at)).collect();
    Ok(first_right(&order, |photo| caption.is_right(photo)))
}
