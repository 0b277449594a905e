//! The `.swf` file: for every document its tokens, impacts and, for pictures, patches.
//!
//! A document's checksum runs over its vector's canonical bytes ([`crate::SparseVector::to_bytes`]),
//! so a merge copies it and nobody has to trust the columns. On open the structure is verified; a
//! document when it is first read.

use std::io::{self, Write};
use std::ops::Range;
use std::path::PathBuf;

use tantivy::directory::OwnedBytes;

use super::container::{Container, ContainerWriter, Facts, Kind};
use super::inverted::{WriteError, check_facts};
use crate::error::FileError;
use crate::touched::Touched;
use crate::vector::{check_entries, count_bytes};

/// The file's extension.
pub(crate) const EXTENSION: &str = "swf";

const TOKENS: usize = 0;
const IMPACTS: usize = 1;
const PATCHES: usize = 2;
const STARTS: usize = 3;
const CHECKSUMS: usize = 4;
const WITH_PATCHES: usize = 5;

static KIND: Kind = Kind {
    magic: *b"SWF\0\r\n\x1a\n",
    version: 1,
    sections: &["tokens", "impacts", "patches", "starts", "checksums", "with patches"],
};

/// A document's vector as the columns that hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entries<'a> {
    pub(crate) tokens: &'a [u16],
    pub(crate) impacts: &'a [u8],
    pub(crate) patches: Option<&'a [u8]>,
}

impl Entries<'_> {
    /// The checksum of the canonical bytes.
    fn crc(&self) -> u32 {
        let mut crc = crc32fast::Hasher::new();
        crc.update(&count_bytes(self.tokens.len()));
        crc.update(bytemuck::cast_slice(self.tokens));
        crc.update(self.impacts);
        crc.update(self.patches.unwrap_or(&[]));
        crc.finalize()
    }
}

// --- writing -------------------------------------------------------------------------------------

/// The documents to write, in order. They are walked once per column.
pub(crate) trait Documents {
    /// Calls `visit` for every document; one without a vector has no entries.
    fn visit(
        &self,
        visit: &mut dyn FnMut(Entries<'_>) -> Result<(), WriteError>,
    ) -> Result<(), WriteError>;
}

/// What is gathered while tokens are written, and written after them.
#[derive(Default)]
struct Directory {
    starts: Vec<u32>,
    checksums: Vec<u32>,
    with_patches: Vec<u64>,
    postings: u64,
}

impl Directory {
    fn add(&mut self, entries: Entries<'_>) -> Result<(), WriteError> {
        let doc = self.checksums.len();
        if doc.is_multiple_of(64) {
            self.with_patches.push(0);
        }
        if entries.patches.is_some() {
            self.with_patches[doc / 64] |= 1 << (doc % 64);
        }
        self.starts.push(self.start()?);
        self.checksums.push(entries.crc());
        self.postings += entries.tokens.len() as u64;
        Ok(())
    }

    fn start(&self) -> Result<u32, WriteError> {
        let postings = self.postings;
        u32::try_from(postings).map_err(|_| WriteError::TooMany { postings })
    }

    fn any_patches(&self) -> bool {
        self.with_patches.iter().any(|word| *word != 0)
    }
}

/// Writes the file over a vocabulary of `vocab` tokens.
pub(crate) fn write<W: Write>(
    out: W,
    vocab: u32,
    documents: &impl Documents,
) -> Result<W, WriteError> {
    let mut file = ContainerWriter::new(out, &KIND)?;
    let mut directory = Directory::default();
    file.section(|out| {
        documents.visit(&mut |entries| {
            directory.add(entries)?;
            Ok(out.write(entries.tokens)?)
        })
    })?;
    directory.starts.push(directory.start()?);
    file.section(|out| documents.visit(&mut |entries| Ok(out.write(entries.impacts)?)))?;
    let mut none = Vec::new();
    file.section(|out| {
        if !directory.any_patches() {
            return Ok(());
        }
        documents.visit(&mut |entries| {
            none.resize(entries.tokens.len().max(none.len()), 0_u8);
            Ok(out.write(entries.patches.unwrap_or(&none[..entries.tokens.len()]))?)
        })
    })?;
    file.section(|out| out.write(&directory.starts))?;
    file.section(|out| out.write(&directory.checksums))?;
    file.section(|out| out.write(&directory.with_patches))?;
    let docs = u32::try_from(directory.checksums.len()).map_err(io::Error::other)?;
    let facts = Facts { docs, vocab, postings: directory.postings, lists: 0, window_log2: 0 };
    Ok(file.finish(facts)?)
}

// --- reading -------------------------------------------------------------------------------------

/// An opened forward file.
pub(crate) struct Forward {
    file: Container,
    docs: u32,
    vocab: u32,
    any_patches: bool,
    /// Documents whose checksum was verified.
    verified: Touched,
}

impl Forward {
    /// Opens the file of a segment of `docs` documents and a field of `vocab` tokens. Verifies head,
    /// table, lengths, and everything by which a document is found.
    pub(crate) fn open(
        bytes: OwnedBytes,
        file: PathBuf,
        docs: u32,
        vocab: u32,
    ) -> Result<Self, FileError> {
        let file = Container::open(bytes, file, &KIND)?;
        check_facts(&file, docs, vocab)?;
        let verified = Touched::new(docs as usize);
        let any_patches = !file.section::<u8>(PATCHES).is_empty();
        let forward = Self { file, docs, vocab, any_patches, verified };
        forward.check_structure()?;
        Ok(forward)
    }

