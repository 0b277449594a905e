//! How far could a figure be off by the luck of the draw? Intervals and a paired test by resampling.
//!
//! The percentile bootstrap (Efron and Tibshirani, *An Introduction to the Bootstrap*, chapters 13
//! and 16): the groups of a [`Sample`] are drawn anew, with replacement, and the figure is computed
//! from those drawn. A group is what is independent of the rest: a photo with its five captions, not
//! one of the captions.

use std::collections::BTreeMap;

use serde::Serialize;

use super::measures::{hundredths, mean};

/// How often groups are drawn anew.
pub const RESAMPLES: usize = 10_000;

/// Where the random draws begin.
pub const SEED: u64 = 10;

/// What lies outside an interval, on each side.
const TAIL: f64 = 0.025;

/// The values that a figure is made of, by the groups that they belong to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Sample {
    /// The mean of all values: their sum and number, group by group.
    Mean(Vec<(f64, f64)>),
    /// The median of all values: each with its group, rising; and the number of groups.
    Median(Vec<(f64, usize)>, usize),
}

/// How much a figure differs between two models, in the figure's own unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    /// The other model's figure.
    pub other: f64,
    /// This model's figure less the other's.
    pub difference: f64,
    /// The difference's 95 % interval.
    pub interval: [f64; 2],
    /// How likely so great a difference, either way, is by chance: 0 to 1.
    pub p: f64,
}

impl Sample {
    /// The mean of values, each given with the number of its group; groups without one do not count.
    pub(crate) fn mean(values: impl IntoIterator<Item = (usize, f64)>) -> Self {
        let mut groups: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
        for (group, value) in values {
            let (sum, number) = groups.entry(group).or_default();
            *sum += value;
            *number += 1.0;
        }
        Self::Mean(groups.into_values().collect())
    }

    /// The median of values, each given with the number of its group.
    pub(crate) fn median(values: impl IntoIterator<Item = (usize, f64)>) -> Self {
        let mut values: Vec<(usize, f64)> = values.into_iter().collect();
        let mut groups: Vec<usize> = values.iter().map(|(group, _)| *group).collect();
        groups.sort_unstable();
        groups.dedup();
        values.sort_by(|a, b| a.1.total_cmp(&b.1));
        let number = |group: usize| groups.partition_point(|&other| other < group);
        let sorted = values.into_iter().map(|(group, value)| (value, number(group))).collect();
        Self::Median(sorted, groups.len())
    }

    fn groups(&self) -> usize {
        match self {
            Self::Mean(groups) => groups.len(),
            Self::Median(_, groups) => *groups,
        }
    }

    /// The figure; 0 of nothing.
    pub(crate) fn value(&self) -> f64 {
        self.drawn(&vec![1; self.groups()])
    }

    /// The figure when each group was drawn so many times.
    fn drawn(&self, times: &[u32]) -> f64 {
        match self {
            Self::Mean(groups) => {
                let (mut total, mut count) = (0.0, 0.0);
                for ((sum, number), &times) in groups.iter().zip(times) {
                    total += sum * f64::from(times);
                    count += number * f64::from(times);
                }
                if count > 0.0 { total / count } else { 0.0 }
            }
            Self::Median(sorted, _) => drawn_median(sorted, times),
        }
    }

    /// The figure's 95 % interval; `None` of nothing.
    pub(crate) fn interval(&self) -> Option<[f64; 2]> {
        let mut figures: Vec<f64> =
            resampled(self.groups()).map(|times| self.drawn(&times)).collect();
        middle(&mut figures)
    }

    /// How this figure differs from another one of the same groups; `None` if those are not the same
    /// or there are none.
    pub(crate) fn less(&self, other: &Self) -> Option<Difference> {
        if self.groups() != other.groups() {
            return None;
        }
        let mut differences: Vec<f64> = resampled(self.groups())
            .map(|times| self.drawn(&times) - other.drawn(&times))
            .collect();
        let interval = middle(&mut differences)?;
        let not_above = differences.partition_point(|&difference| difference <= 0.0);
        let below = differences.partition_point(|&difference| difference < 0.0);
        let rarer = not_above.min(differences.len() - below);
        // One more on both sides: no number of draws shows that something is impossible.
        let p = 2.0 * mean(rarer + 1, differences.len() + 1);
        let difference = hundredths(self.value() - other.value());
        let p = (p.min(1.0) * 1e4).round() / 1e4;
        Some(Difference { other: hundredths(other.value()), difference, interval, p })
    }
}

/// The middle of the values that remain when each is repeated as often as its group was drawn; of an
/// even number the mean of the two in the middle.
fn drawn_median(sorted: &[(f64, usize)], times: &[u32]) -> f64 {
    let count: u64 = sorted.iter().map(|(_, group)| u64::from(times[*group])).sum();
    let at = |wanted: u64| {
        let mut passed = 0;
        let found = sorted.iter().find(|(_, group)| {
            passed += u64::from(times[*group]);
            passed > wanted
        });
        found.map_or(0.0, |(value, _)| *value)
    };
    f64::midpoint(at(count.saturating_sub(1) / 2), at(count / 2))
}

