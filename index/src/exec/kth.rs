//! The k-th greatest of the scores so far.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Up to here, going through all scores for each new one is faster than a heap, whose steps a processor
/// cannot foresee.
const MOST_IN_A_ROW: usize = 32;

/// The `k` greatest of the scores that it was shown.
pub(super) enum KthGreatest {
    /// By falling score; 0 in the places of those still to come.
    Row(Vec<u32>),
    /// The least on top.
    Heap { k: usize, heap: BinaryHeap<Reverse<u32>> },
}

impl KthGreatest {
    /// Of nothing so far. `k` is at least 1.
    pub(super) fn new(k: usize) -> Self {
        if k <= MOST_IN_A_ROW {
            return Self::Row(vec![0; k]);
        }
        Self::Heap { k, heap: BinaryHeap::new() }
    }

    /// Takes in one more score and gives the k-th greatest; 0 if there are not as many.
    #[inline]
    pub(super) fn insert(&mut self, mut score: u32) -> u32 {
        match self {
            Self::Row(row) => {
                for kept in &mut *row {
                    (*kept, score) = ((*kept).max(score), (*kept).min(score));
                }
                row.last().copied().unwrap_or(0)
            }
            Self::Heap { k, heap } => {
                if heap.len() < *k {
                    heap.push(Reverse(score));
                } else if let Some(mut least) = heap.peek_mut().filter(|least| score > least.0) {
                    least.0 = score;
                }
                heap.peek().filter(|_| heap.len() == *k).map_or(0, |least| least.0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_what_sorting_gives(
            scores in proptest::collection::vec(1_u32..50, 0..200),
            k in prop_oneof![1_usize..4, 30_usize..40],
        ) {
            let mut greatest = KthGreatest::new(k);
            for seen in 1..=scores.len() {
                let mut sorted = scores[..seen].to_vec();
                sorted.sort_unstable_by_key(|score| Reverse(*score));
                let wanted = sorted.get(k - 1).copied().unwrap_or(0);
                prop_assert_eq!(greatest.insert(scores[seen - 1]), wanted);
            }
        }
    }
}
