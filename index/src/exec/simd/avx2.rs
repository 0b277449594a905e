//! AVX2: a block's impacts are spread over its 64 documents by shuffles of bytes, whose order a table
//! gives for every eight documents, and the products of two lists are added by one instruction.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_loadu_si128, _mm_set_epi64x, _mm_shuffle_epi8, _mm256_add_epi32,
    _mm256_castsi256_ps, _mm256_cmpeq_epi32, _mm256_loadu_si256, _mm256_madd_epi16,
    _mm256_max_epu32, _mm256_movemask_ps, _mm256_permute2x128_si256, _mm256_set_m128i,
    _mm256_set1_epi32, _mm256_setzero_si256, _mm256_storeu_si256, _mm256_unpackhi_epi8,
    _mm256_unpacklo_epi8,
};

use super::{Dense, EIGHT, Plain, Simd, Task, Wanted, filled};
use crate::format::cell::BLOCK;

/// Whether this processor has everything that [`run`] is compiled for.
pub(super) fn is_available() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("popcnt")
        && is_x86_feature_detected!("lzcnt")
}

/// Runs a task that may use AVX2.
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
pub(super) fn run<T: Task>(task: T) -> T::Output {
    task.run(Avx2)
}

/// Exists only inside of [`run`].
#[derive(Clone, Copy)]
struct Avx2;

