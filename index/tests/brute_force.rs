//! Every answer is the one that scoring all documents by definition gives.

use proptest::prelude::*;
use sightword_index::{Executor, SparseSearcher};
use tantivy::DocAddress;

use crate::support::{
    Answer, Doc, Fields, Request, brute_force, delete, docs, index_of, merge_all, request, searcher,
};

/// A collection: documents in segments, some deleted, perhaps merged.
#[derive(Debug, Clone)]
struct Collection {
    docs: Vec<Doc>,
    segments: usize,
    deleted: Vec<bool>,
    merged: bool,
}

fn collection() -> impl Strategy<Value = Collection> {
    let docs = prop_oneof![docs(0..3), docs(0..90)];
    (docs, 1_usize..5, any::<bool>(), 0_u8..4).prop_flat_map(|(docs, segments, merged, deletes)| {
        let deleted = proptest::bool::weighted(f64::from(deletes) / 3.0);
        proptest::collection::vec(deleted, docs.len()).prop_map(move |deleted| Collection {
            docs: docs.clone(),
            segments,
            deleted,
            merged,
        })
    })
}

impl Collection {
    fn alive(&self) -> Vec<Doc> {
        let docs = self.docs.iter().zip(&self.deleted);
        docs.filter(|(_, deleted)| !**deleted).map(|(doc, _)| doc.clone()).collect()
    }

    fn open(&self) -> (SparseSearcher, Fields) {
        let size = self.docs.len().div_ceil(self.segments).max(1);
        let parts: Vec<_> = self.docs.chunks(size).collect();
        let (index, fields, mut writer) = index_of(&parts);
        let docs = self.docs.iter().zip(&self.deleted);
        docs.filter(|(_, deleted)| **deleted).for_each(|(doc, _)| delete(&writer, fields, doc.key));
        writer.commit().unwrap();
        if self.merged {
            merge_all(&index, &mut writer);
        }
        (searcher(&index, fields), fields)
    }
}

/// The address of every live document, by key.
fn addresses(searcher: &SparseSearcher, fields: Fields) -> Vec<(u64, DocAddress)> {
    let name = searcher.searcher().schema().get_field_name(fields.key);
    let segments = (0_u32..).zip(searcher.searcher().segment_readers());
    let mut addresses = Vec::new();
    for (segment, reader) in segments {
        let keys = reader.fast_fields().u64(name).unwrap();
        let alive = reader.doc_ids_alive();
        addresses
            .extend(alive.map(|doc| (keys.first(doc).unwrap(), DocAddress::new(segment, doc))));
    }
    addresses
}

fn check(searcher: &SparseSearcher, fields: Fields, alive: &[Doc], request: &Request) {
    let expected = brute_force(alive, request);
    for executor in [Executor::Windowed, Executor::Exhaustive] {
        let answer = Answer::from(request.run(searcher, fields, executor));
        assert_eq!(answer, expected, "{executor:?} {request:?}");
    }
}

fn check_ranks(searcher: &SparseSearcher, fields: Fields, alive: &[Doc], request: &Request) {
    let every = Request { k: 0, offset: 0, ..request.clone() };
    let expected = brute_force(alive, &every);
    let filter = request.doc_filter(searcher, fields);
    for executor in [Executor::Windowed, Executor::Exhaustive] {
        let options = request.options(filter.as_ref(), executor);
        for (key, address) in addresses(searcher, fields) {
            let rank = searcher.rank(&request.query, &options, address).unwrap();
            let place = expected.hits.iter().position(|hit| hit.1 == key);
            assert_eq!(rank, place.map(|place| place as u64 + 1), "{key} {request:?}");
        }
    }
}

fn check_vectors(searcher: &SparseSearcher, fields: Fields, alive: &[Doc]) {
    let addresses = addresses(searcher, fields);
    assert_eq!(addresses.len(), alive.len());
    for (key, address) in addresses {
        let doc = alive.iter().find(|doc| doc.key == key).unwrap();
        assert_eq!(searcher.vector(address).unwrap(), doc.vector());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_answer_equals_brute_force(
        collection in collection(),
        requests in proptest::collection::vec(request(), 12),
    ) {
        let (searcher, fields) = collection.open();
        let alive = collection.alive();
        for request in &requests {
            check(&searcher, fields, &alive, request);
        }
        check_ranks(&searcher, fields, &alive, &requests[0]);
        check_vectors(&searcher, fields, &alive);
        for report in searcher.verify() {
            prop_assert!(report.problems.is_empty(), "{:?}", report);
        }
        prop_assert_eq!(searcher.stats().docs, alive.len() as u64);
    }
}
