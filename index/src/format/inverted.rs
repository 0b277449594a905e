//! The `.swx` file: for every token the documents that have it, with impacts.
//!
//! Documents are cut into windows of 2^13. A list is one run of postings, rising by document; a
//! posting is the document's number inside its window and its impact, in two columns. So a search
//! adds into an accumulator that stays in the fastest cache, and decodes nothing.
//!
//! On open the structure is verified; a list's postings are when it is first read.

use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use tantivy::directory::OwnedBytes;

use super::container::{Container, ContainerWriter, Facts, Kind};
use crate::error::{Fault, FileError};
use crate::touched::Touched;

/// The file's extension.
pub(crate) const EXTENSION: &str = "swx";
/// Windows of 8,192 documents: 32 KiB of accumulators.
pub(crate) const WINDOW_LOG2: u32 = 13;
/// The greatest window that a reader's accumulators hold.
pub(crate) const MAX_WINDOW: usize = 1 << WINDOW_LOG2;
/// A window is whole words of the bitsets that filter it.
const MIN_WINDOW_LOG2: u32 = 6;

const IDS: usize = 0;
const IMPACTS: usize = 1;
const TOKENS: usize = 2;
const STARTS: usize = 3;
const MAXIMA: usize = 4;
const WINDOW_MAXIMA: usize = 5;
const CHECKSUMS: usize = 6;

static KIND: Kind = Kind {
    magic: *b"SWX\0\r\n\x1a\n",
    version: 1,
    sections: &["ids", "impacts", "tokens", "starts", "maxima", "window maxima", "checksums"],
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
    /// Calls `visit(token, documents, impacts)` for every list that is not empty.
    fn visit(&self, visit: &mut Visit<'_>) -> Result<(), WriteError>;
}

/// Takes one list: token, rising documents, their impacts.
pub(crate) type Visit<'a> = dyn FnMut(u16, &[u32], &[u8]) -> Result<(), WriteError> + 'a;

/// What is gathered while ids are written, and written after them.
#[derive(Default)]
struct Directory {
    tokens: Vec<u16>,
    starts: Vec<u32>,
    maxima: Vec<u8>,
    window_maxima: Vec<u8>,
    checksums: Vec<u32>,
    postings: u64,
}

impl Directory {
    /// Notes one list and gives its local ids.
    fn add(
        &mut self,
        (token, docs, impacts): (u16, &[u32], &[u8]),
        (windows, window_log2): (usize, u32),
        ids: &mut Vec<u16>,
    ) -> Result<(), WriteError> {
        ids.clear();
        ids.extend(docs.iter().map(|doc| local_id(*doc, window_log2)));
        let mut from = 0;
        for window in 0..windows {
            let to =
                from + docs[from..].partition_point(|doc| (doc >> window_log2) as usize == window);
            self.starts.push(self.start(from)?);
            self.window_maxima.push(impacts[from..to].iter().copied().max().unwrap_or(0));
            from = to;
        }
        self.tokens.push(token);
        self.maxima.push(impacts.iter().copied().max().unwrap_or(0));
        self.checksums.push(list_crc(token, ids, impacts));
        self.postings += docs.len() as u64;
        Ok(())
    }

    fn start(&self, inside: usize) -> Result<u32, WriteError> {
        let postings = self.postings + inside as u64;
        u32::try_from(postings).map_err(|_| WriteError::TooMany { postings })
    }
}

/// The document's number inside its window, which has at most 2^13 documents.
fn local_id(doc: u32, window_log2: u32) -> u16 {
    u16::try_from(doc & ((1 << window_log2) - 1)).unwrap_or(u16::MAX)
}

/// Writes the file for `docs` documents over a vocabulary of `vocab` tokens.
pub(crate) fn write<W: Write>(
    out: W,
    (docs, vocab): (u32, u32),
    window_log2: u32,
    lists: &impl Lists,
) -> Result<W, WriteError> {
    let windows = windows_of(docs, window_log2);
    let mut file = ContainerWriter::new(out, &KIND)?;
    let mut directory = Directory::default();
    let mut ids = Vec::new();
    file.section(|out| {
        lists.visit(&mut |token, docs, impacts| {
            directory.add((token, docs, impacts), (windows, window_log2), &mut ids)?;
            Ok(out.write(&ids)?)
        })
    })?;
    directory.starts.push(directory.start(0)?);
    file.section(|out| lists.visit(&mut |_, _, impacts| Ok(out.write(impacts)?)))?;
    file.section(|out| out.write(&directory.tokens))?;
    file.section(|out| out.write(&directory.starts))?;
    file.section(|out| out.write(&directory.maxima))?;
    file.section(|out| out.write(&directory.window_maxima))?;
    file.section(|out| out.write(&directory.checksums))?;
    let lists = u32::try_from(directory.tokens.len()).map_err(io::Error::other)?;
    let facts = Facts { docs, vocab, postings: directory.postings, lists, window_log2 };
    Ok(file.finish(facts)?)
}

fn windows_of(docs: u32, window_log2: u32) -> usize {
    (docs as usize).div_ceil(1 << window_log2)
}

// --- reading -------------------------------------------------------------------------------------

/// An opened inverted file.
pub(crate) struct Inverted {
    file: Container,
    docs: u32,
    lists: usize,
    windows: usize,
    window_log2: u32,
    /// Lists whose checksum was verified.
    verified: Touched,
}

/// One token's postings, verified.
#[derive(Clone, Copy)]
pub(crate) struct List<'a> {
    /// Where each window starts in the file's postings, and where the last one ends.
    starts: &'a [u32],
    ids: &'a [u16],
    impacts: &'a [u8],
    maxima: &'a [u8],
}

