//! Two scores of one picture make one order.

/// The weights of both stages in the score that orders re-ranked hits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Blend {
    /// Weight of the re-ranker's score.
    pub logit: f64,
    /// Weight of the first stage's score, taken as `ln(1 + score)`.
    pub sparse: f64,
}

impl Default for Blend {
    /// The sum of both, as BLIP adds its first stage's similarity to the logit (arXiv 2201.12086,
    /// the released evaluation of retrieval).
    fn default() -> Self {
        Self { logit: 1.0, sparse: 1.0 }
    }
}

impl Blend {
    /// `logit weight · logit + sparse weight · ln(1 + sparse)`; `sparse` is the score as people are
    /// shown it, 0 or more.
    #[must_use]
    pub fn score(&self, logit: f32, sparse: f64) -> f64 {
        self.logit * f64::from(logit) + self.sparse * sparse.ln_1p()
    }
}

/// The order of candidates, given in the first stage's order with their blended scores: the best
/// first, of equal ones the earlier. One without a score keeps its place.
///
/// Returns the places that the candidates had, so that `order[new] = old`.
#[must_use]
pub fn reorder(scores: &[Option<f64>]) -> Vec<usize> {
    let mut ranked: Vec<(usize, f64)> =
        scores.iter().enumerate().filter_map(|(at, score)| Some((at, (*score)?))).collect();
    // Stable: candidates of equal score stay in the first stage's order.
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut ranked = ranked.into_iter().map(|(at, _)| at);
    let place = |(at, score): (usize, &Option<f64>)| match score {
        Some(_) => ranked.next().unwrap_or(at),
        None => at,
    };
    scores.iter().enumerate().map(place).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_stages_count() {
        let blend = Blend { logit: 2.0, sparse: 0.5 };
        assert!((blend.score(1.5, 0.0) - 3.0).abs() < 1e-12);
        let expected = -2.0 + 0.5 * 8.0_f64.ln();
        assert!((blend.score(-1.0, 7.0) - expected).abs() < 1e-12);
    }

    #[test]
    fn the_best_come_first_and_equal_ones_stay_in_order() {
        assert_eq!(reorder(&[Some(1.0), Some(3.0), Some(1.0), Some(2.0)]), [1, 3, 0, 2]);
        assert_eq!(reorder(&[]), Vec::<usize>::new());
    }

    #[test]
    fn a_picture_without_a_score_keeps_its_place() {
        assert_eq!(reorder(&[Some(1.0), None, Some(3.0), None, Some(2.0)]), [2, 1, 4, 3, 0]);
    }

    proptest! {
        #[test]
        fn nobody_is_lost_and_scores_fall(
            scores in prop::collection::vec(prop::option::of(-5i8..5), 0..40),
        ) {
            let scores: Vec<Option<f64>> = scores.iter().map(|s| s.map(f64::from)).collect();
            let order = reorder(&scores);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..scores.len()).collect::<Vec<_>>());
            let ranked: Vec<f64> = order.iter().filter_map(|&at| scores[at]).collect();
            prop_assert!(ranked.is_sorted_by(|a, b| a >= b));
            for (new, &old) in order.iter().enumerate() {
                prop_assert!(scores[old].is_some() || new == old);
            }
        }
    }
}
