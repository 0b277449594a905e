//! A cell: one token's postings in one window of documents, in the smaller of two forms.
//!
//! *Few* postings are their local ids. *Many* are one bit for each document of the window, followed by
//! the greatest impact in every block of 64 documents, by which a search passes over blocks. Impacts
//! stand in a column of their own and rise with the document in both forms.

/// Documents in a block: the bits of a word.
pub(crate) const BLOCK: usize = 64;

/// The bits of one block, as the column of ids holds them: the first document in the lowest bit.
pub(crate) type BlockBits = [u16; 4];

/// The bits of a block as one word.
#[inline]
pub(crate) fn word(bits: BlockBits) -> u64 {
    u64::from_le_bytes(bytemuck::cast(bits.map(u16::to_le)))
}

/// Values in the column of ids that *many* postings over `docs` documents take.
pub(crate) fn many_len(docs: usize) -> usize {
    let blocks = docs.div_ceil(BLOCK);
    blocks * size_of::<BlockBits>() / 2 + blocks.div_ceil(2)
}

/// One token's postings in one window.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cell<'a> {
    /// Local ids, rising, and the impact of each.
    Few { ids: &'a [u16], impacts: &'a [u8] },
    /// One bit a document, and the greatest impact of each block. `impacts` begins with those of this
    /// cell and runs on to the end of the column, so that 64 of them can be loaded at once.
    Many { bits: &'a [BlockBits], maxima: &'a [u8], impacts: &'a [u8] },
}

impl<'a> Cell<'a> {
    /// The cell of `count` postings over `docs` documents whose part of the column of ids is `ids`.
    /// `impacts` runs from the cell's first to the end of the column.
    #[inline]
    pub(super) fn new(ids: &'a [u16], impacts: &'a [u8], count: usize, docs: usize) -> Self {
        if ids.len() == count {
            return Self::Few { ids, impacts: &impacts[..count] };
        }
        let blocks = docs.div_ceil(BLOCK);
        // Lengths were checked when the file was opened.
        let (bits, maxima) = ids.split_at(4 * blocks);
        let maxima: &[u8] = bytemuck::cast_slice(maxima);
        Self::Many { bits: bits.as_chunks().0, maxima: &maxima[..blocks], impacts }
    }

    /// Local id and impact of every posting, by rising id.
    pub(crate) fn postings(self) -> Postings<'a> {
        match self {
            Self::Few { ids, impacts } => Postings { ids, impacts, bits: &[], word: 0, base: 0 },
            Self::Many { bits, impacts, .. } => {
                Postings { ids: &[], impacts, bits, word: 0, base: 0 }
            }
        }
    }

    /// The impact of the cell's `at`-th posting, if it is that of document `local`. Of *many* it is
    /// known only that the document is there: who asks for all documents in order, and finds as
    /// many as there are, has seen each at its place.
    pub(crate) fn impact_at(self, at: usize, local: u16) -> Option<u8> {
        match self {
            Self::Few { ids, impacts } => (ids.get(at) == Some(&local)).then(|| impacts[at]),
            Self::Many { bits, impacts, .. } => {
                let bits = word(*bits.get(usize::from(local) / BLOCK)?);
                (bits >> (local % 64) & 1 == 1).then(|| impacts.get(at).copied())?
            }
        }
    }
}

/// See [`Cell::postings`].
pub(crate) struct Postings<'a> {
    ids: &'a [u16],
    impacts: &'a [u8],
    bits: &'a [BlockBits],
    /// What is left of the block that is being read; its first document is `base - 64`.
    word: u64,
    base: u32,
}

impl Iterator for Postings<'_> {
    type Item = (u16, u8);

    fn next(&mut self) -> Option<(u16, u8)> {
        if let Some((id, ids)) = self.ids.split_first() {
            let (impact, impacts) = self.impacts.split_first()?;
            (self.ids, self.impacts) = (ids, impacts);
            return Some((*id, *impact));
        }
        while self.word == 0 {
            let (bits, rest) = self.bits.split_first()?;
            (self.word, self.bits) = (word(*bits), rest);
            self.base += 64;
        }
        let id = self.base - 64 + self.word.trailing_zeros();
        self.word &= self.word - 1;
        let (impact, impacts) = self.impacts.split_first()?;
        self.impacts = impacts;
        Some((u16::try_from(id).ok()?, *impact))
    }
}

/// Appends a cell to the column of ids: the postings of a window of `docs` documents, by rising
/// local id.
pub(super) fn encode(ids: &[u16], impacts: &[u8], docs: usize, out: &mut Vec<u16>) {
    if ids.len() <= many_len(docs) {
        out.extend_from_slice(ids);
        return;
    }
    let blocks = docs.div_ceil(BLOCK);
    let start = out.len();
    out.resize(start + many_len(docs), 0);
    let (bits, maxima) = out[start..].split_at_mut(4 * blocks);
    let maxima: &mut [u8] = bytemuck::cast_slice_mut(maxima);
    for (id, impact) in ids.iter().zip(impacts) {
        let id = usize::from(*id);
        bits[id / 16] |= 1 << (id % 16);
        maxima[id / BLOCK] = maxima[id / BLOCK].max(*impact);
    }
}
