//! Windowed accumulation: the postings of a query's tokens are added into one small accumulator.
//!
//! Windows of documents are worked through in order. Cells of few postings add `weight · impact` to
//! their documents' scores one by one. Then the window's blocks of 64 documents are visited: the cells
//! of many postings are added, and scores are compared with the least that is still of use.
//!
//! Two bounds save work. A window is passed over when no document of it takes part, or the sum of its
//! tokens' greatest impacts stays below what is needed, and a block when its greatest score so far and
//! the greatest impacts that the cells of many postings have in it do. What is needed is the floor when
//! matches are counted, and the k-th score so far when they are not. Then blocks that may hold the best
//! are visited before the others, so that this score is soon high. Inside of a block the cells of the
//! heaviest tokens are added first, and the others only while they can still lift a document that takes
//! part to what is needed: half of the visits to a million documents end after four cells of twenty.
//! Only *less* is passed over: an equal score may win by its key.

use std::ops::Range;

use super::simd::{Dense, FOUR, Level, PerBlock, Simd, Task, WORDS, Wanted, prefetch};
use super::{Counts, Job, Sink};
use crate::error::FileError;
use crate::format::cell::{BLOCK, Cell};
use crate::format::inverted::{Inverted, List, MAX_WINDOW, Windows};
use crate::query::Exclusion;

/// One bit for each document of a window.
type Bits = [u64; WORDS];

/// Memory of a search, used for every segment. Scores and `removed` are all zero between windows.
pub(crate) struct Scratch {
    level: Level,
    scores: Box<[[u32; BLOCK]; WORDS]>,
    /// The most that a document of each block can score; 0 if that is known to be of no use.
    bounds: PerBlock,
    /// The most that the cells of many after the first four, eight … of them can add to a document of
    /// each block.
    rest: Vec<PerBlock>,
    removed: Bits,
    part: Bits,
    other: Bits,
}

impl Scratch {
    pub(crate) fn new(level: Level) -> Self {
        let empty = [0; WORDS];
        let scores = Box::new([[0; BLOCK]; WORDS]);
        Self {
            level,
            scores,
            bounds: [[0; BLOCK]; WORDS / BLOCK],
            rest: Vec::new(),
            removed: empty,
            part: empty,
            other: empty,
        }
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

/// The terms that have a list here.
fn terms<'a>(job: &Job<'a>) -> Result<Vec<Term<'a>>, FileError> {
    let columns = job.inverted.columns();
    let mut terms = Vec::with_capacity(job.terms.len());
    for &(token, weight) in job.terms {
        if let Some(ordinal) = job.inverted.find(token.0) {
            terms.push(Term { list: columns.list(ordinal)?, weight });
        }
    }
    Ok(terms)
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
    let ordinals = exclusion.tokens.iter().map(|token| inverted.find(token.0));
    let Some(ordinals) = ordinals.collect::<Option<Vec<_>>>() else { return Ok(None) };
    let lists =
        ordinals.into_iter().map(|ordinal| inverted.list(ordinal)).collect::<Result<_, _>>()?;
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
        let windows = job.inverted.windows();
        for window in 0..windows.count() {
            let blocks = blocks_of(windows, window);
            let of_use = job.takes_any(blocks.clone())
                && bound(&terms, window) >= u64::from(job.needed(sink));
            if !of_use {
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
                    Cell::Many { bits, before, maxima, impacts } => {
                        prefetch(maxima);
                        dense.push(Dense { bits, before, maxima, impacts, weight: *weight });
                    }
                }
            }
            for (ids, impacts, weight) in &few {
                accumulate(scratch.scores.as_flattened_mut(), ids, impacts, *weight);
            }
            set_bounds(simd, job, blocks.clone(), !few.is_empty(), &dense, scratch);
            mark_removed(&removals, window, scratch);
            let first = blocks.start;
            Sweep { simd, job, first, dense: &dense, scratch, sink, counts: &mut counts }.run();
            if !few.is_empty() {
                scratch.scores[..blocks.len()].fill([0; BLOCK]);
            }
            if !removals.is_empty() {
                scratch.removed.fill(0);
            }
        }
        counts
    }
}

