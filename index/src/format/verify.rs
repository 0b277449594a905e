//! Reads both files of a segment to the last byte and compares them.

use super::forward::Forward;
use super::inverted::Inverted;
use crate::error::{Fault, FileError};

/// Every checksum and every rule of the inverted file.
pub(crate) fn inverted(file: &Inverted) -> Result<(), FileError> {
    file.container().verify_all()?;
    (0..file.tokens().len()).try_for_each(|place| file.verify_list(place))
}

/// Every checksum and every rule of the forward file.
pub(crate) fn forward(file: &Forward) -> Result<(), FileError> {
    file.container().verify_all()?;
    (0..file.docs()).try_for_each(|doc| file.verify_document(doc).map(drop))
}

/// Whether both hold the same postings. Both must have been verified alone before.
///
/// Documents are read in order while a cursor moves along each list, so memory is a few bytes per
/// token. Each posting of the forward file must be the next one of its list; as both files have
/// the same number of postings, none can be left over.
pub(crate) fn agreement(inverted: &Inverted, forward: &Forward) -> Result<(), FileError> {
    let disagree = |doc, token| FileError {
        file: inverted.file().to_path_buf(),
        fault: Fault::Disagreement { doc, token },
    };
    let mut cursors = vec![0_usize; inverted.tokens().len()];
    for doc in 0..forward.docs() {
        let window = (doc >> inverted.window_log2()) as usize;
        let local = doc & ((1 << inverted.window_log2()) - 1);
        let entries = forward.document(doc)?;
        for (&token, &impact) in entries.tokens.iter().zip(entries.impacts) {
            let place = inverted.find(token).ok_or_else(|| disagree(doc, token))?;
            let (ids, impacts) = inverted.list(place)?.window(window);
            let before = inverted.list(place)?.start(window);
            let at = cursors[place].checked_sub(before);
            let same = at.is_some_and(|at| {
                ids.get(at).map(|id| u32::from(*id)) == Some(local) && impacts[at] == impact
            });
            if !same {
                return Err(disagree(doc, token));
            }
            cursors[place] += 1;
        }
    }
    if inverted.postings() != forward.postings() {
        let left = (0..cursors.len())
            .find(|place| cursors[*place] != inverted.statistics(*place).0)
            .map_or(0, |place| inverted.tokens()[place]);
        return Err(disagree(forward.docs(), left));
    }
    Ok(())
}
