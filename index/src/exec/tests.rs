//! Both executors over files with the smallest windows, so that small collections have many.

use std::path::PathBuf;

use proptest::prelude::*;
use tantivy::directory::OwnedBytes;

use super::simd::Level;
use super::top::All;
use super::windowed::Scratch;
use super::{Counts, Job, Sink, exhaustive, windowed};
use crate::arena::Arena;
use crate::format::forward::{self, Forward};
use crate::format::inverted::{self, Inverted};
use crate::order::order;
use crate::query::{Exclusion, SparseQuery};
use crate::vector::{SparseVector, TokenId};

pub(super) const VOCAB: u32 = 12;

/// The bytes of both files, and the number of documents.
pub(super) fn files(vectors: &[SparseVector], window_log2: u32) -> (Vec<u8>, Vec<u8>, u32) {
    let mut arena = Arena::default();
    vectors.iter().for_each(|vector| arena.add(vector));
    let order = order(&arena).unwrap();
    let lists = arena.invert(&order);
    let inverted = inverted::write(Vec::new(), &order, VOCAB, window_log2, &lists).unwrap();
    let forward = forward::write(Vec::new(), VOCAB, &arena).unwrap();
    (inverted, forward, u32::try_from(order.len()).unwrap())
}

fn open(vectors: &[SparseVector], window_log2: u32) -> (Inverted, Forward) {
    let (inverted, forward, docs) = files(vectors, window_log2);
    let file = |name: &str| PathBuf::from(name);
    (
        Inverted::open(OwnedBytes::new(inverted), file("a.swx"), docs, VOCAB).unwrap(),
        Forward::open(OwnedBytes::new(forward), file("a.swf"), docs, VOCAB).unwrap(),
    )
}

pub(super) fn vectors() -> impl Strategy<Value = Vec<SparseVector>> {
    let token = prop_oneof![6 => 0_u16..6, 1 => 6_u16..12];
    let impact = prop_oneof![3 => 1_u8..4, 1 => any::<u8>().prop_map(|impact| impact.max(1))];
    // Long stretches without any token make windows that are skipped.
    let entries = prop_oneof![
        1 => Just(std::collections::BTreeMap::new()).boxed(),
        2 => proptest::collection::btree_map(token, impact, 0..5).boxed(),
    ];
    let vector = entries.prop_map(|entries| {
        SparseVector::new(entries.into_iter().map(|(token, impact)| (TokenId(token), impact)))
    });
    proptest::collection::vec(vector.prop_map(Result::unwrap), 1..400)
}

pub(super) fn query() -> impl Strategy<Value = SparseQuery> {
    let terms = proptest::collection::btree_map(0_u16..12, 1_u8..=255, 1..9);
    let tokens = proptest::collection::vec((0_u16..8).prop_map(TokenId), 1..3);
    let exclusion = (tokens, 1_u8..4).prop_map(|(tokens, floor)| Exclusion { tokens, floor });
    (terms, proptest::collection::vec(exclusion, 0..3)).prop_map(|(terms, exclusions)| {
        let terms = terms.into_iter().map(|(token, weight)| (TokenId(token), weight)).collect();
        SparseQuery::new(terms, exclusions).unwrap()
    })
}

/// Wants only the best score so far and better: what a full heap of one wants.
#[derive(Default)]
struct Best {
    least: u32,
    offered: Vec<(u32, u32)>,
}

impl Sink for Best {
    fn least(&self) -> u32 {
        self.least
    }

    fn offer(&mut self, doc: u32, score: u32) {
        assert!(score >= self.least, "{score} was not wanted");
        self.least = score;
        self.offered.push((doc, score));
    }
}

/// Counts, all matches, and the best one.
type Found = (Counts, Vec<(u32, u32)>, Option<(u32, u32)>);

fn find(job: &Job<'_>, run: &mut dyn FnMut(&Job<'_>, &mut dyn Sink) -> Counts) -> Found {
    let (mut all, mut best) = (All::default(), Best::default());
    let counts = run(job, &mut all);
    assert_eq!(run(job, &mut best), counts);
    let best = first_of_best(&best.offered);
    let mut pruned = Best::default();
    run(&Job { counting: false, ..*job }, &mut pruned);
    assert_eq!(first_of_best(&pruned.offered), best);
    all.found.sort_unstable();
    (counts, all.found, best)
}

/// The first document with the highest score: none that reaches it may be passed over.
fn first_of_best(offered: &[(u32, u32)]) -> Option<(u32, u32)> {
    offered.iter().copied().max_by_key(|(doc, score)| (*score, std::cmp::Reverse(*doc)))
}

proptest! {
    #[test]
    fn windows_of_any_size_find_what_scoring_all_finds(
        vectors in vectors(),
        queries in proptest::collection::vec(query(), 4),
        window_log2 in 6_u32..=8,
        bits in proptest::collection::vec(any::<u64>(), 14),
        floor in prop_oneof![Just(1_u32), 2_u32..2_000],
    ) {
        let (inverted, forward) = open(&vectors, window_log2);
        let words = vectors.len().div_ceil(64);
        let (alive, filter) = (&bits[..words], &bits[7..7 + words]);
        // One scratch for all: what a search leaves behind must not reach the next.
        let levels = Level::available().into_iter();
        let mut scratches: Vec<_> = levels.map(Scratch::new).collect();
        for query in &queries {
            for (alive, filter) in [(None, None), (Some(alive), None), (Some(alive), Some(filter))] {
                let (inverted, forward) = (&inverted, &forward);
                let terms = query.heaviest_first();
                let job = Job {
                    query,
                    terms: &terms,
                    inverted,
                    forward,
                    floor,
                    counting: true,
                    alive,
                    filter,
                };
                let slow = find(&job, &mut |job, sink| exhaustive::run(job, sink).unwrap());
                for scratch in &mut scratches {
                    let fast =
                        find(&job, &mut |job, sink| windowed::run(job, scratch, sink).unwrap());
                    prop_assert_eq!(&fast, &slow);
                    prop_assert_eq!(fast.1.len() as u64, fast.0.matched);
                }
            }
        }
    }
}
