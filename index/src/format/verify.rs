//! Reads both files of a segment to the last byte and compares them.

use super::forward::Forward;
use super::inverted::{Inverted, List};
use crate::error::{Fault, FileError};

/// Every checksum and every rule of the inverted file.
pub(crate) fn inverted(file: &Inverted) -> Result<(), FileError> {
    file.container().verify_all()?;
    (0..file.tokens().len()).try_for_each(|ordinal| file.verify_list(ordinal))
}

/// Every checksum and every rule of the forward file.
pub(crate) fn forward(file: &Forward) -> Result<(), FileError> {
    file.container().verify_all()?;
    (0..file.docs()).try_for_each(|doc| file.verify_document(doc).map(drop))
}

/// Whether both hold the same postings. Both must have been verified alone before.
///
/// Documents are read in the inverted file's order while a cursor moves along each list, so memory is a few bytes per
/// token. Each posting of the forward file must be the next one of its list; as both files have
/// the same number of postings, none can be left over.
pub(crate) fn agreement(inverted: &Inverted, forward: &Forward) -> Result<(), FileError> {
    let disagree = |doc, token| FileError {
        file: inverted.file().to_path_buf(),
        fault: Fault::Disagreement { doc, token },
    };
    let mut lists = cursors(inverted)?;
    for (place, &doc) in (0_u32..).zip(inverted.order()) {
        let entries = forward.document(doc)?;
        for (&token, &impact) in entries.tokens.iter().zip(entries.impacts) {
            let next = lists[usize::from(token)].as_mut().and_then(|(list, read)| {
                *read += 1;
                list.impact_at(place, *read - 1)
            });
            if next != Some(impact) {
                return Err(disagree(doc, token));
            }
        }
    }
    if inverted.postings() == forward.postings() {
        return Ok(());
    }
    let unread = (0..=u16::MAX)
        .zip(&lists)
        .find(|(_, list)| list.is_some_and(|(list, read)| read < list.len()));
    Err(disagree(forward.docs(), unread.map_or(0, |(token, _)| token)))
}

/// For every possible token its list, if it has one, and how many of its postings were read.
fn cursors(inverted: &Inverted) -> Result<Vec<Option<(List<'_>, usize)>>, FileError> {
    let mut lists = vec![None; 1 << 16];
    for (ordinal, &token) in inverted.tokens().iter().enumerate() {
        lists[usize::from(token)] = Some((inverted.list(ordinal)?, 0));
    }
    Ok(lists)
}
