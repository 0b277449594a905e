//! The documents of several segments as those of one: dead ones dropped, the rest renumbered.
//!
//! Nothing is sorted again. Lists and documents are copied from the mapped sources in the order in
//! which tantivy stacks them; memory is one number a source document and one list.

use tantivy::SegmentReader;

use crate::format::forward::{Documents, Entries};
use crate::format::inverted::{Lists, Visit, WriteError};
use crate::segment::SegmentFiles;

/// What a dead document is renumbered to. No document has it: tantivy has at most 2^31.
const DEAD: u32 = u32::MAX;

/// The segments that are merged, in order.
pub(crate) struct Sources<'a> {
    sources: Vec<Source<'a>>,
    docs: u32,
}

struct Source<'a> {
    files: &'a SegmentFiles,
    numbers: Numbers,
}

/// What a source's documents are called in the merged segment.
enum Numbers {
    /// All are alive and follow each other from here.
    From(u32),
    /// One for each document, [`DEAD`] for those that are dropped.
    Each(Vec<u32>),
}

impl Numbers {
    fn get(&self, doc: u32) -> u32 {
        match self {
            Self::From(first) => first + doc,
            Self::Each(numbers) => numbers[doc as usize],
        }
    }
}

impl<'a> Sources<'a> {
    pub(crate) fn new(
        segments: impl Iterator<Item = (&'a SegmentFiles, &'a SegmentReader)>,
    ) -> Self {
        let mut docs = 0;
        let sources = segments
            .map(|(files, reader)| Source { files, numbers: numbers(reader, &mut docs) })
            .collect();
        Self { sources, docs }
    }

    /// Documents that stay.
    pub(crate) fn docs(&self) -> u32 {
        self.docs
    }

    /// Every token that some source has, rising.
    fn tokens(&self) -> Vec<u16> {
        let all = self.sources.iter().flat_map(|source| source.files.inverted.tokens());
        let mut tokens: Vec<u16> = all.copied().collect();
        tokens.sort_unstable();
        tokens.dedup();
        tokens
    }
}

fn numbers(reader: &SegmentReader, docs: &mut u32) -> Numbers {
    let first = *docs;
    if !reader.has_deletes() {
        *docs += reader.max_doc();
        return Numbers::From(first);
    }
    let mut numbers = vec![DEAD; reader.max_doc() as usize];
    for doc in reader.doc_ids_alive() {
        numbers[doc as usize] = *docs;
        *docs += 1;
    }
    Numbers::Each(numbers)
}

impl Source<'_> {
    /// Appends what is alive of one token's list.
    fn append(
        &self,
        token: u16,
        docs: &mut Vec<u32>,
        impacts: &mut Vec<u8>,
    ) -> Result<(), WriteError> {
        let inverted = &self.files.inverted;
        let Some(place) = inverted.find(token) else { return Ok(()) };
        let list = inverted.list(place)?;
        let windows = inverted.windows();
        for window in 0..windows.count() {
            for (id, impact) in list.cell(window).postings() {
                let doc = self.numbers.get(windows.first(window) + u32::from(id));
                if doc != DEAD {
                    docs.push(doc);
                    impacts.push(impact);
                }
            }
        }
        Ok(())
    }
}

impl Lists for Sources<'_> {
    fn visit(&self, visit: &mut Visit<'_>) -> Result<(), WriteError> {
        let (mut docs, mut impacts) = (Vec::new(), Vec::new());
        for token in self.tokens() {
            docs.clear();
            impacts.clear();
            for source in &self.sources {
                source.append(token, &mut docs, &mut impacts)?;
            }
            if !docs.is_empty() {
                visit(token, &docs, &impacts)?;
            }
        }
        Ok(())
    }
}

impl Documents for Sources<'_> {
    fn visit(
        &self,
        visit: &mut dyn FnMut(Entries<'_>) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        for source in &self.sources {
            for doc in 0..source.files.forward.docs() {
                if source.numbers.get(doc) != DEAD {
                    visit(source.files.forward.document(doc)?)?;
                }
            }
        }
        Ok(())
    }
}
