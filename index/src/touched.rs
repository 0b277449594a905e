//! Which of many things were looked at already, by any thread.

use std::sync::atomic::{AtomicU64, Ordering};

/// A fixed set of numbers that only grows. Threads may do the same work twice, never skip it.
///
/// The bit guards nothing but its own meaning ("this was verified"): the bytes behind it never
/// change, so relaxed order is enough.
pub(crate) struct Touched {
    words: Box<[AtomicU64]>,
}

impl Touched {
    pub(crate) fn new(len: usize) -> Self {
        Self { words: (0..len.div_ceil(64)).map(|_| AtomicU64::new(0)).collect() }
    }

    pub(crate) fn contains(&self, at: usize) -> bool {
        self.words[at / 64].load(Ordering::Relaxed) >> (at % 64) & 1 == 1
    }

    pub(crate) fn insert(&self, at: usize) {
        self.words[at / 64].fetch_or(1 << (at % 64), Ordering::Relaxed);
    }
}
