//! Where each sequence of a batch begins and ends.

use std::ops::Range;
use std::sync::Arc;

/// Sequences whose rows lie one after the other. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequences {
    /// One more than there are sequences, from 0 on.
    bounds: Arc<[usize]>,
}

impl Sequences {
    /// Sequences of these lengths.
    pub fn new(lengths: impl IntoIterator<Item = usize>) -> Self {
        let ends = lengths.into_iter().scan(0, |end, length| {
            *end += length;
            Some(*end)
        });
        Self { bounds: std::iter::once(0).chain(ends).collect() }
    }

    /// `count` sequences of one length.
    #[must_use]
    pub fn equal(count: usize, length: usize) -> Self {
        Self::new(std::iter::repeat_n(length, count))
    }

    /// The number of sequences.
    #[must_use]
    pub fn count(&self) -> usize {
        self.bounds.len() - 1
    }

    /// Rows of all sequences together.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.bounds.last().copied().unwrap_or_default()
    }

    /// The rows of each sequence, in order.
    pub fn ranges(&self) -> impl ExactSizeIterator<Item = Range<usize>> {
        self.bounds.windows(2).map(|bounds| bounds[0]..bounds[1])
    }

    /// The length of all, if it is the same.
    #[must_use]
    pub fn common_length(&self) -> Option<usize> {
        let length = self.ranges().next()?.len();
        self.ranges().all(|rows| rows.len() == length).then_some(length)
    }

    /// Whether one has no rows.
    #[must_use]
    pub fn has_empty(&self) -> bool {
        self.ranges().any(|rows| rows.is_empty())
    }

    /// The rows of each sequence as a slice that may be written, `width` floats a row.
    pub(super) fn split<'a>(&self, mut values: &'a mut [f32], width: usize) -> Vec<&'a mut [f32]> {
        let mut parts = Vec::with_capacity(self.count());
        for range in self.ranges() {
            let (part, rest) = values.split_at_mut(range.len() * width);
            parts.push(part);
            values = rest;
        }
        parts
    }
}
