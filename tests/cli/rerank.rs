//! A second look at the first hits, with a re-ranker of random weights: the order means nothing, but it
//! is another one.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use serde_json::Value;
use sightword::encode::Encoder;
use tempfile::TempDir;

use super::reranker::{Sizes, write};
use super::support::{Ran, indexed_photos, photos, sightword_in};

const SMALL: Sizes = Sizes { layers: 1, width: 16 };

/// A folder with a re-ranker for the model inside the program, made once for all tests.
fn reranker() -> &'static str {
    static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        write(folder.path(), &Encoder::embedded().expect("the model"), &SMALL);
        folder
    });
    FOLDER.path().to_str().expect("a path that is text")
}

/// Words for each of the photos, so that nearly all of them are hits, whatever the model.
const WORDS: &str = "animals, a flower, a cup of coffee, coins, stars in the sky and a windmill";
const QUERY: [&str; 3] = [WORDS, "--all", "--json"];

fn search(folder: &Path, more: &[&str]) -> Ran {
    let args = [&["search", "--reranker", reranker()], &QUERY[..], more].concat();
    sightword_in(folder, &args)
}

/// What was said before the hits, and the hits.
fn told(ran: &Ran) -> (Value, Vec<Value>) {
    assert_eq!(ran.code, 0, "{}", ran.err);
    let lines: Vec<Value> =
        ran.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let data = |line: &Value| line["data"].clone();
    (data(&lines[0]), lines[1..lines.len() - 1].iter().map(data).collect())
}

/// Rank, rank before, and the score that ordered it.
fn ranks(hits: &[Value]) -> Vec<(u64, u64, Option<f64>)> {
    let each = |hit: &Value| {
        let rank = hit["rank"].as_u64().expect("a rank");
        let first = hit["stages"]["sparse"]["rank"].as_u64().expect("a rank");
        let rerank = &hit["stages"]["rerank"];
        assert!(rerank.is_null() || rerank["rank"] == hit["rank"], "{hit}");
        (rank, first, rerank["score"].as_f64())
    };
    hits.iter().map(each).collect()
}

#[test]
fn the_first_hits_get_an_order_of_their_own_and_show_both() {
    let (begin, hits) = told(&search(&indexed_photos().folder(), &["--rerank", "5"]));
    let shown = &begin["reranker"];
    assert_eq!((&shown["name"], &shown["depth"]), (&"random".into(), &5.into()));
    assert_eq!((&shown["stored"], &shown["unreadable"]), (&0.into(), &0.into()));
    assert_eq!(shown["hash"].as_str().map(str::len), Some(64));
    let ranks = ranks(&hits);
    assert!(ranks.len() > 5 && ranks.iter().zip(1..).all(|(found, rank)| found.0 == rank));
    let mut before: Vec<u64> = ranks[..5].iter().map(|found| found.1).collect();
    assert!(!before.is_sorted(), "the order did not change: {ranks:?}");
    before.sort_unstable();
    assert_eq!(before, [1, 2, 3, 4, 5]);
    let scores: Vec<f64> = ranks[..5].iter().map(|found| found.2.expect("a score")).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    assert_eq!((ranks[5].1, ranks[5].2), (6, None));
}

#[test]
fn the_json_form_keeps_its_fields() {
    let ran = search(&indexed_photos().folder(), &["--rerank", "2", "-k", "3"]);
    let (begin, hits) = told(&ran);
    let stages: Vec<&Value> = hits.iter().map(|hit| &hit["stages"]).collect();
    let told = serde_json::json!({ "reranker": begin["reranker"], "stages": stages });
    let text = serde_json::to_string_pretty(&told).expect("JSON");
    let shape = |line: &str| match line.split_once(": ") {
        Some((name, value)) if value.starts_with(|c: char| c.is_ascii_digit() || c == '-') => {
            format!("{name}: #")
        }
        Some((name, _)) if name.contains("hash") => format!("{name}: …"),
        _ => line.to_owned(),
    };
    let text: Vec<String> = text.lines().map(shape).collect();
    insta::with_settings!({ snapshot_path => "../snapshots" }, {
        insta::assert_snapshot!("rerank_json", text.join("\n"));
    });
}

#[test]
fn a_page_is_a_part_of_the_whole_list() {
    let folder = indexed_photos().folder();
    let (_, all) = told(&search(&folder, &["--rerank", "5", "-k", "0"]));
    let (_, page) = told(&search(&folder, &["--rerank", "5", "-k", "3", "--offset", "3"]));
    assert_eq!(page, all[3..6]);
}

