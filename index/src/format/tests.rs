//! Files whose checksums hold but whose content breaks a rule: what a faulty writer would make.

use std::path::PathBuf;

use proptest::prelude::*;
use tantivy::directory::OwnedBytes;

use super::cell::Cell;
use super::forward::{self, Documents, Entries, Forward};
use super::inverted::{self, Inverted, Lists, Visit, WINDOW_LOG2, WriteError};
use super::verify;
use crate::error::{Fault, FileError};

const DOCS: u32 = 100;
const VOCAB: u32 = 10;

/// One list as it is given, sound or not.
#[derive(Clone)]
struct OneList {
    token: u16,
    docs: Vec<u32>,
    impacts: Vec<u8>,
}

impl Lists for OneList {
    fn visit(&self, visit: &mut Visit<'_>) -> Result<(), WriteError> {
        visit(self.token, &self.docs, &self.impacts)
    }
}

fn list_file(list: &OneList) -> Vec<u8> {
    ordered_file(list, &(0..DOCS).collect::<Vec<_>>())
}

fn ordered_file(list: &OneList, order: &[u32]) -> Vec<u8> {
    inverted::write(Vec::new(), order, VOCAB, WINDOW_LOG2, list).unwrap()
}

fn open_inverted(bytes: Vec<u8>, docs: u32, vocab: u32) -> Result<Inverted, FileError> {
    Inverted::open(OwnedBytes::new(bytes), PathBuf::from("a.swx"), docs, vocab)
}

fn sound_list() -> OneList {
    OneList { token: 9, docs: vec![0, 7, 99], impacts: vec![1, 255, 3] }
}

#[test]
fn a_sound_list_is_read() {
    let file = open_inverted(list_file(&sound_list()), DOCS, VOCAB).unwrap();
    verify::inverted(&file).unwrap();
    let list = file.list(0).unwrap();
    assert_eq!(list.cell(0).postings().collect::<Vec<_>>(), [(0, 1), (7, 255), (99, 3)]);
    assert_eq!(file.statistics(0), (3, 255));
}

#[test]
fn a_list_of_many_is_bits_and_numbers_of_blocks() {
    let docs: Vec<u32> = (0..DOCS).filter(|doc| doc % 5 != 3).collect();
    let impacts: Vec<u8> = docs.iter().map(|doc| 1 + u8::try_from(doc % 90).unwrap()).collect();
    let list = OneList { token: 3, docs, impacts };
    let file = open_inverted(list_file(&list), DOCS, VOCAB).unwrap();
    verify::inverted(&file).unwrap();
    let cell = file.list(0).unwrap().cell(0);
    let postings: Vec<_> = cell.postings().map(|(id, impact)| (u32::from(id), impact)).collect();
    let given: Vec<_> = list.docs.iter().copied().zip(list.impacts.iter().copied()).collect();
    assert_eq!(postings, given);
    let Cell::Many { bits, before, maxima, .. } = cell else { panic!("a list of few") };
    assert_eq!((bits.len(), before, maxima), (2, &[0, 51][..], &[63, 90][..]));
}

#[test]
fn bits_beyond_the_window_and_false_numbers_of_blocks_are_never_read() {
    let list = OneList { token: 3, docs: (0..DOCS).collect(), impacts: vec![9; DOCS as usize] };
    let sound = list_file(&list);
    // They begin at 64: 16 bytes of bits, two counts of postings before, two maxima. The list's checksum
    // and that of the section are made to hold, so that only the structure is wrong.
    let wrong = [(15, 1), (12, 14), (16, 1), (18, 63), (19, 1), (20, 8), (21, 10)];
    for (at, value) in wrong.map(|(at, value)| (64 + at, value)) {
        let mut bytes = sound.clone();
        bytes[at] = value;
        fix_list_checksum(&mut bytes);
        let file = open_inverted(bytes, DOCS, VOCAB).unwrap();
        let error = file.list(0).err().unwrap();
        assert!(matches!(error.fault, Fault::Structure { .. }), "{at}: {error}");
    }
}

