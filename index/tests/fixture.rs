//! An index that an earlier build wrote is read, searched and merged by this one.

use std::fs;
use std::path::{Path, PathBuf};

use sightword_index::{
    Executor, SparseQuery, SparseSearcher, SparseVector, TokenId, create_in_dir, open_in_dir,
};
use tantivy::Index;

use crate::support::{
    Answer, Doc, Fields, Request, add, brute_force, delete, merge_all, schema, writer,
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v3")
}

/// 200 documents; token 0 is in most of them, so its cell is one of bits.
fn docs() -> Vec<Doc> {
    let doc = |key: u64| {
        let impact = |by: u64| 1 + u8::try_from(key * by % 255).unwrap();
        let mut entries = vec![(TokenId(1 + u16::try_from(key % 40).unwrap()), impact(7), 5)];
        if key % 5 != 2 {
            entries.insert(0, (TokenId(0), impact(13), 48));
        }
        Doc { key, group: key % 100, vector: Some(SparseVector::with_patches(entries).unwrap()) }
    };
    (0..200).map(doc).collect()
}

fn alive() -> Vec<Doc> {
    docs().into_iter().filter(|doc| !doc.key.is_multiple_of(9)).collect()
}

fn requests() -> Vec<Request> {
    let terms = |terms: &[(u16, u8)]| terms.iter().map(|(t, w)| (TokenId(*t), *w)).collect();
    let frequent = SparseQuery::new(terms(&[(0, 3), (7, 200), (33, 255)]), vec![]).unwrap();
    let rare = SparseQuery::new(terms(&[(12, 1)]), vec![]).unwrap();
    vec![Request::of(frequent, 10), Request::of(rare, 0)]
}

fn check(index: &Index, fields: Fields) {
    let searcher = index.reader().unwrap().searcher();
    let searcher = SparseSearcher::open(&searcher, fields.vector, fields.key).unwrap();
    for request in requests() {
        let answer = Answer::from(request.run(&searcher, fields, Executor::Windowed));
        assert_eq!(answer, brute_force(&alive(), &request));
    }
    searcher.verify().iter().for_each(|report| assert!(report.problems.is_empty(), "{report:?}"));
}

/// Run it by hand when the format gets a new version, with a new folder.
#[test]
#[ignore = "writes the files that the test below reads"]
fn write_the_fixture() {
    fs::create_dir_all(folder()).unwrap();
    let (schema, fields) = schema();
    let index = create_in_dir(&folder(), schema).unwrap();
    let mut writer = writer(&index);
    for part in docs().chunks(120) {
        add(&writer, fields, part);
        writer.commit().unwrap();
    }
    (0..200).step_by(9).for_each(|key| delete(&writer, fields, key));
    writer.commit().unwrap();
    check(&index, fields);
}

#[test]
fn version_3_on_disk_is_read_searched_and_merged() {
    let directory = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, directory.path().join(path.file_name().unwrap())).unwrap();
    }
    let (_, fields) = schema();
    let index = open_in_dir(directory.path()).unwrap();
    check(&index, fields);
    merge_all(&index, &mut writer(&index));
    check(&index, fields);
}
