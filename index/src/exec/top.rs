//! Where matches go: the best k, a rank, or a plain list.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use tantivy::DocAddress;
use tantivy::columnar::Column;

use super::Sink;

/// A hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScoredDoc {
    /// `Σ weight · impact`, at least 1.
    pub score: u32,
    /// The document's value of the key field.
    pub key: u64,
    /// Where the document is in the searcher.
    pub address: DocAddress,
}

impl Ord for ScoredDoc {
    /// Better is greater: by score, then by *smaller* key. Keys are unique; should two be the same,
    /// the address decides, so that the order is one in any case.
    fn cmp(&self, other: &Self) -> Ordering {
        let ties = || (other.key, other.address).cmp(&(self.key, self.address));
        self.score.cmp(&other.score).then_with(ties)
    }
}

impl PartialOrd for ScoredDoc {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The key of a document. Every document has one: this was checked when the searcher was opened.
pub(crate) fn key_of(keys: &Column<u64>, doc: u32) -> u64 {
    keys.values.get_val(doc)
}

/// The best so far of all segments that a thread has searched.
pub(crate) struct Top<'a> {
    /// `None` keeps all.
    limit: Option<usize>,
    /// The worst of the kept on top.
    heap: BinaryHeap<Reverse<ScoredDoc>>,
    /// The worst of the kept of any thread that has enough: below it nothing is of use to anyone. It
    /// only rises, and an old value only costs work, so relaxed order is enough.
    least: &'a AtomicU32,
}

impl<'a> Top<'a> {
    /// Keeps the best `k` after the first `offset`; all after it for k = 0. `least`, at first 0, is
    /// shared by the threads of a search.
    pub(crate) fn new(k: usize, offset: usize, least: &'a AtomicU32) -> Self {
        let limit = (k > 0).then(|| k.saturating_add(offset));
        Self { limit, heap: BinaryHeap::new(), least }
    }

    /// Takes in what another thread has kept.
    pub(crate) fn absorb(&mut self, other: Self) {
        other.heap.into_iter().for_each(|Reverse(hit)| self.push(hit));
    }

    /// The hits from best to worst, without the first `offset`.
    pub(crate) fn into_hits(self, offset: usize) -> Vec<ScoredDoc> {
        let sorted = self.heap.into_sorted_vec();
        sorted.into_iter().skip(offset).map(|Reverse(hit)| hit).collect()
    }

    fn is_full(&self) -> bool {
        self.limit.is_some_and(|limit| self.heap.len() >= limit)
    }

    fn push(&mut self, hit: ScoredDoc) {
        if !self.is_full() {
            self.heap.push(Reverse(hit));
        } else if let Some(mut worst) = self.heap.peek_mut().filter(|worst| hit > worst.0) {
            worst.0 = hit;
        }
        if let (true, Some(Reverse(worst))) = (self.is_full(), self.heap.peek()) {
            self.least.fetch_max(worst.score, Relaxed);
        }
    }
}

/// [`Top`] within one segment.
pub(crate) struct SegmentTop<'a, 't> {
    pub(crate) top: &'a mut Top<'t>,
    pub(crate) segment: u32,
    pub(crate) keys: &'a Column<u64>,
}

impl Sink for SegmentTop<'_, '_> {
    fn least(&self) -> u32 {
        self.top.least.load(Relaxed)
    }

    fn offer(&mut self, doc: u32, score: u32) {
        let address = DocAddress::new(self.segment, doc);
        self.top.push(ScoredDoc { score, key: key_of(self.keys, doc), address });
    }
}

/// Counts the documents that stand before one.
pub(crate) struct Better<'a> {
    pub(crate) than: ScoredDoc,
    pub(crate) segment: u32,
    pub(crate) keys: &'a Column<u64>,
    pub(crate) count: &'a mut u64,
}

impl Sink for Better<'_> {
    fn least(&self) -> u32 {
        self.than.score
    }

    fn offer(&mut self, doc: u32, score: u32) {
        let address = DocAddress::new(self.segment, doc);
        let hit = ScoredDoc { score, key: key_of(self.keys, doc), address };
        *self.count += u64::from(hit > self.than);
    }
}

/// Keeps every match of one segment, by rising document.
#[derive(Default)]
pub(crate) struct All {
    pub(crate) found: Vec<(u32, u32)>,
}

impl Sink for All {
    fn least(&self) -> u32 {
        0
    }

    fn offer(&mut self, doc: u32, score: u32) {
        self.found.push((doc, score));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_top_k_equals_sort_and_cut(
            scores in proptest::collection::vec(1_u32..6, 0..100),
            k in 0_usize..20,
            offset in 0_usize..20,
        ) {
            let hits: Vec<_> = (0_u32..).zip(&scores).map(|(doc, &score)| ScoredDoc {
                score,
                key: u64::from(doc * 37 % 101),
                address: DocAddress::new(0, doc),
            }).collect();
            let least = AtomicU32::new(0);
            let (mut top, mut other) = (Top::new(k, offset, &least), Top::new(k, offset, &least));
            for hit in &hits {
                if hit.key % 2 == 1 { top.push(*hit) } else { other.push(*hit) }
            }
            top.absorb(other);
            let mut slow = hits;
            slow.sort_by(|a, b| b.cmp(a));
            let wanted = if k == 0 { usize::MAX } else { k };
            let slow: Vec<_> = slow.into_iter().skip(offset).take(wanted).collect();
            prop_assert_eq!(top.into_hits(offset), slow);
        }
    }
}
