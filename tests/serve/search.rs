//! Searching and explaining: the same answers as the library gives.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Value, json};
use sightword::{query::parse, rerank::LateInteraction};

use super::support::Served;
use crate::collection::support::{ENCODER, refresh};

fn ids(answer: &Value) -> Vec<&str> {
    answer["hits"].as_array().unwrap().iter().map(|hit| hit["id"].as_str().unwrap()).collect()
}

/// A search for one word as a raw token, everything that has it.
fn for_word(word: &str) -> Value {
    json!({"tokens": {word: 1.0}, "all": true})
}

#[test]
fn get_and_post_answer_alike() {
    let served = Served::new();
    let word = served.word("a.bmp");
    let mut by_get = served.get(&format!("/v1/search?q={word}&all=true&k=3")).json();
    let mut by_post =
        served.post("/v1/search", &json!({"query": word, "all": true, "k": 3})).json();
    for answer in [&mut by_get, &mut by_post] {
        assert!(answer["took_ms"].take().as_f64().unwrap() > 0.0);
    }
    assert_eq!(by_get, by_post);
    assert!(!ids(&by_get).is_empty());
}

#[test]
fn the_terms_of_a_hit_add_up_to_its_score() {
    let served = Served::new();
    let body = json!({"like": {"id": served.id("a.bmp")}, "all": true});
    let answer = served.post("/v1/search", &body).json();
    assert_eq!(ids(&answer).len(), 5, "{answer}");
    for hit in answer["hits"].as_array().unwrap() {
        let products = hit["terms"].as_array().unwrap().iter();
        let sum: f64 = products.map(|term| term["product"].as_f64().unwrap()).sum();
        assert!((sum - hit["score"].as_f64().unwrap()).abs() < 1e-6, "{hit}");
    }
    let mut body = body;
    body["explain"] = false.into();
    let bare = served.post("/v1/search", &body).json();
    assert_eq!(bare["hits"][0]["terms"], json!([]));
}

#[test]
fn a_second_look_orders_the_first_hits_anew_and_tells_both_ranks() {
    let reranker = LateInteraction::embedded(&ENCODER).unwrap().unwrap();
    let served = Served::with(|options| options.reranker = Some(Arc::new(reranker)));
    let plain = served.get("/v1/search?q=a+red+square&all=true").json();
    let again = served.get("/v1/search?q=a+red+square&all=true&rerank=3").json();
    assert_eq!(
        (&again["reranker"]["depth"], &again["reranker"]["unreadable"]),
        (&3.into(), &0.into())
    );
    let (before, after) = (ids(&plain), ids(&again));
    assert_eq!(before[3..], after[3..]);
    for (at, hit) in again["hits"].as_array().unwrap().iter().enumerate() {
        let stages = &hit["stages"];
        let first = before.iter().position(|id| hit["id"] == *id).unwrap();
        assert_eq!(stages["sparse"]["rank"], first + 1);
        let rank = if at < 3 { json!(at + 1) } else { Value::Null };
        assert_eq!(stages["rerank"]["rank"], rank, "{hit}");
    }
    let score = |at: usize| again["hits"][at]["stages"]["rerank"]["score"].as_f64().unwrap();
    assert!(score(0) >= score(1) && score(1) >= score(2));
    served.get("/v1/search?q=square&rerank=201").problem(422, "bad_depth");
    // An explanation tells what that score is made of.
    let body = json!({"query": "a red square", "id": again["hits"][0]["id"], "rerank": true});
    let second = &served.post("/v1/explain", &body).json()["second"];
    assert!((second["score"].as_f64().unwrap() - score(0)).abs() <= 2e-3, "{second}");
    let parts = second["parts"].as_array().unwrap().iter();
    let sum: f64 = parts.map(|part| part["score"].as_f64().unwrap()).sum();
    assert!((sum - second["fit"].as_f64().unwrap()).abs() <= 2e-3, "{second}");
}

#[test]
fn weights_set_by_hand_replace_those_of_the_model() {
    let served = Served::new();
    let query = json!({"query": "a red square", "all": true});
    let before = served.post("/v1/search", &query).json();
    let first = &before["query"]["tokens"][0];
    assert_eq!(first["source"], "model");
    let word = first["token"].as_str().unwrap();

    let mut heavier = query.clone();
    heavier["tokens"] = json!({word: 3.0});
    let answer = served.post("/v1/search", &heavier).json();
    let tokens = answer["query"]["tokens"].as_array().unwrap();
    let found = tokens.iter().find(|token| token["token"] == word).unwrap();
    // Weights are whole numbers in the end, of which the largest is 255.
    assert!((found["weight"].as_f64().unwrap() - 3.0).abs() < 0.05, "{found}");
    assert_eq!(found["source"], "user");

    let mut without = query;
    without["tokens"] = json!({word: 0});
    let answer = served.post("/v1/search", &without).json();
    let tokens = answer["query"]["tokens"].as_array().unwrap();
    assert!(tokens.iter().all(|token| token["token"] != word), "{answer}");
    assert!(!tokens.is_empty());
}

