//! The oracle: every document's score from its own vector, by definition.

use super::{Counts, Job, Sink};
use crate::error::FileError;
use crate::query::score_of;

/// Offers every matching document. Cost: all postings of the segment.
pub(crate) fn run(job: &Job<'_>, sink: &mut dyn Sink) -> Result<Counts, FileError> {
    let mut counts = Counts::default();
    for (place, &doc) in job.inverted.order().iter().enumerate() {
        let entries = job.forward.document(doc)?;
        let score = score_of(job.query.terms(), entries.tokens, entries.impacts);
        let allowed = job.allowed(place / 64) >> (place % 64) & 1 == 1;
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
