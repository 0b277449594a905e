//! Every mix of k, query length, filter, deletes, segments and threads gives the hits of scoring all.

use std::num::NonZeroUsize;

use proptest::prelude::*;
use sightword_index::{
    DocFilter, Executor, SearchOptions, SparseQuery, SparseSearcher, SparseVector, TokenId,
    create_in_ram,
};

use crate::support::{Doc, Fields, Request, add, delete, schema_of, searcher, writer};

const VOCAB: u16 = 260;

/// Token t is in about one document in 1 + t / 8: from lists that nearly all have to rare ones.
fn docs(count: u64, salt: u64) -> Vec<Doc> {
    let mut state = salt;
    let mut draw = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(salt | 1);
        (state >> 33) % below
    };
    let mut doc = |key| {
        let tokens = (0..VOCAB).filter(|token| draw(1 + u64::from(*token) / 8) == 0);
        let tokens: Vec<_> = tokens.collect();
        // Few values, so that there are ties.
        let mut impact = || 1 + u8::try_from(draw(6) * draw(50)).unwrap_or(254);
        let entries: Vec<_> = tokens.iter().map(|token| (TokenId(*token), impact())).collect();
        let vector = Some(SparseVector::new(entries).unwrap());
        Doc { key: key * 7_919 % 1_000_003, group: key % 100, vector }
    };
    (0..count).map(&mut doc).collect()
}

fn open(docs: &[Doc], segments: usize) -> (SparseSearcher, Fields) {
    let (schema, fields) = schema_of(u32::from(VOCAB));
    let index = create_in_ram(schema).unwrap();
    let mut writer = writer(&index);
    for part in docs.chunks(docs.len().div_ceil(segments)) {
        add(&writer, fields, part);
        writer.commit().unwrap();
    }
    docs.iter().step_by(7).for_each(|doc| delete(&writer, fields, doc.key));
    writer.commit().unwrap();
    (searcher(&index, fields), fields)
}

fn query() -> impl Strategy<Value = SparseQuery> {
    let length = prop_oneof![Just(1_usize), 2_usize..5, 5_usize..65, Just(200)];
    let tokens = length.prop_flat_map(|length| {
        proptest::sample::subsequence((0..VOCAB).collect::<Vec<_>>(), length)
    });
    let weight = prop_oneof![1_u8..=255, Just(255), Just(128)];
    (tokens, proptest::collection::vec(weight, usize::from(VOCAB))).prop_map(|(tokens, weights)| {
        let terms = tokens.into_iter().map(TokenId).zip(weights).collect();
        SparseQuery::new(terms, vec![]).unwrap()
    })
}

fn options(k: usize, filter: Option<&DocFilter>, threads: usize) -> SearchOptions<'_> {
    let mut options = SearchOptions::default();
    (options.k, options.filter) = (k, filter);
    options.threads = NonZeroUsize::new(threads).unwrap();
    options
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn top_gives_the_hits_of_scoring_all(
        salt in any::<u64>(),
        segments in 1_usize..6,
        queries in proptest::collection::vec(query(), 8),
        groups in proptest::option::of(prop_oneof![Just(1_u64), Just(10), Just(50)]),
    ) {
        let (searcher, fields) = open(&docs(3_000, salt), segments);
        let request = Request { groups_below: groups, ..Request::of(queries[0].clone(), 1) };
        let filter = request.doc_filter(&searcher, fields);
        for k in [1, 10, 100, 1_000] {
            let options = |threads| options(k, filter.as_ref(), threads);
            let mut slow = options(1);
            slow.executor = Executor::Exhaustive;
            let slow: Vec<_> =
                queries.iter().map(|query| searcher.top(query, &slow).unwrap()).collect();
            for (query, slow) in queries.iter().zip(&slow) {
                for threads in [1, 3] {
                    let found = searcher.search(query, &options(threads)).unwrap();
                    prop_assert_eq!(&found.hits, slow);
                    prop_assert_eq!(&searcher.top(query, &options(threads)).unwrap(), slow);
                }
            }
            let batch = searcher.top_batch(&queries, &options(1), NonZeroUsize::new(2).unwrap());
            let batch: Vec<_> = batch.into_iter().map(Result::unwrap).collect();
            prop_assert_eq!(&batch, &slow);
        }
    }
}

#[test]
fn a_filter_of_another_generation_is_refused() {
    let (first, fields) = open(&docs(50, 1), 1);
    let (second, _) = open(&docs(50, 2), 2);
    let query = SparseQuery::new(vec![(TokenId(0), 1)], vec![]).unwrap();
    let request = Request { groups_below: Some(5), ..Request::of(query.clone(), 1) };
    let filter = request.doc_filter(&first, fields);
    let error = second.top(&query, &options(10, filter.as_ref(), 1)).unwrap_err().to_string();
    assert!(error.contains("make it anew"), "{error}");
}
