//! Does the executor that passes over what cannot be a hit find what scoring every document finds?
//!
//! The input is a history of an index (documents, commits, deletes) and searches in what it came to.
#![no_main]

#[path = "../../tests/support.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod support;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use sightword_index::{
    Exclusion, Executor, SparseQuery, SparseSearcher, SparseVector, TokenId, create_in_ram,
};

use support::{Doc, Fields, Request, VOCAB, add, delete, schema, searcher, writer};

/// So many documents are enough for two windows.
const MOST_DOCS: u64 = 20_000;

#[derive(Debug, Arbitrary)]
enum Change {
    /// So many documents of nearly the same vector: only many make blocks and windows to pass over.
    Add {
        vector: Vec<(u8, u8)>,
        times: u8,
        every: u8,
    },
    Delete {
        key: u16,
    },
    Commit,
}

#[derive(Debug, Arbitrary)]
struct Search {
    terms: Vec<(u8, u8)>,
    excluded: Option<(u8, u8)>,
    k: u16,
    offset: u8,
    min_score: u16,
    groups_below: Option<u8>,
    threads: bool,
}

#[derive(Debug, Arbitrary)]
struct Input {
    changes: Vec<Change>,
    searches: Vec<Search>,
}

fn token(number: u8) -> u16 {
    u16::from(number) % u16::try_from(VOCAB).unwrap()
}

/// Rising tokens, each once, with a value from 1.
fn entries(pairs: &[(u8, u8)]) -> Vec<(TokenId, u8)> {
    let unique: BTreeMap<_, _> =
        pairs.iter().map(|(number, value)| (token(*number), (*value).max(1))).collect();
    unique.into_iter().map(|(token, value)| (TokenId(token), value)).collect()
}

fuzz_target!(|input: Input| {
    let (searcher, fields) = play(&input.changes);
    input.searches.iter().for_each(|search| compare(&searcher, fields, search));
});

/// An index with this history.
fn play(changes: &[Change]) -> (SparseSearcher, Fields) {
    let (schema, fields) = schema();
    let index = create_in_ram(schema).unwrap();
    let mut writer = writer(&index);
    let mut numbers = 0..MOST_DOCS;
    for change in changes {
        match change {
            Change::Add { vector: pairs, times, every } => {
                for (time, number) in (0..u64::from(*times) * 16).zip(&mut numbers) {
                    let varied = time % (u64::from(*every) + 1) == 0;
                    let vector = Some(nearly(pairs, varied));
                    // Keys are unique, and not in the order in which documents come.
                    let key = number * 7_919 % 65_537;
                    add(&writer, fields, &[Doc { key, group: number % 100, vector }]);
                }
            }
            Change::Delete { key } => delete(&writer, fields, (*key).into()),
            Change::Commit => {
                writer.commit().unwrap();
            }
        }
    }
    writer.commit().unwrap();
    (searcher(&index, fields), fields)
}

/// The vector of these entries; if it is varied, its last impact is another.
fn nearly(pairs: &[(u8, u8)], varied: bool) -> SparseVector {
    let mut entries = entries(pairs);
    if let Some((_, impact)) = entries.last_mut().filter(|_| varied) {
        *impact = impact.wrapping_add(1).max(1);
    }
    SparseVector::new(entries).unwrap()
}

fn compare(searcher: &SparseSearcher, fields: Fields, search: &Search) {
    let excluded = search.excluded.map(|(number, floor)| {
        let tokens = vec![TokenId(token(number))];
        Exclusion { tokens, floor: floor.max(1) }
    });
    let query = SparseQuery::new(entries(&search.terms), excluded.into_iter().collect());
    let Ok(query) = query else { return };
    let request = Request {
        query,
        k: usize::from(search.k) % 1_001,
        offset: search.offset.into(),
        min_score: search.min_score.into(),
        groups_below: search.groups_below.map(u64::from),
    };
    let filter = request.doc_filter(searcher, fields);
    let slow = request.options(filter.as_ref(), Executor::Exhaustive);
    let expected = searcher.search(&request.query, &slow).unwrap();
    let mut options = request.options(filter.as_ref(), Executor::Windowed);
    options.threads = NonZeroUsize::MIN.saturating_add(search.threads.into());
    assert_eq!(searcher.search(&request.query, &options).unwrap(), expected);
    assert_eq!(searcher.top(&request.query, &options).unwrap(), expected.hits);
}
