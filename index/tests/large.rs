//! Enough documents for several windows of 16,384, also after merges that recut them.

use sightword_index::{Exclusion, Executor, SparseQuery, SparseVector, TokenId};

use crate::support::{Answer, Doc, Request, brute_force, delete, index_of, merge_all, searcher};

/// A repeatable stream of numbers, well mixed.
fn mixed(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed;
    move |below| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    }
}

fn documents(count: u64) -> Vec<Doc> {
    let mut draw = mixed(11);
    let document = |key| {
        // Squared, so that low tokens are in most documents and high ones in few.
        let mut tokens: Vec<_> = (0..6).map(|_| draw(7) * draw(7)).collect();
        tokens.sort_unstable();
        tokens.dedup();
        let entries = tokens.into_iter().map(|token| {
            (TokenId(u16::try_from(token).unwrap()), u8::try_from(1 + draw(255)).unwrap())
        });
        let vector = Some(SparseVector::new(entries).unwrap());
        Doc { key, group: draw(100), vector }
    };
    (0..count).map(document).collect()
}

fn requests() -> Vec<Request> {
    let terms = |terms: &[(u16, u8)]| terms.iter().map(|(t, w)| (TokenId(*t), *w)).collect();
    let plain = SparseQuery::new(terms(&[(0, 3), (2, 200), (30, 255)]), vec![]).unwrap();
    let both = Exclusion { tokens: vec![TokenId(0), TokenId(6)], floor: 30 };
    let rare = Exclusion { tokens: vec![TokenId(36)], floor: 1 };
    let without = SparseQuery::new(terms(&[(0, 9), (12, 40)]), vec![both, rare]).unwrap();
    let request = Request::of(plain, 10);
    vec![
        request.clone(),
        Request { k: 0, min_score: 60_000, ..request.clone() },
        Request { groups_below: Some(3), offset: 5, ..request.clone() },
        Request { query: without, k: 100, ..request },
    ]
}

#[test]
fn windows_and_recut_windows_give_the_answer_of_brute_force() {
    let docs = documents(40_000);
    let (index, fields, mut writer) =
        index_of(&[&docs[..18_000], &docs[18_000..18_100], &docs[18_100..]]);
    let check = |alive: &[Doc]| {
        let searcher = searcher(&index, fields);
        for request in requests() {
            let expected = brute_force(alive, &request);
            for executor in [Executor::Windowed, Executor::Exhaustive] {
                let answer = Answer::from(request.run(&searcher, fields, executor));
                assert_eq!(answer, expected, "{executor:?} {request:?}");
            }
        }
        searcher.verify().iter().for_each(|report| assert!(report.problems.is_empty()));
    };
    let sizes = || {
        let metas = index.searchable_segment_metas().unwrap();
        let mut sizes: Vec<_> = metas.iter().map(tantivy::SegmentMeta::max_doc).collect();
        sizes.sort_unstable();
        sizes
    };
    assert_eq!(sizes(), [100, 18_000, 21_900]);
    check(&docs);
    docs.iter().step_by(3).for_each(|doc| delete(&writer, fields, doc.key));
    writer.commit().unwrap();
    let alive: Vec<_> =
        docs.iter().enumerate().filter(|(at, _)| at % 3 != 0).map(|(_, doc)| doc.clone()).collect();
    check(&alive);
    merge_all(&index, &mut writer);
    check(&alive);
}

#[test]
fn a_reader_keeps_its_answers_while_documents_change_and_segments_merge() {
    let docs = documents(300);
    let (index, fields, mut writer) = index_of(&[&docs[..150], &docs[150..]]);
    let old = searcher(&index, fields);
    docs[..200].iter().for_each(|doc| delete(&writer, fields, doc.key));
    writer.commit().unwrap();
    merge_all(&index, &mut writer);
    writer.garbage_collect_files().wait().unwrap();
    for request in requests() {
        let answer = Answer::from(request.run(&old, fields, Executor::Windowed));
        assert_eq!(answer, brute_force(&docs, &request));
    }
}

#[test]
fn token_statistics_count_deleted_documents_until_a_merge() {
    let docs = documents(100);
    let (index, fields, mut writer) = index_of(&[&docs]);
    let with = |docs: &[Doc]| {
        let entries = docs.iter().filter_map(|doc| doc.vector().get(TokenId(0)));
        let impacts: Vec<_> = entries.map(|entry| entry.impact).collect();
        (impacts.len() as u64, impacts.iter().copied().max().unwrap_or(0))
    };
    docs[..50].iter().for_each(|doc| delete(&writer, fields, doc.key));
    writer.commit().unwrap();
    let stats = searcher(&index, fields).token_stats(TokenId(0));
    assert_eq!((stats.docs, stats.max_impact), with(&docs));
    merge_all(&index, &mut writer);
    let stats = searcher(&index, fields).token_stats(TokenId(0));
    assert_eq!((stats.docs, stats.max_impact), with(&docs[50..]));
    assert_eq!(searcher(&index, fields).token_stats(TokenId(47)).docs, 0);
    let sizes = searcher(&index, fields).stats();
    assert_eq!((sizes.segments, sizes.docs, sizes.deleted), (1, 50, 0));
}
