//! Does the executor that passes over what cannot be a hit find what scoring every document finds?
//!
//! The input is a history of an index (documents, commits, deletes) and searches in what it came to.
#![no_main]

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::Bound;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use sightword_index::{
    Exclusion, Executor, FieldParams, SearchOptions, SparseQuery, SparseSearcher, SparseVector,
    TokenId, add_sparse_field, add_vector, create_in_ram, open_writer,
};
use tantivy::merge_policy::NoMergePolicy;
use tantivy::query::RangeQuery;
use tantivy::schema::{FAST, Field, INDEXED, Schema};
use tantivy::{TantivyDocument, Term};

/// Few, so that documents share them.
const VOCAB: u8 = 40;
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
    keys_below: Option<u16>,
    threads: bool,
}

#[derive(Debug, Arbitrary)]
struct Input {
    changes: Vec<Change>,
    searches: Vec<Search>,
}

/// Tokens below the vocabulary's size, rising, each once, with a value from 1.
fn entries(pairs: &[(u8, u8)]) -> Vec<(TokenId, u8)> {
    let pairs = pairs.iter().map(|(token, value)| (u16::from(token % VOCAB), (*value).max(1)));
    let unique: BTreeMap<_, _> = pairs.collect();
    unique.into_iter().map(|(token, value)| (TokenId(token), value)).collect()
}

fuzz_target!(|input: Input| {
    let (searcher, key) = play(&input.changes);
    input.searches.iter().for_each(|search| compare(&searcher, key, search));
});

/// An index with this history, and the field of its keys.
fn play(changes: &[Change]) -> (SparseSearcher, Field) {
    let mut builder = Schema::builder();
    let key = builder.add_u64_field("key", INDEXED | FAST);
    let params = FieldParams { vocab: VOCAB.into(), scale: 1.0, model: "fuzz".to_owned() };
    let vector = add_sparse_field(&mut builder, "vector", &params);
    let index = create_in_ram(builder.build()).unwrap();
    let mut writer = open_writer(&index, NonZeroUsize::MIN, 20_000_000).unwrap();
    writer.set_merge_policy(Box::new(NoMergePolicy));
    // Unique, and not in the order in which documents come.
    let mut keys = (0..MOST_DOCS).map(|number| number * 7_919 % 65_537);
    for change in changes {
        match change {
            Change::Add { vector: pairs, times, every } => {
                for (time, number) in (0..u64::from(*times) * 16).zip(&mut keys) {
                    let mut document = TantivyDocument::new();
                    document.add_u64(key, number);
                    let varied = time % (u64::from(*every) + 1) == 0;
                    add_vector(&mut document, vector, &nearly(pairs, varied));
                    writer.add_document(document).unwrap();
                }
            }
            Change::Delete { key: of } => {
                writer.delete_term(Term::from_field_u64(key, (*of).into()));
            }
            Change::Commit => {
                writer.commit().unwrap();
            }
        }
    }
    writer.commit().unwrap();
    (SparseSearcher::open(&index.reader().unwrap().searcher(), vector, key).unwrap(), key)
}

/// The vector of these entries; if it is varied, its last impact is another.
fn nearly(pairs: &[(u8, u8)], varied: bool) -> SparseVector {
    let mut entries = entries(pairs);
    if let Some((_, impact)) = entries.last_mut().filter(|_| varied) {
        *impact = impact.wrapping_add(1).max(1);
    }
    SparseVector::new(entries).unwrap()
}

fn compare(searcher: &SparseSearcher, key: Field, search: &Search) {
    let excluded = search.excluded.map(|(token, floor)| {
        let tokens = vec![TokenId(u16::from(token % VOCAB))];
        Exclusion { tokens, floor: floor.max(1) }
    });
    let query = SparseQuery::new(entries(&search.terms), excluded.into_iter().collect());
    let Ok(query) = query else { return };
    let below = search.keys_below.map(|most| {
        let end = Bound::Excluded(Term::from_field_u64(key, most.into()));
        searcher.filter(&RangeQuery::new(Bound::Unbounded, end)).unwrap()
    });
    let mut options = SearchOptions::default();
    options.k = usize::from(search.k) % 1_001;
    options.offset = search.offset.into();
    options.min_score = search.min_score.into();
    options.filter = below.as_ref();
    let mut slow = options;
    slow.executor = Executor::Exhaustive;
    options.threads = NonZeroUsize::MIN.saturating_add(search.threads.into());
    let expected = searcher.search(&query, &slow).unwrap();
    assert_eq!(searcher.search(&query, &options).unwrap(), expected);
    assert_eq!(searcher.top(&query, &options).unwrap(), expected.hits);
}
