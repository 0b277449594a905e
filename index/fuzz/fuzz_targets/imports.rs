//! Is every file of another program read, or refused with an error, and never worse?
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use sightword_index::exchange::{Words, ciff, jsonl, npz};

fuzz_target!(|bytes: &[u8]| {
    let mut words = Words::open();
    if let Ok(documents) = jsonl::read(bytes, &mut words) {
        // What was read can be written and read again, and is the same.
        let mut written = Vec::new();
        jsonl::write(&documents, &words, &mut written).unwrap();
        assert_eq!(jsonl::read(&*written, &mut words).unwrap(), documents);
    }
    let _ = ciff::read(bytes, &mut Words::open());
    let _ = npz::read(Cursor::new(bytes));
});
