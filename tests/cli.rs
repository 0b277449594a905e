//! The program as a user of the terminal meets it: streams, exit codes, forms, names.

mod forms;
mod index;
mod rerank;
pub(crate) mod reranker;
pub(crate) mod support;

use std::fs;

use support::{indexed_photos, photos, sightword, sightword_in};

// Finding

#[test]
fn a_search_finds_the_cup_of_coffee() {
    let found = indexed_photos().search(&["a cup of coffee"]);
    assert_eq!(found.code, 0, "{}", found.err);
    let first = found.out.lines().next().unwrap_or_default();
    assert!(first.contains("coffee-cup.jpg") && first.contains("coffee "), "{first}");
    assert!(found.err.contains(" of "), "the last line counts: {}", found.err);
}

#[test]
fn a_folder_without_an_index_is_indexed_on_first_use() {
    let folder = photos(&["coffee-cup.jpg", "moose.jpg"]);
    let args = ["search", "--in", "photos", "coffee", "-l"];
    let first = sightword_in(folder.path(), &args);
    assert_eq!((first.code, &*first.out), (0, "photos/coffee-cup.jpg\n"), "{}", first.err);
    assert!(first.err.contains("indexed 2 new"), "{}", first.err);
    let second = sightword_in(folder.path(), &args);
    assert_eq!(second.out, first.out);
    assert_eq!(second.err, "", "nothing is left to index or to say");
}

#[test]
fn words_may_come_as_one_argument_or_several() {
    let photos = indexed_photos();
    assert_eq!(
        photos.search(&["coffee cup", "-l"]).out,
        photos.search(&["coffee", "cup", "-l"]).out
    );
}

#[test]
fn nothing_found_is_exit_code_1_with_empty_output_and_the_nearest_named() {
    let nothing = indexed_photos().search(&["coffee", "--min-match", "100%"]);
    assert_eq!((nothing.code, &*nothing.out), (1, ""));
    assert!(nothing.err.starts_with("no match: no image covers 100% of '"), "{}", nothing.err);
    assert!(nothing.err.contains("coffee-cup.jpg; --all shows it"), "{}", nothing.err);
    let all = indexed_photos().search(&["coffee", "--all", "-l"]);
    assert!(all.code == 0 && all.out.starts_with("coffee-cup.jpg\n"), "{}", all.out);
}

#[test]
fn an_excluded_word_leaves_its_pictures_out() {
    for args in [&["{\"coffee\": 1} -coffee"][..], &["{\"coffee\": 1}", "--not", "coffee"]] {
        let nothing = indexed_photos().search(args);
        assert_eq!((nothing.code, &*nothing.out), (1, ""), "{args:?}");
        assert!(nothing.err.contains("would match but for 'coffee'"), "{}", nothing.err);
    }
}

#[test]
fn a_filter_narrows_the_search() {
    let photos = indexed_photos();
    let found = photos.search(&["coffee path:cup", "--all", "-l"]);
    assert_eq!(found.out, "coffee-cup.jpg\n");
    let nothing = photos.search(&["coffee path:'no such'", "--all"]);
    assert_eq!(nothing.code, 1);
}

#[test]
fn a_picture_is_most_like_itself() {
    let photos = indexed_photos();
    for args in [&["moose.jpg", "-l"][..], &["--like", "moose.jpg", "-l", "-k", "1"]] {
        let found = photos.search(args);
        assert!(found.out.starts_with("moose.jpg\n"), "{args:?}: {}", found.err);
    }
    let two = photos.search(&["moose.jpg", "--like", "coins.jpg"]);
    assert!(two.code == 2 && two.err.contains("one picture only"), "{}", two.err);
}

#[test]
fn offset_and_k_page_through_the_hits() {
    let photos = indexed_photos();
    let all = photos.search(&["animal", "--all", "-k", "0", "-l"]).out;
    let pages = [["0", "2"], ["2", "3"], ["5", "0"]];
    let paged: String = pages
        .iter()
        .map(|[offset, k]| {
            photos.search(&["animal", "--all", "-l", "--offset", offset, "-k", k]).out
        })
        .collect();
    assert_eq!(paged, all);
    let beyond = photos.search(&["animal", "--all", "--offset", "1000"]);
    assert!(beyond.code == 1 && beyond.err.starts_with("no more: "), "{}", beyond.err);
}

#[test]
fn the_table_needs_no_network_and_finds_words_as_typed() {
    let found = indexed_photos().search(&["coffee", "--query-mode", "table", "--all", "-l"]);
    assert!(found.out.starts_with("coffee-cup.jpg\n"), "{}", found.out);
}

// Explaining

#[test]
fn an_explanation_sums_to_the_score() {
    let explained = indexed_photos().run(&["explain", "a cup of coffee", "coffee-cup.jpg"]);
    assert_eq!(explained.code, 0, "{}", explained.err);
    let hundredths = |text: &str| text.replace('.', "").parse::<u32>().expect("two decimals");
    let rows = explained.out.lines().skip(1).take_while(|line| line.contains("row "));
    let sum: u32 =
        rows.map(|row| hundredths(row.split_whitespace().nth(3).expect("product"))).sum();
    let total = explained.out.lines().find_map(|line| line.strip_prefix("total ")).expect("total");
    assert_eq!(sum, hundredths(total.split(' ').next().expect("number")));
    assert!(total.contains("= search score   rank 1 of "), "{total}");
}

