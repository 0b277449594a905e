//! What is a ranking worth? One query's measures, named as in `trec_eval`.

/// Places from which on a hit is hardly seen: precision is taken of the first so many.
pub(crate) const PAGE: usize = 10;

/// Places that average precision reads, as `trec_eval` does by default.
pub(crate) const DEPTH: usize = 1000;

/// The place of the first right answer, from 1.
pub(crate) fn first_right(ranking: &[usize], is_right: impl Fn(usize) -> bool) -> Option<usize> {
    ranking.iter().position(|&at| is_right(at)).map(|position| position + 1)
}

/// 100 if the first right answer is among the first `k`, else 0 (`Success@k`).
pub(crate) fn success(rank: Option<usize>, k: usize) -> f64 {
    if rank.is_some_and(|rank| rank <= k) { 100.0 } else { 0.0 }
}

/// 100 ÷ the first right answer's rank; 0 beyond the first [`PAGE`] (`RR@10`).
pub(crate) fn reciprocal_rank(rank: Option<usize>) -> f64 {
    rank.filter(|&rank| rank <= PAGE).map_or(0.0, |rank| percent(1, rank))
}

/// The share of the first [`PAGE`] places, in percent, that hold what is sought; places that nothing
/// fills do not (`P@10`).
pub(crate) fn page_share(ranking: &[usize], is_sought: impl Fn(usize) -> bool) -> f64 {
    percent(ranking.iter().take(PAGE).filter(|&&at| is_sought(at)).count(), PAGE)
}

/// The mean over all `right` answers (rising) of the precision at the place where each is found, in
/// percent; 0 for one that is not among the first [`DEPTH`] (`AP`).
pub(crate) fn average_precision(ranking: &[usize], right: &[usize]) -> f64 {
    let (mut found, mut sum) = (0, 0.0);
    for (place, at) in (1..=DEPTH).zip(ranking) {
        if right.binary_search(at).is_ok() {
            found += 1;
            sum += percent(found, place);
        }
    }
    sum * mean(1, right.len())
}

/// `part` of `whole` in percent; 0 of nothing.
pub(crate) fn percent(part: usize, whole: usize) -> f64 {
    100.0 * mean(part, whole)
}

/// `total ÷ count`; 0 for nothing.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) fn mean(total: usize, count: usize) -> f64 {
    if count == 0 { 0.0 } else { total as f64 / count as f64 }
}

/// To two decimals, as figures are shown.
pub(crate) fn hundredths(figure: f64) -> f64 {
    (figure * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Rankings of some of 1,500 photos, and some of them that are right.
    fn rankings() -> impl Strategy<Value = (Vec<usize>, Vec<usize>)> {
        let photos: Vec<usize> = (0..1500).collect();
        let ranking = Just(photos)
            .prop_shuffle()
            .prop_flat_map(|photos| (0..=photos.len()).prop_map(move |len| photos[..len].to_vec()));
        let right = proptest::collection::btree_set(0usize..1500, 1..60);
        (ranking, right.prop_map(|right: BTreeSet<_>| right.into_iter().collect()))
    }

    proptest! {
        #[test]
        fn measures_are_those_of_their_definitions((ranking, right) in rankings()) {
            let is_right = |place: usize| ranking.get(place).is_some_and(|at| right.contains(at));
            let right_until = |places: usize| (0..places).filter(|&place| is_right(place)).count();
            let first = (0..ranking.len()).find(|&place| is_right(place)).map(|place| place + 1);
            prop_assert_eq!(first_right(&ranking, |at| right.contains(&at)), first);
            for k in [1, 5, 10] {
                let found = if right_until(k) > 0 { 100.0 } else { 0.0 };
                prop_assert!((success(first, k) - found).abs() < 1e-9);
            }
            let expected = percent(right_until(10), 10);
            prop_assert!((page_share(&ranking, |at| right.contains(&at)) - expected).abs() < 1e-9);
            let precisions: f64 = (0..1000)
                .filter(|&place| is_right(place))
                .map(|place| percent(right_until(place + 1), place + 1))
                .sum();
            let expected = precisions / f64::from(u32::try_from(right.len()).unwrap());
            prop_assert!((average_precision(&ranking, &right) - expected).abs() < 1e-9);
        }
    }

    #[test]
    fn the_reciprocal_rank_ends_at_the_tenth_place() {
        let ranks =
            [(Some(1), 100.0), (Some(4), 25.0), (Some(10), 10.0), (Some(11), 0.0), (None, 0.0)];
        for (rank, expected) in ranks {
            assert!((reciprocal_rank(rank) - expected).abs() < 1e-9, "{rank:?}");
        }
    }
}
