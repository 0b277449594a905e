//! A changed byte is an error that names the file, or changes nothing. Never a wrong answer, never
//! a panic.

use std::path::{Path, PathBuf};

use sightword_index::{
    Executor, SparseQuery, SparseSearcher, SparseVector, TokenId, create_in, open_in,
    verify_segments,
};
use tantivy::directory::RamDirectory;
use tantivy::{Directory, DocAddress};

use crate::support::{Answer, Doc, Fields, Request, add, delete, schema, writer};

/// A small index in memory whose files can be changed.
struct Patient {
    directory: RamDirectory,
    fields: Fields,
    /// One `.swx` and one `.swf` for each segment.
    files: Vec<PathBuf>,
}

fn docs() -> Vec<Doc> {
    let doc = |key: u64| {
        let number = u16::try_from(key).unwrap();
        let impact = u8::try_from(key * 11 % 255 + 1).unwrap();
        let entries = [(number % 3, impact), (3 + number % 5, 255), (9 + number % 2, 1)];
        let entries = entries.map(|(token, impact)| (TokenId(token), impact));
        let vector = match key % 4 {
            0 => None,
            1 => Some(SparseVector::new(entries).unwrap()),
            _ => {
                let patches = entries.map(|(token, impact)| (token, impact, impact / 2));
                Some(SparseVector::with_patches(patches).unwrap())
            }
        };
        Doc { key, group: key % 7, vector }
    };
    (0..24).map(doc).collect()
}

impl Patient {
    fn new(segments: usize) -> Self {
        let (schema, fields) = schema();
        let directory = RamDirectory::create();
        let index = create_in(directory.clone(), schema).unwrap();
        let mut writer = writer(&index);
        let docs = docs();
        for part in docs.chunks(docs.len().div_ceil(segments)) {
            add(&writer, fields, part);
            writer.commit().unwrap();
        }
        delete(&writer, fields, 5);
        writer.commit().unwrap();
        let files = index.searchable_segment_ids().unwrap();
        let files = files.iter().flat_map(|id| {
            ["swx", "swf"].map(|ext| PathBuf::from(format!("{}.{ext}", id.uuid_string())))
        });
        Self { directory, fields, files: files.collect() }
    }

    fn bytes(&self, file: &Path) -> Vec<u8> {
        self.directory.atomic_read(file).unwrap()
    }

    fn set(&self, file: &Path, bytes: &[u8]) {
        self.directory.atomic_write(file, bytes).unwrap();
    }

    fn open(&self) -> Result<SparseSearcher, String> {
        let index = open_in(self.directory.clone()).unwrap();
        let searcher = index.reader().unwrap().searcher();
        SparseSearcher::open(&searcher, self.fields.vector, self.fields.key)
            .map_err(|error| error.to_string())
    }

    /// Everything that can be asked, each answer or error apart.
    fn answers(&self) -> Vec<Result<String, String>> {
        let searcher = match self.open() {
            Ok(searcher) => searcher,
            Err(error) => return vec![Err(error)],
        };
        let mut answers = Vec::new();
        for request in requests() {
            for executor in [Executor::Windowed, Executor::Exhaustive] {
                let result = searcher.search(&request.query, &request.options(None, executor));
                let answer = result.map(|result| format!("{:?}", Answer::from(result)));
                answers.push(answer.map_err(|error| error.to_string()));
            }
        }
        let addresses = (0_u32..).zip(searcher.searcher().segment_readers());
        for (segment, reader) in addresses {
            for doc in 0..reader.max_doc() {
                let vector = searcher.vector(DocAddress::new(segment, doc));
                let vector = vector.map(|vector| format!("{vector:?}"));
                answers.push(vector.map_err(|error| error.to_string()));
            }
        }
        answers
    }

    /// What a full check says.
    fn problems(&self) -> Vec<String> {
        let index = open_in(self.directory.clone()).unwrap();
        let searcher = index.reader().unwrap().searcher();
        let reports = verify_segments(&searcher, self.fields.vector).unwrap();
        reports.iter().flat_map(|report| &report.problems).map(ToString::to_string).collect()
    }
}

fn requests() -> Vec<Request> {
    let query = |terms: &[u16], exclusions| {
        let terms = terms.iter().map(|token| (TokenId(*token), 7)).collect();
        SparseQuery::new(terms, exclusions).unwrap()
    };
    let nine = sightword_index::Exclusion { tokens: vec![TokenId(9)], floor: 1 };
    vec![
        Request::of(query(&[0, 1, 2], vec![]), 0),
        Request::of(query(&[3, 4, 5, 6, 7], vec![nine]), 5),
        Request::of(query(&[10], vec![]), 3),
    ]
}

/// Runs `examine` after each change of each file, and puts the file back.
fn damage_each(
    patient: &Patient,
    change: impl Fn(&[u8]) -> Vec<(String, Vec<u8>)>,
    examine: impl Fn(&str, &str, &[u8]),
) {
    for file in &patient.files {
        let whole = patient.bytes(file);
        for (what, damaged) in change(&whole) {
            patient.set(file, &damaged);
            examine(file.to_str().unwrap(), &what, &whole);
        }
        patient.set(file, &whole);
    }
}

