//! What `sightword eval` measures, on the example photos.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sightword::encode::Encoder;
use sightword::eval::{Dataset, EvalOptions, Report, evaluate};
use sightword::ingest::{DecodeOptions, read};
use sightword::query::{ParsedQuery, QueryMode, compile};
use sightword_index::SparseVector;

use crate::cli::reranker::{self, Sizes};
use crate::cli::support::{Ran, sightword};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/eval").join(name)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path that is text")
}

/// `sightword eval` on the example photos, in table mode: the figures do not hang on the last bits of
/// a network.
fn eval(more: &[&str]) -> Ran {
    let dataset = fixture("photos.jsonl");
    let args = ["eval", "--dataset", text(&dataset), "--query-mode", "table"];
    sightword(&[&args, more].concat())
}

fn json_of(ran: &Ran) -> Value {
    assert_eq!(ran.code, 0, "{}", ran.err);
    serde_json::from_str(&ran.out).expect("one JSON object")
}

fn measured(options: &EvalOptions) -> Report {
    let dataset = Dataset::open(&fixture("photos.jsonl"), Some("test")).unwrap();
    evaluate(&Encoder::embedded().unwrap(), &dataset, options, |_, _, _| {}).unwrap()
}

// Forms

/// A line without what depends on the model and the machine: figures, and the tokens and labels that
/// the model does worst with.
fn shape(line: &str) -> String {
    let lists = ["over-used", "  worst"];
    let line = lists.into_iter().find(|name| line.starts_with(name)).unwrap_or(line);
    let mut shape = String::new();
    for c in line.chars() {
        let c = if c.is_ascii_digit() { '#' } else { c };
        let goes_on = match c {
            '#' => shape.ends_with('#') || shape.ends_with("#."),
            ' ' => shape.ends_with("  "),
            _ => false,
        };
        if !goes_on {
            shape.push(c);
        }
    }
    shape
}

/// The same for JSON: which fields there are, of a list the first.
fn fields(value: &Value) -> Value {
    match value {
        Value::Object(fields_of) => {
            let shown = |(name, value): (&String, &Value)| (name.clone(), fields(value));
            Value::Object(fields_of.iter().map(shown).collect())
        }
        Value::Array(values) => values.iter().take(1).map(fields).collect(),
        Value::Number(_) => "number".into(),
        Value::String(_) => "text".into(),
        other => other.clone(),
    }
}

#[test]
fn figures_stand_in_one_screen() {
    let (negation, no_answer) = (fixture("negation.jsonl"), fixture("no-answer.txt"));
    let ran = eval(&["--negation", text(&negation), "--no-answer", text(&no_answer)]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines.len() <= 24 && lines.iter().all(|line| line.chars().count() <= 130));
    let shapes: Vec<String> = lines.into_iter().map(shape).collect();
    insta::assert_snapshot!("figures", shapes.join("\n"));
}

#[test]
fn the_json_form_holds_every_figure() {
    let (negation, no_answer) = (fixture("negation.jsonl"), fixture("no-answer.txt"));
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/default");
    let found = json_of(&eval(&[
        "--json",
        "--negation",
        text(&negation),
        "--no-answer",
        text(&no_answer),
        "--against",
        text(&model),
    ]));
    for time in ["/latency/encode/median", "/latency/search/p99"] {
        let time = found.pointer(time).and_then(Value::as_f64);
        assert!(time.is_some_and(|time| time > 0.0), "{found}");
    }
    let differences = found["against"]["differences"].as_object().expect("differences");
    assert!(differences.values().all(|found| found["difference"] == 0.0 && found["p"] == 1.0));
    assert_eq!(differences.len(), found["intervals"].as_object().unwrap().len());
    let shown = serde_json::to_string_pretty(&fields(&found)).unwrap();
    insta::assert_snapshot!("figures_json", shown);
}

// Figures