#[test]
fn people_and_other_programs_see_the_new_order() {
    let folder = indexed_photos().folder();
    let args = ["search", WORDS, "--all", "--reranker", reranker()];
    let rows = sightword_in(&folder, &args);
    let first = rows.out.lines().next().unwrap_or_default();
    assert!(first.starts_with(" 1  ") && first.contains(")  "), "{}", rows.out);
    assert!(rows.err.contains(" re-ranked by random "), "{}", rows.err);
    let run = sightword_in(&folder, &[&args[..], &["--format", "trec"]].concat()).out;
    let scores = run.lines().map(|line| line.split(' ').nth(4).and_then(|s| s.parse::<u64>().ok()));
    let scores: Vec<u64> = scores.map(|score| score.expect("a whole number")).collect();
    assert!(scores.len() > 2 && scores.is_sorted_by(|a, b| a > b), "{run}");
}

#[test]
fn without_a_second_look_all_is_as_before() {
    let folder = indexed_photos().folder();
    let plain = told(&sightword_in(&folder, &[&["search"], &QUERY[..]].concat()));
    let none = told(&search(&folder, &["--rerank", "0"]));
    assert_eq!(plain, none);
    assert!(plain.0["reranker"].is_null());
}

#[test]
fn stored_features_give_the_same_answer_as_the_photos() {
    let folder = photos(&["coffee-cup.jpg", "moose.jpg", "panda.jpg"]);
    let photos = folder.path().join("photos");
    let index = |more: &[&str]| {
        let ran =
            sightword_in(&photos, &[&["index", ".", "--reranker", reranker()], more].concat());
        assert_eq!(ran.code, 0, "{}", ran.err);
        ran.err
    };
    index(&[]);
    let (begin, made) = told(&search(&photos, &["--rerank", "9"]));
    assert_eq!(begin["reranker"]["stored"], 0);
    assert!(index(&["--rerank-features"]).contains("3 given features"), "those that had none");
    super::support::copy_photo("coins.jpg", &photos.join("coins.jpg"));
    assert!(
        !index(&["--rerank-features"]).contains("given features"),
        "new ones get theirs at once"
    );
    for name in ["coffee-cup.jpg", "moose.jpg", "panda.jpg"] {
        // Nobody looks at the photo again.
        fs::write(photos.join(name), "no picture").unwrap();
    }
    fs::remove_file(photos.join("coins.jpg")).unwrap();
    let (begin, stored) = told(&search(&photos, &["--rerank", "9", "-k", "0"]));
    assert_eq!(begin["reranker"]["stored"], begin["reranker"]["depth"]);
    let without_coins: Vec<&Value> =
        stored.iter().filter(|hit| hit["path"]["text"] != "coins.jpg").collect();
    let order = |hits: &[&Value]| hits.iter().map(|hit| hit["id"].clone()).collect::<Vec<_>>();
    assert_eq!(order(&without_coins), order(&made.iter().collect::<Vec<_>>()));
}

#[test]
fn a_photo_that_cannot_be_read_keeps_its_rank() {
    let folder = photos(&["coffee-cup.jpg", "moose.jpg", "panda.jpg", "windmill.jpg"]);
    let photos = folder.path().join("photos");
    assert_eq!(sightword_in(&photos, &["index", "."]).code, 0);
    let (_, before) = told(&search(&photos, &["--rerank", "0"]));
    let second = before[1]["path"]["text"].as_str().expect("a path");
    fs::remove_file(photos.join(second)).unwrap();
    let ran = search(&photos, &["--rerank", "9"]);
    assert!(ran.err.contains(second) && ran.err.contains("keeps its rank"), "{}", ran.err);
    let (begin, after) = told(&ran);
    assert_eq!((&after[1]["id"], &begin["reranker"]["unreadable"]), (&before[1]["id"], &1.into()));
    assert!(after[1]["stages"]["rerank"].is_null(), "{}", after[1]);
}

#[test]
fn the_re_ranker_inside_the_program_fits_the_model_inside() {
    let folder = indexed_photos().folder();
    let args = ["search", "a cup of coffee", "--rerank", "5", "--json"];
    let (begin, hits) = told(&sightword_in(&folder, &args));
    assert_eq!(
        (&begin["reranker"]["name"], &begin["reranker"]["stored"]),
        (&"late-1".into(), &0.into())
    );
    assert_eq!(hits[0]["path"]["text"], "coffee-cup.jpg");
    assert!(hits[0]["stages"]["rerank"]["score"].is_number(), "{}", hits[0]);
    let info = sightword_in(&folder, &["info"]).out;
    assert!(info.contains("re-ranker late-1") && info.contains("features of 0 images"), "{info}");
    let doctor = sightword_in(&folder, &["doctor"]).out;
    assert!(doctor.contains("features — 0 pictures for late-1"), "{doctor}");
}