/// Makes the checksum of the only list hold again, and those of its section and the tail.
fn fix_list_checksum(bytes: &mut [u8]) {
    let entry = |bytes: &[u8], section: usize| {
        let at = bytes.len() - TAIL + 24 + 24 * section;
        let number = |at: usize| usize::from(bytes[at]) | usize::from(bytes[at + 1]) << 8;
        (at, number(at)..number(at) + number(at + 8))
    };
    let (_, ids) = entry(bytes, 0);
    let (_, impacts) = entry(bytes, 1);
    let (_, tokens) = entry(bytes, 2);
    let mut crc = crc32fast::Hasher::new();
    [tokens, ids, impacts].into_iter().for_each(|range| crc.update(&bytes[range]));
    let (at, checksums) = entry(bytes, 7);
    bytes[checksums.clone()].copy_from_slice(&crc.finalize().to_le_bytes());
    let section = crc32fast::hash(&bytes[checksums]);
    bytes[at + 16..at + 20].copy_from_slice(&section.to_le_bytes());
    fix_table_checksum(bytes);
}

#[test]
fn ids_outside_of_their_window_are_never_read() {
    for docs in [vec![0, 7, 100], vec![0, 7, 16_383], vec![7, 7, 8], vec![8, 7, 9]] {
        let file =
            open_inverted(list_file(&OneList { docs, ..sound_list() }), DOCS, VOCAB).unwrap();
        for _ in 0..2 {
            let error = file.list(0).err().unwrap();
            assert!(matches!(error.fault, Fault::Structure { .. }), "{error}");
        }
    }
}

#[test]
fn every_document_has_one_place() {
    let order: Vec<_> = (0..DOCS).rev().collect();
    let file = open_inverted(ordered_file(&sound_list(), &order), DOCS, VOCAB).unwrap();
    assert_eq!(file.order()[..2], [99, 98]);
    for wrong in [98, 100, u32::MAX] {
        let mut order = order.clone();
        order[0] = wrong;
        let error = open_inverted(ordered_file(&sound_list(), &order), DOCS, VOCAB).err().unwrap();
        assert!(error.to_string().contains("section order"), "{error}");
    }
}

#[test]
fn an_impact_of_zero_and_a_token_beyond_the_vocabulary_are_refused() {
    let zero = list_file(&OneList { impacts: vec![1, 0, 3], ..sound_list() });
    assert!(open_inverted(zero, DOCS, VOCAB).unwrap().list(0).is_err());
    assert!(open_inverted(list_file(&OneList { token: 10, ..sound_list() }), DOCS, VOCAB).is_err());
}

#[test]
fn a_file_of_another_size_or_vocabulary_is_refused_by_both_numbers() {
    let bytes = list_file(&sound_list());
    let error = open_inverted(bytes.clone(), DOCS + 1, VOCAB).err().unwrap().to_string();
    assert!(error.contains("100") && error.contains("101"), "{error}");
    let error = open_inverted(bytes, DOCS, VOCAB + 1).err().unwrap().to_string();
    assert!(error.contains("10") && error.contains("11"), "{error}");
}

#[test]
fn a_newer_version_and_another_kind_are_told_apart_from_damage() {
    let mut newer = list_file(&sound_list());
    newer[8] = 4;
    let error = open_inverted(newer.clone(), DOCS, VOCAB).err().unwrap();
    assert!(matches!(error.fault, Fault::Checksum { .. }), "{error}");
    fix_table_checksum(&mut newer);
    let error = open_inverted(newer, DOCS, VOCAB).err().unwrap();
    assert!(matches!(error.fault, Fault::TooNew { found: 4, known: 3 }), "{error}");
    let mut older = list_file(&sound_list());
    older[8] = 2;
    fix_table_checksum(&mut older);
    let error = open_inverted(older, DOCS, VOCAB).err().unwrap();
    assert!(matches!(error.fault, Fault::TooOld { found: 2, known: 3 }), "{error}");
    let mut other = list_file(&sound_list());
    other[0] = b'X';
    let error = open_inverted(other, DOCS, VOCAB).err().unwrap();
    assert!(matches!(error.fault, Fault::Kind), "{error}");
}

/// Bytes of the tail: 24 of facts, 24 for each of 9 sections, 8 of trailer.
const TAIL: usize = 248;

/// Makes the checksum of head and tail hold again.
fn fix_table_checksum(bytes: &mut [u8]) {
    let (tail, end) = (bytes.len() - TAIL, bytes.len() - 4);
    let mut crc = crc32fast::Hasher::new();
    crc.update(&bytes[..64]);
    crc.update(&bytes[tail..end]);
    bytes[end..].copy_from_slice(&crc.finalize().to_le_bytes());
}

