//! Keeping the index true, and looking into it.

use std::fs;

use serde_json::Value;

use super::support::{copy_photo, indexed_photos, photos, sightword_in};

#[test]
fn results_of_indexing_go_to_standard_error() {
    let folder = photos(&["coffee-cup.jpg"]);
    let ran = sightword_in(folder.path(), &["index", "photos"]);
    assert_eq!((ran.code, &*ran.out), (0, ""));
    assert!(
        ran.err.contains("indexed 1 new, 0 changed, 0 moved (reused), 0 removed"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("index photos/.sightword  1 image  "), "{}", ran.err);
}

#[test]
fn new_moved_and_removed_files_are_counted_and_listed_first_if_asked() {
    let folder = photos(&["coffee-cup.jpg", "coins.jpg"]);
    let photos = folder.path().join("photos");
    let run = |args: &[&str]| sightword_in(&photos, args);
    assert_eq!(run(&["index", "."]).code, 0);
    fs::rename(photos.join("coins.jpg"), photos.join("money.jpg")).unwrap();
    fs::remove_file(photos.join("coffee-cup.jpg")).unwrap();
    copy_photo("moose.jpg", &photos.join("moose.jpg"));

    let dry = run(&["index", "--dry-run"]);
    assert_eq!(dry.out, "removed   coffee-cup.jpg\nmoved     money.jpg\nnew       moose.jpg\n");
    assert!(dry.err.starts_with("would index 1 new, 0 changed, 1 moved (reused), 1 removed"));
    let json = run(&["index", "--dry-run", "--json"]).out;
    let first: Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!(first["type"], "file");
    assert_eq!(first["data"]["path"]["text"], "coffee-cup.jpg");

    let done = run(&["index"]);
    assert!(
        done.err.starts_with("indexed 1 new, 0 changed, 1 moved (reused), 1 removed"),
        "{}",
        done.err
    );
    let again = run(&["index"]);
    assert!(
        again.err.starts_with("indexed 0 new, 0 changed, 0 moved (reused), 0 removed, 2 unchanged")
    );
}

#[test]
fn a_dry_run_leaves_no_trace() {
    let folder = photos(&["coins.jpg"]);
    let dry = sightword_in(folder.path(), &["index", "--dry-run", "photos"]);
    assert_eq!((dry.code, &*dry.out), (0, "new       photos/coins.jpg\n"), "{}", dry.err);
    assert!(!folder.path().join("photos/.sightword").exists());
}

#[test]
fn pruning_is_not_done_unasked() {
    let folder = photos(&["coins.jpg", "moose.jpg"]);
    let run = |args: &[&str]| sightword_in(folder.path(), args);
    assert_eq!(run(&["index", "photos"]).code, 0);
    fs::remove_file(folder.path().join("photos/moose.jpg")).unwrap();
    let refused = run(&["index", "photos", "--prune"]);
    assert_eq!(refused.code, 2);
    assert!(refused.err.ends_with("try: --prune --yes\n"), "{}", refused.err);
    let pruned = run(&["index", "photos", "--prune", "--yes"]);
    assert!(pruned.code == 0 && pruned.err.contains("1 pruned"), "{}", pruned.err);
}

#[test]
fn a_broken_file_is_named_and_the_run_goes_on() {
    let folder = photos(&["coins.jpg"]);
    fs::write(folder.path().join("photos/broken.jpg"), b"no picture").unwrap();
    let ran = sightword_in(folder.path(), &["index", "photos"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("warning: skipped photos/broken.jpg: "), "{}", ran.err);
    assert!(ran.err.contains("1 new") && ran.err.contains("1 skipped"), "{}", ran.err);
    let strict = sightword_in(folder.path(), &["index", "photos", "--strict"]);
    assert_eq!(strict.code, 2, "{}", strict.err);
}

#[test]
fn a_rebuilt_index_finds_the_same() {
    let folder = photos(&["coffee-cup.jpg", "moose.jpg"]);
    let run = |args: &[&str]| sightword_in(folder.path(), args);
    let search = ["search", "--in", "photos", "coffee", "--all", "--format", "trec"];
    let before = run(&search).out;
    let rebuilt = run(&["index", "--rebuild", "photos"]);
    assert!(rebuilt.err.contains("indexed 2 new"), "{}", rebuilt.err);
    assert_eq!(run(&search).out, before);
}

#[test]
fn info_counts_what_the_index_holds() {
    let photos = indexed_photos();
    let info: Value = serde_json::from_str(&photos.run(&["info", "--json"]).out).unwrap();
    assert_eq!((&info["images"], &info["files"], &info["gone"]), (&7.into(), &7.into(), &0.into()));
    assert_eq!(
        info["index"]["text"],
        photos.folder().join(".sightword").canonicalize().unwrap().to_str().unwrap()
    );
    assert_eq!(info["model_hash"].as_str().map(str::len), Some(64));
    assert!(info["postings"].as_u64() > Some(100) && info["bytes"].as_u64() > Some(1000));
    let people = photos.run(&["info"]);
    assert!(people.code == 0 && people.out.contains("images    7 in 7 files\n"), "{}", people.out);
}

#[test]
fn a_doctor_finds_a_damaged_file() {
    let folder = photos(&["coins.jpg"]);
    let run = |args: &[&str]| sightword_in(folder.path(), args);
    assert_eq!(run(&["index", "photos"]).code, 0);
    let healthy = run(&["doctor", "--in", "photos"]);
    assert_eq!(healthy.code, 0, "{}", healthy.out);
    assert!(healthy.out.lines().all(|line| line.starts_with("ok   ")), "{}", healthy.out);

    let index = folder.path().join("photos/.sightword/index");
    let damaged = fs::read_dir(&index).unwrap().map(|entry| entry.unwrap().path());
    let damaged = damaged.filter(|path| path.extension().is_some_and(|ending| ending == "swx"));
    for path in damaged {
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    }
    let ill = run(&["doctor", "--in", "photos"]);
    assert_eq!(ill.code, 1, "{}", ill.out);
    let fails = ill.out.lines().filter(|line| line.starts_with("fail ") && line.contains(".swx"));
    assert!(fails.count() > 0, "{}", ill.out);
    let search = run(&["search", "--in", "photos", "coins"]);
    assert!(
        search.code == 2 && search.err.contains("try: sightword index --rebuild"),
        "{}",
        search.err
    );
}

#[test]
fn exported_weights_are_those_of_the_picture() {
    let photos = indexed_photos();
    let exported = photos.run(&["export", "--to", "jsonl"]).out;
    let lines: Vec<Value> =
        exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 7);
    let cup = lines.iter().find(|line| line["path"]["text"] == "coffee-cup.jpg").expect("the cup");
    let tokens: Value =
        serde_json::from_str(&photos.run(&["tokens", "coffee-cup.jpg", "--json"]).out).unwrap();
    let tokens = tokens["tokens"].as_array().expect("tokens");
    assert_eq!(cup["vector"].as_object().map(serde_json::Map::len), Some(tokens.len()));
    for token in tokens {
        assert_eq!(cup["vector"][token["token"].as_str().expect("a word")], token["weight"]);
    }

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("vectors.jsonl");
    let ran = photos.run(&["export", "--to", "jsonl", "-o", file.to_str().unwrap()]);
    assert_eq!((ran.code, &*ran.out), (0, ""), "{}", ran.err);
    assert_eq!(fs::read_to_string(file).unwrap(), exported);
}
