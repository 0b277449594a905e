//! The second look: the first hits, ordered anew.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::thread;

use sightword_index::ScoredDoc;

use super::{
    Collection,
    error::CollectionError,
    reply::{Rerank, Reranked, SearchRequest, Sort},
};
use crate::{
    ingest::parallel_map,
    query::CompiledQuery,
    rerank::{BATCH, FeatureCache, QueryInput, Question, RerankError, Reranker, reorder},
};

/// A picture in the order of the reply.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed {
    pub(crate) doc: ScoredDoc,
    /// Its place, from 1, before the second look.
    pub(crate) first_rank: u64,
    /// What placed it, if it was looked at again.
    pub(crate) rerank_score: Option<f64>,
}

impl Placed {
    /// A hit that nobody looks at again.
    pub(crate) fn as_found((rank, doc): (u64, &ScoredDoc)) -> Self {
        Self { doc: *doc, first_rank: rank, rerank_score: None }
    }
}

/// What came of the second look at a candidate.
enum Look {
    /// A score, from features that were stored or made just now.
    Scored { logit: f32, stored: bool },
    /// Its files cannot be read now; the first of them.
    Unreadable(PathBuf),
}

impl Collection {
    /// Orders the first of `docs`, hits in the first stage's order, anew. A picture that cannot be
    /// read keeps its place, and is told of in `warnings`.
    pub(crate) fn rerank(
        &self,
        rerank: &Rerank,
        text: &str,
        docs: &[ScoredDoc],
        compiled: &CompiledQuery,
        warnings: &mut Vec<String>,
    ) -> Result<(Vec<Placed>, Reranked), CollectionError> {
        let reranker = &*rerank.reranker;
        let stored = self.stored_features(reranker);
        let stored = stored.map_err(|error| warnings.push(error.to_string())).ok();
        let tokens = self.encoder.text_ids(text);
        let question = reranker.read(&QueryInput { text, tokens: &tokens })?;
        let second = Second { collection: self, reranker, question, stored };
        let candidates = &docs[..docs.len().min(rerank.depth.get())];
        let looks = second.looks(candidates)?;

        let (blend, scale) = (reranker.blend(), self.score_scale(compiled));
        let mut scores: Vec<Option<f64>> = candidates
            .iter()
            .zip(&looks)
            .map(|(doc, look)| match look {
                Look::Scored { logit, .. } => {
                    Some(blend.score(*logit, f64::from(doc.score) / scale))
                }
                Look::Unreadable(_) => None,
            })
            .collect();
        let order = reorder(&scores).into_iter().chain(candidates.len()..docs.len());
        scores.resize(docs.len(), None);
        let place = |at: usize| Placed {
            doc: docs[at],
            first_rank: at as u64 + 1,
            rerank_score: scores[at],
        };
        Ok((order.map(place).collect(), summary(reranker, &looks, warnings)))
    }

    /// By what a whole-number score is divided to be shown.
    pub(crate) fn score_scale(&self, compiled: &CompiledQuery) -> f64 {
        f64::from(compiled.scale) * f64::from(self.encoder.config().impact_scale)
    }
}

fn summary(reranker: &dyn Reranker, looks: &[Look], warnings: &mut Vec<String>) -> Reranked {
    let unreadable: Vec<&PathBuf> = looks
        .iter()
        .filter_map(|look| match look {
            Look::Unreadable(path) => Some(path),
            Look::Scored { .. } => None,
        })
        .collect();
    match unreadable[..] {
        [] => {}
        [one] => {
            warnings.push(format!("{} cannot be read now: it keeps its rank", one.display()));
        }
        [first, ..] => warnings.push(format!(
            "{} pictures cannot be read now, {} among them: they keep their ranks",
            unreadable.len(),
            first.display()
        )),
    }
    let is_stored = |look: &&Look| matches!(look, Look::Scored { stored: true, .. });
    Reranked {
        name: reranker.name().into(),
        hash: reranker.hash().into(),
        depth: looks.len(),
        stored: looks.iter().filter(is_stored).count(),
        unreadable: unreadable.len(),
    }
}

/// One second look at many candidates.
struct Second<'a> {
    collection: &'a Collection,
    reranker: &'a dyn Reranker,
    question: Question,
    stored: Option<FeatureCache>,
}

impl Second<'_> {
    /// A look at each of the candidates, in their order, on all cores.
    fn looks(&self, docs: &[ScoredDoc]) -> Result<Vec<Look>, CollectionError> {
        let jobs = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let mut batches: Vec<(usize, Vec<Look>)> = Vec::new();
        let mut outcome = Ok(());
        let look = |(number, docs)| (number, self.batch(docs));
        parallel_map(docs.chunks(BATCH).enumerate(), jobs, look, |(number, looks)| match looks {
            Ok(looks) => {
                batches.push((number, looks));
                ControlFlow::Continue(())
            }
            Err(error) => {
                outcome = Err(error);
                ControlFlow::Break(())
            }
        });
        batches.sort_unstable_by_key(|(number, _)| *number);
        outcome.map(|()| batches.into_iter().flat_map(|(_, looks)| looks).collect())
    }

    fn batch(&self, docs: &[ScoredDoc]) -> Result<Vec<Look>, CollectionError> {
        let collection = self.collection;
        let (mut looks, mut features) = (Vec::new(), Vec::new());
        for doc in docs {
            let fields = &collection.engine.fields;
            let record = collection.view.record(fields, doc.address, collection.blame())?;
            let found = collection.stored_or_made(&record, self.stored.as_ref(), self.reranker)?;
            if let Some((found, stored)) = found {
                features.push(found);
                looks.push(Look::Scored { logit: f32::NAN, stored });
            } else {
                let first = collection.paths(&record).into_iter().next();
                looks.push(Look::Unreadable(first.unwrap_or_default()));
            }
        }
        let scores = self.reranker.score(&self.question, &features)?;
        if scores.len() != features.len() {
            let what = format!("{} scores of {} pictures", scores.len(), features.len());
            return Err(RerankError::Compute(what).into());
        }
        let logits = looks.iter_mut().filter_map(|look| match look {
            Look::Scored { logit, .. } => Some(logit),
            Look::Unreadable(_) => None,
        });
        logits.zip(scores).for_each(|(logit, score)| *logit = score);
        Ok(looks)
    }
}

impl SearchRequest {
    /// Whether this is something that a re-ranker can order: words, and nothing but words.
    #[must_use]
    pub fn can_rerank(&self) -> bool {
        self.why_no_rerank().is_none()
    }

    /// Refuses to re-rank what no re-ranker can order.
    pub(crate) fn check_rerank(&self) -> Result<(), CollectionError> {
        match self.why_no_rerank().filter(|_| self.rerank.is_some()) {
            Some(why) => Err(CollectionError::CannotRerank { why }),
            None => Ok(()),
        }
    }

    fn why_no_rerank(&self) -> Option<&'static str> {
        match self {
            _ if self.like.is_some() => Some("it compares words with pictures, not two pictures"),
            _ if self.query.text.is_empty() => Some("it reads words, not token weights"),
            _ if self.sort != Sort::Score => Some("re-ranked hits have an order of their own"),
            _ => None,
        }
    }
}