#[test]
fn a_missed_picture_is_explained_too() {
    let query = "{\"coffee\": 1, \"elephant\": 1}";
    let missed = indexed_photos().run(&["explain", query, "galaxies.jpg"]);
    assert_eq!(missed.code, 1, "{}{}", missed.out, missed.err);
    assert!(missed.out.contains("not in image: 'coffee' (query 1.00)"), "{}", missed.out);
    assert!(missed.out.contains("total 0.00 = search score   no rank"), "{}", missed.out);
    let excluded = indexed_photos().run(&["explain", "coffee -coffee", "coffee-cup.jpg"]);
    assert!(excluded.out.contains("excluded by 'coffee'"), "{}", excluded.out);
}

#[test]
fn an_explanation_can_be_drawn() {
    let photos = indexed_photos();
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("why.png");
    let output = output.to_str().unwrap();
    let drawn = photos.run(&["explain", "coffee", "coffee-cup.jpg", "-o", output]);
    assert_eq!(drawn.code, 0, "{}", drawn.err);
    assert!(fs::read(output).unwrap().starts_with(b"\x89PNG"));
    let nowhere = photos.run(&["explain", "coffee", "coffee-cup.jpg", "-o", "no/such/why.png"]);
    assert!(nowhere.code == 2 && nowhere.err.contains("no/such/why.png"), "{}", nowhere.err);
}

#[test]
fn a_picture_can_be_named_by_the_beginning_of_its_id() {
    let photos = indexed_photos();
    let run = photos.search(&["coffee", "--format", "trec", "-k", "1"]).out;
    let id = run.split(' ').nth(2).expect("a docid");
    let explained = photos.run(&["explain", "coffee", &id[.."b3:".len() + 8]]);
    assert_eq!(explained.code, 0, "{}", explained.err);
    let unknown = photos.run(&["explain", "coffee", "b3:0000000000ff"]);
    assert!(unknown.code == 2 && unknown.err.contains("b3:0000000000ff"), "{}", unknown.err);
}

// Errors

#[test]
fn an_error_is_exit_code_2_and_names_the_next_command() {
    let empty = tempfile::tempdir().unwrap();
    let lost = sightword_in(empty.path(), &["search", "dog"]);
    assert_eq!((lost.code, &*lost.out), (2, ""));
    assert!(lost.err.starts_with("sightword: error: no index here or above"), "{}", lost.err);
    assert!(lost.err.ends_with("\n  try: sightword index .\n"), "{}", lost.err);
}

#[test]
fn a_query_error_shows_its_place() {
    let error = indexed_photos().search(&["dog - cat"]);
    assert_eq!((error.code, &*error.out), (2, ""));
    assert!(error.err.ends_with("\n    dog - cat\n        ^\n"), "{}", error.err);
}

#[test]
fn bad_arguments_are_exit_code_2() {
    let cases: &[&[&str]] = &[
        &[],
        &["find"],
        &["search", "dog", "-k", "many"],
        &["search", "dog", "--json", "-l"],
        &["search", "dog", "--min-match", "2"],
        &["search", "dog", "--min-match", "nan"],
        &["search", "dog", "--sort", "size"],
        &["search", "--not", "...", "dog"],
        &["search"],
        &["explain", "dog"],
        &["index", "--jobs", "0"],
        &["export", "--to", "xml"],
        &["tokens", "no-such-picture.jpg"],
        &["explain", "dog", "no-such-picture.jpg"],
        &["search", "{\"qwzx\": 1}"],
        &["search", "-surfboard"],
        &["index", "no-such-folder"],
        &["info", "--index", "no-such-folder"],
        &["search", "--like", "LICENSES.md"],
    ];
    for args in cases {
        let ran = indexed_photos().run(args);
        assert_eq!((ran.code, &*ran.out), (2, ""), "{args:?}");
        assert!(!ran.err.is_empty(), "{args:?}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = indexed_photos().command(&["search", "animal", "--all", "--json", "-k", "0"]);
    child.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = child.spawn().unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
}

// Help

#[test]
fn help_fits_one_screen_and_starts_with_three_examples() {
    let top = sightword(&["-h"]);
    insta::assert_snapshot!("help", top.out);
    insta::assert_snapshot!("help_search", sightword(&["search", "-h"]).out);
    let verbs = [
        "index",
        "search",
        "explain",
        "serve",
        "tokens",
        "info",
        "eval",
        "export",
        "doctor",
        "completions",
    ];
    for verb in verbs {
        let help = sightword(&[verb, "-h"]);
        let lines: Vec<&str> = help.out.lines().collect();
        assert_eq!(help.code, 0);
        assert!(lines.len() <= 40, "{verb}: {} lines", lines.len());
        let examples =
            lines[2..].iter().skip(1).take_while(|line| line.starts_with("  sightword "));
        assert_eq!((lines[2], examples.count()), ("Examples:", 3), "{verb}: {}", help.out);
    }
    let long = sightword(&["search", "--help"]).out;
    assert!(long.contains("Query language:") && long.contains("Exit code:"), "{long}");
}

#[test]
fn completions_are_made_for_each_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = sightword(&["completions", shell]);
        assert!(script.code == 0 && script.out.contains("explain"), "{shell}");
    }
}