/// Documents as they are given, sound or not.
struct Given(Vec<(Vec<u16>, Vec<u8>)>);

impl Documents for Given {
    fn visit(
        &self,
        visit: &mut dyn FnMut(Entries<'_>) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        self.0
            .iter()
            .try_for_each(|(tokens, impacts)| visit(Entries { tokens, impacts, patches: None }))
    }
}

#[test]
fn a_document_that_is_no_vector_is_never_read() {
    for (tokens, impacts) in
        [(vec![3, 3], vec![1, 1]), (vec![3, 4], vec![1, 0]), (vec![10], vec![1])]
    {
        let bytes = forward::write(Vec::new(), VOCAB, &Given(vec![(tokens, impacts)])).unwrap();
        let file = PathBuf::from("a.swf");
        let file = Forward::open(OwnedBytes::new(bytes), file, 1, VOCAB).unwrap();
        assert!(matches!(file.document(0).unwrap_err().fault, Fault::Structure { .. }));
        assert!(verify::forward(&file).is_err());
    }
}

#[test]
fn a_posting_that_only_one_file_has_is_found() {
    // The last document is at place 0.
    let order: Vec<_> = (0..DOCS).rev().collect();
    let list = |docs: Vec<u32>| {
        let impacts = vec![7; docs.len()];
        let docs = docs.into_iter().map(|doc| DOCS - 1 - doc).rev().collect();
        let bytes = ordered_file(&OneList { token: 9, docs, impacts }, &order);
        open_inverted(bytes, DOCS, VOCAB).unwrap()
    };
    let documents = (0..DOCS).map(|doc| match doc {
        4 | 70 => (vec![9], vec![7]),
        _ => (vec![], vec![]),
    });
    let bytes = forward::write(Vec::new(), VOCAB, &Given(documents.collect())).unwrap();
    let file = PathBuf::from("a.swf");
    let forward = Forward::open(OwnedBytes::new(bytes), file, DOCS, VOCAB).unwrap();
    verify::agreement(&list(vec![4, 70]), &forward).unwrap();
    for docs in [vec![4], vec![4, 70, 71], vec![4, 71], vec![3, 4, 70]] {
        let error = verify::agreement(&list(docs), &forward).unwrap_err();
        assert!(matches!(error.fault, Fault::Disagreement { token: 9, .. }), "{error}");
    }
}

/// Where the sections from `first` on stand, read from a file's own table of `count` sections.
fn sections_from(bytes: &[u8], first: usize, count: usize) -> Vec<std::ops::Range<usize>> {
    let table = bytes.len() - 8 - 24 * count;
    let number = |at: usize| {
        usize::try_from(u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())).unwrap()
    };
    let entries = (first..count).map(|section| table + 24 * section);
    entries.map(|at| number(at)..number(at) + number(at + 8)).collect()
}

#[test]
fn damage_to_the_structure_is_refused_on_open() {
    let whole = list_file(&sound_list());
    for at in sections_from(&whole, 2, 7).into_iter().flatten() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        assert!(open_inverted(bytes, DOCS, VOCAB).is_err(), "byte {at}");
    }
    let given = Given(vec![(vec![1, 2], vec![3, 4]), (vec![2], vec![9])]);
    let whole = forward::write(Vec::new(), VOCAB, &given).unwrap();
    for at in sections_from(&whole, 3, 6).into_iter().flatten() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        let file = Forward::open(OwnedBytes::new(bytes), PathBuf::from("a.swf"), 2, VOCAB);
        assert!(file.is_err(), "byte {at}");
    }
}

proptest! {
    /// Any change of the table, with its checksum made to hold again: no slice goes out of bounds.
    #[test]
    fn a_table_of_any_content_is_an_error_or_harmless(
        changes in proptest::collection::vec((0_usize..TAIL - 4, any::<u8>()), 1..6),
    ) {
        let mut bytes = list_file(&sound_list());
        let tail = bytes.len() - TAIL;
        for (at, value) in changes {
            bytes[tail + at] = value;
        }
        fix_table_checksum(&mut bytes);
        if let Ok(file) = open_inverted(bytes, DOCS, VOCAB) {
            let _ = file.list(0);
            let _ = verify::inverted(&file);
        }
    }
}
