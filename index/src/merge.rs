//! The documents of several segments as those of one: dead ones dropped, the rest renumbered.
//!
//! Documents are copied from the mapped sources in the order in which tantivy stacks them. In the
//! inverted file they get a new order, so each list is sorted again; memory is a few numbers a
//! document and one list.

use tantivy::SegmentReader;

use crate::format::forward::{Documents, Entries};
use crate::format::inverted::{Lists, Visit, WriteError};
use crate::segment::SegmentFiles;

/// The place of a dead document. No other has it: tantivy has at most 2^31.
const DEAD: u32 = u32::MAX;

/// The segments that are merged, in order.
pub(crate) struct Sources<'a> {
    files: Vec<&'a SegmentFiles>,
    /// Where each document that stays comes from: the source, and its number there.
    origins: Vec<(usize, u32)>,
}

impl<'a> Sources<'a> {
    pub(crate) fn new(
        segments: impl Iterator<Item = (&'a SegmentFiles, &'a SegmentReader)>,
    ) -> Self {
        let (mut files, mut origins) = (Vec::new(), Vec::new());
        for (source, (segment, reader)) in segments.enumerate() {
            files.push(segment);
            origins.extend(reader.doc_ids_alive().map(|doc| (source, doc)));
        }
        Self { files, origins }
    }

    /// The lists for documents in this order.
    pub(crate) fn lists(&self, order: &[u32]) -> OrderedLists<'_> {
        let orders = self.files.iter().map(|files| files.inverted.order());
        let mut by_number: Vec<_> = orders.clone().map(|order| vec![DEAD; order.len()]).collect();
        for (place, doc) in (0_u32..).zip(order) {
            let (source, number) = self.origins[*doc as usize];
            by_number[source][number as usize] = place;
        }
        let places = orders.zip(&by_number).map(|(order, by_number)| {
            order.iter().map(|number| by_number[*number as usize]).collect()
        });
        OrderedLists { files: &self.files, places: places.collect(), docs: order.len() }
    }
}

impl Documents for Sources<'_> {
    fn visit(
        &self,
        visit: &mut dyn FnMut(Entries<'_>) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        let mut origins = self.origins.iter();
        origins.try_for_each(|(source, doc)| visit(self.files[*source].forward.document(*doc)?))
    }
}

/// The lists of all sources, by rising new place of the documents.
pub(crate) struct OrderedLists<'a> {
    files: &'a [&'a SegmentFiles],
    /// The new place of the document at each place of each source.
    places: Vec<Vec<u32>>,
    /// Documents that stay.
    docs: usize,
}

impl OrderedLists<'_> {
    /// Every token that some source has, rising.
    fn tokens(&self) -> Vec<u16> {
        let all = self.files.iter().flat_map(|files| files.inverted.tokens());
        let mut tokens: Vec<u16> = all.copied().collect();
        tokens.sort_unstable();
        tokens.dedup();
        tokens
    }

    /// Documents that have a token, those that do not stay included.
    fn count(&self, token: u16) -> usize {
        let lists = self.files.iter().map(|files| &files.inverted);
        lists.filter_map(|lists| Some(lists.statistics(lists.find(token)?).0)).sum()
    }

    /// Calls `visit(place, impact)` for all that stays of a token's lists, source by source.
    fn postings(&self, token: u16, mut visit: impl FnMut(u32, u8)) -> Result<(), WriteError> {
        for (files, places) in self.files.iter().zip(&self.places) {
            let Some(list) = files.inverted.find(token) else { continue };
            let (list, windows) = (files.inverted.list(list)?, files.inverted.windows());
            for window in 0..windows.count() {
                let places = &places[windows.first(window) as usize..];
                for (id, impact) in list.cell(window).postings() {
                    let place = places[usize::from(id)];
                    if place != DEAD {
                        visit(place, impact);
                    }
                }
            }
        }
        Ok(())
    }
}

/// Lists of more than one document in so many are sorted by putting each impact at its place in a table
/// of all documents.
const LONG: usize = 256;

impl Lists for OrderedLists<'_> {
    fn visit(&self, visit: &mut Visit<'_>) -> Result<(), WriteError> {
        let mut table = vec![[0; EIGHT]; self.docs.div_ceil(EIGHT)];
        let (mut sorted, mut list) = (Vec::new(), Columns::default());
        for token in self.tokens() {
            let count = self.count(token);
            list.clear(count);
            if count > self.docs / LONG {
                let flat = table.as_flattened_mut();
                self.postings(token, |place, impact| flat[place as usize] = impact)?;
                list.take(&mut table);
            } else {
                // One number is sorted faster than two.
                sorted.clear();
                self.postings(token, |place, impact| {
                    sorted.push(u64::from(place) << 8 | u64::from(impact));
                })?;
                sorted.sort_unstable();
                for posting in &sorted {
                    let [impact, place @ .., _, _, _] = posting.to_le_bytes();
                    list.push(u32::from_le_bytes(place), impact);
                }
            }
            if list.len > 0 {
                visit(token, &list.places[..list.len], &list.impacts[..list.len])?;
            }
        }
        Ok(())
    }
}

/// Places that are looked at together.
const EIGHT: usize = 8;

/// A list of postings as two columns, which are longer than the list.
#[derive(Default)]
struct Columns {
    places: Vec<u32>,
    impacts: Vec<u8>,
    len: usize,
}

impl Columns {
    /// Makes room for so many postings.
    fn clear(&mut self, postings: usize) {
        self.len = 0;
        let room = self.places.len().max(postings + EIGHT);
        self.places.resize(room, 0);
        self.impacts.resize(room, 0);
    }

    fn push(&mut self, place: u32, impact: u8) {
        self.places[self.len] = place;
        self.impacts[self.len] = impact;
        // What has no impact is written over by the next: no branch that cannot be foreseen.
        self.len += usize::from(impact > 0);
    }

    /// Empties a table of impacts by place.
    fn take(&mut self, table: &mut [[u8; EIGHT]]) {
        for (first, eight) in (0_u32..).step_by(EIGHT).zip(table) {
            if *eight != [0; EIGHT] {
                for (place, impact) in (first..).zip(std::mem::take(eight)) {
                    self.push(place, impact);
                }
            }
        }
    }
}
