//! The figures, and how they come from ranks.

use serde::{Deserialize, Serialize};

/// Share of queries, in percent, whose right answer is among the first 1, 5 and 10 ("recall@k" of
/// the vision-language papers, `Success@k` of trec_eval).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Recall {
    /// First.
    pub r1: f64,
    /// Among the first five.
    pub r5: f64,
    /// Among the first ten.
    pub r10: f64,
}

impl Recall {
    /// From the rank of each query's best right answer, from 1; `None` when it was not found.
    #[must_use]
    pub fn of(ranks: &[Option<usize>]) -> Self {
        let at = |k| {
            percent(
                ranks.iter().filter(|rank| rank.is_some_and(|rank| rank <= k)).count(),
                ranks.len(),
            )
        };
        Self { r1: at(1), r5: at(5), r10: at(10) }
    }
}

/// How often the verdict "nothing found" is wrong, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct NoAnswer {
    /// The least coverage that counts as an answer, 0 to 1.
    pub threshold: f64,
    /// Queries about things that no photo shows.
    pub queries: usize,
    /// Of these, answered all the same.
    pub false_answers: f64,
    /// Captions, of which nothing was found although their photo is there.
    pub lost_answers: f64,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The model's name.
    pub model: String,
    /// How texts became queries: `tower` or `table`.
    pub query_mode: String,
    /// Photos searched.
    pub photos: usize,
    /// Photos that could not be read, and were left out.
    pub unreadable: usize,
    /// Captions searched with.
    pub captions: usize,
    /// Text → image: each caption looks for its photo.
    pub t2i: Recall,
    /// Image → text: each photo looks for any of its captions.
    pub i2t: Recall,
    /// Mean number of tokens of a photo.
    pub image_tokens: f64,
    /// Mean number of tokens of a caption.
    pub text_tokens: f64,
    /// The verdict, where queries without an answer were given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_answer: Option<NoAnswer>,
}

/// `part` of `whole` in percent, to two decimals; 0 of nothing.
pub(crate) fn percent(part: usize, whole: usize) -> f64 {
    (10_000.0 * mean(part, whole)).round() / 100.0
}

/// `total ÷ count`; 0 for nothing.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) fn mean(total: usize, count: usize) -> f64 {
    if count == 0 { 0.0 } else { total as f64 / count as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recall_counts_ranks_up_to_k() {
        let recall = Recall::of(&[Some(1), Some(5), Some(6), None]);
        assert_eq!(recall, Recall { r1: 25.0, r5: 50.0, r10: 75.0 });
    }
}