/// The rank of each caption's photo by a plain loop over all photos: higher scores first, of equal
/// ones the greater id; none without a score.
fn ranks_by_hand() -> Vec<Option<usize>> {
    let encoder = Encoder::embedded().unwrap();
    let lines = fs::read_to_string(fixture("photos.jsonl")).unwrap();
    let records: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let vector = |record: &Value| -> (String, SparseVector) {
        let path = fixture(record["image"].as_str().unwrap());
        let picture = read(&path, &DecodeOptions::default()).unwrap();
        (
            record["id"].as_str().unwrap().to_owned(),
            encoder.encode_images(&[picture]).unwrap().remove(0),
        )
    };
    let photos: Vec<_> = records.iter().map(vector).collect();
    let mut ranks = Vec::new();
    for record in &records {
        for caption in record["captions"].as_array().unwrap() {
            let query = ParsedQuery::plain(caption.as_str().unwrap());
            let query = compile(&query, None, &encoder, QueryMode::Table).unwrap().sparse;
            let place =
                |(id, vector): &(String, _)| (Reverse(query.score(vector)), Reverse(id.clone()));
            let own = photos.iter().find(|(id, _)| record["id"] == **id).unwrap();
            let better = photos.iter().filter(|photo| place(photo) < place(own)).count();
            ranks.push((query.score(&own.1) > 0).then_some(better + 1));
        }
    }
    ranks
}

#[test]
fn recall_is_that_of_a_plain_loop_over_all_photos() {
    let report = measured(&EvalOptions::new(QueryMode::Table));
    let ranks = ranks_by_hand();
    assert_eq!((report.captions, report.photos, report.unreadable), (ranks.len(), 17, 0));
    let count = |k| ranks.iter().filter(|rank| rank.is_some_and(|rank| rank <= k)).count();
    let found = report.t2i.unwrap();
    for (found, k) in [(found.r1, 1), (found.r5, 5), (found.r10, 10)] {
        let expected = 100.0 * f64::from(u32::try_from(count(k)).unwrap()) / 18.0;
        assert!((found - expected).abs() < 0.006, "R@{k}: {found}, by hand {expected}");
    }
    let mut sorted: Vec<usize> = ranks.iter().map(|rank| rank.unwrap_or(17)).collect();
    sorted.sort_unstable();
    assert!(ranks.contains(&None), "one caption is about something else");
    let middle = f64::from(u32::try_from(sorted[8] + sorted[9]).unwrap()) / 2.0;
    assert!((found.median_rank - middle).abs() < 1e-9);
}

#[test]
fn a_second_look_changes_the_order_of_the_first_only() {
    let folder = tempfile::tempdir().unwrap();
    let sizes = Sizes { layers: 1, width: 16 };
    reranker::write(folder.path(), &Encoder::embedded().unwrap(), &sizes);
    let by = ["--reranker", text(folder.path()), "--rerank", "5"];
    let found = json_of(&eval(&[&["--json"], &by[..]].concat()));
    let second = &found["second_look"];
    assert_eq!((&second["name"], &second["depth"]), (&"random".into(), &5.into()));
    for figure in ["r5", "r10"] {
        assert_eq!(second["t2i"][figure], found["t2i"][figure], "{found}");
    }
    assert_ne!(second["t2i"]["r1"], found["t2i"]["r1"]);
    assert!(found["intervals"]["second_look.t2i.r1"].is_array());
    let told = eval(&by).out;
    assert!(told.contains("\n  re-ranked ") && told.contains("the first 5 by random "), "{told}");
}

