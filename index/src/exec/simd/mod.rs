//! Which instructions does this processor have, and how do they add the lists of a block?
//!
//! | file | instructions |
//! | --- | --- |
//! | here | none in particular: the processor's least, what any Rust compiler makes of plain loops |
//! | [`avx2`] | AVX2: Intel since Haswell, AMD since Excavator |
//! | [`avx512`] | AVX-512 with VBMI2 and VNNI: Intel since Ice Lake, AMD since Zen 4 |
//!
//! A [`Task`] is compiled once for each [`Level`] and run at the one that was found at run time. All
//! give the same bits: they add whole numbers. On ARM, NEON is part of the processor's least.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

use crate::format::cell::{BLOCK, BlockBits, word};
use crate::format::inverted::MAX_WINDOW;

/// The instructions that a task may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Plain,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// What this processor has, from the least to the best.
    #[cfg(test)]
    pub(crate) fn available() -> Vec<Self> {
        let mut levels = vec![Self::Plain];
        #[cfg(target_arch = "x86_64")]
        {
            levels.extend(avx2::is_available().then_some(Self::Avx2));
            levels.extend(avx512::is_available().then_some(Self::Avx512));
        }
        levels
    }

    /// The best that this processor has.
    pub(crate) fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if avx512::is_available() {
                return Self::Avx512;
            }
            if avx2::is_available() {
                return Self::Avx2;
            }
        }
        Self::Plain
    }

    /// Runs a task. The level must be available.
    pub(crate) fn run<T: Task>(self, task: T) -> T::Output {
        match self {
            Self::Plain => task.run(Plain),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: levels are only made of what was found on this processor.
            Self::Avx2 => unsafe { avx2::run(task) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Self::Avx512 => unsafe { avx512::run(task) },
        }
    }
}

/// Asks for the memory that a slice begins with, and does not wait for it.
#[inline(always)]
pub(crate) fn prefetch<T>(slice: &[T]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: this instruction of every x86-64 reads nothing that a program could see.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(slice.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = slice;
}

/// Work with inner loops. `run` must be `#[inline(always)]`, so that it is compiled anew, all that it
/// calls included, for each level's instructions.
pub(crate) trait Task {
    type Output;

    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// What the levels do differently.
pub(crate) trait Simd: Copy {
    /// Adds `weight · impact` of all documents of a block to their scores and gives the places of the
    /// wanted ones, as bits. Without any, what the scores are is unknown: it may stop when none can be.
    fn add(
        self,
        scores: &mut [u32; BLOCK],
        lists: &[Dense<'_>],
        block: usize,
        wanted: &Wanted<'_>,
    ) -> u64;

    /// No score of these documents of a block is greater, and some score of the block is that great.
    fn greatest(self, scores: &[u32; BLOCK], docs: u64) -> u32;

    /// The places whose score reaches `floor`, as bits.
    fn at_least(self, scores: &[u32; BLOCK], floor: u32) -> u64;
}

/// Blocks of a window, at most.
pub(crate) const WORDS: usize = MAX_WINDOW / BLOCK;

/// After so many lists a block may be left, or after a multiple of it.
pub(crate) const FOUR: usize = 4;

/// After so many it is left where asking takes longer, as scores are in memory.
const EIGHT: usize = 2 * FOUR;

/// A number for each block of a window.
pub(crate) type PerBlock = [[u32; BLOCK]; WORDS / BLOCK];

/// Which scores of a block are of use.
pub(crate) struct Wanted<'a> {
    /// The least.
    pub(crate) floor: u32,
    /// Those of these documents, as bits.
    pub(crate) docs: u64,
    /// The most that the lists after the first four, eight … of them can add.
    pub(crate) rest: &'a [PerBlock],
}

impl Wanted<'_> {
    /// The least score of use before the lists from the `at`-th on, a multiple of four, are added.
    #[inline(always)]
    fn before(&self, at: usize, block: usize) -> u32 {
        self.floor.saturating_sub(self.rest[at / FOUR - 1].as_flattened()[block])
    }
}

/// A cell of many postings, with its token's weight.
#[derive(Clone, Copy)]
pub(crate) struct Dense<'a> {
    pub(crate) bits: &'a [BlockBits],
    /// Postings before each block.
    pub(crate) before: &'a [u16],
    pub(crate) maxima: &'a [u8],
    /// Impacts from those of the cell on, to the end of the column.
    pub(crate) impacts: &'a [u8],
    pub(crate) weight: u8,
}

impl<'a> Dense<'a> {
    /// Which documents of a block have a posting, and the impacts from theirs on.
    #[inline(always)]
    fn block(&self, block: usize) -> (u64, &'a [u8]) {
        (word(self.bits[block]), &self.impacts[usize::from(self.before[block])..])
    }
}

/// What is left at the end of the column, filled up to the length of a block.
#[cfg(target_arch = "x86_64")]
#[cold]
fn filled(impacts: &[u8]) -> [u8; BLOCK] {
    let mut filled = [0; BLOCK];
    filled[..impacts.len()].copy_from_slice(impacts);
    filled
}

/// Plain loops.
#[derive(Clone, Copy)]
struct Plain;

impl Simd for Plain {
    #[inline(always)]
    fn add(
        self,
        scores: &mut [u32; BLOCK],
        lists: &[Dense<'_>],
        block: usize,
        wanted: &Wanted<'_>,
    ) -> u64 {
        for (at, lists) in lists.chunks(EIGHT).enumerate() {
            if at > 0 && self.at_least(scores, wanted.before(EIGHT * at, block)) & wanted.docs == 0
            {
                return 0;
            }
            for list in lists {
                let (mut bits, impacts) = list.block(block);
                let weight = u32::from(list.weight);
                for impact in &impacts[..bits.count_ones() as usize] {
                    scores[bits.trailing_zeros() as usize % BLOCK] += weight * u32::from(*impact);
                    bits &= bits.wrapping_sub(1);
                }
            }
        }
        self.at_least(scores, wanted.floor) & wanted.docs
    }

    #[inline(always)]
    fn greatest(self, scores: &[u32; BLOCK], mut docs: u64) -> u32 {
        if docs.count_ones() <= 8 {
            let mut most = 0;
            while docs != 0 {
                most = most.max(scores[docs.trailing_zeros() as usize % BLOCK]);
                docs &= docs - 1;
            }
            return most;
        }
        let mut most = [0; 16];
        for part in scores.as_chunks::<16>().0 {
            for (most, score) in most.iter_mut().zip(part) {
                *most = (*most).max(*score);
            }
        }
        most.into_iter().fold(0, u32::max)
    }

    #[inline(always)]
    fn at_least(self, scores: &[u32; BLOCK], floor: u32) -> u64 {
        let reached = scores.iter().map(|score| u64::from(*score >= floor));
        reached.enumerate().fold(0, |bits, (at, reached)| bits | reached << at)
    }
}
