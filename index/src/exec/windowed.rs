//! Windowed accumulation: the postings of a query's tokens are added into one small accumulator.
//!
//! Windows of documents are worked through in order. Within one, every token's postings add
//! `weight · impact` to their document's cell; then the cells are scanned, 64 at a time, against the
//! least score that may still enter, and cleared in the same pass. The accumulator stays in the
//! fastest cache, and the work is proportional to the postings of the query's tokens.
//!
//! A window is skipped when the sum of its tokens' greatest impacts stays below the floor: nothing
//! in it counts as a match. The rising k-th score skips none, because matches below it are counted.

use super::{Counts, Job, Sink};
use crate::error::FileError;
use crate::format::inverted::{Inverted, List, MAX_WINDOW};
use crate::query::Exclusion;

const WORDS: usize = MAX_WINDOW / 64;

/// One bit for each document of a window.
type Bits = [u64; WORDS];

/// Memory of a search. Made once a search, used for every segment. Scores are all zero between
/// windows; `removed` between segments.
pub(crate) struct Scratch {
    scores: Box<[u32]>,
    removed: Bits,
    part: Bits,
    other: Bits,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        let empty = [0; WORDS];
        let scores = vec![0; MAX_WINDOW].into_boxed_slice();
        Self { scores, removed: empty, part: empty, other: empty }
    }
}

/// A query token's list and weight.
struct Term<'a> {
    list: List<'a>,
    weight: u32,
}

/// An exclusion whose tokens all have a list in this segment.
struct Removal<'a> {
    lists: Vec<List<'a>>,
    floor: u8,
}

/// Offers every match that the sink may want, and counts all of them.
pub(crate) fn run(
    job: &Job<'_>,
    scratch: &mut Scratch,
    sink: &mut dyn Sink,
) -> Result<Counts, FileError> {
    let mut counts = Counts::default();
    let terms = terms(job)?;
    let removals = removals(job)?;
    scratch.removed.fill(0);
    for window in 0..job.inverted.windows() {
        if bound(&terms, window) < u64::from(job.floor) {
            continue;
        }
        for term in &terms {
            let (ids, impacts) = term.list.window(window);
            accumulate(&mut scratch.scores, ids, impacts, term.weight);
        }
        mark_removed(&removals, window, scratch);
        scan(job, window, scratch, sink, &mut counts);
    }
    Ok(counts)
}

fn terms<'a>(job: &Job<'a>) -> Result<Vec<Term<'a>>, FileError> {
    let places = job
        .query
        .terms()
        .iter()
        .filter_map(|(token, weight)| Some((job.inverted.find(token.0)?, u32::from(*weight))));
    places.map(|(place, weight)| Ok(Term { list: job.inverted.list(place)?, weight })).collect()
}

fn removals<'a>(job: &Job<'a>) -> Result<Vec<Removal<'a>>, FileError> {
    let exclusions = job.query.exclusions().iter();
    exclusions.filter_map(|exclusion| removal(job.inverted, exclusion).transpose()).collect()
}

/// `None` when a token has no list here: no document of this segment has them all.
fn removal<'a>(
    inverted: &'a Inverted,
    exclusion: &Exclusion,
) -> Result<Option<Removal<'a>>, FileError> {
    let places = exclusion.tokens.iter().map(|token| inverted.find(token.0));
    let Some(places) = places.collect::<Option<Vec<_>>>() else { return Ok(None) };
    let lists = places.into_iter().map(|place| inverted.list(place)).collect::<Result<_, _>>()?;
    Ok(Some(Removal { lists, floor: exclusion.floor }))
}

/// No document of the window scores higher.
fn bound(terms: &[Term<'_>], window: usize) -> u64 {
    let most =
        |term: &Term<'_>| u64::from(term.weight) * u64::from(term.list.window_maximum(window));
    terms.iter().map(most).sum()
}

/// Adds one list's part of a window. Ids were verified to lie in the window; the mask only tells the
/// compiler so.
fn accumulate(scores: &mut [u32], ids: &[u16], impacts: &[u8], weight: u32) {
    let Some(scores) = scores.first_chunk_mut::<MAX_WINDOW>() else { return };
    for (id, impact) in ids.iter().zip(impacts) {
        scores[usize::from(*id) & (MAX_WINDOW - 1)] += weight * u32::from(*impact);
    }
}

/// Sets `removed` to the documents of the window that some exclusion removes.
fn mark_removed(removals: &[Removal<'_>], window: usize, scratch: &mut Scratch) {
    let Scratch { removed, part, other, .. } = scratch;
    if removals.is_empty() {
        return;
    }
    removed.fill(0);
    for removal in removals {
        part.fill(u64::MAX);
        for list in &removal.lists {
            other.fill(0);
            let (ids, impacts) = list.window(window);
            for (id, _) in ids.iter().zip(impacts).filter(|(_, impact)| **impact >= removal.floor) {
                other[usize::from(*id) / 64 % WORDS] |= 1 << (id % 64);
            }
            part.iter_mut().zip(other.iter()).for_each(|(part, other)| *part &= other);
        }
        removed.iter_mut().zip(part.iter()).for_each(|(removed, part)| *removed |= part);
    }
}

/// Reads and clears the window's scores.
fn scan(
    job: &Job<'_>,
    window: usize,
    scratch: &mut Scratch,
    sink: &mut dyn Sink,
    counts: &mut Counts,
) {
    let first = window << job.inverted.window_log2();
    let docs = (job.inverted.docs() as usize - first).min(1 << job.inverted.window_log2());
    let (chunks, _) = scratch.scores.as_chunks_mut::<64>();
    for (at, scores) in chunks.iter_mut().take(docs.div_ceil(64)).enumerate() {
        let most = scores.iter().copied().max().unwrap_or(0);
        if most >= job.floor {
            let found = at_least(scores, job.floor) & job.allowed(first / 64 + at);
            counts.excluded += u64::from((found & scratch.removed[at]).count_ones());
            let kept = found & !scratch.removed[at];
            counts.matched += u64::from(kept.count_ones());
            if most >= sink.least() {
                offer(scores, kept, first + at * 64, sink);
            }
        }
        if most > 0 {
            scores.fill(0);
        }
    }
}

/// The places whose score reaches `floor`, as bits.
fn at_least(scores: &[u32; 64], floor: u32) -> u64 {
    let reached = scores.iter().map(|score| u64::from(*score >= floor));
    reached.enumerate().fold(0, |bits, (at, reached)| bits | reached << at)
}

fn offer(scores: &[u32; 64], mut kept: u64, first: usize, sink: &mut dyn Sink) {
    while kept != 0 {
        let at = kept.trailing_zeros() as usize;
        kept &= kept - 1;
        if scores[at] >= sink.least() {
            // A segment's documents are counted by a `u32`.
            let doc = u32::try_from(first + at).unwrap_or(u32::MAX);
            sink.offer(doc, scores[at]);
        }
    }
}
