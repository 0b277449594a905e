//! The worked example of FORMAT.md is what the writer writes and the reader reads.

use std::path::PathBuf;

use tantivy::directory::OwnedBytes;

use super::forward::{self, Forward};
use super::inverted::{self, Inverted, WINDOW_LOG2};
use super::verify;
use crate::arena::Arena;
use crate::vector::{SparseVector, TokenId};

const FORMAT: &str = include_str!("../../FORMAT.md");
const VOCAB: u32 = 10;

fn arena() -> Arena {
    let picture = [(TokenId(2), 5, 3), (TokenId(7), 255, 0)];
    let mut arena = Arena::default();
    arena.add(&SparseVector::with_patches(picture).unwrap());
    arena.add(&SparseVector::default());
    arena.add(&SparseVector::new([(TokenId(7), 1)]).unwrap());
    arena
}

/// The bytes of the block that follows a heading: lines of an offset and up to 16 bytes in hex, a
/// star for lines like the one above it.
fn dump(heading: &str) -> Vec<u8> {
    let block = FORMAT.split(heading).nth(1).unwrap().split("```").nth(1).unwrap();
    let mut bytes: Vec<u8> = Vec::new();
    for line in block.lines().skip(1).filter(|line| *line != "*") {
        let (offset, rest) = line.split_once("  ").unwrap();
        let offset = usize::from_str_radix(offset, 16).unwrap();
        let last = bytes.len().saturating_sub(16);
        while bytes.len() < offset {
            bytes.extend_from_within(last..last + 16);
        }
        let rest = rest.split('|').next().unwrap();
        bytes.extend(rest.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()));
    }
    bytes
}

/// For a failing test to say what FORMAT.md should hold.
fn to_dump(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut starred = false;
    for (at, row) in bytes.chunks(16).enumerate() {
        let same = at > 0 && row == &bytes[16 * (at - 1)..16 * at];
        if !same {
            let row: Vec<_> = row.iter().map(|byte| format!("{byte:02x}")).collect();
            text += &format!("{:04x}  {}\n", 16 * at, row.join(" "));
        } else if !starred {
            text += "*\n";
        }
        starred = same;
    }
    text
}

#[test]
fn the_inverted_file_is_the_one_in_format_md() {
    let order = [2, 0, 1];
    let lists = arena().invert(&order);
    let written = inverted::write(Vec::new(), &order, VOCAB, WINDOW_LOG2, &lists).unwrap();
    let bytes = dump("### `.swx`");
    assert!(bytes == written, "should be\n{}", to_dump(&written));
    let file = Inverted::open(OwnedBytes::new(bytes), PathBuf::from("a.swx"), 3, VOCAB).unwrap();
    verify::inverted(&file).unwrap();
    assert_eq!(file.tokens(), [2, 7]);
    let postings = |list| file.list(list).unwrap().cell(0).postings().collect::<Vec<_>>();
    assert_eq!(file.order(), order);
    assert_eq!(postings(0), [(1, 5)]);
    assert_eq!(postings(1), [(0, 1), (1, 255)]);
    assert_eq!(file.statistics(1), (2, 255));
}

#[test]
fn the_forward_file_is_the_one_in_format_md() {
    let written = forward::write(Vec::new(), VOCAB, &arena()).unwrap();
    let bytes = dump("### `.swf`");
    assert!(bytes == written, "should be\n{}", to_dump(&written));
    let file = Forward::open(OwnedBytes::new(bytes), PathBuf::from("a.swf"), 3, VOCAB).unwrap();
    verify::forward(&file).unwrap();
    let picture = [(TokenId(2), 5, 3), (TokenId(7), 255, 0)];
    assert_eq!(file.vector(0).unwrap(), SparseVector::with_patches(picture).unwrap());
    assert!(file.vector(1).unwrap().is_empty());
    assert_eq!(file.vector(2).unwrap(), SparseVector::new([(TokenId(7), 1)]).unwrap());
}
