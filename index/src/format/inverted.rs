//! The `.swx` file: for every token the documents that have it, with impacts.
//!
//! Documents stand in an order of this file's own ([`crate::order`]): each has a place. Places are cut
//! into windows of 2^14. A list is one run of postings, rising by place, cut into the cells of its windows
//! ([`super::cell`]). A search adds into an accumulator that stays in a fast cache, and decodes nothing.
//!
//! On open the structure is verified; a list's postings are when it is first read.

use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use tantivy::directory::OwnedBytes;

use super::cell::{self, BLOCK, Cell, ids_len};
use super::container::{Container, ContainerWriter, Facts, Kind};
use crate::error::{Fault, FileError};
use crate::touched::Touched;

/// The file's extension.
pub(crate) const EXTENSION: &str = "swx";
/// Windows of 16,384 documents: 64 KiB of accumulators. Smaller ones would fit a faster cache, but a
/// cell costs more than what is gained: its first postings are not in any cache.
pub(crate) const WINDOW_LOG2: u32 = 14;
/// The greatest window that a reader's accumulators hold.
pub(crate) const MAX_WINDOW: usize = 1 << WINDOW_LOG2;
/// A window is whole words of the bitsets that filter it.
const MIN_WINDOW_LOG2: u32 = 6;

const IDS: usize = 0;
const IMPACTS: usize = 1;
const TOKENS: usize = 2;
const STARTS: usize = 3;
const ID_STARTS: usize = 4;
const MAXIMA: usize = 5;
const WINDOW_MAXIMA: usize = 6;
const CHECKSUMS: usize = 7;
const ORDER: usize = 8;

static KIND: Kind = Kind {
    magic: *b"SWX\0\r\n\x1a\n",
    version: 3,
    sections: &[
        "ids",
        "impacts",
        "tokens",
        "starts",
        "id starts",
        "maxima",
        "window maxima",
        "checksums",
        "order",
    ],
};

fn list_crc(token: u16, ids: &[u16], impacts: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&token.to_le_bytes());
    crc.update(bytemuck::cast_slice(ids));
    crc.update(impacts);
    crc.finalize()
}

// --- writing -------------------------------------------------------------------------------------

/// Why a file could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A segment that is being merged is damaged.
    #[error(transparent)]
    Source(#[from] FileError),
    #[error("{postings} postings in one segment: at most 4,294,967,295 are possible")]
    TooMany { postings: u64 },
}

/// The lists to write, by rising token. It is walked twice, as ids and impacts are two columns.
pub(crate) trait Lists {
    /// Calls `visit(token, places, impacts)` for every list that is not empty.
    fn visit(&self, visit: &mut Visit<'_>) -> Result<(), WriteError>;
}

/// Takes one list: token, rising places of documents, their impacts.
pub(crate) type Visit<'a> = dyn FnMut(u16, &[u32], &[u8]) -> Result<(), WriteError> + 'a;

/// What is gathered while ids are written, and written after them.
#[derive(Default)]
struct Directory {
    tokens: Vec<u16>,
    starts: Vec<u32>,
    id_starts: Vec<u32>,
    maxima: Vec<u8>,
    window_maxima: Vec<u8>,
    checksums: Vec<u32>,
    postings: u64,
    /// Values in the column of ids. Never more than postings.
    ids: u64,
}

impl Directory {
    /// Notes one list and gives its part of the column of ids.
    fn add(
        &mut self,
        (token, docs, impacts): (u16, &[u32], &[u8]),
        windows: Windows,
        ids: &mut Vec<u16>,
    ) -> Result<(), WriteError> {
        ids.clear();
        let locals: Vec<_> = docs.iter().map(|doc| windows.local_id(*doc)).collect();
        let mut from = 0;
        for window in 0..windows.count() {
            let inside = |doc: &u32| windows.of(*doc) == window;
            let to = from + docs[from..].partition_point(inside);
            self.start(from, ids.len())?;
            let impacts = &impacts[from..to];
            cell::encode(&locals[from..to], impacts, windows.len(window), ids);
            self.window_maxima.push(impacts.iter().copied().max().unwrap_or(0));
            from = to;
        }
        self.tokens.push(token);
        self.maxima.push(impacts.iter().copied().max().unwrap_or(0));
        self.checksums.push(list_crc(token, ids, impacts));
        self.postings += docs.len() as u64;
        self.ids += ids.len() as u64;
        Ok(())
    }

