//! What is written can be read again, and what is no file of its form is told.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use proptest::prelude::*;

use super::{Document, ExchangeError, Words, ciff, full_scale, jsonl, npz};
use crate::vector::{SparseVector, TokenId};

const VOCAB: u16 = 30;
/// A scale that is no power of two, so that weights are not exact.
const SCALE: f32 = 71.0;

fn words() -> Words {
    Words::closed((0..VOCAB).map(|token| format!("wörd \"{token}\""))).unwrap()
}

fn vectors() -> impl Strategy<Value = Vec<SparseVector>> {
    let entries = proptest::collection::btree_map(0..VOCAB, 1_u8..=255, 0..9);
    let vector = entries.prop_map(|entries| {
        SparseVector::new(entries.into_iter().map(|(token, impact)| (TokenId(token), impact)))
    });
    proptest::collection::vec(vector.prop_map(Result::unwrap), 0..12)
}

fn documents(vectors: &[SparseVector]) -> Vec<Document> {
    let named = vectors.iter().enumerate();
    named.map(|(number, vector)| Document::of(format!("døc {number}"), vector, SCALE)).collect()
}

fn quantised(documents: &[Document], scale: f32) -> Vec<SparseVector> {
    documents.iter().map(|document| document.quantise(scale).unwrap()).collect()
}

fn ids(documents: &[Document]) -> Vec<&str> {
    documents.iter().map(|document| document.id.as_str()).collect()
}

proptest! {
    #[test]
    fn every_form_gives_back_what_was_written(vectors in vectors()) {
        let given = documents(&vectors);
        let mut file = Vec::new();
        jsonl::write(&given, &words(), &mut file).unwrap();
        let read = jsonl::read(file.as_slice(), &mut words()).unwrap();
        prop_assert_eq!(&read, &given);
        prop_assert_eq!(&quantised(&read, SCALE), &vectors);

        let mut file = Cursor::new(Vec::new());
        npz::write(&given, u32::from(VOCAB), &mut file).unwrap();
        let (read, vocab) = npz::read(file).unwrap();
        prop_assert_eq!((&read, vocab), (&given, u32::from(VOCAB)));

        let mut file = Vec::new();
        ciff::write(&given, &words(), SCALE, &mut file).unwrap();
        let read = ciff::read(file.as_slice(), &mut words()).unwrap();
        prop_assert_eq!(ids(&read), ids(&given));
        prop_assert_eq!(&quantised(&read, 1.0), &vectors);
    }

    #[test]
    fn a_damaged_file_is_an_error_or_other_documents(
        vectors in vectors(),
        at in any::<prop::sample::Index>(),
        value in any::<u8>(),
    ) {
        let given = documents(&vectors);
        let (mut npz_file, mut ciff_file) = (Cursor::new(Vec::new()), Vec::new());
        npz::write(&given, u32::from(VOCAB), &mut npz_file).unwrap();
        ciff::write(&given, &words(), SCALE, &mut ciff_file).unwrap();
        let (mut npz_file, mut short) = (npz_file.into_inner(), ciff_file.clone());
        let place = at.index(npz_file.len());
        npz_file[place] = value;
        let _ = npz::read(Cursor::new(npz_file));
        let place = at.index(ciff_file.len());
        ciff_file[place] = value;
        let _ = ciff::read(ciff_file.as_slice(), &mut words());
        short.truncate(place);
        prop_assert!(ciff::read(short.as_slice(), &mut words()).is_err());
    }
}

/// A file that counts how often it is read from.
struct Counted(Cursor<Vec<u8>>, usize);

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.1 += 1;
        self.0.read(into)
    }
}

impl Seek for Counted {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

#[test]
fn a_matrix_is_read_in_large_pieces() {
    let vector = SparseVector::new((0..VOCAB).map(|token| (TokenId(token), 1))).unwrap();
    let given = documents(&vec![vector; 2_000]);
    let mut file = Cursor::new(Vec::new());
    npz::write(&given, u32::from(VOCAB), &mut file).unwrap();
    let mut file = Counted(file, 0);
    assert_eq!(npz::read(&mut file).unwrap().0, given);
    assert!(file.1 < 1_000, "{} reads for 60,000 weights", file.1);
}

#[test]
fn lines_of_others_are_read() {
    let lines = "{\"id\": 7, \"path\": \"a.jpg\", \"vector\": {\"b\": 0.5, \"a\": 2, \"c\": 0}}\n\n\
        {\"id\": \"x\", \"vector\": {}}";
    let mut words = Words::open();
    let read = jsonl::read(lines.as_bytes(), &mut words).unwrap();
    assert_eq!(ids(&read), ["7", "x"]);
    assert_eq!(words.names(), ["b", "a", "c"]);
    assert_eq!(read[0].weights, [(TokenId(0), 0.5), (TokenId(1), 2.0)]);
    assert!((full_scale(&read) - 127.5).abs() < f32::EPSILON);
}

#[test]
fn what_is_no_weight_names_the_document() {
    let line = |vector: &str| format!("{{\"id\": \"here\", \"vector\": {vector}}}");
    let known = || Words::closed(["a".to_owned(), "b".to_owned()]).unwrap();
    for (vector, about) in [
        ("{\"a\": -1}", "-1"),
        ("{\"z\": 1}", "\"z\""),
        ("{\"a\": 1e12}", "1000000000000"),
        ("{\"a\": 1, \"a\": 2}", "twice"),
    ] {
        let error = jsonl::read(line(vector).as_bytes(), &mut known()).unwrap_err().to_string();
        assert!(error.contains("here"), "{error}");
        assert!(error.contains(about), "{error}");
    }
    let error = jsonl::read("{\"id\": 1}".as_bytes(), &mut known()).unwrap_err();
    assert!(matches!(error, ExchangeError::Line { line: 1, .. }), "{error}");
    let twice = vec![(TokenId(1), 1.0), (TokenId(1), 2.0)];
    assert!(matches!(Document::new("x".into(), twice), Err(ExchangeError::Twice { token: 1, .. })));
    for weight in [f32::NAN, f32::INFINITY, -0.1] {
        let document = Document::new("x".into(), vec![(TokenId(1), weight)]);
        assert!(matches!(document, Err(ExchangeError::Weight { .. })), "{weight}");
    }
}

#[test]
fn more_words_than_ids_are_refused() {
    let names = (0..65_537).map(|number| number.to_string());
    assert!(matches!(Words::closed(names), Err(ExchangeError::Vocabulary)));
}