impl Simd for Avx2 {
    #[inline(always)]
    fn add(
        self,
        scores: &mut [u32; BLOCK],
        lists: &[Dense<'_>],
        block: usize,
        wanted: &Wanted<'_>,
    ) -> u64 {
        // SAFETY: an `Avx2` exists only inside of `run`, whose caller has looked for all of this.
        unsafe { add(scores, lists, block, wanted) }
    }

    #[inline(always)]
    fn greatest(self, scores: &[u32; BLOCK], docs: u64) -> u32 {
        Plain.greatest(scores, docs)
    }

    /// A compiler makes 64 comparisons, one by one, of the plain loop.
    #[inline(always)]
    fn at_least(self, scores: &[u32; BLOCK], floor: u32) -> u64 {
        // SAFETY: as above.
        unsafe { at_least(scores, floor) }
    }
}

/// For each eight bits the order of a shuffle: a document whose bit is set takes the next byte, the
/// others take none.
static ORDERS: [u64; 256] = orders();

const fn orders() -> [u64; 256] {
    let mut orders = [0; 256];
    let mut bits = 0;
    while bits < 256 {
        let (mut document, mut next) = (0, 0);
        while document < 8 {
            let byte = if bits >> document & 1 == 1 { next } else { 0x80 };
            orders[bits] |= byte << (8 * document);
            next += (bits >> document & 1) as u64;
            document += 1;
        }
        bits += 1;
    }
    orders
}

/// 64 scores. In memory they are in the order of the documents; here documents
/// 32 h + 16 l + 4 v .. + 3 are in 128-bit lane l of vector v of half h, which is where [`add_two`] leaves
/// their products.
type Scores = [[__m256i; 4]; 2];

#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
#[inline]
fn add(scores: &mut [u32; BLOCK], lists: &[Dense<'_>], block: usize, wanted: &Wanted<'_>) -> u64 {
    for (at, lists) in lists.chunks(EIGHT).enumerate() {
        if at > 0 && at_least(scores, wanted.before(EIGHT * at, block)) & wanted.docs == 0 {
            return 0;
        }
        add_all(scores, lists, block);
    }
    at_least(scores, wanted.floor) & wanted.docs
}

#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
#[inline]
fn add_all(scores: &mut [u32; BLOCK], lists: &[Dense<'_>], block: usize) {
    let quarters: &mut [[[u8; 32]; 4]; 2] = bytemuck::cast_mut(scores);
    let [low, high] = quarters.each_ref();
    let mut sums: Scores = [halves(low), halves(high)];
    let (pairs, rest) = lists.as_chunks::<2>();
    for [a, b] in pairs {
        let (weights, impacts) = ([a.weight, b.weight], [spread(a, block), spread(b, block)]);
        add_two(&mut sums, impacts, weights);
    }
    for list in rest {
        let (weights, none) = ([list.weight, 0], [_mm256_setzero_si256(); 2]);
        add_two(&mut sums, [spread(list, block), none], weights);
    }
    for (half, sums) in quarters.iter_mut().zip(sums) {
        for (quarter, sum) in half.iter_mut().zip(whole(sums)) {
            store(quarter, sum);
        }
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn at_least(scores: &[u32; BLOCK], floor: u32) -> u64 {
    let eighths: &[[u8; 32]; 8] = bytemuck::cast_ref(scores);
    let floor = _mm256_set1_epi32(floor.cast_signed());
    let mut bits = 0;
    for (at, eighth) in eighths.iter().enumerate() {
        let scores = load(eighth);
        let reached = _mm256_cmpeq_epi32(_mm256_max_epu32(scores, floor), scores);
        let eight = _mm256_movemask_ps(_mm256_castsi256_ps(reached)).cast_unsigned();
        bits |= u64::from(eight) << (8 * at);
    }
    bits
}

#[target_feature(enable = "avx")]
#[inline]
fn load(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: it reads these 32 bytes, wherever they begin.
    unsafe { _mm256_loadu_si256(std::ptr::from_ref(bytes).cast()) }
}

#[target_feature(enable = "avx")]
#[inline]
fn store(bytes: &mut [u8; 32], vector: __m256i) {
    // SAFETY: it writes these 32 bytes, wherever they begin.
    unsafe { _mm256_storeu_si256(std::ptr::from_mut(bytes).cast(), vector) }
}

/// The impacts of a list in a block, one byte a document, 0 where it has none.
#[target_feature(enable = "avx2,popcnt")]
#[inline]
fn spread(list: &Dense<'_>, block: usize) -> [__m256i; 2] {
    let (bits, impacts) = list.block(block);
    let end;
    let next = match impacts.first_chunk() {
        Some(next) => next,
        None => {
            end = filled(impacts);
            &end
        }
    };
    let low = _mm256_set_m128i(sixteen::<16>(next, bits), sixteen::<0>(next, bits));
    let high = _mm256_set_m128i(sixteen::<48>(next, bits), sixteen::<32>(next, bits));
    [low, high]
}

/// Of a block's impacts those of the sixteen documents from `FROM` on.
#[target_feature(enable = "ssse3,popcnt")]
#[inline]
fn sixteen<const FROM: u32>(impacts: &[u8; BLOCK], bits: u64) -> __m128i {
    const { assert!(FROM <= 48) };
    let before = (bits & ((1 << FROM) - 1)).count_ones() as usize;
    let [low, high, ..] = (bits >> FROM).to_le_bytes();
    // The second eight go on where the first end. What takes no byte stays at 0x80 or above, so takes none.
    let first = u64::from(low.count_ones()) * 0x0101_0101_0101_0101;
    let orders = [ORDERS[usize::from(low)], ORDERS[usize::from(high)] + first];
    let [low, high] = orders.map(u64::cast_signed);
    // SAFETY: at most `FROM` ≤ 48 impacts are passed over, so 16 of the 64 follow.
    let next = unsafe { _mm_loadu_si128(impacts.as_ptr().wrapping_add(before).cast()) };
    _mm_shuffle_epi8(next, _mm_set_epi64x(high, low))
}

/// Adds the products of two lists.
#[target_feature(enable = "avx2")]
#[inline]
fn add_two(sums: &mut Scores, [a, b]: [[__m256i; 2]; 2], [wa, wb]: [u8; 2]) {
    let weights = _mm256_set1_epi32(i32::from(wa) | i32::from(wb) << 16);
    let zero = _mm256_setzero_si256();
    for (half, sums) in sums.iter_mut().enumerate() {
        let (low, high) =
            (_mm256_unpacklo_epi8(a[half], b[half]), _mm256_unpackhi_epi8(a[half], b[half]));
        let pairs = [
            _mm256_unpacklo_epi8(low, zero),
            _mm256_unpackhi_epi8(low, zero),
            _mm256_unpacklo_epi8(high, zero),
            _mm256_unpackhi_epi8(high, zero),
        ];
        for (sum, pairs) in sums.iter_mut().zip(pairs) {
            *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pairs, weights));
        }
    }
}

/// From the order of memory to that of [`Scores`].
#[target_feature(enable = "avx2")]
#[inline]
fn halves([a, b, c, d]: &[[u8; 32]; 4]) -> [__m256i; 4] {
    let [a, b, c, d] = [load(a), load(b), load(c), load(d)];
    [
        _mm256_permute2x128_si256::<0x20>(a, c),
        _mm256_permute2x128_si256::<0x31>(a, c),
        _mm256_permute2x128_si256::<0x20>(b, d),
        _mm256_permute2x128_si256::<0x31>(b, d),
    ]
}

/// And back.
#[target_feature(enable = "avx2")]
#[inline]
fn whole([a, b, c, d]: [__m256i; 4]) -> [__m256i; 4] {
    [
        _mm256_permute2x128_si256::<0x20>(a, b),
        _mm256_permute2x128_si256::<0x20>(c, d),
        _mm256_permute2x128_si256::<0x31>(a, b),
        _mm256_permute2x128_si256::<0x31>(c, d),
    ]
}
