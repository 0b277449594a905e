//! A query cut may miss hits, and does nothing else.

use std::num::NonZeroUsize;

use proptest::prelude::*;
use sightword_index::{
    Executor, QueryCut, SearchOptions, SparseQuery, SparseSearcher, SparseVector, TokenId,
    create_in_ram,
};

use crate::support::{
    Doc, Request, add, brute_force, docs, index_of, request, schema_of, searcher, writer,
};

fn cut(percent: u8, candidates: usize) -> QueryCut {
    QueryCut::new(percent, NonZeroUsize::new(candidates).unwrap()).unwrap()
}

fn pairs(
    searcher: &SparseSearcher,
    query: &SparseQuery,
    options: &SearchOptions<'_>,
) -> Vec<(u32, u64)> {
    searcher.top(query, options).unwrap().iter().map(|hit| (hit.score, hit.key)).collect()
}

#[test]
fn a_share_is_1_to_100_percent() {
    for percent in [0, 101, 255] {
        assert_eq!(QueryCut::new(percent, NonZeroUsize::MIN), None);
    }
    assert_ne!(QueryCut::new(1, NonZeroUsize::MIN), QueryCut::new(100, NonZeroUsize::MIN));
}

/// Looks at each request in an index of two segments: exact, and with a cut.
fn each(
    docs: &[Doc],
    requests: &[Request],
    cut: QueryCut,
    check: impl Fn(&SparseSearcher, &Request, [SearchOptions<'_>; 2]) -> Result<(), TestCaseError>,
) -> Result<(), TestCaseError> {
    let (index, fields, _writer) = index_of(&[&docs[..docs.len() / 3], &docs[docs.len() / 3..]]);
    let searcher = searcher(&index, fields);
    requests.iter().try_for_each(|request| {
        let filter = request.doc_filter(&searcher, fields);
        let exact = request.options(filter.as_ref(), Executor::Windowed);
        let mut options = exact;
        options.cut = Some(cut);
        check(&searcher, request, [exact, options])
    })
}

proptest! {
    #[test]
    fn at_100_percent_nothing_is_missed(
        docs in docs(0..90),
        requests in proptest::collection::vec(request(), 6),
        candidates in 1_usize..4,
    ) {
        each(&docs, &requests, cut(100, candidates), |searcher, request, [exact, whole]| {
            let found = pairs(searcher, &request.query, &whole);
            prop_assert_eq!(found, pairs(searcher, &request.query, &exact));
            Ok(())
        })?;
    }

    #[test]
    fn hits_have_their_true_scores_in_their_true_order_and_counts_are_exact(
        docs in docs(0..90),
        requests in proptest::collection::vec(request(), 6),
        percent in 1_u8..100,
        candidates in 1_usize..4,
    ) {
        each(&docs, &requests, cut(percent, candidates), |searcher, request, [exact, mut options]| {
            let all = brute_force(&docs, &Request { k: 0, offset: 0, ..request.clone() }).hits;
            let hits = pairs(searcher, &request.query, &options);
            let most = if request.k == 0 { usize::MAX } else { request.k };
            prop_assert!(hits.len() <= most);
            // A subsequence of all matches: true scores, true order, nothing excluded or filtered out.
            let mut rest = all.iter();
            prop_assert!(hits.iter().all(|hit| rest.any(|found| found == hit)), "{hits:?} {all:?}");
            if request.k == 0 {
                prop_assert_eq!(hits, pairs(searcher, &request.query, &exact));
            }
            let counted = searcher.search(&request.query, &options).unwrap();
            prop_assert_eq!(counted, searcher.search(&request.query, &exact).unwrap());
            options.executor = Executor::Exhaustive;
            let slow = pairs(searcher, &request.query, &options);
            options.executor = Executor::Windowed;
            prop_assert_eq!(slow, pairs(searcher, &request.query, &options));
            Ok(())
        })?;
    }
}

/// Vectors as photos have them: a subject's tokens, strong, among those that most photos share.
fn photos(count: u64) -> Vec<SparseVector> {
    let mut state = 5_u64;
    let mut draw = move |below: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut photo = || {
        let subject = 100 + 50 * draw(30);
        let mut entries = std::collections::BTreeMap::new();
        for _ in 0..30 {
            let (token, most) =
                if draw(3) > 0 { (subject + draw(50), 200) } else { (draw(10) * draw(11), 60) };
            entries.insert(u16::try_from(token).unwrap(), u8::try_from(1 + draw(most)).unwrap());
        }
        let entries = entries.into_iter().map(|(token, impact)| (TokenId(token), impact));
        SparseVector::new(entries).unwrap()
    };
    (0..count).map(|_| photo()).collect()
}

#[test]
fn cutting_a_fifth_of_the_weight_hardly_misses_a_hit_but_more_does() {
    let (schema, fields) = schema_of(2_000);
    let index = create_in_ram(schema).unwrap();
    let mut writer = writer(&index);
    let (vectors, queries) = {
        let mut all = photos(4_100);
        let queries = all.split_off(4_000);
        (all, queries)
    };
    let docs = (0..).zip(vectors).map(|(key, vector)| Doc { key, group: 0, vector: Some(vector) });
    add(&writer, fields, &docs.collect::<Vec<_>>());
    writer.commit().unwrap();
    let searcher = searcher(&index, fields);
    let recall = |cut| {
        let mut options = SearchOptions::default();
        options.cut = Some(cut);
        let found = queries.iter().map(|vector| {
            let terms = vector.entries().map(|entry| (entry.token, entry.impact)).collect();
            let query = SparseQuery::new(terms, vec![]).unwrap();
            let best = pairs(&searcher, &query, &SearchOptions::default());
            let hits = pairs(&searcher, &query, &options);
            hits.iter().filter(|hit| best.contains(hit)).count()
        });
        found.sum::<usize>()
    };
    assert!(recall(cut(80, 10)) >= 990, "{} of 1,000", recall(cut(80, 10)));
    assert!(recall(cut(20, 1)) < 900, "{} of 1,000", recall(cut(20, 1)));
}
