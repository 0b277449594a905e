//! What both files share: a head, 64-byte aligned sections, and a tail with the section table.
//!
//! The tail stands at the end because segments are written in one pass and checksums are known last.
//! Opening reads head and tail only; a section's checksum is verified when its reader asks for it.

use std::borrow::Cow;
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use bytemuck::{NoUninit, Pod};
use tantivy::directory::OwnedBytes;

use crate::error::{Fault, FileError};

/// Every section starts at a multiple of this, so that mapped bytes are aligned for any load.
const ALIGN: usize = 64;
const HEAD: usize = 64;
const FACTS: usize = 24;
const ENTRY: usize = 24;
/// Tail length and checksum: the last bytes of the file, in every version.
const TRAILER: usize = 8;

/// A kind of file: how it begins, and which sections it has in which order.
pub(crate) struct Kind {
    pub(crate) magic: [u8; 8],
    pub(crate) version: u32,
    pub(crate) sections: &'static [&'static str],
}

/// The numbers in the tail that size everything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) docs: u32,
    pub(crate) vocab: u32,
    pub(crate) postings: u64,
    /// Inverted file: lists. Forward file: 0.
    pub(crate) lists: u32,
    /// Inverted file: log2 of the documents in a window. Forward file: 0.
    pub(crate) window_log2: u32,
}

impl Facts {
    fn to_bytes(self) -> [u8; FACTS] {
        let mut bytes = [0; FACTS];
        bytes[0..4].copy_from_slice(&self.docs.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.vocab.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.postings.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.lists.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.window_log2.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        Self {
            docs: u32_at(bytes, 0),
            vocab: u32_at(bytes, 4),
            postings: u64_at(bytes, 8),
            lists: u32_at(bytes, 16),
            window_log2: u32_at(bytes, 20),
        }
    }
}

/// Where a section stands, and the checksum of its bytes.
struct Section {
    range: Range<usize>,
    crc: u32,
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

/// Bytes of the tail of a file with that many sections.
fn tail_len(sections: usize) -> usize {
    FACTS + ENTRY * sections + TRAILER
}

// --- writing -------------------------------------------------------------------------------------

/// Writes head, sections in order, tail. Call [`Self::section`] once per section of the kind.
pub(crate) struct ContainerWriter<'k, W> {
    out: W,
    kind: &'k Kind,
    head: [u8; HEAD],
    written: u64,
    table: Vec<u8>,
}

/// Takes a section's bytes and keeps their checksum.
pub(crate) struct SectionWriter<'w, W> {
    out: &'w mut W,
    crc: crc32fast::Hasher,
    len: u64,
}

impl<W: Write> SectionWriter<'_, W> {
    pub(crate) fn write<T: NoUninit>(&mut self, values: &[T]) -> io::Result<()> {
        let bytes = bytemuck::cast_slice(values);
        self.crc.update(bytes);
        self.len += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}

impl<'k, W: Write> ContainerWriter<'k, W> {
    pub(crate) fn new(mut out: W, kind: &'k Kind) -> io::Result<Self> {
        let mut head = [0; HEAD];
        head[0..8].copy_from_slice(&kind.magic);
        head[8..12].copy_from_slice(&kind.version.to_le_bytes());
        out.write_all(&head)?;
        Ok(Self { out, kind, head, written: HEAD as u64, table: Vec::new() })
    }

