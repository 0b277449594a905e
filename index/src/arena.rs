//! The vectors of a segment that is still being filled, and their inversion.

use crate::format::forward::{Documents, Entries};
use crate::format::inverted::{Lists, Visit, WriteError};
use crate::order;
use crate::vector::SparseVector;

/// Vectors in the order of their documents, as columns.
#[derive(Default)]
pub(crate) struct Arena {
    tokens: Vec<u16>,
    impacts: Vec<u8>,
    /// As long as `tokens`; 0 where a document has no patches.
    patches: Vec<u8>,
    docs: Vec<Doc>,
}

#[derive(Clone, Copy)]
struct Doc {
    /// Where the document's entries end.
    end: usize,
    with_patches: bool,
}

impl Arena {
    pub(crate) fn add(&mut self, vector: &SparseVector) {
        self.tokens.extend_from_slice(vector.tokens());
        self.impacts.extend_from_slice(vector.impacts());
        self.patches.extend_from_slice(vector.patches().unwrap_or(&[]));
        self.patches.resize(self.tokens.len(), 0);
        let with_patches = vector.patches().is_some();
        self.docs.push(Doc { end: self.tokens.len(), with_patches });
    }

    /// Memory held, and that which ordering and [`Arena::invert`] will take on top.
    pub(crate) fn bytes(&self) -> usize {
        let columns =
            2 * self.tokens.capacity() + self.impacts.capacity() + self.patches.capacity();
        let inverted = (size_of::<u32>() + 1) * self.tokens.len();
        let ordered = order::BYTES * self.docs.len();
        columns + inverted + ordered + size_of::<Doc>() * self.docs.capacity()
    }

    fn document(&self, doc: usize) -> Entries<'_> {
        let start = doc.checked_sub(1).map_or(0, |before| self.docs[before].end);
        let Doc { end, with_patches } = self.docs[doc];
        Entries {
            tokens: &self.tokens[start..end],
            impacts: &self.impacts[start..end],
            patches: with_patches.then(|| &self.patches[start..end]),
        }
    }

    /// Sorts all postings by token, then by the document's place in `order`, in one pass that counts
    /// and one that places them.
    pub(crate) fn invert(&self, order: &[u32]) -> InvertedArena {
        let mut ends = vec![0_usize; 1 << 16];
        self.tokens.iter().for_each(|token| ends[usize::from(*token)] += 1);
        let mut sum = 0;
        for end in &mut ends {
            sum += std::mem::replace(end, sum);
        }
        let mut places = vec![0_u32; sum];
        let mut impacts = vec![0_u8; sum];
        for (place, doc) in (0_u32..).zip(order) {
            let entries = self.document(*doc as usize);
            for (token, impact) in entries.tokens.iter().zip(entries.impacts) {
                let end = &mut ends[usize::from(*token)];
                places[*end] = place;
                impacts[*end] = *impact;
                *end += 1;
            }
        }
        InvertedArena { ends, places, impacts }
    }
}

impl Documents for Arena {
    fn visit(
        &self,
        visit: &mut dyn FnMut(Entries<'_>) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        (0..self.docs.len()).try_for_each(|doc| visit(self.document(doc)))
    }
}

/// The arena's postings by token, then by place.
pub(crate) struct InvertedArena {
    /// Where each token's list ends.
    ends: Vec<usize>,
    places: Vec<u32>,
    impacts: Vec<u8>,
}

impl Lists for InvertedArena {
    fn visit(&self, visit: &mut Visit<'_>) -> Result<(), WriteError> {
        let mut start = 0;
        for (token, &end) in (0..=u16::MAX).zip(&self.ends) {
            if start < end {
                visit(token, &self.places[start..end], &self.impacts[start..end])?;
            }
            start = end;
        }
        Ok(())
    }
}
