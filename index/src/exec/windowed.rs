//! Windowed accumulation: the postings of a query's tokens are added into one small accumulator.
//!
//! Windows of documents are worked through in order. Cells of few postings add `weight · impact` to
//! their documents' scores one by one. Then the window is swept in blocks of 64: cells of many
//! postings are added, whole blocks at a time, scores are compared with the least that is still of
//! use, and cleared in the same pass.
//!
//! Two bounds save work. A window is passed over when the sum of its tokens' greatest impacts stays
//! below what is needed, and a block when its greatest score so far and the greatest impacts that
//! the cells of many postings have in it do. What is needed is the floor when matches are counted,
//! and the k-th score so far when they are not. Only *less* is passed over: an equal score may win
//! by its key.

use super::simd::{Dense, Level, Simd, Task, prefetch};
use super::{Counts, Job, Sink};
use crate::error::FileError;
use crate::format::cell::{BLOCK, Cell};
use crate::format::inverted::{Inverted, List, MAX_WINDOW};
use crate::query::Exclusion;

const WORDS: usize = MAX_WINDOW / BLOCK;

/// One bit for each document of a window.
type Bits = [u64; WORDS];

/// Memory of a search, used for every segment. Scores are all zero between windows; `removed` between
/// segments.
pub(crate) struct Scratch {
    level: Level,
    scores: Box<[[u32; BLOCK]; WORDS]>,
    /// What the cells of many postings can add to a document of each block.
    bounds: [u32; WORDS],
    removed: Bits,
    part: Bits,
    other: Bits,
}

impl Scratch {
    pub(crate) fn new(level: Level) -> Self {
        let empty = [0; WORDS];
        let scores = Box::new([[0; BLOCK]; WORDS]);
        Self { level, scores, bounds: [0; WORDS], removed: empty, part: empty, other: empty }
    }
}

/// A query token's list and weight.
struct Term<'a> {
    list: List<'a>,
    weight: u8,
}

/// An exclusion whose tokens all have a list in this segment.
struct Removal<'a> {
    lists: Vec<List<'a>>,
    floor: u8,
}

/// Offers every match that the sink may want; counts all of them if the job says so.
pub(crate) fn run(
    job: &Job<'_>,
    scratch: &mut Scratch,
    sink: &mut dyn Sink,
) -> Result<Counts, FileError> {
    let segment = Segment { job, terms: terms(job)?, removals: removals(job)?, scratch, sink };
    Ok(segment.scratch.level.run(segment))
}

fn terms<'a>(job: &Job<'a>) -> Result<Vec<Term<'a>>, FileError> {
    let places = job
        .query
        .terms()
        .iter()
        .filter_map(|(token, weight)| Some((job.inverted.find(token.0)?, *weight)));
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

/// The search of one segment.
struct Segment<'a, 's> {
    job: &'a Job<'a>,
    terms: Vec<Term<'a>>,
    removals: Vec<Removal<'a>>,
    scratch: &'s mut Scratch,
    sink: &'s mut dyn Sink,
}

impl Task for Segment<'_, '_> {
    type Output = Counts;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Counts {
        let Self { job, terms, removals, scratch, sink } = self;
        let mut counts = Counts::default();
        let (mut few, mut dense) =
            (Vec::with_capacity(terms.len()), Vec::with_capacity(terms.len()));
        scratch.removed.fill(0);
        for window in 0..job.inverted.windows().count() {
            if bound(&terms, window) < u64::from(job.needed(sink)) {
                continue;
            }
            few.clear();
            dense.clear();
            for Term { list, weight } in &terms {
                match list.cell(window) {
                    Cell::Few { ids, impacts } => {
                        // By the time that its turn comes, it is there.
                        prefetch(ids);
                        prefetch(impacts);
                        few.push((ids, impacts, *weight));
                    }
                    Cell::Many { bits, maxima, impacts } => {
                        dense.push(Dense { bits, maxima, impacts, weight: *weight });
                    }
                }
            }
            for (ids, impacts, weight) in &few {
                accumulate(scratch.scores.as_flattened_mut(), ids, impacts, *weight);
            }
            set_bounds(&mut scratch.bounds, &dense);
            mark_removed(&removals, window, scratch);
            sweep(simd, job, window, &mut dense, scratch, sink, &mut counts);
        }
        counts
    }
}

