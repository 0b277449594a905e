//! The oracle: every document's score from its own vector, by definition.

use super::{Counts, Job, Sink};
use crate::error::FileError;
use crate::query::score_of;

/// Offers every matching document. Cost: all postings of the segment.
pub(crate) fn run(job: &Job<'_>, sink: &mut dyn Sink) -> Result<Counts, FileError> {
    let mut counts = Counts::default();
    for doc in 0..job.forward.docs() {
        let entries = job.forward.document(doc)?;
        let score = score_of(job.query.terms(), entries.tokens, entries.impacts);
        let allowed = job.allowed(doc as usize / 64) >> (doc % 64) & 1 == 1;
        if score < job.floor || !allowed {
            continue;
        }
        if job.query.excludes_entries(entries.tokens, entries.impacts) {
            counts.excluded += 1;
            continue;
        }
        counts.matched += 1;
        if score >= sink.least() {
            sink.offer(doc, score);
        }
    }
    Ok(counts)
}
