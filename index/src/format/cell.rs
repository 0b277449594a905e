//! A cell: one token's postings in one window of documents, in one of two forms.
//!
//! *Few* postings are their local ids. *Many* are one bit for each document of the window, followed by
//! two numbers for every block of 64 documents: how many postings are in the blocks before it, so that a
//! search can read any block at once, and the greatest impact in it, so that it knows which to read.
//! Impacts stand in a column of their own and rise with the document in both forms.

/// Documents in a block: the bits of a word.
pub(crate) const BLOCK: usize = 64;

/// More postings a block than these are *many*. From about there on, adding a cell as bits is faster than
/// adding its postings one by one.
const FEW_A_BLOCK: usize = 3;

/// The bits of one block, as the column of ids holds them: the first document in the lowest bit.
pub(crate) type BlockBits = [u16; 4];

/// The bits of a block as one word.
#[inline]
pub(crate) fn word(bits: BlockBits) -> u64 {
    u64::from_le_bytes(bytemuck::cast(bits.map(u16::to_le)))
}

/// Whether so many postings over `docs` documents are *many*: more than [`FEW_A_BLOCK`].
fn are_many(count: usize, docs: usize) -> bool {
    count > FEW_A_BLOCK * docs.div_ceil(BLOCK)
}

/// Values in the column of ids that `count` postings over `docs` documents take.
pub(crate) fn ids_len(count: usize, docs: usize) -> usize {
    let blocks = docs.div_ceil(BLOCK);
    if are_many(count, docs) { 5 * blocks + blocks.div_ceil(2) } else { count }
}

/// One token's postings in one window.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cell<'a> {
    /// Local ids, rising, and the impact of each.
    Few { ids: &'a [u16], impacts: &'a [u8] },
    /// One bit a document; for each block the postings before it and its greatest impact. `impacts`
    /// begins with those of this cell and runs on to the end of the column, so that 64 of them can be
    /// loaded at once.
    Many { bits: &'a [BlockBits], before: &'a [u16], maxima: &'a [u8], impacts: &'a [u8] },
}

impl<'a> Cell<'a> {
    /// The cell of `count` postings over `docs` documents whose part of the column of ids is `ids`.
    /// `impacts` runs from the cell's first to the end of the column.
    #[inline]
    pub(super) fn new(ids: &'a [u16], impacts: &'a [u8], count: usize, docs: usize) -> Self {
        if !are_many(count, docs) {
            return Self::Few { ids, impacts: &impacts[..count] };
        }
        let blocks = docs.div_ceil(BLOCK);
        // Lengths were checked when the file was opened.
        let (bits, rest) = ids.split_at(4 * blocks);
        let (before, maxima) = rest.split_at(blocks);
        let maxima: &[u8] = bytemuck::cast_slice(maxima);
        Self::Many { bits: bits.as_chunks().0, before, maxima: &maxima[..blocks], impacts }
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

    /// The impact of the cell's `at`-th posting, if it is that of document `local`.
    pub(crate) fn impact_at(self, at: usize, local: u16) -> Option<u8> {
        match self {
            Self::Few { ids, impacts } => (ids.get(at) == Some(&local)).then(|| impacts[at]),
            Self::Many { bits, before, impacts, .. } => {
                let (block, bit) = (usize::from(local) / BLOCK, 1_u64 << (local % 64));
                let bits = word(*bits.get(block)?);
                let place = usize::from(before[block]) + (bits & (bit - 1)).count_ones() as usize;
                (bits & bit != 0 && place == at).then(|| impacts.get(at).copied())?
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
    if !are_many(ids.len(), docs) {
        out.extend_from_slice(ids);
        return;
    }
    let blocks = docs.div_ceil(BLOCK);
    let start = out.len();
    out.resize(start + ids_len(ids.len(), docs), 0);
    let (bits, rest) = out[start..].split_at_mut(4 * blocks);
    let (before, maxima) = rest.split_at_mut(blocks);
    let maxima: &mut [u8] = bytemuck::cast_slice_mut(maxima);
    for (id, impact) in ids.iter().zip(impacts) {
        let id = usize::from(*id);
        bits[id / 16] |= 1 << (id % 16);
        maxima[id / BLOCK] = maxima[id / BLOCK].max(*impact);
    }
    let mut sum = 0;
    for (before, bits) in before.iter_mut().zip(bits.as_chunks().0) {
        // A window has at most 2^14 documents.
        *before = u16::try_from(sum).unwrap_or(u16::MAX);
        sum += word(*bits).count_ones();
    }
}