#[test]
fn explain_tells_what_the_second_look_sees() {
    let photos = indexed_photos();
    let (_, hits) = told(&photos.run(&["search", "a cup of coffee", "--rerank", "5", "--json"]));
    let explain = ["explain", "a cup of coffee", "coffee-cup.jpg", "--rerank"];
    let ran = photos.run(&[&explain[..], &["--json"]].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
    let explained: Value = serde_json::from_str(&ran.out).expect("JSON");
    let second = &explained["second"];
    let (ordered, told) = (hits[0]["stages"]["rerank"]["score"].as_f64(), second["score"].as_f64());
    let (ordered, told) = (ordered.expect("a score"), told.expect("a score"));
    assert!((ordered - told).abs() <= 2e-3, "search said {ordered}, explain {told}");
    let parts = second["parts"].as_array().expect("parts");
    let sum: f64 = parts.iter().map(|part| part["score"].as_f64().expect("a score")).sum();
    assert!((sum - second["fit"].as_f64().expect("a fit")).abs() <= 2e-3, "{second}");
    let seen = |token: &str| parts.iter().find(|part| part["token"] == token).expect("a token");
    let patch = seen("coffee")["patch"].as_array().expect("a patch");
    assert!(patch.iter().all(|at| at.as_u64().is_some_and(|at| at < 8)), "{patch:?}");
    assert!(seen("coffee")["score"].as_f64() > seen("of")["score"].as_f64(), "{second}");

    let shown = photos.run(&explain).out;
    assert!(shown.contains("second look by late-1") && shown.contains("(the whole)"), "{shown}");
    let without = photos.run(&["explain", "a cup of coffee", "coffee-cup.jpg", "--json"]).out;
    assert!(!without.contains("\"second\""), "{without}");
    let weights = photos.run(&["explain", "{\"cup\": 1}", "coffee-cup.jpg", "--rerank"]);
    assert_eq!(weights.code, 2);
    assert!(weights.err.contains("token weights"), "{}", weights.err);
}

#[test]
fn another_model_has_no_re_ranker_inside_the_program() {
    let folder = photos(&["coffee-cup.jpg"]);
    let model = folder.path().join("model");
    fs::create_dir(&model).unwrap();
    let inside = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/default");
    for name in ["config.json", "model.safetensors", "tokenizer.json"] {
        fs::copy(inside.join(name), model.join(name)).unwrap();
    }
    let config = fs::read_to_string(model.join("config.json")).unwrap();
    fs::write(model.join("config.json"), format!("{config}\n")).unwrap();
    let search = ["search", "--model", "model", "--in", "photos", "coffee"];
    assert_eq!(sightword_in(folder.path(), &search).code, 0);
    let ran = sightword_in(folder.path(), &[&search[..], &["--rerank", "5"]].concat());
    assert_eq!((ran.code, &*ran.out), (2, ""));
    assert!(ran.err.contains("no re-ranker for the model v3"), "{}", ran.err);
    assert!(ran.err.contains("try: --reranker DIR"), "{}", ran.err);
}

#[test]
fn what_cannot_be_re_ranked_is_said_with_what_to_do() {
    let photos = indexed_photos();
    let fails = |args: &[&str], told: &[&str]| {
        let ran = photos.run(args);
        assert_eq!((ran.code, &*ran.out), (2, ""), "{args:?}");
        assert!(told.iter().all(|told| ran.err.contains(told)), "{args:?}: {}", ran.err);
    };
    let with = ["--rerank", "5", "--reranker", reranker()];
    fails(&[&["search", "--like", "moose.jpg"], &with[..]].concat(), &["two pictures", "try:"]);
    fails(&[&["search", "{\"dog\": 1}"], &with[..]].concat(), &["token weights"]);
    fails(&[&["search", "dog", "--sort", "date"], &with[..]].concat(), &["order of their own"]);
    fails(&["search", "dog", "--reranker", "no-such-folder"], &["no-such-folder", "config.json"]);

    let folder = tempfile::tempdir().unwrap();
    for name in ["config.json", "model.safetensors"] {
        fs::copy(Path::new(reranker()).join(name), folder.path().join(name)).unwrap();
    }
    let other = folder.path().to_str().unwrap();
    let weights = fs::read(folder.path().join("model.safetensors")).unwrap();
    fs::write(folder.path().join("model.safetensors"), &weights[..weights.len() / 2]).unwrap();
    fails(&["search", "dog", "--reranker", other], &["model.safetensors"]);
    let config = fs::read_to_string(folder.path().join("config.json")).unwrap();
    let hash = Encoder::embedded().unwrap().hash().to_owned();
    fs::write(folder.path().join("config.json"), config.replace(&hash, "0123")).unwrap();
    fails(&["search", "dog", "--reranker", other], &["0123", &hash, "try: --model"]);
}
