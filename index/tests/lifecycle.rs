//! Random lives of an index on disk, against a map.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sightword_index::{
    Executor, SparseSearcher, SparseVector, create_in_dir, open_in_dir, roll_back,
};
use tantivy::{Index, IndexWriter};

use crate::support::{
    Answer, Doc, Fields, Request, brute_force, delete, merge_all, request, schema, vector, writer,
};

#[derive(Debug, Clone)]
enum Step {
    /// Adds, or replaces what has the key.
    Put(u64, u64, SparseVector),
    Delete(u64),
    Commit,
    Merge,
    Rollback,
    /// Ends the process's hold on the index, as a crash would: what was not committed is gone.
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let put = (0_u64..14, 0_u64..100, vector());
    prop_oneof![
        12 => put.prop_map(|(key, group, vector)| Step::Put(key, group, vector)),
        4 => (0_u64..14).prop_map(Step::Delete),
        5 => Just(Step::Commit),
        2 => Just(Step::Merge),
        1 => Just(Step::Rollback),
        1 => Just(Step::Reopen),
    ]
}

struct Life {
    directory: tempfile::TempDir,
    index: Index,
    fields: Fields,
    /// `None` only while the index is being reopened: there is one writer at a time.
    writer: Option<IndexWriter>,
    searcher: SparseSearcher,
    pending: BTreeMap<u64, Doc>,
    committed: BTreeMap<u64, Doc>,
}

impl Life {
    fn begin() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (schema, fields) = schema();
        let index = create_in_dir(directory.path(), schema).unwrap();
        let (writer, searcher) = (Some(writer(&index)), crate::support::searcher(&index, fields));
        let (pending, committed) = (BTreeMap::new(), BTreeMap::new());
        Self { directory, index, fields, writer, searcher, pending, committed }
    }

    fn writer(&mut self) -> &mut IndexWriter {
        self.writer.as_mut().unwrap()
    }

    fn take(&mut self, step: &Step) {
        let fields = self.fields;
        match step {
            Step::Put(key, group, vector) => {
                let doc = Doc { key: *key, group: *group, vector: Some(vector.clone()) };
                delete(self.writer(), fields, *key);
                self.writer().add_document(doc.to_tantivy(fields)).unwrap();
                self.pending.insert(*key, doc);
            }
            Step::Delete(key) => {
                delete(self.writer(), fields, *key);
                self.pending.remove(key);
            }
            Step::Commit => {
                self.writer().commit().unwrap();
                self.committed = self.pending.clone();
            }
            Step::Merge => merge_all(&self.index.clone(), self.writer()),
            Step::Rollback => {
                roll_back(self.writer()).unwrap();
                self.pending = self.committed.clone();
            }
            Step::Reopen => self.reopen(),
        }
    }

    fn reopen(&mut self) {
        self.writer = None;
        self.index = open_in_dir(self.directory.path()).unwrap();
        self.writer = Some(writer(&self.index));
        self.pending = self.committed.clone();
        self.searcher = crate::support::searcher(&self.index, self.fields);
    }

    fn check(&mut self, requests: &[Request]) {
        let generation = self.index.reader().unwrap().searcher();
        self.searcher = self.searcher.reopen(&generation).unwrap();
        assert_eq!(self.searcher.stats().docs, self.committed.len() as u64);
        for request in requests {
            let answer = request.run(&self.searcher, self.fields, Executor::Windowed);
            assert_eq!(Answer::from(answer), brute_force(self.committed.values(), request));
        }
        for report in self.searcher.verify() {
            assert!(report.problems.is_empty(), "{report:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn an_index_answers_as_a_map_does_through_all_its_life(
        steps in proptest::collection::vec(step(), 1..45),
        requests in proptest::collection::vec(request(), 4),
    ) {
        let mut life = Life::begin();
        for step in &steps {
            life.take(step);
            if !matches!(step, Step::Put(..) | Step::Delete(_)) {
                life.check(&requests);
            }
        }
    }
}

#[test]
fn a_merge_does_not_make_an_uncommitted_first_delete_permanent() {
    let mut life = Life::begin();
    let vector = SparseVector::new([(sightword_index::TokenId(1), 1)]).unwrap();
    for key in [1, 2] {
        life.take(&Step::Put(key, 0, vector.clone()));
        life.take(&Step::Commit);
    }
    for interruption in [Step::Reopen, Step::Rollback] {
        life.take(&interruption);
        life.take(&Step::Delete(1));
        life.take(&Step::Merge);
        life.take(&Step::Reopen);
        life.check(&[]);
    }
}
