//! Sparse queries among tantivy's own.

use sightword_index::{Executor, SparseQuery, SparseVector, TokenId};
use tantivy::collector::{Count, TopDocs};
use tantivy::query::{BooleanQuery, Occur, Query};
use tantivy::schema::Value;
use tantivy::{DocAddress, TantivyDocument};

use crate::support::{Doc, Fields, Request, add, delete, index_of, searcher};

fn doc(key: u64, group: u64, entries: &[(u16, u8)]) -> Doc {
    let entries = entries.iter().map(|&(token, impact)| (TokenId(token), impact));
    Doc { key, group, vector: Some(SparseVector::new(entries).unwrap()) }
}

fn docs() -> Vec<Doc> {
    vec![
        doc(10, 1, &[(1, 5), (2, 1)]),
        doc(11, 2, &[(1, 9)]),
        doc(12, 1, &[(2, 255)]),
        doc(13, 2, &[(3, 1)]),
        doc(14, 2, &[(1, 9), (4, 1)]),
    ]
}

fn query() -> SparseQuery {
    SparseQuery::new(vec![(TokenId(1), 10), (TokenId(2), 1)], vec![]).unwrap()
}

fn keys(
    searcher: &tantivy::Searcher,
    fields: Fields,
    hits: &[(f32, DocAddress)],
) -> Vec<(u32, u64)> {
    let key = |address: &DocAddress| {
        let doc: TantivyDocument = searcher.doc(*address).unwrap();
        doc.get_first(fields.key).and_then(|key| key.as_u64()).unwrap()
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "small whole numbers"
    )]
    hits.iter().map(|(score, address)| (*score as u32, key(address))).collect()
}

#[test]
fn top_docs_and_counts_run_over_a_sparse_query() {
    let docs = docs();
    let (index, fields, mut writer) = index_of(&[&docs[..2], &docs[2..]]);
    delete(&writer, fields, 14);
    writer.commit().unwrap();
    let sparse = searcher(&index, fields);
    let searcher = sparse.searcher();
    let query = sparse.query(query());
    let (hits, count) =
        searcher.search(&query, &(TopDocs::with_limit(2).order_by_score(), Count)).unwrap();
    assert_eq!(keys(searcher, fields, &hits), [(255, 12), (90, 11)]);
    assert_eq!(count, 3);
    let hits = searcher.search(&query, &TopDocs::with_limit(2).order_by_score()).unwrap();
    assert_eq!(keys(searcher, fields, &hits), [(255, 12), (90, 11)]);
}

#[test]
fn a_sparse_query_is_a_clause_of_a_boolean_query() {
    let docs = docs();
    let (index, fields, _writer) = index_of(&[&docs[..2], &docs[2..]]);
    let sparse = searcher(&index, fields);
    let request = Request { groups_below: Some(2), ..Request::of(query(), 10) };
    let clauses: Vec<(Occur, Box<dyn Query>)> = vec![
        (Occur::Must, Box::new(sparse.query(query()))),
        (
            Occur::Must,
            Box::new(tantivy::query::ConstScoreQuery::new(request.filter(fields).unwrap(), 0.0)),
        ),
    ];
    let top = TopDocs::with_limit(10).order_by_score();
    let hits = sparse.searcher().search(&BooleanQuery::new(clauses), &top).unwrap();
    let expected = request.run(&sparse, fields, Executor::Windowed);
    let expected: Vec<_> = expected.hits.iter().map(|hit| (hit.score, hit.key)).collect();
    assert_eq!(keys(sparse.searcher(), fields, &hits), expected);
    assert_eq!(expected, [(255, 12), (51, 10)]);
}

#[test]
fn an_explanation_adds_up() {
    let docs = docs();
    let (index, fields, _writer) = index_of(&[&docs]);
    let sparse = searcher(&index, fields);
    let explanation =
        sparse.query(query()).explain(sparse.searcher(), DocAddress::new(0, 0)).unwrap();
    assert!((explanation.value() - 51.0).abs() < f32::EPSILON);
    let text = explanation.to_pretty_json();
    assert!(text.contains("token 1") && text.contains("token 2"), "{text}");
    assert!(sparse.query(query()).explain(sparse.searcher(), DocAddress::new(0, 9)).is_err());
}

#[test]
fn a_query_made_by_an_old_searcher_serves_a_new_one() {
    let docs = docs();
    let (index, fields, mut writer) = index_of(&[&docs[..2]]);
    let old = searcher(&index, fields).query(query());
    add(&writer, fields, &docs[2..]);
    writer.commit().unwrap();
    let new = searcher(&index, fields);
    assert_eq!(new.searcher().search(&old, &Count).unwrap(), 4);
}

#[test]
fn a_filter_may_be_a_sparse_query() {
    let docs = docs();
    let (index, fields, _writer) = index_of(&[&docs]);
    let sparse = searcher(&index, fields);
    let with_four = SparseQuery::new(vec![(TokenId(4), 1)], vec![]).unwrap();
    let filter = sparse.filter(&sparse.query(with_four)).unwrap();
    let options = Request::of(query(), 10).options(Some(&filter), Executor::Windowed);
    let hits = sparse.search(&query(), &options).unwrap().hits;
    assert_eq!(hits.iter().map(|hit| hit.key).collect::<Vec<_>>(), [14]);
}
