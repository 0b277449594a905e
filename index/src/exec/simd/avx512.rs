//! AVX-512: a block's impacts are spread over its 64 documents by one instruction (VBMI2), and the
//! products of four lists are added by another (VNNI).
//!
//! VNNI multiplies bytes without sign by bytes with one. Impacts go up to 255 and are the former; a
//! weight above 127 is the latter only in parts, which are added one after the other.

use std::arch::x86_64::{
    __m512i, _mm512_cmpge_epu32_mask, _mm512_dpbusd_epi32, _mm512_loadu_si512,
    _mm512_maskz_expand_epi8, _mm512_maskz_mov_epi32, _mm512_max_epu32, _mm512_permutexvar_epi32,
    _mm512_reduce_max_epu32, _mm512_set1_epi32, _mm512_setr_epi32, _mm512_setzero_si512,
    _mm512_storeu_si512, _mm512_unpackhi_epi8, _mm512_unpackhi_epi16, _mm512_unpacklo_epi8,
    _mm512_unpacklo_epi16,
};

use super::{Dense, FOUR, Simd, Task, Wanted, filled};
use crate::format::cell::BLOCK;

/// Whether this processor has everything that [`run`] is compiled for.
pub(super) fn is_available() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vbmi2")
        && is_x86_feature_detected!("avx512vnni")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("popcnt")
        && is_x86_feature_detected!("lzcnt")
}

/// Runs a task that may use AVX-512.
#[target_feature(
    enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi2,avx512vnni,bmi1,bmi2,popcnt,lzcnt"
)]
pub(super) fn run<T: Task>(task: T) -> T::Output {
    task.run(Avx512)
}

/// Exists only inside of [`run`].
#[derive(Clone, Copy)]
struct Avx512;