    /// Notes where a cell starts, or where the last one ends.
    fn start(&mut self, postings: usize, ids: usize) -> Result<(), WriteError> {
        let postings = self.postings + postings as u64;
        let too_many = |_| WriteError::TooMany { postings };
        self.starts.push(u32::try_from(postings).map_err(too_many)?);
        self.id_starts.push(u32::try_from(self.ids + ids as u64).map_err(too_many)?);
        Ok(())
    }
}

/// Documents, cut into windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Windows {
    pub(crate) docs: u32,
    pub(crate) log2: u32,
}

impl Windows {
    pub(crate) fn count(self) -> usize {
        (self.docs as usize).div_ceil(1 << self.log2)
    }

    /// Documents in a window. Only the last one may have fewer than the others.
    pub(crate) fn len(self, window: usize) -> usize {
        (self.docs as usize - (window << self.log2)).min(1 << self.log2)
    }

    /// The first document of a window.
    pub(crate) fn first(self, window: usize) -> u32 {
        // A window that exists begins below `docs`.
        u32::try_from(window << self.log2).unwrap_or(u32::MAX)
    }

    /// The window that a document is in.
    pub(crate) fn of(self, doc: u32) -> usize {
        (doc >> self.log2) as usize
    }

    /// The document's number inside its window, which has at most 2^14 documents.
    pub(crate) fn local_id(self, doc: u32) -> u16 {
        u16::try_from(doc & ((1 << self.log2) - 1)).unwrap_or(u16::MAX)
    }
}

/// Writes the file for documents in this order over a vocabulary of `vocab` tokens.
pub(crate) fn write<W: Write>(
    out: W,
    order: &[u32],
    vocab: u32,
    window_log2: u32,
    lists: &impl Lists,
) -> Result<W, WriteError> {
    let docs = u32::try_from(order.len()).map_err(io::Error::other)?;
    let windows = Windows { docs, log2: window_log2 };
    let mut file = ContainerWriter::new(out, &KIND)?;
    let mut directory = Directory::default();
    let mut ids = Vec::new();
    file.section(|out| {
        lists.visit(&mut |token, docs, impacts| {
            directory.add((token, docs, impacts), windows, &mut ids)?;
            Ok(out.write(&ids)?)
        })
    })?;
    directory.start(0, 0)?;
    file.section(|out| lists.visit(&mut |_, _, impacts| Ok(out.write(impacts)?)))?;
    file.section(|out| out.write(&directory.tokens))?;
    file.section(|out| out.write(&directory.starts))?;
    file.section(|out| out.write(&directory.id_starts))?;
    file.section(|out| out.write(&directory.maxima))?;
    file.section(|out| out.write(&directory.window_maxima))?;
    file.section(|out| out.write(&directory.checksums))?;
    file.section(|out| out.write(order))?;
    let lists = u32::try_from(directory.tokens.len()).map_err(io::Error::other)?;
    let facts = Facts { docs, vocab, postings: directory.postings, lists, window_log2 };
    Ok(file.finish(facts)?)
}

// --- reading -------------------------------------------------------------------------------------

/// An opened inverted file.
pub(crate) struct Inverted {
    file: Container,
    lists: usize,
    windows: Windows,
    /// Where to look for a token's list: one group for each 64 tokens there could be.
    groups: Box<[Group]>,
    /// Lists whose checksum was verified.
    verified: Touched,
}

/// One token's postings, verified.
#[derive(Clone, Copy)]
pub(crate) struct List<'a> {
    windows: Windows,
    /// Where each cell starts in the columns of impacts and ids, and where the last one ends.
    starts: &'a [u32],
    id_starts: &'a [u32],
    /// Both columns, those of all lists.
    ids: &'a [u16],
    impacts: &'a [u8],
    maxima: &'a [u8],
}

/// The columns that lists are cut from, at hand for one after the other.
pub(crate) struct Columns<'a> {
    inverted: &'a Inverted,
    starts: &'a [u32],
    id_starts: &'a [u32],
    ids: &'a [u16],
    impacts: &'a [u8],
    window_maxima: &'a [u8],
}