/// [`RESAMPLES`] times: how often each group was drawn when as many were drawn as there are. The
/// same for the same number of groups; nothing for none.
fn resampled(groups: usize) -> impl Iterator<Item = Vec<u32>> {
    let mut random = fastrand::Rng::with_seed(SEED);
    let resamples = if groups == 0 { 0 } else { RESAMPLES };
    (0..resamples).map(move |_| {
        let mut times = vec![0; groups];
        for _ in 0..groups {
            times[random.usize(..groups)] += 1;
        }
        times
    })
}

/// Sorts, and gives what lies between the tails.
fn middle(figures: &mut [f64]) -> Option<[f64; 2]> {
    figures.sort_by(f64::total_cmp);
    let low = quantile(figures, TAIL)?;
    Some([hundredths(low), hundredths(quantile(figures, 1.0 - TAIL)?)])
}

/// The smallest of the rising `values` that so large a share of them does not exceed.
pub(crate) fn quantile(values: &[f64], share: f64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let rank = (values.len() as f64 * share).ceil();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to the length")]
    let at = (rank as usize).saturating_sub(1);
    values.get(at).copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The values of the groups drawn, one after the other.
    fn repeated(values: &[(usize, f64)], times: &[u32]) -> Vec<f64> {
        let repeat = |&(group, value): &(usize, f64)| {
            std::iter::repeat_n(value, times[group].try_into().unwrap())
        };
        values.iter().flat_map(repeat).collect()
    }

    fn plain_mean(values: &[f64]) -> f64 {
        values.iter().sum::<f64>() / f64::from(u32::try_from(values.len()).unwrap())
    }

    fn plain_median(mut values: Vec<f64>) -> f64 {
        values.sort_by(f64::total_cmp);
        let half = values.len() / 2;
        if values.len() % 2 == 1 { values[half] } else { (values[half - 1] + values[half]) / 2.0 }
    }

    proptest! {
        #[test]
        fn a_figure_of_drawn_groups_is_that_of_their_values_repeated(
            groups in proptest::collection::vec(
                (proptest::collection::vec(-9.0f64..9.0, 1..6), 0u32..4), 1..9),
        ) {
            let times: Vec<u32> = groups.iter().map(|(_, times)| *times).collect();
            let values: Vec<(usize, f64)> = groups
                .iter()
                .enumerate()
                .flat_map(|(group, (values, _))| values.iter().map(move |value| (group, *value)))
                .collect();
            let drawn = repeated(&values, &times);
            prop_assume!(!drawn.is_empty());
            let mean = Sample::mean(values.clone()).drawn(&times);
            prop_assert!((mean - plain_mean(&drawn)).abs() < 1e-9);
            let median = Sample::median(values).drawn(&times);
            prop_assert!((median - plain_median(drawn)).abs() < 1e-9);
        }
    }

    #[test]
    fn the_interval_of_a_coin_is_the_binomial_one() {
        // 100 tosses, half of them heads: 1.96 · √(0.25 / 100) either way.
        let coin = Sample::mean((0..100).map(|toss| (toss, f64::from(u8::from(toss % 2 == 0)))));
        let [low, high] = coin.interval().unwrap();
        assert!((low - 0.402).abs() < 0.011 && (high - 0.598).abs() < 0.011, "{low} {high}");
        assert_eq!(coin.interval(), coin.interval(), "the seed is fixed");
    }

    #[test]
    fn captions_of_one_photo_count_as_one() {
        let tosses = || (0..100).map(|toss| f64::from(u8::from(toss % 2 == 0)));
        let apart = Sample::mean(tosses().enumerate());
        let together =
            Sample::mean((0..500).map(|at| (at / 5, f64::from(u8::from((at / 5) % 2 == 0)))));
        assert_eq!(apart.interval(), together.interval());
    }

    #[test]
    fn a_difference_shared_by_all_groups_is_no_chance() {
        let noisy = |shift: f64| {
            Sample::mean((0..50).map(move |at| (at, f64::from(u8::try_from(at).unwrap()) + shift)))
        };
        let clear = noisy(1.0).less(&noisy(0.0)).unwrap();
        assert_eq!((clear.difference, clear.interval), (1.0, [1.0, 1.0]));
        assert!(clear.p < 0.001, "{clear:?}");
        let none = noisy(0.0).less(&noisy(0.0)).unwrap();
        assert_eq!((none.difference, none.p), (0.0, 1.0));
        let few = Sample::mean([(0, 1.0)]);
        assert_eq!(few.less(&noisy(0.0)), None);
    }

    #[test]
    fn nothing_has_no_interval() {
        let nothing = Sample::mean([]);
        assert_eq!((nothing.value(), nothing.interval()), (0.0, None));
        let nothing = Sample::median([]);
        assert_eq!((nothing.value(), nothing.interval()), (0.0, None));
    }

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(quantile(&values, 0.5), Some(50.0));
        assert_eq!(quantile(&values, 0.99), Some(99.0));
        assert_eq!(quantile(&values[..1], 0.99), Some(1.0));
        assert_eq!(quantile(&[], 0.5), None);
    }
}