/// The blocks of a window: words of the bits that say who takes part.
fn blocks_of(windows: Windows, window: usize) -> Range<usize> {
    let first = windows.first(window) as usize / BLOCK;
    first..first + windows.len(window).div_ceil(BLOCK)
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

/// The most that a document of each block that takes part can score: the greatest score that few postings
/// gave, and what cells of many can add.
#[inline(always)]
fn set_bounds<S: Simd>(
    simd: S,
    job: &Job<'_>,
    blocks: Range<usize>,
    few: bool,
    dense: &[Dense<'_>],
    scratch: &mut Scratch,
) {
    let Scratch { scores, bounds, rest, .. } = scratch;
    let (bounds, beyond) = bounds.as_flattened_mut().split_at_mut(blocks.len());
    bounds.fill(0);
    beyond.fill(0);
    let fours = dense.chunks(FOUR);
    rest.resize(fours.len(), [[0; BLOCK]; WORDS / BLOCK]);
    for (cells, rest) in fours.zip(rest).rev() {
        rest.as_flattened_mut()[..blocks.len()].copy_from_slice(bounds);
        add_maxima(bounds, cells);
    }
    if !few {
        return;
    }
    let with_scores = bounds.iter_mut().zip(scores.as_slice());
    if job.takes_all() {
        with_scores.for_each(|(bound, scores)| *bound += simd.greatest(scores, u64::MAX));
        return;
    }
    for (block, (bound, scores)) in blocks.zip(with_scores) {
        let docs = job.allowed(block);
        *bound = if docs == 0 { 0 } else { *bound + simd.greatest(scores, docs) };
    }
}

/// Adds the most that these cells can add to a document of each block.
#[inline(always)]
fn add_maxima(bounds: &mut [u32], cells: &[Dense<'_>]) {
    // Four at a time, a bound is read and written once.
    if let [a, b, c, d] = cells {
        let weights = [a, b, c, d].map(|cell| u32::from(cell.weight));
        let maxima = a.maxima.iter().zip(b.maxima).zip(c.maxima.iter().zip(d.maxima));
        for (bound, ((a, b), (c, d))) in bounds.iter_mut().zip(maxima) {
            let maxima = [a, b, c, d].map(|maximum| u32::from(*maximum));
            for (weight, maximum) in weights.iter().zip(maxima) {
                *bound += weight * maximum;
            }
        }
        return;
    }
    for cell in cells {
        let weight = u32::from(cell.weight);
        for (bound, maximum) in bounds.iter_mut().zip(cell.maxima) {
            *bound += weight * u32::from(*maximum);
        }
    }
}

/// Sets `removed` to the documents of the window that some exclusion removes.
fn mark_removed(removals: &[Removal<'_>], window: usize, scratch: &mut Scratch) {
    let Scratch { removed, part, other, .. } = scratch;
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

/// Completes, reads and clears the scores of the blocks that may hold a match.
struct Sweep<'a, 's, S> {
    simd: S,
    job: &'a Job<'a>,
    /// The window's first block.
    first: usize,
    dense: &'a [Dense<'a>],
    scratch: &'a mut Scratch,
    sink: &'a mut (dyn Sink + 's),
    counts: &'a mut Counts,
}

impl<S: Simd> Sweep<'_, '_, S> {
    #[inline(always)]
    fn run(mut self) {
        if !self.job.counting {
            let most = self.scratch.bounds.as_flattened().iter().copied().fold(0, u32::max);
            // Where few take part, the best of them are seldom in the blocks that could have the best.
            let steps = if self.job.takes_all() { 1 } else { 3 };
            for eighths in 1..=steps {
                self.visit(most - most / 8 * eighths);
            }
        }
        self.visit(1);
    }

    /// Visits the blocks that were not yet visited and whose bound reaches `floor` and what is needed.
    #[inline(always)]
    fn visit(&mut self, floor: u32) {
        let mut needed = self.job.needed(self.sink);
        for group in 0..self.scratch.bounds.len() {
            let mut found = self.simd.at_least(&self.scratch.bounds[group], floor.max(needed));
            while found != 0 {
                let at = found.trailing_zeros() as usize;
                found &= found - 1;
                if self.scratch.bounds[group][at] >= needed {
                    // Nothing reaches a bound of 0: it is not visited again.
                    self.scratch.bounds[group][at] = 0;
                    self.block(group * BLOCK + at, needed);
                    needed = self.job.needed(self.sink);
                }
            }
        }
    }

    #[inline(always)]
    fn block(&mut self, at: usize, needed: u32) {
        let block = self.first + at;
        let allowed = self.job.allowed(block);
        if allowed == 0 {
            return;
        }
        let scores = &mut self.scratch.scores[at];
        let wanted = Wanted { floor: needed, docs: allowed, rest: &self.scratch.rest };
        let found = self.simd.add(scores, self.dense, at, &wanted);
        if found != 0 {
            let removed = found & self.scratch.removed[at];
            let kept = found & !removed;
            self.counts.excluded += u64::from(removed.count_ones());
            self.counts.matched += u64::from(kept.count_ones());
            self.sink.offer_block(&self.job.inverted.order()[block * BLOCK..], kept, scores);
        }
        *scores = [0; BLOCK];
    }
}
