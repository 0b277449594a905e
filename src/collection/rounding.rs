//! Decimals that add up: the parts shown of a score sum to the score shown.

/// The score in hundredths, and each part in hundredths: they add up exactly.
///
/// `parts` are whole numbers whose sum is the score; shown is `part / unit`. Every part is rounded
/// down or up to a neighbouring hundredth; those with the largest remainders go up (Hamilton's
/// method), ties to the first.
pub(crate) fn hundredths(parts: &[u32], unit: f64) -> (i64, Vec<i64>) {
    let whole: u64 = parts.iter().map(|&part| u64::from(part)).sum();
    #[expect(clippy::cast_precision_loss, reason = "a score is below 2^32")]
    let total = to_whole((whole as f64 * 100.0 / unit).round());
    let exact: Vec<f64> = parts.iter().map(|&part| f64::from(part) * 100.0 / unit).collect();
    let mut shown: Vec<i64> = exact.iter().map(|part| to_whole(part.floor())).collect();
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by(|&a, &b| (exact[b] - exact[b].floor()).total_cmp(&(exact[a] - exact[a].floor())));
    // At most one hundredth a part is missing, as each was rounded down by less than one.
    let missing = total - shown.iter().sum::<i64>();
    let missing = usize::try_from(missing).unwrap_or(0);
    for &part in order.iter().take(missing) {
        shown[part] += 1;
    }
    (total, shown)
}

/// Hundredths as a number with two decimals.
#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
pub(crate) fn from_hundredths(hundredths: i64) -> f64 {
    hundredths as f64 / 100.0
}

#[expect(clippy::cast_possible_truncation, reason = "scores are far below 2^53 hundredths")]
fn to_whole(number: f64) -> i64 {
    number as i64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parts_shown_add_up_to_the_score_shown_and_are_off_by_less_than_a_hundredth(
            parts in proptest::collection::vec(1u32..=255 * 255, 0..80),
            scales in (0.5f32..64.0, 16f32..128.0),
        ) {
            let unit = f64::from(scales.0) * f64::from(scales.1);
            let (total, shown) = hundredths(&parts, unit);
            prop_assert_eq!(shown.iter().sum::<i64>(), total);
            for (part, shown) in parts.iter().zip(shown) {
                prop_assert!((f64::from(*part) / unit - from_hundredths(shown)).abs() < 0.01 + 1e-9);
            }
        }
    }

    #[test]
    fn the_largest_remainder_goes_up() {
        // 3.334, 3.333 and 3.333 make 10.00.
        assert_eq!(hundredths(&[3334, 3333, 3333], 1000.0), (1000, vec![334, 333, 333]));
        assert_eq!(hundredths(&[], 1.0), (0, vec![]));
    }
}