/// No document of the window scores higher.
fn bound(terms: &[Term<'_>], window: usize) -> u64 {
    let most =
        |term: &Term<'_>| u64::from(term.weight) * u64::from(term.list.window_maximum(window));
    terms.iter().map(most).sum()
}

/// Adds one cell of few postings. Ids were verified to lie in the window; the mask only tells the
/// compiler so. Four at a time, so that ids and impacts are loaded once.
#[inline(always)]
fn accumulate(scores: &mut [u32], ids: &[u16], impacts: &[u8], weight: u8) {
    let Some(scores) = scores.first_chunk_mut::<MAX_WINDOW>() else { return };
    let weight = u32::from(weight);
    let (ids, ids_rest) = ids.as_chunks::<4>();
    let (impacts, impacts_rest) = impacts.as_chunks::<4>();
    for (ids, impacts) in ids.iter().zip(impacts) {
        let ids: u64 = bytemuck::cast(*ids);
        let impacts: u32 = bytemuck::cast(*impacts);
        for lane in 0..4 {
            #[expect(clippy::cast_possible_truncation, reason = "the lowest bits are meant")]
            let id = (ids >> (16 * lane)) as usize & (MAX_WINDOW - 1);
            scores[id] += weight * (impacts >> (8 * lane) & 0xff);
        }
    }
    for (id, impact) in ids_rest.iter().zip(impacts_rest) {
        scores[usize::from(*id) & (MAX_WINDOW - 1)] += weight * u32::from(*impact);
    }
}

/// What cells of many postings can add at most, block by block.
#[inline(always)]
fn set_bounds(bounds: &mut [u32; WORDS], dense: &[Dense<'_>]) {
    bounds.fill(0);
    for cell in dense {
        let weight = u32::from(cell.weight);
        for (bound, maximum) in bounds.iter_mut().zip(cell.maxima) {
            *bound += weight * u32::from(*maximum);
        }
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
            let postings = list.cell(window).postings();
            for (id, _) in postings.filter(|(_, impact)| *impact >= removal.floor) {
                other[usize::from(id) / BLOCK % WORDS] |= 1 << (id % 64);
            }
            part.iter_mut().zip(other.iter()).for_each(|(part, other)| *part &= other);
        }
        removed.iter_mut().zip(part.iter()).for_each(|(removed, part)| *removed |= part);
    }
}

/// Completes, reads and clears the window's scores.
#[inline(always)]
fn sweep<S: Simd>(
    simd: S,
    job: &Job<'_>,
    window: usize,
    dense: &mut [Dense<'_>],
    scratch: &mut Scratch,
    sink: &mut dyn Sink,
    counts: &mut Counts,
) {
    let windows = job.inverted.windows();
    let first = windows.first(window);
    let blocks = windows.len(window).div_ceil(BLOCK);
    let mut needed = job.needed(sink);
    for (at, scores) in scratch.scores.iter_mut().take(blocks).enumerate() {
        let most = simd.greatest(scores);
        let allowed = job.allowed(first as usize / BLOCK + at);
        if most + scratch.bounds[at] < needed || allowed == 0 {
            dense.iter_mut().for_each(|cell| cell.skip(at));
        } else {
            simd.add(scores, dense, at);
            let found = simd.at_least(scores, needed) & allowed;
            if found != 0 {
                let removed = found & scratch.removed[at];
                counts.excluded += u64::from(removed.count_ones());
                let kept = found & !removed;
                counts.matched += u64::from(kept.count_ones());
                offer(scores, kept, first as usize + at * BLOCK, sink);
                needed = job.needed(sink);
            }
        }
        *scores = [0; BLOCK];
    }
}

fn offer(scores: &[u32; BLOCK], mut kept: u64, first: usize, sink: &mut dyn Sink) {
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