#[test]
fn a_set_with_labels_only_is_measured_by_class() {
    let lines = fs::read_to_string(fixture("photos.jsonl")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let labels_only: String = lines
        .lines()
        .map(|line| {
            let mut record: Value = serde_json::from_str(line).unwrap();
            record["captions"] = Value::Array(Vec::new());
            record["image"] = text(&fixture(record["image"].as_str().unwrap())).into();
            format!("{record}\n")
        })
        .collect();
    let file = folder.path().join("labelled.jsonl");
    fs::write(&file, labels_only).unwrap();
    let found = json_of(&sightword(&["eval", "--dataset", text(&file), "--json"]));
    assert_eq!((&found["captions"], &found["photos"]), (&0.into(), &15.into()));
    assert!(found.get("t2i").is_none() && found.get("i2t").is_none());
    for mode in ["tower", "table"] {
        let map = found["classes"][mode]["map"].as_f64();
        assert!(map.is_some_and(|map| map > 50.0 && map <= 100.0), "{mode}: {found}");
    }
    assert!(found["text_tokens"].as_f64().is_some_and(|tokens| tokens > 1.0));
}

// TREC

/// A file of rows, as other tools read it.
fn rows(path: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    text.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

/// What `trec_eval` makes of a run: by falling score, then by falling id, whatever the rank says.
fn runs(path: &Path) -> BTreeMap<String, Vec<String>> {
    let mut runs: BTreeMap<String, Vec<(i64, String)>> = BTreeMap::new();
    for row in rows(path) {
        let score = row[4].parse().unwrap();
        assert!(row.len() == 6 && row[1] == "Q0" && score < 1 << 24, "{row:?}");
        runs.entry(row[0].clone()).or_default().push((score, row[2].clone()));
    }
    let sorted = runs.into_iter().map(|(query, mut ranking)| {
        let written = ranking.clone();
        ranking.sort_by(|a, b| b.cmp(a));
        assert_eq!(ranking, written, "the rows are in the order in which they are read");
        (query, ranking.into_iter().map(|(_, document)| document).collect())
    });
    sorted.collect()
}

/// Ranking and right documents of each query.
fn judged(folder: &Path, name: &str) -> Vec<(Vec<String>, BTreeSet<String>)> {
    let mut runs = runs(&folder.join(format!("{name}.run")));
    let mut right: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in rows(&folder.join(format!("{name}.qrels"))) {
        assert!(row.len() == 4 && row[3] == "1", "{row:?}");
        right.entry(row[0].clone()).or_default().insert(row[2].clone());
    }
    let named = rows(&folder.join(format!("{name}.queries.tsv")));
    assert_eq!(named.len(), right.len(), "{name}");
    right
        .into_iter()
        .map(|(query, right)| (runs.remove(&query).unwrap_or_default(), right))
        .collect()
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    100.0 * values.iter().sum::<f64>() / f64::from(u32::try_from(values.len()).unwrap())
}

#[test]
fn run_files_lead_to_the_same_figures() {
    let folder = tempfile::tempdir().unwrap();
    let found = json_of(&eval(&["--json", "--trec", text(folder.path())]));
    let near = |pointer: &str, expected: f64| {
        let found = found.pointer(pointer).and_then(Value::as_f64).unwrap();
        assert!((found - expected).abs() < 0.006, "{pointer}: {found}, from the files {expected}");
    };
    for way in ["t2i", "i2t"] {
        let judged = judged(folder.path(), way);
        let rank = |(ranking, right): &(Vec<String>, BTreeSet<String>)| {
            ranking.iter().position(|document| right.contains(document)).map(|place| place + 1)
        };
        for k in [1, 5, 10] {
            let found_at = |query| f64::from(u8::from(rank(query).is_some_and(|rank| rank <= k)));
            near(&format!("/{way}/success@{k}"), mean(judged.iter().map(found_at)));
        }
        let reciprocal = |query| match rank(query) {
            Some(rank) if rank <= 10 => 1.0 / f64::from(u32::try_from(rank).unwrap()),
            _ => 0.0,
        };
        near(&format!("/{way}/mrr10"), mean(judged.iter().map(reciprocal)));
    }
    let classes = judged(folder.path(), "classes");
    let precision = |(ranking, right): &(Vec<String>, BTreeSet<String>), k: usize| {
        let found = ranking.iter().take(k).filter(|document| right.contains(*document)).count();
        f64::from(u32::try_from(found).unwrap()) / f64::from(u32::try_from(k).unwrap())
    };
    near("/classes/table/p10", mean(classes.iter().map(|query| precision(query, 10))));
    let average = |query: &(Vec<String>, BTreeSet<String>)| {
        let (ranking, right) = query;
        let places = (1..=ranking.len()).filter(|place| right.contains(&ranking[place - 1]));
        places.map(|place| precision(query, place)).sum::<f64>()
            / f64::from(u32::try_from(right.len()).unwrap())
    };
    near("/classes/table/map", mean(classes.iter().map(average)));
}

// Failures

#[test]
fn the_page_of_failures_needs_no_other_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("why.html");
    let ran = eval(&["--failures", text(&file)]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let page = fs::read_to_string(&file).unwrap();
    assert!(page.contains("<h2>&lt;b&gt;A zebra &amp; a giraffe&lt;/b&gt; .</h2>"), "{page}");
    assert!(page.contains("<img alt=\"\" src=\"data:image/jpeg;base64,/9j/"), "a JPEG is inside");
    assert!(!page.contains("http") && !page.contains("<script"), "nothing is loaded");
    let nowhere = eval(&["--failures", "no/such/why.html"]);
    assert!(nowhere.code == 2 && nowhere.err.contains("no/such/why.html"), "{}", nowhere.err);
    let in_the_way = eval(&["--trec", text(&file)]);
    assert!(in_the_way.code == 2 && in_the_way.err.contains("why.html"), "{}", in_the_way.err);
}

// Bad input

/// Runs on a folder with one file, and returns the error.
fn error_of(option: &str, content: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("list");
    fs::write(&file, content).unwrap();
    let ran = eval(&[option, text(&file)]);
    assert_eq!((ran.code, &*ran.out), (2, ""), "{option} {content}");
    ran.err
}

#[test]
fn lists_of_queries_that_make_no_sense_are_named() {
    let unknown = r#"{"query": "dog", "not": "cat", "relevant": ["moose"], "forbidden": ["gnu"]}"#;
    let error = error_of("--negation", &format!("\n{unknown}\n"));
    assert!(error.contains("list:2") && error.contains("\"gnu\""), "{error}");
    let error = error_of("--negation", r#"{"query": "dog", "relevant": []}"#);
    assert!(error.contains("list:1") && error.contains("not"), "{error}");
    let empty = r#"{"query": "dog", "not": "", "relevant": [], "forbidden": []}"#;
    let error = error_of("--negation", empty);
    assert!(error.contains("list:1"), "{error}");
    for option in ["--negation", "--no-answer"] {
        let error = error_of(option, "\n \n");
        assert!(error.contains("there is no query in it"), "{error}");
    }
}

#[test]
fn datasets_that_make_no_sense_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("photos.jsonl");
    let run = |content: &str, more: &[&str]| {
        fs::write(&file, content).unwrap();
        let ran = sightword(&[&["eval", "--dataset", text(&file)], more].concat());
        assert_eq!((ran.code, &*ran.out), (2, ""), "{content}");
        ran.err
    };
    fs::write(folder.path().join("a.png"), "no picture").unwrap();
    let line = r#"{"image": "a.png", "captions": [" ", "."], "labels": ["red"], "split": "dev"}"#;
    let error = run(line, &["--split", "tset"]);
    assert!(error.contains("\"tset\"") && error.contains("there are: dev"), "{error}");
    let error = run(&format!("{line}\n{line}"), &[]);
    assert!(error.contains("two lines have the id \"a.png\""), "{error}");
    let error = run(line, &[]);
    assert!(error.contains("none of the 1 photos can be read"), "{error}");
    let error = run(&line.replace("red", "?"), &[]);
    assert!(error.contains("no photo with captions or labels"), "{error}");
    let named = line.replace("\"image\"", "\"id\": \"my photo\", \"image\"");
    let error = run(&named, &["--trec", text(folder.path())]);
    assert!(error.contains("\"my photo\""), "{error}");
}