    pub(crate) fn section<T, E: From<io::Error>>(
        &mut self,
        write: impl FnOnce(&mut SectionWriter<'_, W>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.pad()?;
        let mut section =
            SectionWriter { out: &mut self.out, crc: crc32fast::Hasher::new(), len: 0 };
        let result = write(&mut section)?;
        let SectionWriter { crc, len, .. } = section;
        self.table.extend_from_slice(&self.written.to_le_bytes());
        self.table.extend_from_slice(&len.to_le_bytes());
        self.table.extend_from_slice(&crc.finalize().to_le_bytes());
        self.table.extend_from_slice(&[0; 4]);
        self.written += len;
        Ok(result)
    }

    pub(crate) fn finish(mut self, facts: Facts) -> io::Result<W> {
        self.pad()?;
        let mut tail = facts.to_bytes().to_vec();
        tail.append(&mut self.table);
        let length = u32::try_from(tail_len(self.kind.sections.len())).map_err(io::Error::other)?;
        tail.extend_from_slice(&length.to_le_bytes());
        let mut crc = crc32fast::Hasher::new();
        crc.update(&self.head);
        crc.update(&tail);
        tail.extend_from_slice(&crc.finalize().to_le_bytes());
        self.out.write_all(&tail)?;
        Ok(self.out)
    }

    fn pad(&mut self) -> io::Result<()> {
        let over = usize::try_from(self.written % ALIGN as u64).unwrap_or(0);
        if over != 0 {
            self.out.write_all(&[0; ALIGN][over..])?;
            self.written += (ALIGN - over) as u64;
        }
        Ok(())
    }
}

// --- reading -------------------------------------------------------------------------------------

/// Bytes that start at a multiple of 8: mapped as they are, or copied once if the directory's
/// memory happens to be placed otherwise.
enum Aligned {
    Shared(OwnedBytes),
    Copied { words: Vec<u64>, len: usize },
}

impl Aligned {
    fn new(bytes: OwnedBytes) -> Self {
        if bytes.as_ptr().align_offset(align_of::<u64>()) == 0 {
            return Self::Shared(bytes);
        }
        let mut words = vec![0_u64; bytes.len().div_ceil(8)];
        bytemuck::cast_slice_mut::<u64, u8>(&mut words)[..bytes.len()].copy_from_slice(&bytes);
        Self::Copied { words, len: bytes.len() }
    }

    #[inline]
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Shared(bytes) => bytes.as_slice(),
            Self::Copied { words, len } => &bytemuck::cast_slice(words)[..*len],
        }
    }
}

/// An opened file: its head, tail and table are whole, its sections lie where the format says.
pub(crate) struct Container {
    bytes: Aligned,
    file: PathBuf,
    facts: Facts,
    names: &'static [&'static str],
    sections: Vec<Section>,
}

impl Container {
    pub(crate) fn open(bytes: OwnedBytes, file: PathBuf, kind: &Kind) -> Result<Self, FileError> {
        let bytes = Aligned::new(bytes);
        match parse(bytes.as_slice(), kind) {
            Ok((facts, sections)) => {
                Ok(Self { bytes, file, facts, names: kind.sections, sections })
            }
            Err(fault) => Err(FileError { file, fault }),
        }
    }

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    pub(crate) fn facts(&self) -> Facts {
        self.facts
    }

    /// Bytes of the whole file, without what the directory adds.
    pub(crate) fn len(&self) -> usize {
        self.bytes.as_slice().len()
    }

    pub(crate) fn error(&self, fault: Fault) -> FileError {
        FileError { file: self.file.clone(), fault }
    }

    pub(crate) fn broken(
        &self,
        part: impl Into<Cow<'static, str>>,
        rule: &'static str,
    ) -> FileError {
        self.error(Fault::Structure { part: part.into(), rule })
    }

    /// The section's content. Its length was checked by [`Container::expect`] when the file was opened.
    #[inline]
    pub(crate) fn section<T: Pod>(&self, section: usize) -> &[T] {
        bytemuck::cast_slice(&self.bytes.as_slice()[self.sections[section].range.clone()])
    }

    /// Checks that a section holds exactly `count` values of `T`.
    pub(crate) fn expect<T: Pod>(&self, section: usize, count: usize) -> Result<(), FileError> {
        if Some(self.sections[section].range.len()) == count.checked_mul(size_of::<T>()) {
            return Ok(());
        }
        Err(self.broken(self.names[section], "its length follows from the numbers in the tail"))
    }