impl<'a> List<'a> {
    /// Local ids and impacts of one window.
    pub(crate) fn window(&self, window: usize) -> (&'a [u16], &'a [u8]) {
        let (from, to) = (self.start(window), self.start(window + 1));
        (&self.ids[from..to], &self.impacts[from..to])
    }

    /// The greatest impact in one window, 0 when the token does not occur there.
    pub(crate) fn window_maximum(&self, window: usize) -> u8 {
        self.maxima[window]
    }

    /// Local id and impact of the `at`-th posting of the list, if that lies in the window.
    pub(crate) fn posting(&self, window: usize, at: usize) -> Option<(u16, u8)> {
        let (ids, impacts) = self.window(window);
        let at = at.checked_sub(self.start(window))?;
        Some((*ids.get(at)?, impacts[at]))
    }

    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Postings of the list before one window.
    fn start(&self, window: usize) -> usize {
        (self.starts[window] - self.starts[0]) as usize
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
            return Err(file.broken("the window", "it has 2^6 to 2^13 documents"));
        }
        let windows = windows_of(docs, facts.window_log2);
        let inverted = Self {
            docs,
            lists: facts.lists as usize,
            windows,
            window_log2: facts.window_log2,
            verified: Touched::new(facts.lists as usize),
            file,
        };
        inverted.check_structure(vocab, facts.postings)?;
        Ok(inverted)
    }

    fn check_structure(&self, vocab: u32, postings: u64) -> Result<(), FileError> {
        let (file, lists) = (&self.file, self.lists);
        let cells = lists.checked_mul(self.windows).filter(|cells| *cells < usize::MAX);
        let (Some(cells), Ok(count)) = (cells, usize::try_from(postings)) else {
            return Err(file.broken("the tail", "its numbers fit the machine"));
        };
        file.expect::<u16>(IDS, count)?;
        file.expect::<u8>(IMPACTS, count)?;
        file.expect::<u16>(TOKENS, lists)?;
        file.expect::<u32>(STARTS, cells + 1)?;
        file.expect::<u8>(MAXIMA, lists)?;
        file.expect::<u8>(WINDOW_MAXIMA, cells)?;
        file.expect::<u32>(CHECKSUMS, lists)?;
        (TOKENS..=CHECKSUMS).try_for_each(|section| file.verify_section(section))?;
        let tokens = self.tokens();
        let rising = tokens.is_sorted_by(|a, b| a < b);
        if !rising || tokens.last().is_some_and(|last| u32::from(*last) >= vocab) {
            return Err(file.broken("section tokens", "tokens rise and are in the vocabulary"));
        }
        let starts = self.starts();
        let whole = starts[0] == 0 && u64::from(starts[cells]) == postings;
        if !whole || !starts.is_sorted() || (0..lists).any(|list| self.range(list).is_empty()) {
            return Err(file.broken("section starts", "starts rise from 0 to the last posting"));
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

    /// The place of a token's list.
    pub(crate) fn find(&self, token: u16) -> Option<usize> {
        self.tokens().binary_search(&token).ok()
    }

    pub(crate) fn windows(&self) -> usize {
        self.windows
    }

    /// A document's window and its local id.
    pub(crate) fn locate(&self, doc: u32) -> (usize, u16) {
        ((doc >> self.window_log2) as usize, local_id(doc, self.window_log2))
    }

    pub(crate) fn window_log2(&self) -> u32 {
        self.window_log2
    }

    pub(crate) fn window_len(&self) -> usize {
        1 << self.window_log2
    }

    pub(crate) fn docs(&self) -> u32 {
        self.docs
    }

    pub(crate) fn postings(&self) -> u64 {
        self.file.facts().postings
    }

    /// Postings and greatest impact of the list at `place`.
    pub(crate) fn statistics(&self, place: usize) -> (usize, u8) {
        (self.range(place).len(), self.file.section::<u8>(MAXIMA)[place])
    }

    /// The list at `place`. The first time it is read, its checksum and ids are verified: after that
    /// no id lies outside of its window.
    pub(crate) fn list(&self, place: usize) -> Result<List<'_>, FileError> {
        let list = self.unverified(place);
        if !self.verified.contains(place) {
            self.verify_list(place)?;
            self.verified.insert(place);
        }
        Ok(list)
    }

    /// Verifies a list whether or not it was verified before.
    pub(crate) fn verify_list(&self, place: usize) -> Result<(), FileError> {
        let list = self.unverified(place);
        let token = self.tokens()[place];
        let name = || format!("the list of token {token}").into();
        let stored = self.file.section::<u32>(CHECKSUMS)[place];
        self.file.compare(name, stored, list_crc(token, list.ids, list.impacts))?;
        for window in 0..self.windows {
            let (ids, impacts) = list.window(window);
            let end = self.docs as usize - (window << self.window_log2);
            let inside = |id: &u16| usize::from(*id) < end.min(1 << self.window_log2);
            if !ids.is_sorted_by(|a, b| a < b) || !ids.last().is_none_or(inside) {
                return Err(self.file.broken(name(), "ids rise inside their window"));
            }
            let greatest = impacts.iter().copied().max().unwrap_or(0);
            if impacts.contains(&0) || greatest != list.window_maximum(window) {
                return Err(self.file.broken(name(), "impacts are 1 to their window's maximum"));
            }
        }
        let greatest = list.maxima.iter().copied().max().unwrap_or(0);
        if greatest != self.file.section::<u8>(MAXIMA)[place] {
            return Err(self.file.broken(name(), "its maximum is that of its windows"));
        }
        Ok(())
    }

    fn starts(&self) -> &[u32] {
        self.file.section(STARTS)
    }

    fn range(&self, place: usize) -> Range<usize> {
        let starts = self.starts();
        starts[place * self.windows] as usize..starts[(place + 1) * self.windows] as usize
    }

    fn unverified(&self, place: usize) -> List<'_> {
        let cells = place * self.windows..(place + 1) * self.windows;
        let range = self.range(place);
        List {
            starts: &self.starts()[cells.start..=cells.end],
            ids: &self.file.section(IDS)[range.clone()],
            impacts: &self.file.section(IMPACTS)[range],
            maxima: &self.file.section(WINDOW_MAXIMA)[cells],
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