impl<'a> Columns<'a> {
    /// See [`Inverted::list`].
    #[inline]
    pub(crate) fn list(&self, ordinal: usize) -> Result<List<'a>, FileError> {
        if !self.inverted.verified.contains(ordinal) {
            self.inverted.verify_list(ordinal)?;
            self.inverted.verified.insert(ordinal);
        }
        Ok(self.unverified(ordinal))
    }

    #[inline]
    fn unverified(&self, ordinal: usize) -> List<'a> {
        let windows = self.inverted.windows.count();
        let cells = ordinal * windows..(ordinal + 1) * windows;
        List {
            windows: self.inverted.windows,
            starts: &self.starts[cells.start..=cells.end],
            id_starts: &self.id_starts[cells.start..=cells.end],
            ids: self.ids,
            impacts: self.impacts,
            maxima: &self.window_maxima[cells],
        }
    }
}

impl<'a> List<'a> {
    /// The list's postings in one window.
    #[inline(always)]
    pub(crate) fn cell(&self, window: usize) -> Cell<'a> {
        let (from, to) = (self.starts[window] as usize, self.starts[window + 1] as usize);
        let (ids, ids_end) = (self.id_starts[window] as usize, self.id_starts[window + 1] as usize);
        let docs = self.windows.len(window);
        Cell::new(&self.ids[ids..ids_end], &self.impacts[from..], to - from, docs)
    }

    /// The greatest impact in one window, 0 when the token does not occur there.
    #[inline]
    pub(crate) fn window_maximum(&self, window: usize) -> u8 {
        self.maxima[window]
    }

    /// The impact of the `at`-th posting of the list, if it is that of the document at a place.
    pub(crate) fn impact_at(&self, place: u32, at: usize) -> Option<u8> {
        let window = self.windows.of(place);
        let inside =
            at.checked_sub(self.before(window)).filter(|_| at < self.before(window + 1))?;
        self.cell(window).impact_at(inside, self.windows.local_id(place))
    }

    /// Postings of the list.
    pub(crate) fn len(&self) -> usize {
        self.before(self.windows.count())
    }

    /// Postings of the list before one window.
    fn before(&self, window: usize) -> usize {
        (self.starts[window] - self.starts[0]) as usize
    }

    /// The list's own parts of both columns.
    fn columns(&self) -> (&'a [u16], &'a [u8]) {
        let last = self.windows.count();
        let range = |starts: &[u32]| starts[0] as usize..starts[last] as usize;
        (&self.ids[range(self.id_starts)], &self.impacts[range(self.starts)])
    }
}

impl Inverted {
    /// Opens the file of a segment of `docs` documents and a field of `vocab` tokens. Verifies head,
    /// table, lengths, and everything by which a search finds its way: all but ids and impacts.
    pub(crate) fn open(
        bytes: OwnedBytes,
        file: PathBuf,
        docs: u32,
        vocab: u32,
    ) -> Result<Self, FileError> {
        let file = Container::open(bytes, file, &KIND)?;
        let facts = file.facts();
        check_facts(&file, docs, vocab)?;
        if !(MIN_WINDOW_LOG2..=WINDOW_LOG2).contains(&facts.window_log2) {
            return Err(file.broken("the window", "it has 2^6 to 2^14 documents"));
        }
        let mut inverted = Self {
            lists: facts.lists as usize,
            windows: Windows { docs, log2: facts.window_log2 },
            groups: Box::default(),
            verified: Touched::new(facts.lists as usize),
            file,
        };
        inverted.check_lengths(facts.postings)?;
        (TOKENS..=ORDER).try_for_each(|section| inverted.file.verify_section(section))?;
        inverted.check_tokens(vocab)?;
        inverted.check_order()?;
        inverted.check_cells()?;
        inverted.groups = groups(inverted.tokens());
        Ok(inverted)
    }

    fn check_lengths(&self, postings: u64) -> Result<(), FileError> {
        let (file, lists) = (&self.file, self.lists);
        let cells = lists.checked_mul(self.windows.count()).filter(|cells| *cells < usize::MAX);
        let (Some(cells), Ok(count)) = (cells, usize::try_from(postings)) else {
            return Err(file.broken("the tail", "its numbers fit the machine"));
        };
        file.expect::<u8>(IMPACTS, count)?;
        file.expect::<u16>(TOKENS, lists)?;
        file.expect::<u32>(STARTS, cells + 1)?;
        file.expect::<u32>(ID_STARTS, cells + 1)?;
        file.expect::<u8>(MAXIMA, lists)?;
        file.expect::<u8>(WINDOW_MAXIMA, cells)?;
        file.expect::<u32>(CHECKSUMS, lists)?;
        file.expect::<u32>(ORDER, self.windows.docs as usize)?;
        let ids = self.id_starts()[cells] as usize;
        file.expect::<u16>(IDS, ids)
    }

