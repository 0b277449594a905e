//! Searches over damaged files whose checksums are right: what only the structure's rules keep out.
//!
//! Damage by accident never gets here, since a checksum finds it. This is about a panic or an endless
//! loop that a file made on purpose could cause.

use std::ops::Range;
use std::path::PathBuf;

use proptest::prelude::*;
use tantivy::directory::OwnedBytes;

use super::simd::Level;
use super::tests::{VOCAB, files, query, vectors};
use super::top::All;
use super::windowed::Scratch;
use super::{Job, exhaustive, windowed};
use crate::format::forward::Forward;
use crate::format::inverted::Inverted;

fn number(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

/// Where the tail begins.
fn tail(bytes: &[u8]) -> usize {
    bytes.len() - number(bytes, bytes.len() - 8)
}

fn sections(bytes: &[u8]) -> Vec<Range<usize>> {
    let entries = bytes[tail(bytes) + 24..bytes.len() - 8].chunks_exact(24);
    entries.map(|entry| number(entry, 0)..number(entry, 0) + number(entry, 8)).collect()
}

fn set_crc(bytes: &mut [u8], at: usize, parts: &[Range<usize>]) {
    let mut crc = crc32fast::Hasher::new();
    parts.iter().for_each(|part| crc.update(&bytes[part.clone()]));
    bytes[at..at + 4].copy_from_slice(&crc.finalize().to_le_bytes());
}

/// The part of a column between two numbers of a column of starts, if it is one.
fn part(
    bytes: &[u8],
    column: &Range<usize>,
    width: usize,
    starts: (usize, usize),
) -> Option<Range<usize>> {
    let place = |at: usize| column.start + width * number(bytes, at);
    let part = place(starts.0)..place(starts.1);
    (part.start <= part.end && part.end <= column.end).then_some(part)
}

/// Makes the checksums of lists right, as far as these lie in the file.
fn seal_lists(bytes: &mut [u8], windows: usize) {
    let [ids, impacts, tokens, starts, id_starts, .., checksums] = &sections(bytes)[..] else {
        unreachable!("an inverted file has 8 sections");
    };
    for list in 0..tokens.len() / 2 {
        let cells = |column: &Range<usize>| {
            let first = column.start + 4 * list * windows;
            (first, first + 4 * windows)
        };
        let ids = part(bytes, ids, 2, cells(id_starts));
        let impacts = part(bytes, impacts, 1, cells(starts));
        if let (Some(ids), Some(impacts)) = (ids, impacts) {
            let token = tokens.start + 2 * list..tokens.start + 2 * list + 2;
            set_crc(bytes, checksums.start + 4 * list, &[token, ids, impacts]);
        }
    }
}

/// Makes the checksums of sections and of the tail right.
fn seal(bytes: &mut [u8]) {
    let (tail, end) = (tail(bytes), bytes.len());
    for (number, section) in sections(bytes).into_iter().enumerate() {
        set_crc(bytes, tail + 24 + 24 * number + 16, &[section]);
    }
    set_crc(bytes, end - 4, &[0..64, tail..end - 4]);
}

/// Changes bytes between the head and the tail.
fn damage(bytes: &mut [u8], changes: &[(prop::sample::Index, u8)]) {
    let tail = tail(bytes);
    for (at, value) in changes {
        bytes[64 + at.index(tail - 64)] = *value;
    }
}

/// Damage is worth most where the structure is: behind the two columns of the inverted file.
fn damage_structure(bytes: &mut [u8], changes: &[(prop::sample::Index, u8)]) {
    let range = sections(bytes)[2].start..sections(bytes)[6].end;
    for (at, value) in changes {
        bytes[range.start + at.index(range.len())] = *value;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn damage_under_right_checksums_is_an_error_or_searched(
        vectors in vectors(),
        query in query(),
        window_log2 in 6_u32..=8,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        deep in proptest::collection::vec((any::<prop::sample::Index>(), 0_u8..8), 0..3),
    ) {
        let (mut inverted, mut forward, docs) = files(&vectors, window_log2);
        damage(&mut inverted, &changes);
        damage_structure(&mut inverted, &deep);
        seal_lists(&mut inverted, (docs as usize).div_ceil(1 << window_log2));
        seal(&mut inverted);
        damage(&mut forward, &changes);
        seal(&mut forward);
        let file = PathBuf::from;
        let inverted = Inverted::open(OwnedBytes::new(inverted), file("a.swx"), docs, VOCAB);
        let forward = Forward::open(OwnedBytes::new(forward), file("a.swf"), docs, VOCAB);
        let (Ok(inverted), Ok(forward)) = (inverted, forward) else { return Ok(()) };
        let (inverted, forward, query) = (&inverted, &forward, &query);
        let terms = query.heaviest_first();
        for counting in [true, false] {
            let job = Job {
                query,
                terms: &terms,
                inverted,
                forward,
                floor: 1,
                counting,
                alive: None,
                filter: None,
            };
            for level in Level::available() {
                let _ = windowed::run(&job, &mut Scratch::new(level), &mut All::default());
            }
            let _ = exhaustive::run(&job, &mut All::default());
        }
    }
}