fn flips(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let flip = |at: usize| {
        let mut damaged = bytes.to_vec();
        damaged[at] ^= 1 << (at % 8);
        (format!("{at}"), damaged)
    };
    (0..bytes.len()).map(flip).collect()
}

fn truncations(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    (0..bytes.len()).map(|len| (format!("{len}"), bytes[..len].to_vec())).collect()
}

/// Errors name the file; answers are those of the whole index.
fn check_answers(patient: &Patient, sound: &[Result<String, String>], file: &str, what: &str) {
    let answers = patient.answers();
    for (at, answer) in answers.iter().enumerate() {
        match answer {
            Ok(_) => assert_eq!(answer, &sound[at], "{file} {what}"),
            Err(error) => assert!(error.contains(file), "{file} {what}: {error}"),
        }
    }
}

#[test]
fn a_flipped_bit_anywhere_is_an_error_or_changes_nothing() {
    let patient = Patient::new(1);
    let sound = patient.answers();
    assert!(sound.iter().all(Result::is_ok) && patient.problems().is_empty());
    damage_each(&patient, flips, |file, what, _| check_answers(&patient, &sound, file, what));
}

#[test]
fn a_full_check_finds_every_flipped_bit() {
    let patient = Patient::new(1);
    damage_each(&patient, flips, |file, what, whole| {
        // tantivy's own footer is a line of JSON and two numbers behind our bytes.
        let footer = whole.windows(12).rposition(|at| at == b"{\"version\":{").unwrap();
        let problems = patient.problems();
        let inside = what.parse::<usize>().unwrap() < footer;
        assert!(!inside || problems.iter().any(|problem| problem.contains(file)), "{what}");
    });
}

#[test]
fn a_file_cut_anywhere_is_an_error_that_names_it() {
    let patient = Patient::new(1);
    damage_each(&patient, truncations, |file, len, _| {
        let error = patient.open().err().unwrap_or_default();
        assert!(error.contains(file), "{file} cut to {len}: {error}");
    });
}

#[test]
fn a_missing_file_refuses_the_whole_searcher_by_name() {
    let patient = Patient::new(3);
    for file in &patient.files {
        let whole = patient.bytes(file);
        patient.directory.delete(file).unwrap();
        let error = patient.open().err().unwrap();
        assert!(error.contains(file.to_str().unwrap()) && error.contains("missing"), "{error}");
        assert_eq!(patient.problems().len(), 1);
        patient.set(file, &whole);
    }
}

#[test]
fn a_file_of_another_segment_is_not_taken_for_its_own() {
    let patient = Patient::new(5);
    // Four segments of five documents and one of four.
    let index = open_in(patient.directory.clone()).unwrap();
    let mut metas = index.searchable_segment_metas().unwrap();
    metas.sort_by_key(tantivy::SegmentMeta::max_doc);
    let file =
        |meta: &tantivy::SegmentMeta| PathBuf::from(format!("{}.swx", meta.id().uuid_string()));
    let (small, large) = (file(&metas[0]), file(&metas[4]));
    patient.set(&large, &patient.bytes(&small));
    let error = patient.open().err().unwrap();
    assert!(error.contains("4 documents") && error.contains(large.to_str().unwrap()), "{error}");
}

#[test]
fn files_that_disagree_are_found_by_a_full_check() {
    let patient = Patient::new(2);
    // Both segments have 12 documents: the other one's inverted file is sound in itself.
    let (first, second) = (&patient.files[0], &patient.files[2]);
    patient.set(first, &patient.bytes(second));
    assert!(patient.open().is_ok());
    let problems = patient.problems();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].contains("not the same here as in the other file"), "{}", problems[0]);
}

#[test]
fn a_merge_of_a_damaged_segment_fails_and_leaves_all_as_it_was() {
    let longest = Patient::new(2);
    let longest = longest.files.iter().map(|file| longest.bytes(file).len()).max().unwrap();
    let mut failed = 0;
    for at in (3..longest).step_by(17) {
        let patient = Patient::new(2);
        let sound = patient.answers();
        let file = &patient.files[at % 4];
        let whole = patient.bytes(file);
        let mut damaged = whole.clone();
        damaged[at.min(whole.len() - 1)] ^= 1 << (at % 8);
        patient.set(file, &damaged);
        match merge(&patient) {
            Ok(()) => check_merged(&patient, &sound),
            Err(error) => {
                assert!(error.contains(file.to_str().unwrap()), "{file:?} {at}: {error}");
                patient.set(file, &whole);
                assert_eq!(patient.answers(), sound, "{file:?} {at}");
                failed += 1;
            }
        }
    }
    assert!(failed > 30, "only {failed} merges failed");
}

/// Fails as the merge does, and then the segments are still the same.
fn merge(patient: &Patient) -> Result<(), String> {
    let index = open_in(patient.directory.clone()).unwrap();
    let segments = index.searchable_segment_ids().unwrap();
    let merged = writer(&index).merge(&segments).wait();
    if merged.is_err() {
        assert_eq!(index.searchable_segment_ids().unwrap(), segments);
    }
    merged.map(drop).map_err(|error| error.to_string())
}

/// The damage hit space that means nothing: what was made of it is sound.
fn check_merged(patient: &Patient, sound: &[Result<String, String>]) {
    let searches = 2 * requests().len();
    assert_eq!(patient.answers()[..searches], sound[..searches]);
    assert!(patient.problems().is_empty());
}
