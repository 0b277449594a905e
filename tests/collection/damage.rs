//! Indexes of other models and versions, and files that are damaged or missing: an error that names
//! the file and the remedy, never a wrong answer, never a panic.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use sightword::collection::{CheckStatus, Collection, CollectionError};

use super::support::{Album, ENCODER, likes, refresh};

fn message(result: Result<Collection, CollectionError>) -> String {
    result.err().expect("an error").to_string()
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    fs::write(path, text.replace(from, to)).unwrap();
}

/// The files that one commit consists of.
fn segment_files(album: &Album) -> Vec<PathBuf> {
    let entries = fs::read_dir(album.index().join("index")).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| !file.file_name().unwrap().to_str().unwrap().starts_with('.'));
    files.retain(|file| file.extension().is_some_and(|ext| ext != "json" && ext != "lock"));
    files.sort();
    files
}

#[test]
fn an_index_of_another_model_is_refused_with_both_names() {
    let (album, collection) = Album::indexed(&[("a.bmp", 1)]);
    drop(collection);
    let hash = ENCODER.hash();
    edit(&album.index().join("collection.json"), hash, &"0123456789abcdef".repeat(4));
    let text = message(album.open());
    for part in [ENCODER.name(), &hash[..12], "0123456789ab", "sightword index --rebuild"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let rebuilt = Collection::rebuild(&[album.root()], None, Arc::clone(&ENCODER));
    assert_eq!(refresh(&mut rebuilt.unwrap()).encoded, 1);
}

#[test]
fn a_newer_format_is_refused_even_if_nothing_else_in_it_is_known() {
    let (album, collection) = Album::indexed(&[("a.bmp", 1)]);
    drop(collection);
    fs::write(album.index().join("collection.json"), r#"{"format": 99, "new": {}}"#).unwrap();
    let text = message(album.open());
    for part in ["99", "format 1", "collection.json", "newer sightword"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[test]
fn other_preprocessing_is_refused() {
    let (album, collection) = Album::indexed(&[("a.bmp", 1)]);
    drop(collection);
    let path = album.index().join("collection.json");
    edit(&path, sightword::ingest::PREPROCESS_ID, "crop/0");
    let text = message(album.open());
    assert!(text.contains("crop/0") && text.contains("--rebuild"), "{text}");
}

#[test]
fn a_folder_that_is_no_index_is_none() {
    let album = Album::new();
    album.draw("a.bmp", 1);
    let open = |path: &Path| message(Collection::open(path, Arc::clone(&ENCODER)));
    assert!(open(&album.root()).contains("no index"));
    assert!(open(&album.path("nowhere")).contains("no index"));
}

#[test]
fn a_damaged_or_missing_manifest_is_named_and_can_be_rebuilt() {
    let (album, collection) = Album::indexed(&[("a.bmp", 1)]);
    drop(collection);
    let manifest = album.index().join("collection.json");
    for content in [Some("{ not json"), Some(""), Some(r#"{"format": 1}"#), None] {
        match content {
            Some(content) => fs::write(&manifest, content).unwrap(),
            None => fs::remove_file(&manifest).unwrap(),
        }
        let text = message(album.open());
        assert!(text.contains("collection.json") && text.contains("--rebuild"), "{text}");
    }
    // It is not quietly begun anew.
    let roots = [album.root()];
    let text = message(Collection::open_or_create(&roots, None, Arc::clone(&ENCODER)));
    assert!(text.contains("collection.json"), "{text}");
    let mut rebuilt = Collection::rebuild(&roots, None, Arc::clone(&ENCODER)).unwrap();
    assert_eq!(refresh(&mut rebuilt).new, 1);
}

#[test]
fn an_index_whose_making_was_cut_off_is_begun_anew() {
    let album = Album::new();
    album.draw("a.bmp", 1);
    drop(album.create());
    fs::remove_file(album.index().join("collection.json")).unwrap();
    assert!(message(album.open()).contains("no index"));
    let again = Collection::open_or_create(&[album.root()], None, Arc::clone(&ENCODER));
    assert_eq!(refresh(&mut again.unwrap()).new, 1);
}

#[test]
fn a_flipped_bit_in_any_file_is_noticed_and_the_file_named() {
    let (album, collection) = Album::indexed(&[("a.bmp", 1), ("b.bmp", 2)]);
    drop(collection);
    let files = segment_files(&album);
    assert!(files.len() >= 6, "{files:?}");
    for file in files {
        let whole = fs::read(&file).unwrap();
        for at in [0, whole.len() / 3, whole.len() / 2, whole.len() - 40, whole.len() - 1] {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            fs::write(&file, bytes).unwrap();
            assert_refused_or_same(&album, &file, &format!("bit flipped at {at}"));
        }
        fs::write(&file, &whole).unwrap();
    }
    assert_eq!(likes(&album.open().unwrap(), &album.path("a.bmp")).hits.len(), 2);
}

#[test]
fn a_truncated_or_missing_file_is_noticed_and_named() {
    let (album, collection) = Album::indexed(&[("a.bmp", 1), ("b.bmp", 2)]);
    drop(collection);
    for file in segment_files(&album) {
        let whole = fs::read(&file).unwrap();
        for len in [0, 3, whole.len() / 2, whole.len() - 1] {
            fs::write(&file, &whole[..len]).unwrap();
            assert_refused_or_same(&album, &file, &format!("cut to {len}"));
        }
        fs::remove_file(&file).unwrap();
        assert_refused_or_same(&album, &file, "removed");
        let checks = Collection::diagnose(&album.index(), &ENCODER);
        let failed = checks.iter().any(|check| check.status == CheckStatus::Fail);
        assert!(failed, "doctor sees nothing when {} is removed", file.display());
        fs::write(&file, &whole).unwrap();
    }
    for name in ["meta.json", ".managed.json"] {
        let file = album.index().join("index").join(name);
        let whole = fs::read(&file).unwrap();
        for content in [&b""[..], b"{", &whole[..whole.len() / 2]] {
            fs::write(&file, content).unwrap();
            assert_refused_or_same(&album, &file, "damaged");
        }
        fs::write(&file, &whole).unwrap();
    }
    assert_eq!(likes(&album.open().unwrap(), &album.path("a.bmp")).hits.len(), 2);
}

/// A damaged index is refused with the file's name and the remedy, or the damage is where it does
/// not matter and everything is found as before.
#[track_caller]
fn assert_refused_or_same(album: &Album, file: &Path, what: &str) {
    match album.open() {
        Err(error) => {
            let (text, name) = (error.to_string(), file.file_name().unwrap().to_str().unwrap());
            assert!(text.contains(name), "{what} in {name}: {text}");
            assert!(text.contains("--rebuild"), "{what} in {name}: {text}");
        }
        Ok(collection) => {
            let reply = likes(&collection, &album.path("a.bmp"));
            assert_eq!(reply.hits.len(), 2, "{what} in {}", file.display());
            assert_eq!(reply.hits[0].paths, [album.path("a.bmp")], "{what} in {}", file.display());
        }
    }
}

#[test]
fn a_whole_index_passes_all_checks() {
    let (album, collection) = Album::indexed(&[("a.bmp", 1)]);
    let checks = collection.check();
    let bad: Vec<_> = checks
        .iter()
        .filter(|check| check.status == CheckStatus::Fail || check.fix.is_some())
        .filter(|check| check.name != "disk")
        .collect();
    assert!(bad.is_empty(), "{bad:?}");
    for name in ["lock", "model", "checksums", "segment", "root", "skipped", "sample", "disk"] {
        assert!(checks.iter().any(|check| check.name == name), "{name}: {checks:?}");
    }
    fs::rename(album.root(), album.temp.path().join("away")).unwrap();
    let away = album.temp.path().join("away/.sightword");
    assert!(Collection::diagnose(&away, &ENCODER).iter().all(|c| c.status != CheckStatus::Fail));
}