    pub(crate) fn verify_section(&self, section: usize) -> Result<(), FileError> {
        let Section { range, crc } = &self.sections[section];
        let computed = crc32fast::hash(&self.bytes.as_slice()[range.clone()]);
        self.compare(|| format!("section {}", self.names[section]).into(), *crc, computed)
    }

    pub(crate) fn compare(
        &self,
        part: impl FnOnce() -> Cow<'static, str>,
        stored: u32,
        computed: u32,
    ) -> Result<(), FileError> {
        if stored == computed {
            return Ok(());
        }
        Err(self.error(Fault::Checksum { part: part(), stored, computed }))
    }

    /// Every section's checksum, and that nothing but zeros stands between them.
    pub(crate) fn verify_all(&self) -> Result<(), FileError> {
        (0..self.sections.len()).try_for_each(|section| self.verify_section(section))?;
        let tail = self.len() - tail_len(self.sections.len());
        let starts = self.sections.iter().skip(1).map(|section| section.range.start);
        for (section, next) in self.sections.iter().zip(starts.chain([tail])) {
            if self.bytes.as_slice()[section.range.end..next].iter().any(|byte| *byte != 0) {
                return Err(self.broken("the space between sections", "it is filled with zeros"));
            }
        }
        Ok(())
    }
}

fn parse(bytes: &[u8], kind: &Kind) -> Result<(Facts, Vec<Section>), Fault> {
    let truncated = Fault::Truncated { found: bytes.len() };
    let Some(head) = bytes.get(..HEAD) else { return Err(truncated) };
    if head[..8] != kind.magic {
        return Err(Fault::Kind);
    }
    let Some(trailer) = bytes.len().checked_sub(TRAILER).filter(|at| *at >= HEAD) else {
        return Err(truncated);
    };
    let (length, stored) = (u32_at(bytes, trailer) as usize, u32_at(bytes, trailer + 4));
    let Some(tail) = bytes.len().checked_sub(length).filter(|at| (HEAD..=trailer).contains(at))
    else {
        return Err(truncated);
    };
    let mut crc = crc32fast::Hasher::new();
    crc.update(head);
    crc.update(&bytes[tail..bytes.len() - 4]);
    let computed = crc.finalize();
    if stored != computed {
        return Err(Fault::Checksum { part: "the section table".into(), stored, computed });
    }
    let version = u32_at(head, 8);
    if version > kind.version {
        return Err(Fault::TooNew { found: version, known: kind.version });
    }
    if version < kind.version {
        return Err(Fault::TooOld { found: version, known: kind.version });
    }
    parse_tail(&bytes[tail..], tail, kind)
}

/// The sections must stand exactly where the writer puts them: one after the other, aligned.
fn parse_tail(tail: &[u8], start: usize, kind: &Kind) -> Result<(Facts, Vec<Section>), Fault> {
    let rule = |rule| Fault::Structure { part: "the section table".into(), rule };
    if tail.len() != tail_len(kind.sections.len()) {
        return Err(rule("it has one entry per section"));
    }
    let mut sections = Vec::with_capacity(kind.sections.len());
    let mut end = HEAD;
    for entry in tail[FACTS..tail.len() - TRAILER].chunks_exact(ENTRY) {
        let expected = end.next_multiple_of(ALIGN);
        let offset = usize::try_from(u64_at(entry, 0)).ok().filter(|offset| *offset == expected);
        let len = usize::try_from(u64_at(entry, 8)).ok().filter(|len| *len <= start);
        let (Some(offset), Some(len)) = (offset, len) else {
            return Err(rule("sections follow each other at multiples of 64"));
        };
        end = offset + len;
        sections.push(Section { range: offset..end, crc: u32_at(entry, 16) });
    }
    if end.next_multiple_of(ALIGN) != start {
        return Err(rule("it follows the last section"));
    }
    Ok((Facts::from_bytes(tail), sections))
}