impl Simd for Avx512 {
    #[inline(always)]
    fn add(
        self,
        scores: &mut [u32; BLOCK],
        lists: &[Dense<'_>],
        block: usize,
        wanted: &Wanted<'_>,
    ) -> u64 {
        // SAFETY: an `Avx512` exists only inside of `run`, whose caller has looked for all of this.
        unsafe { add(scores, lists, block, wanted) }
    }

    /// Written out, since every block comes here, and a compiler may or may not make four instructions
    /// of a plain loop.
    #[inline(always)]
    fn greatest(self, scores: &[u32; BLOCK], docs: u64) -> u32 {
        // SAFETY: as above.
        unsafe { greatest(scores, docs) }
    }

    #[inline(always)]
    fn at_least(self, scores: &[u32; BLOCK], floor: u32) -> u64 {
        // SAFETY: as above.
        unsafe { at_least(scores, floor) }
    }
}

/// 64 scores, in the order of the documents.
type Scores = [__m512i; 4];

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,avx512vnni,bmi1,bmi2,popcnt")]
#[inline]
fn add(scores: &mut [u32; BLOCK], lists: &[Dense<'_>], block: usize, wanted: &Wanted<'_>) -> u64 {
    let quarters: &mut [[u8; 64]; 4] = bytemuck::cast_mut(scores);
    let [a, b, c, d] = quarters.each_ref();
    let mut sums = [load(a), load(b), load(c), load(d)];
    let (fours, rest) = lists.as_chunks::<FOUR>();
    for (at, [a, b, c, d]) in fours.iter().enumerate() {
        if at > 0 && places(sums, wanted.before(FOUR * at, block)) & wanted.docs == 0 {
            return 0;
        }
        let weights = [a.weight, b.weight, c.weight, d.weight];
        let impacts = [impacts(a, block), impacts(b, block), impacts(c, block), impacts(d, block)];
        add_four(&mut sums, impacts, weights);
    }
    let none = _mm512_setzero_si512();
    // Case by case: from an array that a loop fills, a search took 4 % longer.
    match rest {
        [a] => add_four(&mut sums, [impacts(a, block), none, none, none], [a.weight, 0, 0, 0]),
        [a, b] => {
            let impacts = [impacts(a, block), impacts(b, block), none, none];
            add_four(&mut sums, impacts, [a.weight, b.weight, 0, 0]);
        }
        [a, b, c] => {
            let impacts = [impacts(a, block), impacts(b, block), impacts(c, block), none];
            add_four(&mut sums, impacts, [a.weight, b.weight, c.weight, 0]);
        }
        _ => {}
    }
    let found = places(sums, wanted.floor) & wanted.docs;
    if found != 0 {
        for (quarter, sum) in quarters.iter_mut().zip(sums) {
            store(quarter, sum);
        }
    }
    found
}

/// The documents whose score reaches `floor`, as bits.
#[target_feature(enable = "avx512f")]
#[inline]
fn places(scores: Scores, floor: u32) -> u64 {
    let floor = _mm512_set1_epi32(floor.cast_signed());
    let mut found = 0;
    for (at, scores) in scores.into_iter().enumerate() {
        found |= u64::from(_mm512_cmpge_epu32_mask(scores, floor)) << (16 * at);
    }
    found
}

#[target_feature(enable = "avx512f")]
#[inline]
fn greatest(scores: &[u32; BLOCK], docs: u64) -> u32 {
    let quarters: &[[u8; 64]; 4] = bytemuck::cast_ref(scores);
    #[expect(clippy::cast_possible_truncation, reason = "the lowest bits are meant")]
    let of = |at: usize| _mm512_maskz_mov_epi32((docs >> (16 * at)) as u16, load(&quarters[at]));
    let (ab, cd) = (_mm512_max_epu32(of(0), of(1)), _mm512_max_epu32(of(2), of(3)));
    _mm512_reduce_max_epu32(_mm512_max_epu32(ab, cd))
}

#[target_feature(enable = "avx512f")]
#[inline]
fn at_least(scores: &[u32; BLOCK], floor: u32) -> u64 {
    let quarters: &[[u8; 64]; 4] = bytemuck::cast_ref(scores);
    places(quarters.each_ref().map(|quarter| load(quarter)), floor)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn load(bytes: &[u8; 64]) -> __m512i {
    // SAFETY: it reads these 64 bytes, wherever they begin.
    unsafe { _mm512_loadu_si512(std::ptr::from_ref(bytes).cast()) }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn store(bytes: &mut [u8; 64], vector: __m512i) {
    // SAFETY: it writes these 64 bytes, wherever they begin.
    unsafe { _mm512_storeu_si512(std::ptr::from_mut(bytes).cast(), vector) }
}

/// The impacts of a list in a block, one byte a document, 0 where it has none. Four documents after the
/// other, they stand in the order that [`interleave`] puts right.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,popcnt")]
#[inline]
fn impacts(list: &Dense<'_>, block: usize) -> __m512i {
    let (bits, impacts) = list.block(block);
    let next = match impacts.first_chunk::<BLOCK>() {
        Some(next) => load(next),
        None => load(&filled(impacts)),
    };
    let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    _mm512_permutexvar_epi32(order, _mm512_maskz_expand_epi8(bits, next))
}

/// Adds the products of four lists.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
#[inline]
fn add_four(sums: &mut Scores, impacts: [__m512i; 4], mut weights: [u8; 4]) {
    let impacts = interleave(impacts);
    while weights != [0; 4] {
        let part = weights.map(|weight| weight.min(127));
        for (weight, part) in weights.iter_mut().zip(part) {
            *weight -= part;
        }
        let part = _mm512_set1_epi32(i32::from_le_bytes(part));
        for (sum, impacts) in sums.iter_mut().zip(impacts) {
            *sum = _mm512_dpbusd_epi32(*sum, impacts, part);
        }
    }
}

/// From one list a vector to sixteen documents a vector, the four impacts of a document side by side.
/// Lane l of vector v gets what was at place v of lane l: documents 16 v + 4 l to 16 v + 4 l + 3.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn interleave([a, b, c, d]: [__m512i; 4]) -> Scores {
    let (ab_low, ab_high) = (_mm512_unpacklo_epi8(a, b), _mm512_unpackhi_epi8(a, b));
    let (cd_low, cd_high) = (_mm512_unpacklo_epi8(c, d), _mm512_unpackhi_epi8(c, d));
    [
        _mm512_unpacklo_epi16(ab_low, cd_low),
        _mm512_unpackhi_epi16(ab_low, cd_low),
        _mm512_unpacklo_epi16(ab_high, cd_high),
        _mm512_unpackhi_epi16(ab_high, cd_high),
    ]
}
