//! Nonsense, floods and accidents: each is answered with the right status, and the server lives on.

use std::{
    fs,
    io::Write,
    num::NonZeroUsize,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

use super::support::{Served, read};

/// The server must still answer.
#[track_caller]
fn lives(served: &Served) {
    assert_eq!(served.get("/health").json()["status"], "ok");
}

#[test]
fn malformed_json_and_wrong_types_are_told_apart() {
    let served = Served::new();
    for text in ["", "{", "not json", "{\"query\": \"dog\"", "{\"query\": \"\u{0}"] {
        served.post_text("/v1/search", "application/json", text).problem(400, "malformed_json");
    }
    for text in [
        "[]",
        "1",
        "null",
        r#"{"query": 1}"#,
        r#"{"k": -1}"#,
        r#"{"k": "ten"}"#,
        r#"{"tokens": []}"#,
        r#"{"limit": 3}"#,
        r#"{"like": {"id": "b3:1", "image_base64": "x"}}"#,
        r#"{"k": 1e400}"#,
    ] {
        let answer = served.post_text("/v1/search", "application/json", text);
        assert!([400, 422].contains(&answer.status), "{text}: {answer:?}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{text}");
    }
    served.post_text("/v1/search", "text/plain", "{}").problem(415, "not_json");
    served.post_text("/v1/search", "application/json", "{}").problem(422, "empty_query");
    lives(&served);
}

#[test]
fn what_cannot_be_meant_is_said() {
    let served = Served::new();
    let cases = [
        (json!({"query": "-"}), "bad_query"),
        (json!({"query": "path:x"}), "empty_query"),
        (json!({"query": "dog", "k": 0}), "bad_k"),
        (json!({"query": "dog", "k": 1001}), "bad_k"),
        (json!({"query": "dog", "refine": 101}), "bad_refine"),
        (json!({"query": "dog", "min_match": 2}), "bad_min_match"),
        (json!({"query": "dog", "tokens": {"dog": -1}}), "bad_weight"),
        (json!({"query": "dog", "tokens": {"dog": 1e30}}), "bad_weight"),
        (json!({"query": "dog", "tokens": {"qwzxv": 1}}), "unknown_token"),
        (json!({"query": "dog", "cursor": "abc"}), "bad_cursor"),
        (json!({"query": "dog", "rerank": {"depth": 5}}), "no_reranker"),
        (json!({"like": {"id": "b3:xyz"}}), "bad_id"),
        (json!({"like": {"image_base64": "***"}}), "bad_image"),
        (json!({"like": {"image_base64": "aGVsbG8="}}), "bad_image"),
    ];
    for (body, code) in cases {
        served.post("/v1/search", &body).problem(422, code);
    }
    assert_eq!(served.post("/v1/search", &json!({"query": "dog ^2"})).json()["at"], 4);
    served.post("/v1/search", &json!({"like": {"id": "b3:000000"}})).problem(404, "unknown_id");
    served.get("/v1/search?q=dog&k=x").problem(422, "bad_parameter");
    served.get("/v1/search?query=dog").problem(422, "bad_parameter");
    assert_eq!(served.get("/v1/search?q=%ff%fe").status, 200);
    served.get("/v1/explain").problem(405, "wrong_method");
    served.get("/v1/nothing").problem(404, "not_found");
    lives(&served);
}

#[test]
fn a_query_of_a_hundred_thousand_words_is_refused() {
    let served = Served::new();
    let words = "dog ".repeat(100_000);
    served.post("/v1/search", &json!({"query": words})).problem(422, "query_too_long");
    let tokens: serde_json::Map<_, _> = (0..5_000).map(|n| (format!("t{n}"), json!(1))).collect();
    served.post("/v1/search", &json!({"tokens": tokens})).problem(422, "query_too_long");
    let exclude: Vec<String> = (0..5_000).map(|n| format!("word{n}")).collect();
    served
        .post("/v1/search", &json!({"query": "a", "exclude": exclude}))
        .problem(422, "query_too_long");
    // In the address it is too long for the headers already.
    let status = served.get(&format!("/v1/search?q={}", "dog+".repeat(100_000))).status;
    assert!([0, 414, 431].contains(&status), "{status}");
    lives(&served);
}

#[test]
fn a_body_of_a_gigabyte_is_not_read() {
    let served = Served::new();
    let head = format!(
        "POST /v1/search HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n",
        served.address
    );
    let announced = served.send(&format!("{head}Content-Length: 1000000000\r\n\r\n{{"));
    announced.problem(413, "body_too_large");
    // One that does not say how long it is.
    let small = Served::with(|options| options.limits.body_bytes = 1_000);
    let chunk = format!("320\r\n{}\r\n", " ".repeat(0x320));
    let chunked =
        small.send(&format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n"));
    chunked.problem(413, "body_too_large");
    lives(&served);
}

#[test]
fn a_decompression_bomb_is_refused_by_its_header() {
    let served = Served::new();
    let bomb = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/huge.png")).unwrap();
    let body = json!({"like": {"image_base64": STANDARD.encode(bomb)}});
    served.post("/v1/search", &body).problem(422, "too_many_pixels");
    lives(&served);
}

#[test]
fn slow_clients_are_let_go() {
    let served = Served::with(|options| options.limits.client_time = Duration::from_millis(200));
    let mut silent = served.connect();
    silent.write_all(b"GET / HTTP/1.1\r\nHo").unwrap();
    assert!([0, 408].contains(&read(&mut silent).status), "a head that never ends");
    let mut slow = served.connect();
    let head = format!(
        "POST /v1/search HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
         Content-Length: 100\r\n\r\n{{",
        served.address
    );
    slow.write_all(head.as_bytes()).unwrap();
    read(&mut slow).problem(408, "slow_body");
    lives(&served);
}

#[test]
fn what_is_no_http_is_no_harm() {
    let served = Served::new();
    for bytes in [
        "\r\n\r\n",
        "\u{0}\u{1}\u{2}\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "POST /v1/search HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    ] {
        let status = served.send(bytes).status;
        assert!(status == 0 || status >= 400, "{bytes:?}: {status}");
    }
    lives(&served);
}

#[test]
fn more_than_can_wait_is_refused_at_once() {
    let full = Served::with(|options| options.limits.waiting = 0);
    let answer = full.get("/v1/images");
    answer.problem(429, "overloaded");
    assert_eq!(answer.header("retry-after"), "1");
    // The shapes of others are kept here too.
    let tei = full.post("/embed_sparse", &json!({"inputs": "dog"}));
    assert_eq!((tei.status, &tei.json()["error_type"]), (429, &"Overloaded".into()));
    let none = Served::with(|options| options.limits.connections = 0);
    assert_eq!(none.get("/health").status, 503);
}

#[test]
fn many_at_once_all_get_their_answer() {
    let served = Served::with(|options| options.limits.running = NonZeroUsize::MIN);
    let answered = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| {
                let answer = served.get("/v1/vocabulary?k=5");
                answered.fetch_add(usize::from(answer.status == 200), Ordering::SeqCst);
            });
        }
    });
    assert_eq!(answered.into_inner(), 50);
}

#[test]
fn work_that_takes_too_long_is_given_up() {
    let hasty = Served::with(|options| options.limits.time = Duration::ZERO);
    hasty.get("/v1/images").problem(503, "timeout");
}

#[test]
fn an_index_that_is_deleted_is_told_and_one_made_again_is_served() {
    let served = Served::new();
    fs::remove_dir_all(served.album.index()).unwrap();
    let health = served.until("/health", |answer| answer.status == 503);
    health.problem(503, "index_unusable");
    let answer = served.post("/v1/search", &json!({"query": "dog"}));
    assert!(answer.problem(503, "index_unusable").contains("sightword index"), "{answer:?}");
    // The page still comes, to say so.
    assert_eq!(served.get("/").status, 200);
    crate::collection::support::refresh(&mut served.album.create());
    served.until("/v1/images", |answer| answer.json()["matched"] == 5);
    lives(&served);
}
