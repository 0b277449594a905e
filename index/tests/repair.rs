//! A broken inverted file is made again from the forward file.

use std::fs;
use std::path::{Path, PathBuf};

use sightword_index::{
    Executor, SparseQuery, TokenId, create_in_dir, open_in_dir, open_writer, rebuild_inverted,
};

use crate::support::{Answer, Doc, Request, add, schema, searcher, writer};

fn docs() -> Vec<Doc> {
    let doc = |key: u64| {
        let token = TokenId(u16::try_from(key % 3).unwrap());
        let impact = 1 + u8::try_from(key % 200).unwrap();
        let vector = sightword_index::SparseVector::new([(token, impact)]).unwrap();
        Doc { key, group: 0, vector: Some(vector) }
    };
    (0..300).map(doc).collect()
}

fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|ending| ending == extension)).collect()
}

fn flip_a_byte(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes[70] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn damaged_and_missing_inverted_files_are_made_again() {
    let directory = tempfile::tempdir().unwrap();
    let (schema, fields) = schema();
    let index = create_in_dir(directory.path(), schema).unwrap();
    let mut first = writer(&index);
    for part in docs().chunks(150) {
        add(&first, fields, part);
        first.commit().unwrap();
    }
    first.wait_merging_threads().unwrap();
    let request = || {
        let query = SparseQuery::new(vec![(TokenId(0), 2), (TokenId(2), 3)], vec![]).unwrap();
        Request::of(query, 20)
    };
    let answer = || {
        let index = open_in_dir(directory.path()).unwrap();
        Answer::from(request().run(&searcher(&index, fields), fields, Executor::Windowed))
    };
    let before = answer();
    let inverted = files(directory.path(), "swx");
    flip_a_byte(&inverted[0]);
    fs::remove_file(&inverted[1]).unwrap();
    let repairs = rebuild_inverted(&index).unwrap();
    assert_eq!(repairs.len(), 2);
    assert!(repairs.iter().all(|repair| repair.failure.is_none()), "{repairs:?}");
    assert_eq!(answer(), before);
    assert!(index.validate_checksum().unwrap().is_empty());
    assert!(rebuild_inverted(&index).unwrap().is_empty());
}

#[test]
fn what_has_no_whole_forward_file_is_named_and_left() {
    let directory = tempfile::tempdir().unwrap();
    let (schema, fields) = schema();
    let index = create_in_dir(directory.path(), schema).unwrap();
    let mut first = writer(&index);
    add(&first, fields, &docs());
    first.commit().unwrap();
    assert!(rebuild_inverted(&index).is_err(), "there is a writer");
    drop(first);
    for file in files(directory.path(), "swx").iter().chain(&files(directory.path(), "swf")) {
        flip_a_byte(file);
    }
    let repairs = rebuild_inverted(&index).unwrap();
    let failure = repairs[0].failure.as_ref().unwrap();
    assert!(failure.file.to_string_lossy().ends_with(".swf"), "{failure}");
    drop(open_writer(&index, std::num::NonZeroUsize::MIN, 15_000_000).unwrap());
}