    fn check_structure(&self) -> Result<(), FileError> {
        let (file, docs) = (&self.file, self.docs as usize);
        let Ok(postings) = usize::try_from(self.postings()) else {
            return Err(file.broken("the tail", "its numbers fit the machine"));
        };
        file.expect::<u16>(TOKENS, postings)?;
        file.expect::<u8>(IMPACTS, postings)?;
        file.expect::<u8>(PATCHES, if self.any_patches { postings } else { 0 })?;
        file.expect::<u32>(STARTS, docs + 1)?;
        file.expect::<u32>(CHECKSUMS, docs)?;
        file.expect::<u64>(WITH_PATCHES, docs.div_ceil(64))?;
        (STARTS..=WITH_PATCHES).try_for_each(|section| file.verify_section(section))?;
        let starts = self.starts();
        let whole = starts[0] == 0 && u64::from(starts[docs]) == self.postings();
        if !whole || !starts.is_sorted() {
            return Err(file.broken("section starts", "starts rise from 0 to the last posting"));
        }
        if starts.windows(2).any(|pair| pair[1] - pair[0] > u32::from(u16::MAX)) {
            return Err(file.broken("section starts", "a document has at most 65,535 tokens"));
        }
        let bits = file.section::<u64>(WITH_PATCHES);
        let beyond = docs % 64 != 0 && bits[docs / 64] >> (docs % 64) != 0;
        if beyond || bits.iter().any(|word| *word != 0) != self.any_patches {
            return Err(file.broken("section with patches", "it agrees with section patches"));
        }
        Ok(())
    }

    pub(crate) fn container(&self) -> &Container {
        &self.file
    }

    pub(crate) fn docs(&self) -> u32 {
        self.docs
    }

    pub(crate) fn postings(&self) -> u64 {
        self.file.facts().postings
    }

    /// The vector of a document below [`Forward::docs`]. Verified the first time it is read.
    pub(crate) fn document(&self, doc: u32) -> Result<Entries<'_>, FileError> {
        let entries = self.unverified(doc);
        if !self.verified.contains(doc as usize) {
            self.verify_entries(doc, entries)?;
            self.verified.insert(doc as usize);
        }
        Ok(entries)
    }

    /// Verifies a document whether or not it was verified before; also the filler where it has no
    /// patches, which no checksum of a document covers.
    pub(crate) fn verify_document(&self, doc: u32) -> Result<Entries<'_>, FileError> {
        let entries = self.unverified(doc);
        self.verify_entries(doc, entries)?;
        let filler = if self.any_patches && entries.patches.is_none() {
            &self.file.section::<u8>(PATCHES)[self.range(doc)]
        } else {
            &[]
        };
        if filler.iter().any(|patch| *patch != 0) {
            let rule = "patches are 0 where a document has none";
            return Err(self.file.broken(format!("document {doc}"), rule));
        }
        Ok(entries)
    }

    fn verify_entries(&self, doc: u32, entries: Entries<'_>) -> Result<(), FileError> {
        let name = || format!("document {doc}").into();
        let stored = self.file.section::<u32>(CHECKSUMS)[doc as usize];
        self.file.compare(name, stored, entries.crc())?;
        let known = entries.tokens.last().is_none_or(|token| u32::from(*token) < self.vocab);
        if !known || check_entries(entries.tokens, entries.impacts).is_err() {
            return Err(self
                .file
                .broken(name(), "tokens rise in the vocabulary, impacts are not 0"));
        }
        Ok(())
    }

    fn starts(&self) -> &[u32] {
        self.file.section(STARTS)
    }

    fn range(&self, doc: u32) -> Range<usize> {
        let starts = self.starts();
        starts[doc as usize] as usize..starts[doc as usize + 1] as usize
    }

    fn unverified(&self, doc: u32) -> Entries<'_> {
        let range = self.range(doc);
        let bits = self.file.section::<u64>(WITH_PATCHES);
        let with_patches = bits[doc as usize / 64] >> (doc % 64) & 1 == 1;
        Entries {
            tokens: &self.file.section(TOKENS)[range.clone()],
            impacts: &self.file.section(IMPACTS)[range.clone()],
            patches: with_patches.then(|| &self.file.section(PATCHES)[range]),
        }
    }
}
