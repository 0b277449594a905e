//! An honest "nothing found": from which coverage on a picture is a hit.
//!
//! Coverage is the share that a picture scores of what the query could reach. Unlike a score, it
//! means much the same for a query of one word and of twenty.

use crate::encode::{Calibration, LeastMatch};
use crate::query::QueryMode;

/// The coverage from which a picture is a hit unless the user says otherwise: what the model was
/// calibrated to. A table's few words spread more, so they need more coverage.
#[must_use]
pub fn default_min_match(calibration: &Calibration, mode: QueryMode) -> LeastMatch {
    match mode {
        QueryMode::Tower => calibration.min_match,
        QueryMode::Table => calibration.min_match_table,
    }
}

/// The share of `reachable` that `score` is, at most 1; 0 for a query that can reach nothing.
pub(crate) fn coverage(score: u32, reachable: u32) -> f32 {
    if reachable == 0 {
        return 0.0;
    }
    #[expect(clippy::cast_possible_truncation, reason = "a share from 0 to 1")]
    let share = (f64::from(score) / f64::from(reachable)) as f32;
    share.min(1.0)
}

/// The least score with at least this coverage: a hit is a hit by its shown coverage as well.
pub(crate) fn least_score(threshold: f32, reachable: u32) -> u32 {
    if threshold <= 0.0 || reachable == 0 {
        return 0;
    }
    // Coverage rises with the score: the least one is found by halving.
    let (mut low, mut high) = (0, reachable.saturating_add(1));
    while low < high {
        let middle = low.midpoint(high);
        if coverage(middle, reachable) >= threshold {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_least_score_is_the_first_with_the_coverage(
            threshold in 0.001f32..=1.0,
            reachable in 1u32..20_000_000,
        ) {
            let least = least_score(threshold, reachable);
            prop_assert!(coverage(least, reachable) >= threshold);
            prop_assert!(least == 0 || coverage(least - 1, reachable) < threshold);
        }
    }

    #[test]
    fn more_than_everything_is_never_reached() {
        assert_eq!(least_score(1.5, 1000), 1001);
        assert!((coverage(2000, 1000) - 1.0).abs() < f32::EPSILON);
    }

    #[test]
    fn a_share_is_met_exactly() {
        assert_eq!(least_score(0.3, 10), 3);
    }
}
