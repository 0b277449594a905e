//! Where matches go: the best k, a rank, or a plain list.

use std::cmp::Ordering;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use tantivy::DocAddress;
use tantivy::columnar::Column;

use super::Sink;
use super::kth::KthGreatest;

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
    limit: Option<Limit>,
    /// The hits that were of use when they came.
    candidates: Vec<Candidate>,
    /// The worst score that is of use to any thread. It only rises, and an old value only costs work, so
    /// relaxed order is enough.
    least: &'a AtomicU32,
}

/// How many hits are kept, and what they need.
struct Limit {
    hits: usize,
    /// Of as many scores as hits.
    scores: KthGreatest,
    /// How many candidates make it worth to drop those that are no longer of use.
    room: usize,
}

/// A hit whose key was not looked up: most candidates are not among the best in the end.
#[derive(Clone, Copy)]
struct Candidate {
    score: u32,
    address: DocAddress,
}

/// The candidates that always have room.
const ROOM: usize = 64;

impl<'a> Top<'a> {
    /// Keeps the best `k` after the first `offset`; all after it for k = 0. `least`, at first 0, is
    /// shared by the threads of a search.
    pub(crate) fn new(k: usize, offset: usize, least: &'a AtomicU32) -> Self {
        let hits = k.saturating_add(offset);
        let limit = (k > 0).then(|| Limit { hits, scores: KthGreatest::new(hits), room: ROOM });
        Self { limit, candidates: Vec::with_capacity(ROOM), least }
    }

    /// Takes in what another thread has kept.
    pub(crate) fn absorb(&mut self, other: Self) {
        other.candidates.into_iter().for_each(|hit| self.push(hit));
    }

    /// The hits from best to worst, without the first `offset`.
    pub(crate) fn into_hits(
        mut self,
        offset: usize,
        key: impl Fn(DocAddress) -> u64,
    ) -> Vec<ScoredDoc> {
        self.drop_useless();
        let with_key =
            |Candidate { score, address }| ScoredDoc { score, key: key(address), address };
        let mut hits: Vec<_> = self.candidates.into_iter().map(with_key).collect();
        hits.sort_unstable_by(|a, b| b.cmp(a));
        hits.truncate(self.limit.map_or(usize::MAX, |limit| limit.hits));
        hits.drain(..offset.min(hits.len()));
        hits
    }

    #[inline]
    fn push(&mut self, hit: Candidate) {
        self.candidates.push(hit);
        let Some(limit) = &mut self.limit else { return };
        let least = limit.scores.insert(hit.score);
        if least > self.least.load(Relaxed) {
            self.least.fetch_max(least, Relaxed);
        }
        if self.candidates.len() > limit.room {
            self.drop_useless();
        }
    }

    fn drop_useless(&mut self) {
        let least = self.least.load(Relaxed);
        self.candidates.retain(|hit| hit.score >= least);
        if let Some(limit) = &mut self.limit {
            // So that dropping takes no more time than keeping.
            limit.room = ROOM.max(2 * self.candidates.len());
        }
    }
}

/// [`Top`] within one segment.
pub(crate) struct SegmentTop<'a, 't> {
    pub(crate) top: &'a mut Top<'t>,
    pub(crate) segment: u32,
}

impl Sink for SegmentTop<'_, '_> {
    fn least(&self) -> u32 {
        self.top.least.load(Relaxed)
    }

    fn offer(&mut self, doc: u32, score: u32) {
        self.top.push(Candidate { score, address: DocAddress::new(self.segment, doc) });
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

/// Keeps every match of one segment.
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
            scores in proptest::collection::vec(1_u32..6, 0..400),
            k in prop_oneof![0_usize..20, 50_usize..90],
            offset in 0_usize..20,
        ) {
            let key = |address: DocAddress| u64::from(address.doc_id * 37 % 101);
            let address = |doc| DocAddress::new(0, doc);
            let least = AtomicU32::new(0);
            let (mut top, mut other) = (Top::new(k, offset, &least), Top::new(k, offset, &least));
            let mut slow = Vec::new();
            for (doc, &score) in (0_u32..).zip(&scores) {
                let hit = ScoredDoc { score, key: key(address(doc)), address: address(doc) };
                let part = if hit.key % 2 == 1 { &mut top } else { &mut other };
                SegmentTop { top: part, segment: 0 }.offer(doc, score);
                slow.push(hit);
            }
            top.absorb(other);
            slow.sort_by(|a, b| b.cmp(a));
            let wanted = if k == 0 { usize::MAX } else { k };
            let slow: Vec<_> = slow.into_iter().skip(offset).take(wanted).collect();
            prop_assert_eq!(top.into_hits(offset, key), slow);
        }
    }
}