    fn check_tokens(&self, vocab: u32) -> Result<(), FileError> {
        let tokens = self.tokens();
        let rising = tokens.is_sorted_by(|a, b| a < b);
        if !rising || tokens.last().is_some_and(|last| u32::from(*last) >= vocab) {
            return Err(self
                .file
                .broken("section tokens", "tokens rise and are in the vocabulary"));
        }
        Ok(())
    }

    fn check_order(&self) -> Result<(), FileError> {
        let mut seen = vec![0_u64; (self.windows.docs as usize).div_ceil(64)];
        let mut is_new = |doc: &u32| {
            let word = seen.get_mut(*doc as usize / 64).filter(|_| *doc < self.windows.docs)?;
            let bit = 1 << (doc % 64);
            let new = *word & bit == 0;
            *word |= bit;
            new.then_some(())
        };
        if self.order().iter().any(|doc| is_new(doc).is_none()) {
            return Err(self.file.broken("section order", "every document has one place"));
        }
        Ok(())
    }

    /// Cells follow each other without a gap, and each has one of the two forms.
    fn check_cells(&self) -> Result<(), FileError> {
        let (starts, id_starts) = (self.starts(), self.id_starts());
        let whole =
            starts[0] == 0 && starts.last().copied().map(u64::from) == Some(self.postings());
        if !whole || !starts.is_sorted() || (0..self.lists).any(|list| self.range(list).is_empty())
        {
            return Err(self
                .file
                .broken("section starts", "starts rise from 0 to the last posting"));
        }
        let lengths: Vec<_> =
            (0..self.windows.count()).map(|window| self.windows.len(window)).collect();
        let mut cells = starts.windows(2).zip(id_starts.windows(2)).zip(lengths.iter().cycle());
        let formed = |((postings, ids), docs): ((&[u32], &[u32]), &usize)| {
            let count = (postings[1] - postings[0]) as usize;
            ids[1].checked_sub(ids[0]) == u32::try_from(ids_len(count, *docs)).ok()
        };
        if id_starts[0] != 0 || !cells.all(formed) {
            return Err(self.file.broken("section id starts", "a cell has the form of its length"));
        }
        Ok(())
    }

    pub(crate) fn file(&self) -> &Path {
        self.file.file()
    }

    pub(crate) fn container(&self) -> &Container {
        &self.file
    }

    /// The tokens that have a list, rising.
    pub(crate) fn tokens(&self) -> &[u16] {
        self.file.section(TOKENS)
    }

    /// The document at each place.
    pub(crate) fn order(&self) -> &[u32] {
        self.file.section(ORDER)
    }

    /// The bits of documents as bits of places.
    pub(crate) fn by_place(&self, bits: &[u64]) -> Box<[u64]> {
        let word = |docs: &[u32]| {
            let bit = |doc: &u32| bits[*doc as usize / 64] >> (doc % 64) & 1;
            docs.iter().enumerate().fold(0, |word, (at, doc)| word | bit(doc) << at)
        };
        self.order().chunks(BLOCK).map(word).collect()
    }

    /// The ordinal of a token's list.
    #[inline]
    pub(crate) fn find(&self, token: u16) -> Option<usize> {
        let Group { bits, first } = self.groups[usize::from(token) / 64];
        let bit = 1_u64 << (token % 64);
        (bits & bit != 0).then(|| (first + (bits & (bit - 1)).count_ones()) as usize)
    }

    pub(crate) fn windows(&self) -> Windows {
        self.windows
    }

    pub(crate) fn postings(&self) -> u64 {
        self.file.facts().postings
    }

    /// Postings and greatest impact of the list at `ordinal`.
    pub(crate) fn statistics(&self, ordinal: usize) -> (usize, u8) {
        (self.range(ordinal).len(), self.file.section::<u8>(MAXIMA)[ordinal])
    }

