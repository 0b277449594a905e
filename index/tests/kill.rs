//! A process that is killed at any moment of commit and merge loses nothing that was committed.
//!
//! The child is this test program again, asked for one ignored test. It goes through generations, each a
//! function of the one before, and says when it has committed one. The parent kills it after a number
//! of words, drawn from a seed, and looks at what is left on disk.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use sightword_index::{
    Executor, SparseQuery, SparseVector, TokenId, create_in_dir, open_in_dir, open_writer,
};
use tantivy::Index;

use crate::support::{
    Answer, Doc, Fields, Request, brute_force, delete, merge_all, schema, searcher, writer,
};

const KILLS: u64 = 100;
const KEYS: u64 = 40;
const DIRECTORY: &str = "SIGHTWORD_INDEX_KILL_DIRECTORY";

/// Documents after a number of generations.
fn state(generation: u64) -> BTreeMap<u64, Doc> {
    let mut docs = BTreeMap::new();
    (1..=generation).for_each(|generation| {
        removed(generation).for_each(|key| drop(docs.remove(&key)));
        put(generation).for_each(|doc| drop(docs.insert(doc.key, doc)));
    });
    docs
}

fn removed(generation: u64) -> impl Iterator<Item = u64> {
    (0..KEYS).filter(move |key| (key + generation).is_multiple_of(11))
}

fn put(generation: u64) -> impl Iterator<Item = Doc> {
    (0..KEYS).filter(move |key| (key * 7 + generation).is_multiple_of(5)).map(move |key| {
        let token = TokenId(u16::try_from((key + generation) % 20).unwrap());
        let impact = 1 + u8::try_from((key * generation) % 250).unwrap();
        let vector = SparseVector::with_patches([(token, impact, 3)]).unwrap();
        Doc { key, group: 0, vector: Some(vector) }
    })
}

/// The generation that was committed last.
fn committed(index: &Index) -> u64 {
    index.load_metas().unwrap().payload.map_or(0, |payload| payload.parse().unwrap())
}

#[test]
#[ignore = "the child of the test below"]
fn live_until_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let index = open_in_dir(Path::new(&directory)).unwrap();
    let (_, fields) = schema();
    let mut writer = writer(&index);
    let say = |word: &str| {
        // Past the test harness, which would keep it.
        let mut out = std::io::stderr().lock();
        writeln!(out, "{word}").unwrap();
    };
    for generation in committed(&index) + 1.. {
        removed(generation).for_each(|key| delete(&writer, fields, key));
        for doc in put(generation) {
            delete(&writer, fields, doc.key);
            writer.add_document(doc.to_tantivy(fields)).unwrap();
        }
        say("added");
        let mut commit = writer.prepare_commit().unwrap();
        say("prepared");
        commit.set_payload(&generation.to_string());
        commit.commit().unwrap();
        say(&format!("committed {generation}"));
        if generation % 3 == 0 {
            merge_all(&index, &mut writer);
            say("merged");
        }
    }
}

/// Starts a child, kills it after so many words, and gives the last generation that it acknowledged.
fn kill_after(words: usize, directory: &Path) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::live_until_killed", "--ignored", "--nocapture"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let said: Vec<_> = lines.take(words).map(Result::unwrap).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    let generations = said.iter().filter_map(|word| word.strip_prefix("committed ")?.parse().ok());
    generations.max().unwrap_or(0)
}

fn check(index: &Index, fields: Fields, acknowledged: u64) {
    let generation = committed(index);
    assert!(generation >= acknowledged, "{generation} of {acknowledged}");
    let searcher = searcher(index, fields);
    let terms = (0..20).map(|token| (TokenId(token), 1)).collect();
    let request = Request::of(SparseQuery::new(terms, vec![]).unwrap(), 0);
    let found = Answer::from(request.run(&searcher, fields, Executor::Windowed));
    assert_eq!(found, brute_force(state(generation).values(), &request), "{generation}");
    for report in searcher.verify() {
        assert!(report.problems.is_empty(), "{report:?}");
    }
}

#[test]
fn a_hundred_kills_lose_no_commit() {
    let directory = tempfile::tempdir().unwrap();
    let (schema, fields) = schema();
    drop(create_in_dir(directory.path(), schema).unwrap());
    let mut seed = 1_u64;
    let mut acknowledged = 0;
    for _ in 0..KILLS {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let words = 1 + usize::try_from(seed >> 60).unwrap();
        acknowledged = kill_after(words, directory.path()).max(acknowledged);
        check(&open_in_dir(directory.path()).unwrap(), fields, acknowledged);
    }
    assert!(acknowledged > 50, "only {acknowledged} generations were lived through");
}

/// A process that is being started has its parent's files open, locks among them, until it is another
/// program.
#[test]
fn a_lock_given_back_while_processes_are_started_is_free() {
    let directory = tempfile::tempdir().unwrap();
    let (schema, _) = schema();
    let index = create_in_dir(directory.path(), schema).unwrap();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let mut child = Command::new(std::env::current_exe().unwrap());
                child.args(["--exact", "no such test"]).stdout(Stdio::null()).status().unwrap();
            }
        });
        let opened: Vec<_> = (0..100)
            .map(|_| open_writer(&index, NonZeroUsize::MIN, 15_000_000).map(drop))
            .collect();
        is_over.store(true, Ordering::Relaxed);
        assert!(opened.iter().all(Result::is_ok), "{opened:?}");
    });
}
