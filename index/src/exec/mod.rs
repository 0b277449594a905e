//! How are the best documents of a segment found, exactly?
//!
//! | file | holds |
//! | --- | --- |
//! | [`exhaustive`] | scores every document from the forward file. Slow, obvious: the oracle |
//! | [`windowed`] | adds up postings window by window. The default |
//! | [`simd`] | the inner loop of `windowed`, for the processor at hand |
//! | [`top`] | where what they find goes |
//! | [`kth`] | the score that a hit needs, once there are enough |
//!
//! Both give the same hits and counts, to the last bit. They know no tantivy: a [`Job`] is all.

#[cfg(test)]
mod damage;
pub(crate) mod exhaustive;
mod kth;
#[allow(unsafe_code, reason = "instructions that a processor may not have")]
pub(crate) mod simd;
#[cfg(test)]
mod tests;
pub(crate) mod top;
pub(crate) mod windowed;

use std::ops::Range;

use crate::format::cell::BLOCK;
use crate::format::forward::Forward;
use crate::format::inverted::Inverted;
use crate::query::SparseQuery;
use crate::vector::TokenId;

/// What to do in one segment.
pub(crate) struct Job<'a> {
    pub(crate) query: &'a SparseQuery,
    /// The query's terms, the heaviest first: what is left to add soon decides nothing.
    pub(crate) terms: &'a [(TokenId, u8)],
    pub(crate) inverted: &'a Inverted,
    pub(crate) forward: &'a Forward,
    /// The least score that counts as a match, at least 1.
    pub(crate) floor: u32,
    /// Whether all matches are to be counted, or only those found that the sink wants.
    pub(crate) counting: bool,
    /// One bit a document, by its place in the inverted file; `None` allows all. Both together decide
    /// who takes part at all.
    pub(crate) alive: Option<&'a [u64]>,
    pub(crate) filter: Option<&'a [u64]>,
}

impl Job<'_> {
    /// The least score that is still of use.
    fn needed(&self, sink: &dyn Sink) -> u32 {
        if self.counting { self.floor } else { self.floor.max(sink.least()) }
    }

    /// Whether every document takes part.
    fn takes_all(&self) -> bool {
        self.alive.is_none() && self.filter.is_none()
    }

    /// Whether any document of these words does.
    fn takes_any(&self, mut words: Range<usize>) -> bool {
        words.any(|word| self.allowed(word) != 0)
    }

    /// The documents of one 64-document word that take part.
    fn allowed(&self, word: usize) -> u64 {
        let alive = self.alive.map_or(u64::MAX, |bits| bits[word]);
        self.filter.map_or(alive, |bits| alive & bits[word])
    }
}

/// Documents at or above the floor that take part. Both are exact only if the job counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Those that no exclusion removes.
    pub(crate) matched: u64,
    /// Those that one removes.
    pub(crate) excluded: u64,
}

/// Takes matching documents, in any order.
pub(crate) trait Sink {
    /// The least score that may still change the outcome. Lower ones need not be offered; equal ones
    /// must be, since ties are the sink's to break.
    fn least(&self) -> u32;

    /// A matching document.
    fn offer(&mut self, doc: u32, score: u32);

    /// The matching documents of a block, as bits.
    fn offer_block(&mut self, docs: &[u32], mut found: u64, scores: &[u32; BLOCK]) {
        while found != 0 {
            let at = found.trailing_zeros() as usize;
            found &= found - 1;
            if scores[at] >= self.least() {
                self.offer(docs[at], scores[at]);
            }
        }
    }
}