#[test]
fn an_excluded_word_leaves_its_pictures_out() {
    let served = Served::new();
    let word = served.word("a.bmp");
    let all = served.post("/v1/search", &for_word(&word)).json();
    let mut body = json!({"like": {"id": served.id("a.bmp")}, "all": true, "exclude": [word]});
    let rest = served.post("/v1/search", &body).json();
    assert_eq!(rest["excluded"], all["matched"]);
    assert!(!ids(&rest).iter().any(|id| ids(&all).contains(id)));
    body["exclude"] = json!(["..."]);
    served.post("/v1/search", &body).problem(422, "bad_exclusion");
}

#[test]
fn filters_narrow_a_search() {
    let served = Served::new();
    let like = json!({"id": served.id("a.bmp")});
    let body = json!({"like": like, "all": true, "filter": {"path": "2021/**"}});
    let answer = served.post("/v1/search", &body).json();
    let found: BTreeSet<&str> = ids(&answer).into_iter().collect();
    let expected = [served.id("2021/d.bmp"), served.id("2021/e.bmp")];
    assert_eq!(found, expected.iter().map(String::as_str).collect());
    assert_eq!(answer["hits"][0]["path"].as_str().unwrap().split('/').next(), Some("2021"));
    let body = json!({"like": like, "filter": {"colour": "red"}});
    assert!(served.post("/v1/search", &body).problem(422, "bad_filter").contains("camera"));
}

#[test]
fn pages_follow_each_other_without_gap_or_overlap() {
    let served = Served::new();
    let mut body = json!({"like": {"id": served.id("a.bmp")}, "all": true});
    let whole = served.post("/v1/search", &body).json();
    assert_eq!(whole["cursor"], Value::Null);
    body["k"] = 2.into();
    let mut paged = Vec::new();
    loop {
        let answer = served.post("/v1/search", &body).json();
        paged.extend(ids(&answer).into_iter().map(str::to_owned));
        if answer["cursor"].is_null() {
            break;
        }
        body["cursor"] = answer["cursor"].clone();
    }
    assert_eq!(paged, ids(&whole));
}

#[test]
fn a_new_commit_shows_without_a_restart_and_ends_old_cursors() {
    let served = Served::new();
    let body = json!({"like": {"id": served.id("a.bmp")}, "all": true, "k": 2});
    let before = served.post("/v1/search", &body).json();
    served.album.draw("new.bmp", 77);
    refresh(&mut served.album.open().unwrap());
    let path = format!("/v1/images/{}", served.id("new.bmp"));
    let found = served.until(&path, |answer| answer.status == 200).json();
    assert_eq!(found["path"], "new.bmp");
    let mut body = body;
    body["cursor"] = before["cursor"].clone();
    served.post("/v1/search", &body).problem(410, "old_cursor");
}

#[test]
fn nothing_found_is_said_and_the_nearest_named() {
    let served = Served::new();
    let body = json!({"query": "a red square", "min_match": 1.0});
    let answer = served.post("/v1/search", &body).json();
    assert_eq!((&answer["verdict"], &answer["matched"]), (&"none".into(), &0.into()));
    assert!(answer["nearest"]["id"].as_str().unwrap().starts_with("b3:"));
}

#[test]
fn a_picture_that_is_sent_is_searched_by() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let served = Served::new();
    let outside = crate::collection::support::picture(99);
    let body = json!({"like": {"image_base64": STANDARD.encode(outside)}, "all": true});
    let answer = served.post("/v1/search", &body).json();
    assert!(!ids(&answer).is_empty(), "{answer}");
    // One that the index has finds itself, as by its id.
    let known = std::fs::read(served.album.path("b.bmp")).unwrap();
    let body = json!({"like": {"image_base64": STANDARD.encode(known)}, "all": true});
    assert_eq!(ids(&served.post("/v1/search", &body).json())[0], served.id("b.bmp"));
}

#[test]
fn an_explanation_is_that_of_the_library() {
    let served = Served::new();
    let (word, id) = (served.word("a.bmp"), served.id("a.bmp"));
    let body = json!({"query": word, "id": id, "exclude": [word]});
    let answer = served.post("/v1/explain", &body).json();
    let collection = served.album.open().unwrap();
    let mut request = sightword::collection::SearchRequest::new(parse(&word).unwrap());
    request.query.exclude(&word).unwrap();
    let picture = sightword::collection::PictureRef::Id(id);
    let expected = collection.explain(&request, &picture).unwrap();
    assert_eq!(answer["score"], expected.hit.score.shown);
    assert_eq!(answer["excluded_by"], json!([word]));
    assert_eq!(answer["rank"], Value::Null);
    assert_eq!(answer["path"], "a.bmp");
}

#[test]
fn words_that_stand_out_are_proposed() {
    let served = Served::new();
    let body = json!({"like": {"id": served.id("a.bmp")}, "all": true, "k": 3, "refine": 5});
    let answer = served.post("/v1/search", &body).json();
    let asked: Vec<&Value> =
        answer["query"]["tokens"].as_array().unwrap().iter().map(|token| &token["id"]).collect();
    let proposed = answer["refinements"].as_array().unwrap();
    assert!(proposed.len() <= 5);
    for word in proposed {
        assert!(word["lift"].as_f64().unwrap() > 1.0 && !asked.contains(&&word["id"]), "{word}");
    }
}
