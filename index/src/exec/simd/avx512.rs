//! AVX-512: a block's impacts are spread over its 64 documents by one instruction (VBMI2), and the
//! products of four lists are added by another (VNNI).
//!
//! VNNI multiplies bytes without sign by bytes with one. Impacts go up to 255 and are the former; a
//! weight above 127 is the latter only in parts, which are added one after the other.

use std::arch::x86_64::{
    __m512i, _mm512_cmpge_epu32_mask, _mm512_dpbusd_epi32, _mm512_loadu_si512,
    _mm512_maskz_expand_epi8, _mm512_max_epu32, _mm512_reduce_max_epu32, _mm512_set1_epi32,
    _mm512_setzero_si512, _mm512_shuffle_i32x4, _mm512_storeu_si512, _mm512_unpackhi_epi8,
    _mm512_unpackhi_epi16, _mm512_unpacklo_epi8, _mm512_unpacklo_epi16,
};

use super::{Dense, Simd, Task, filled};
use crate::format::cell::{BLOCK, word};

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
    fn add(self, scores: &mut [u32; BLOCK], lists: &mut [Dense<'_>], block: usize) {
        // SAFETY: an `Avx512` exists only inside of `run`, whose caller has looked for all of this.
        unsafe { add(scores, lists, block) }
    }

    /// Written out, since it is where most blocks end, and a compiler may or may not make four
    /// instructions of a plain loop.
    #[inline(always)]
    fn greatest(self, scores: &[u32; BLOCK]) -> u32 {
        // SAFETY: as above.
        unsafe { greatest(scores) }
    }

    #[inline(always)]
    fn at_least(self, scores: &[u32; BLOCK], floor: u32) -> u64 {
        // SAFETY: as above.
        unsafe { at_least(scores, floor) }
    }
}

/// 64 scores. In memory they are in the order of the documents; here documents 16 l + 4 v .. + 3 are in
/// 128-bit lane l of vector v, which is where [`spread`] leaves their impacts.
type Scores = [__m512i; 4];

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,avx512vnni,bmi1,bmi2,popcnt")]
#[inline]
fn add(scores: &mut [u32; BLOCK], lists: &mut [Dense<'_>], block: usize) {
    let quarters: &mut [[u8; 64]; 4] = bytemuck::cast_mut(scores);
    let [a, b, c, d] = quarters.each_ref();
    let mut sums = transpose([load(a), load(b), load(c), load(d)]);
    let (fours, rest) = lists.as_chunks_mut::<4>();
    for [a, b, c, d] in fours {
        let weights = [a.weight, b.weight, c.weight, d.weight];
        let impacts = [impacts(a, block), impacts(b, block), impacts(c, block), impacts(d, block)];
        add_four(&mut sums, impacts, weights);
    }
    if !rest.is_empty() {
        let (mut vectors, mut weights) = ([_mm512_setzero_si512(); 4], [0; 4]);
        for (at, list) in rest.iter_mut().enumerate() {
            vectors[at] = impacts(list, block);
            weights[at] = list.weight;
        }
        add_four(&mut sums, vectors, weights);
    }
    for (quarter, sum) in quarters.iter_mut().zip(transpose(sums)) {
        store(quarter, sum);
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn greatest(scores: &[u32; BLOCK]) -> u32 {
    let quarters: &[[u8; 64]; 4] = bytemuck::cast_ref(scores);
    let [a, b, c, d] = quarters.each_ref();
    let (ab, cd) = (_mm512_max_epu32(load(a), load(b)), _mm512_max_epu32(load(c), load(d)));
    _mm512_reduce_max_epu32(_mm512_max_epu32(ab, cd))
}

#[target_feature(enable = "avx512f")]
#[inline]
fn at_least(scores: &[u32; BLOCK], floor: u32) -> u64 {
    let quarters: &[[u8; 64]; 4] = bytemuck::cast_ref(scores);
    let floor = _mm512_set1_epi32(floor.cast_signed());
    let mut bits = 0;
    for (at, quarter) in quarters.iter().enumerate() {
        bits |= u64::from(_mm512_cmpge_epu32_mask(load(quarter), floor)) << (16 * at);
    }
    bits
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

/// The impacts of a list in a block, one byte a document, 0 where it has none.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,popcnt")]
#[inline]
fn impacts(list: &mut Dense<'_>, block: usize) -> __m512i {
    let bits = word(list.bits[block]);
    let next = match list.impacts.first_chunk::<BLOCK>() {
        Some(next) => load(next),
        None => load(&filled(list.impacts)),
    };
    list.impacts = &list.impacts[bits.count_ones() as usize..];
    _mm512_maskz_expand_epi8(bits, next)
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

/// From one list a vector to one quarter of the documents a vector, the four impacts of a document
/// side by side.
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

/// Swaps lanes and vectors: lane l of vector v becomes lane v of vector l. Twice is nothing.
#[target_feature(enable = "avx512f")]
#[inline]
fn transpose([a, b, c, d]: Scores) -> Scores {
    let (ab_low, ab_high) =
        (_mm512_shuffle_i32x4::<0x44>(a, b), _mm512_shuffle_i32x4::<0xee>(a, b));
    let (cd_low, cd_high) =
        (_mm512_shuffle_i32x4::<0x44>(c, d), _mm512_shuffle_i32x4::<0xee>(c, d));
    [
        _mm512_shuffle_i32x4::<0x88>(ab_low, cd_low),
        _mm512_shuffle_i32x4::<0xdd>(ab_low, cd_low),
        _mm512_shuffle_i32x4::<0x88>(ab_high, cd_high),
        _mm512_shuffle_i32x4::<0xdd>(ab_high, cd_high),
    ]
}
