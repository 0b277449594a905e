//! The forms of output: rows, JSON Lines, paths, TREC runs; colour and names in them.

use serde::Deserialize;
use serde_json::Value;

use super::support::{copy_photo, indexed_photos, photos, sightword_in};

/// The lines of `search --json`. Fields that are not named here are an error: a new one is a change
/// of the format.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "lowercase", deny_unknown_fields)]
enum Line {
    Begin(Begin),
    Match(Match),
    End(End),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Begin {
    query: String,
    tokens: Vec<QueryToken>,
    exclude: Vec<String>,
    index: JsonPath,
    model: String,
    reranker: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct QueryToken {
    token: String,
    id: u16,
    weight: f64,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum JsonPath {
    Text(String),
    Bytes(String),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Match {
    rank: u64,
    id: String,
    path: JsonPath,
    #[serde(default)]
    copies: Vec<JsonPath>,
    score: f64,
    coverage: f64,
    stages: Stages,
    terms: Vec<Term>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stages {
    sparse: Stage,
    rerank: Option<Stage>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stage {
    rank: u64,
    score: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Term {
    token: String,
    q: f64,
    d: f64,
    product: f64,
    patch: Option<[u8; 2]>,
    #[serde(default)]
    patches: Vec<[u8; 2]>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    matched: u64,
    returned: usize,
    excluded: u64,
    verdict: String,
    nearest: Option<Match>,
    elapsed: Elapsed,
    warnings: usize,
    errors: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Elapsed {
    secs: u64,
    nanos: u32,
    human: String,
}

fn lines(json: &str) -> (Begin, Vec<Match>, End) {
    let mut lines: Vec<Line> = json
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let Some(Line::End(end)) = lines.pop() else { panic!("no end: {json}") };
    let mut lines = lines.into_iter();
    let Some(Line::Begin(begin)) = lines.next() else { panic!("no begin: {json}") };
    let matches = lines.map(|line| match line {
        Line::Match(found) => found,
        other => panic!("{other:?} between begin and end"),
    });
    (begin, matches.collect(), end)
}

fn hundredths(number: f64) -> i64 {
    let rounded = (number * 100.0).round();
    assert!((number * 100.0 - rounded).abs() < 1e-6, "{number} has more than two decimals");
    format!("{rounded}").parse().expect("a whole number")
}

#[test]
fn json_lines_tell_the_query_each_hit_and_the_totals() {
    let ran = indexed_photos().search(&["a cup of coffee -moose", "--all", "--json", "-k", "3"]);
    assert_eq!((ran.code, &*ran.err), (0, ""));
    let (begin, matches, end) = lines(&ran.out);
    assert_eq!((&*begin.query, &*begin.exclude), ("a cup of coffee -moose", &["moose".into()][..]));
    assert_eq!((begin.index, &*begin.model), (JsonPath::Text(".sightword".into()), "v3"));
    assert!(begin.tokens.iter().any(|token| token.token == "coffee" && token.weight > 0.5));
    assert!(begin.tokens.iter().all(|token| token.id > 0));
    assert_eq!(matches.len(), 3);
    assert_eq!(matches[0].path, JsonPath::Text("coffee-cup.jpg".into()));
    assert!(end.matched >= 3 && end.returned == 3 && end.verdict == "some");
    assert!(begin.reranker.is_none(), "nobody looked again");
    assert_eq!((end.warnings, end.errors, end.elapsed.secs), (0, 0, 0));
    assert!(end.nearest.is_none() && end.excluded < end.matched && end.elapsed.nanos > 0);
    assert!(end.elapsed.human.ends_with("ms"));
}

#[test]
fn the_products_of_a_hit_sum_to_its_score() {
    let ran = indexed_photos().search(&["an animal in the snow", "--all", "--json", "-k", "0"]);
    let (_, matches, _) = lines(&ran.out);
    assert!(matches.len() > 1);
    for (found, rank) in matches.iter().zip(1..) {
        let sum: i64 = found.terms.iter().map(|term| hundredths(term.product)).sum();
        assert_eq!(sum, hundredths(found.score), "{found:?}");
        assert_eq!((found.rank, found.stages.sparse.rank), (rank, rank));
        assert_eq!(hundredths(found.stages.sparse.score), hundredths(found.score));
        assert!(found.stages.rerank.is_none() && found.copies.is_empty());
        assert!(found.id.len() == 15 && found.id.starts_with("b3:"));
        assert!(found.coverage > 0.0 && found.coverage <= 1.0);
        for term in &found.terms {
            assert!((term.q * term.d - term.product).abs() < 0.02, "{term:?}");
            assert!(term.patch.is_some_and(|patch| patch.iter().all(|side| *side < 10)));
            assert!(!term.token.is_empty() && term.patches.len() != 1);
        }
    }
}

#[test]
fn json_says_none_and_names_the_nearest() {
    let ran = indexed_photos().search(&["coffee", "--min-match", "1", "--json"]);
    let (_, matches, end) = lines(&ran.out);
    assert_eq!((ran.code, matches.len(), &*end.verdict), (1, 0, "none"));
    assert_eq!(end.nearest.expect("nearest").path, JsonPath::Text("coffee-cup.jpg".into()));
}

#[test]
fn paths_alone_are_printed_for_scripts() {
    let photos = indexed_photos();
    let one = photos.search(&["coffee", "-l", "-k", "1"]);
    assert_eq!((&*one.out, &*one.err), ("coffee-cup.jpg\n", ""));
    for args in [&["coffee", "-k", "1", "-l0"][..], &["coffee", "-k", "1", "-0"]] {
        assert_eq!(photos.search(args).out, "coffee-cup.jpg\0");
    }
}

#[test]
fn a_trec_run_has_six_columns_and_scores_that_fall() {
    let run = indexed_photos().search(&["animal", "--all", "--format", "trec"]).out;
    let mut last = u32::MAX;
    for (line, rank) in run.lines().zip(1..) {
        let columns: Vec<&str> = line.split(' ').collect();
        let [qid, q0, docid, shown_rank, score, tag] = columns[..] else { panic!("{line}") };
        assert_eq!((qid, q0, tag), ("1", "Q0", "sightword"));
        assert!(docid.starts_with("b3:"));
        assert_eq!(shown_rank, rank.to_string());
        let score: u32 = score.parse().unwrap();
        assert!(score <= last);
        last = score;
    }
    assert!(run.lines().count() > 1);
}

#[test]
fn rows_for_people_keep_their_shape() {
    let ran = indexed_photos().search(&["{\"coffee\": 1}", "--all", "--explain", "-k", "1"]);
    let shape: String = ran.out.chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).collect();
    insta::with_settings!({ snapshot_path => "../snapshots" }, {
        insta::assert_snapshot!("rows", shape);
    });
}

#[test]
fn quiet_prints_nothing_and_answers_by_exit_code() {
    let photos = indexed_photos();
    for (args, code) in [
        (&["search", "-q", "coffee"][..], 0),
        (&["search", "-q", "coffee", "--json"], 0),
        (&["search", "-q", "coffee", "--min-match", "1"], 1),
        (&["explain", "-q", "coffee", "coffee-cup.jpg"], 0),
        (&["-q", "info"], 0),
    ] {
        let ran = photos.run(args);
        assert_eq!((ran.code, &*ran.out, &*ran.err), (code, "", ""), "{args:?}");
    }
}

#[test]
fn colour_is_for_terminals_unless_asked_for() {
    let photos = indexed_photos();
    let escape = '\u{1b}';
    assert!(!photos.search(&["coffee"]).out.contains(escape));
    assert!(photos.search(&["coffee", "--color", "always"]).out.contains(escape));
    let mut forced = photos.command(&["search", "coffee"]);
    forced.env("CLICOLOR_FORCE", "1");
    assert!(super::support::run(forced).out.contains(escape));
    let mut refused = photos.command(&["search", "coffee", "--color", "never"]);
    refused.env("CLICOLOR_FORCE", "1");
    assert!(!super::support::run(refused).out.contains(escape));
}

#[cfg(unix)]
#[test]
fn hostile_names_reach_pipes_as_they_are() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let folder = photos(&[]);
    let names: [&[u8]; 4] = [
        b"line\nbreak.jpg",
        b"\x1b]52;c;cGF5bG9hZA==\x07.jpg",
        b"no-\xff-text.jpg",
        "été 鳥.jpg".as_bytes(),
    ];
    for (name, photo) in names.iter().zip(["coffee-cup", "moose", "coins", "panda"]) {
        let path = folder.path().join("photos").join(OsStr::from_bytes(name));
        copy_photo(&format!("{photo}.jpg"), &path);
    }
    let ran = sightword_in(folder.path(), &["index", "photos"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let ran = sightword_in(
        &folder.path().join("photos"),
        &["search", "animal coffee sports", "--all", "-0"],
    );
    let printed: Vec<&[u8]> = ran.out_bytes.split(|byte| *byte == 0).collect();
    for name in names {
        assert!(printed.contains(&name), "{:?} is not in {:?}", name.escape_ascii(), ran.out);
    }
    let json = sightword_in(
        folder.path(),
        &["search", "--in", "photos", "animal coffee sports", "--all", "--json"],
    );
    let (_, matches, _) = lines(&json.out);
    let bytes = JsonPath::Bytes("cGhvdG9zL25vLf8tdGV4dC5qcGc=".into());
    assert!(matches.iter().any(|found| found.path == bytes), "{}", json.out);
}

#[test]
fn copies_of_one_picture_are_one_hit() {
    let folder = photos(&["coffee-cup.jpg"]);
    copy_photo("coffee-cup.jpg", &folder.path().join("photos/second.jpg"));
    let ran = sightword_in(folder.path(), &["search", "--in", "photos", "coffee", "--json"]);
    let (_, matches, _) = lines(&ran.out);
    assert_eq!((matches.len(), matches[0].copies.len()), (1, 1), "{}", ran.out);
}

#[test]
fn tokens_are_weights_and_words_heaviest_first() {
    let photos = indexed_photos();
    for args in [
        &["tokens", "coffee-cup.jpg"][..],
        &["tokens", "a cup of coffee"],
        &["tokens", "coffee", "--query-mode", "table"],
    ] {
        let ran = photos.run(args);
        let rows: Vec<(f64, &str)> = ran
            .out
            .lines()
            .map(|line| line.split_once('\t').expect("a tab"))
            .map(|(weight, token)| (weight.parse().expect("a weight"), token))
            .collect();
        assert!(rows.iter().any(|(_, token)| *token == "coffee"), "{args:?}: {}", ran.err);
        assert!(rows.windows(2).all(|pair| pair[0].0 >= pair[1].0), "{args:?}");
    }
    let json = photos.run(&["tokens", "coffee-cup.jpg", "--json"]).out;
    let object: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(object["as"], "image");
    assert!(object["tokens"][0]["patch"].is_array());
}

#[test]
fn unknown_words_are_warned_about_and_results_stay_clean() {
    let ran = indexed_photos().run(&["tokens", "咖啡 杯 ☕"]);
    assert!(ran.err.starts_with("sightword: warning: the model does not know"), "{}", ran.err);
}