    /// The list at `ordinal`. The first time it is read, its checksum and ids are verified: after that
    /// no id lies outside of its window.
    pub(crate) fn list(&self, ordinal: usize) -> Result<List<'_>, FileError> {
        self.columns().list(ordinal)
    }

    /// What all lists are made of.
    pub(crate) fn columns(&self) -> Columns<'_> {
        Columns {
            inverted: self,
            starts: self.starts(),
            id_starts: self.id_starts(),
            ids: self.file.section(IDS),
            impacts: self.file.section(IMPACTS),
            window_maxima: self.file.section(WINDOW_MAXIMA),
        }
    }

    /// Verifies a list whether or not it was verified before.
    pub(crate) fn verify_list(&self, ordinal: usize) -> Result<(), FileError> {
        let list = self.columns().unverified(ordinal);
        let token = self.tokens()[ordinal];
        let name = || format!("the list of token {token}").into();
        let stored = self.file.section::<u32>(CHECKSUMS)[ordinal];
        let (ids, impacts) = list.columns();
        self.file.compare(name, stored, list_crc(token, ids, impacts))?;
        for window in 0..self.windows.count() {
            let (from, to) = (list.before(window), list.before(window + 1));
            let impacts = &impacts[from..to];
            if !is_formed(list.cell(window), impacts, self.windows.len(window)) {
                return Err(self.file.broken(name(), "documents rise inside their window"));
            }
            let greatest = impacts.iter().copied().max().unwrap_or(0);
            if impacts.contains(&0) || greatest != list.window_maximum(window) {
                return Err(self.file.broken(name(), "impacts are 1 to their window's maximum"));
            }
        }
        let greatest = list.maxima.iter().copied().max().unwrap_or(0);
        if greatest != self.file.section::<u8>(MAXIMA)[ordinal] {
            return Err(self.file.broken(name(), "its maximum is that of its windows"));
        }
        Ok(())
    }

    fn starts(&self) -> &[u32] {
        self.file.section(STARTS)
    }

    fn id_starts(&self) -> &[u32] {
        self.file.section(ID_STARTS)
    }

    fn range(&self, ordinal: usize) -> Range<usize> {
        let (starts, windows) = (self.starts(), self.windows.count());
        starts[ordinal * windows] as usize..starts[(ordinal + 1) * windows] as usize
    }
}

/// Which of 64 tokens have a list.
#[derive(Clone, Copy, Default)]
struct Group {
    bits: u64,
    /// The ordinal of the first list that is theirs or comes after them.
    first: u32,
}

/// See [`Inverted::groups`].
fn groups(tokens: &[u16]) -> Box<[Group]> {
    let mut groups = vec![Group::default(); (1 << 16) / 64];
    for token in tokens {
        groups[usize::from(*token) / 64].bits |= 1 << (token % 64);
    }
    let mut first = 0;
    for group in &mut groups {
        group.first = first;
        first += group.bits.count_ones();
    }
    groups.into_boxed_slice()
}

/// Whether a cell holds exactly these impacts, for rising documents of a window of `docs`; of *many*,
/// that its blocks' numbers are those of the impacts.
fn is_formed(cell: Cell<'_>, impacts: &[u8], docs: usize) -> bool {
    match cell {
        Cell::Few { ids, .. } => {
            ids.is_sorted_by(|a, b| a < b) && ids.last().is_none_or(|id| usize::from(*id) < docs)
        }
        Cell::Many { bits, before, maxima, .. } => {
            let mut at = 0;
            let whole = bits.iter().zip(before).zip(maxima).all(|((bits, before), maximum)| {
                let from = at;
                at += cell::word(*bits).count_ones() as usize;
                let block = impacts.get(from..at);
                let greatest = |block: &[u8]| block.iter().copied().max().unwrap_or(0);
                usize::from(*before) == from
                    && block.is_some_and(|block| greatest(block) == *maximum)
            });
            let beyond = bits.last().filter(|_| !docs.is_multiple_of(BLOCK));
            let none_beyond = beyond.is_none_or(|bits| cell::word(*bits) >> (docs % BLOCK) == 0);
            whole && at == impacts.len() && none_beyond
        }
    }
}

/// The file must be that of this segment and this field.
pub(super) fn check_facts(file: &Container, docs: u32, vocab: u32) -> Result<(), FileError> {
    let facts = file.facts();
    if facts.docs != docs {
        return Err(file.error(Fault::Documents { found: facts.docs, expected: docs }));
    }
    if facts.vocab != vocab {
        return Err(file.error(Fault::Vocabulary { found: facts.vocab, expected: vocab }));
    }
    Ok(())
}
