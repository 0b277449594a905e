//! The shapes that clients of other programs know, and the document that describes all of them.

use serde_json::{Value, json};

use super::support::Served;
use crate::collection::support::ENCODER;

#[test]
fn embed_sparse_gives_the_words_of_texts_in_tokens_order() {
    let served = Served::new();
    let one = served.post("/embed_sparse", &json!({"inputs": "a dog", "truncate": null})).json();
    let two = served
        .post("/embed_sparse", &json!({"inputs": ["a dog", "a cat"], "normalize": true}))
        .json();
    assert_eq!((one.as_array().unwrap().len(), two.as_array().unwrap().len()), (1, 2));
    assert_eq!(one[0], two[0]);
    let expected = ENCODER.encode_text("a dog").unwrap();
    let given: Vec<(u16, f32)> = one[0]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| serde_json::from_value(json!([entry["index"], entry["value"]])).unwrap())
        .collect();
    assert_eq!(
        given,
        expected.iter().map(|(token, weight)| (token.0, *weight)).collect::<Vec<_>>()
    );
}

#[test]
fn rerank_orders_texts_as_text_embeddings_inference_does() {
    let served = Served::new();
    let texts = ["a cup of coffee", "two dogs on a beach", "a dog"];
    let body = json!({"query": "dog", "texts": texts, "return_text": true});
    let ranked = served.post("/rerank", &body).json();
    let ranked = ranked.as_array().unwrap();
    assert_eq!((ranked.len(), &ranked[2]["index"]), (3, &0.into()));
    assert_eq!(ranked[2]["text"], texts[0]);
    let scores: Vec<f64> = ranked.iter().map(|rank| rank["score"].as_f64().unwrap()).collect();
    assert!(scores.windows(2).all(|pair| pair[0] >= pair[1]), "{scores:?}");
    assert!(scores.iter().all(|score| (0.0..=1.0).contains(score)), "{scores:?}");
    let raw =
        served.post("/rerank", &json!({"query": "dog", "texts": texts, "raw_scores": true})).json();
    assert_eq!((raw.as_array().unwrap().len(), raw[0].get("text")), (3, None));
}

#[test]
fn errors_are_told_as_text_embeddings_inference_tells_them() {
    let served = Served::new();
    let kind = |path: &str, body: Value| {
        let answer = served.post(path, &body);
        let said = answer.json();
        assert!(said["error"].is_string(), "{said}");
        (answer.status, said["error_type"].as_str().unwrap().to_owned())
    };
    assert_eq!(kind("/embed_sparse", json!({"inputs": []})), (400, "Empty".into()));
    assert_eq!(kind("/embed_sparse", json!({"inputs": 1})), (422, "Validation".into()));
    assert_eq!(
        kind("/embed_sparse", json!({"inputs": vec!["a"; 300]})),
        (422, "Validation".into())
    );
    assert_eq!(kind("/rerank", json!({"query": "", "texts": ["a"]})), (422, "Validation".into()));
}

#[test]
fn cohere_rerank_takes_texts_objects_and_pictures() {
    let served = Served::new();
    let (id, word) = (served.id("a.bmp"), served.word("a.bmp"));
    let documents = json!(["nothing of the kind", {"text": word}, {"image": id}]);
    let body =
        json!({"model": "any", "query": word, "documents": documents, "return_documents": true});
    for version in ["1", "2"] {
        let answer = served.post(&format!("/v{version}/rerank"), &body).json();
        let results = answer["results"].as_array().unwrap();
        assert_eq!(results.len(), 3);
        assert_eq!(answer["meta"]["api_version"]["version"], version);
        let of = |index: usize| results.iter().find(|result| result["index"] == index).unwrap();
        assert!(of(2)["relevance_score"].as_f64() > Some(0.0), "{answer}");
        assert_eq!(of(2)["document"], json!({"image": id}));
        assert_eq!(of(0)["document"], json!({"text": "nothing of the kind"}));
    }
    let body = json!({"query": word, "documents": documents, "top_n": 1});
    assert_eq!(served.post("/v1/rerank", &body).json()["results"].as_array().unwrap().len(), 1);
    let unknown =
        served.post("/v1/rerank", &json!({"query": word, "documents": [{"image": "b3:000000"}]}));
    assert_eq!((unknown.status, unknown.json()["message"].is_string()), (404, true));
    assert_eq!(served.post("/v1/rerank", &json!({"query": word, "documents": []})).status, 422);
}

#[test]
fn info_health_and_metrics_are_told() {
    let served = Served::new();
    let info = served.get("/info").json();
    assert_eq!((&info["model_id"], &info["images"]), (&ENCODER.name().into(), &5.into()));
    assert_eq!(info["model_sha"], ENCODER.hash());
    served.get("/v1/search?q=dog");
    let metrics = served.get("/metrics");
    assert!(metrics.header("content-type").starts_with("application/openmetrics-text"));
    let text = metrics.text();
    for line in [
        "sightword_index_images 5",
        "sightword_build_info{version=",
        "# EOF",
        "sightword_http_request_duration_seconds_count{route=\"/v1/search\",code=\"200\"} 1",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    let index = served.get("/v1/index").json();
    assert_eq!((&index["images"], &index["roots"][0]["available"]), (&5.into(), &true.into()));
}

#[test]
fn the_openapi_document_is_the_committed_one() {
    let served = Served::new();
    let document = served.get("/openapi.json").json();
    assert_eq!(document, serde_json::to_value(sightword::serve::openapi()).unwrap());
    insta::with_settings!({ snapshot_path => "../snapshots" }, {
        insta::assert_snapshot!("openapi", serde_json::to_string_pretty(&document).unwrap());
    });
}
