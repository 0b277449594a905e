//! One picture: facts, small copies, words, likes, heat maps. Never by a path.

use std::{fs, path::PathBuf};

use image::GenericImageView;
use serde_json::{Value, json};

use super::support::Served;
use crate::collection::support::ENCODER;

#[test]
fn the_facts_of_a_picture_are_told_by_its_id() {
    let served = Served::new();
    let id = served.id("2021/d.bmp");
    let facts = served.get(&format!("/v1/images/{id}")).json();
    assert_eq!((&facts["id"], &facts["path"]), (&json!(id), &json!("2021/d.bmp")));
    assert_eq!((&facts["width"], &facts["height"]), (&32.into(), &32.into()));
    assert_eq!(facts["available"], true);
    let hash = facts["hash"].as_str().unwrap();
    assert_eq!(served.get(&format!("/v1/images/{hash}")).json(), facts);
}

#[test]
fn pictures_are_listed_with_pages_and_filters() {
    let served = Served::new();
    let all = served.get("/v1/images?k=3").json();
    assert_eq!((&all["matched"], all["hits"].as_array().unwrap().len()), (&5.into(), 3));
    let cursor = all["cursor"].as_str().unwrap();
    let rest = served.get(&format!("/v1/images?k=3&cursor={cursor}")).json();
    assert_eq!((&rest["cursor"], rest["hits"].as_array().unwrap().len()), (&Value::Null, 2));
    assert_eq!(served.get("/v1/images?path=2021/**").json()["matched"], 2);
    served.get("/v1/images?after=tomorrow").problem(422, "bad_filter");
}

#[test]
fn a_thumbnail_is_a_small_jpeg_that_browsers_may_keep() {
    let served = Served::new();
    let wide = image::DynamicImage::new_rgb8(900, 300);
    let mut bytes = std::io::Cursor::new(Vec::new());
    wide.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    served.album.write("wide.png", bytes.get_ref());
    crate::collection::support::refresh(&mut served.album.open().unwrap());
    let path = format!("/v1/images/{}/thumbnail", served.id("wide.png"));
    let small = served.until(&path, |answer| answer.status == 200);
    assert_eq!(small.header("content-type"), "image/jpeg");
    assert!(small.header("cache-control").contains("immutable"));
    assert_eq!(image::load_from_memory(&small.body).unwrap().dimensions(), (256, 85));
    let large = served.get(&format!("{path}?w=300"));
    assert_eq!(image::load_from_memory(&large.body).unwrap().dimensions(), (512, 170));
    let known = format!("If-None-Match: {}\r\n", small.header("etag"));
    assert_eq!(served.get_with(&path, &known).status, 304);
}

#[test]
fn a_width_that_no_small_copy_has_is_refused() {
    let served = Served::new();
    let path = format!("/v1/images/{}/thumbnail", served.id("a.bmp"));
    for width in ["0", "1025", "4294967296", "-1", "wide"] {
        assert_eq!(served.get(&format!("{path}?w={width}")).status, 422, "{width}");
    }
}

#[test]
fn small_copies_take_no_more_room_than_they_may() {
    let names = ["a.bmp", "b.bmp", "c.bmp", "2021/d.bmp"];
    let limit = 4_000;
    let served = Served::with(|options| options.limits.thumbnail_bytes = limit);
    for name in names {
        let small = served.get(&format!("/v1/images/{}/thumbnail", served.id(name)));
        assert!(small.body.len() > 1_000, "{}", small.body.len());
        let dir = served.album.index().join("thumbnails");
        let inside = |dir: PathBuf| fs::read_dir(dir).unwrap().map(Result::unwrap);
        let files = inside(dir).flat_map(|shelf| inside(shelf.path()));
        let held: u64 = files.map(|file| file.metadata().unwrap().len()).sum();
        assert!(held <= limit, "{held}");
    }
}

#[test]
fn a_picture_whose_disk_is_away_keeps_its_small_copy_and_its_heat_map() {
    let served = Served::new();
    let (seen, unseen) = (served.id("a.bmp"), served.id("b.bmp"));
    let word = served.word("a.bmp");
    let path = format!("/v1/images/{seen}/thumbnail");
    let before = served.get(&path);
    served.album.remove("a.bmp");
    served.album.remove("b.bmp");
    assert_eq!(served.get(&path).body, before.body);
    served.get(&format!("/v1/images/{unseen}/thumbnail")).problem(404, "picture_unavailable");
    let heat = served.get(&format!("/v1/images/{seen}/heatmap?token={word}")).json();
    assert_eq!(heat["source"], "thumbnail");
    assert_eq!(served.get(&format!("/v1/images/{seen}")).json()["available"], false);
}

#[test]
fn a_file_that_holds_something_else_by_now_is_not_shown() {
    let served = Served::new();
    let id = served.id("a.bmp");
    served.album.draw("a.bmp", 200);
    served.get(&format!("/v1/images/{id}/thumbnail")).problem(404, "picture_unavailable");
}

#[test]
fn the_heat_map_peaks_where_the_index_says_the_word_is() {
    let served = Served::new();
    let id = served.id("c.bmp");
    let tokens = served.get(&format!("/v1/images/{id}/tokens")).json();
    for word in tokens["tokens"].as_array().unwrap().iter().take(3) {
        let token = word["token"].as_str().unwrap().replace('#', "%23");
        let heat = served.get(&format!("/v1/images/{id}/heatmap?token={token}")).json();
        assert_eq!(heat["source"], "picture");
        let weights: Vec<Vec<f64>> = serde_json::from_value(heat["weights"].clone()).unwrap();
        let grid = ENCODER.config().image.grid;
        assert_eq!((weights.len(), weights[0].len()), (grid, grid));
        let strongest = weights.iter().flatten().copied().fold(0.0, f64::max);
        // Impacts are whole 110ths.
        assert!((strongest - word["weight"].as_f64().unwrap()).abs() < 0.01, "{word}");
        let [row, column]: [usize; 2] = serde_json::from_value(word["patch"].clone()).unwrap();
        assert!((weights[row][column] - strongest).abs() < 1e-3, "{word} {heat}");
    }
    let unknown = served.get(&format!("/v1/images/{id}/heatmap?token=qwzxv"));
    assert!(unknown.status == 200 || unknown.status == 422, "{unknown:?}");
}

#[test]
fn similar_pictures_are_others() {
    let served = Served::new();
    let id = served.id("a.bmp");
    let similar = served.get(&format!("/v1/images/{id}/similar?k=3")).json();
    let hits = similar["hits"].as_array().unwrap();
    assert_eq!(hits.len(), 3);
    assert!(hits.iter().all(|hit| hit["id"] != *id));
}

#[test]
fn no_path_leads_to_a_file() {
    let served = Served::new();
    let root = served.album.root();
    let inside = root.join("a.bmp").to_str().unwrap().to_owned();
    let tries = [
        "../a.bmp",
        "..%2f..%2fetc%2fpasswd",
        "/etc/passwd",
        "%2Fetc%2Fpasswd",
        "a.bmp",
        &inside,
        "b3:..%2f",
        "b3%3A..",
        "%00",
        "..",
        "b3:zz",
    ];
    for id in tries {
        for rest in ["", "/thumbnail", "/tokens", "/similar", "/heatmap?token=dog"] {
            let answer = served.get(&format!("/v1/images/{id}{rest}"));
            assert!([404, 422].contains(&answer.status), "{id}{rest}: {answer:?}");
        }
    }
    for path in [
        "/page/../../etc/passwd",
        "/page/%2e%2e/Cargo.toml",
        "/a.bmp",
        "/.sightword/collection.json",
    ] {
        served.get(path).problem(404, "not_found");
    }
    let body = json!({"like": {"path": inside}});
    served.post("/v1/search", &body).problem(422, "wrong_type");
    served.post("/v1/search", &json!({"like": {"id": inside}})).problem(422, "bad_id");
}

#[test]
fn the_words_of_all_pictures_are_counted() {
    let served = Served::new();
    let word = served.word("a.bmp");
    let all = served.get("/v1/vocabulary?k=10000").json();
    let words = all["words"].as_array().unwrap();
    assert_eq!(all["total"], words.len());
    let images = |word: &Value| word["images"].as_u64().unwrap();
    assert!(words.windows(2).all(|pair| images(&pair[0]) >= images(&pair[1])));
    let prefix = &word[..2];
    let found = served.get(&format!("/v1/vocabulary?prefix={prefix}&k=1000")).json();
    let found = found["words"].as_array().unwrap();
    assert!(found.iter().all(|word| word["token"].as_str().unwrap().starts_with(prefix)));
    let body = json!({"tokens": {&word: 1}, "all": true});
    let matched = served.post("/v1/search", &body).json()["matched"].clone();
    assert_eq!(found.iter().find(|found| found["token"] == *word).unwrap()["images"], matched);
    let facets = served.get("/v1/facets").json();
    assert_eq!(facets["folders"], json!([{"value": "2021", "images": 2}]));
}
