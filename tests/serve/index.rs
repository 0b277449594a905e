//! Jobs: the index is brought up to date while searches go on.

use serde_json::{Value, json};

use super::support::Served;

/// Begins a job and waits for its end.
fn job(served: &Served, body: &Value) -> Value {
    let begun = served.post("/v1/index", body);
    assert_eq!(begun.status, 202, "{begun:?}");
    let name = begun.json()["job"].as_str().unwrap().to_owned();
    let ended = served
        .until(&format!("/v1/index/jobs/{name}"), |answer| answer.json()["state"] != "running");
    ended.json()
}

#[test]
fn a_refresh_takes_up_new_pictures() {
    let served = Served::new();
    served.album.draw("new.bmp", 50);
    let ended = job(&served, &json!({"refresh": true}));
    assert_eq!(ended["state"], "done", "{ended}");
    assert!(ended["summary"].as_str().unwrap().starts_with("1 new, "), "{ended}");
    // Visible as soon as the job says so.
    assert_eq!(served.get("/v1/images").json()["matched"], 6);
}

#[test]
fn a_picture_that_is_removed_is_not_found_any_more() {
    let served = Served::new();
    let id = served.id("a.bmp");
    let ended = job(&served, &json!({"remove": [id]}));
    assert_eq!((&ended["state"], &ended["summary"]), (&"done".into(), &"1 forgotten".into()));
    served.get(&format!("/v1/images/{id}")).problem(404, "unknown_id");
    served.get(&format!("/v1/images/{id}/thumbnail")).problem(404, "unknown_id");
    assert!(served.album.path("a.bmp").exists());
    assert_eq!(job(&served, &json!({"remove": ["b3:000000"]}))["state"], "failed");
}

#[test]
fn folders_are_only_added_by_who_knows_the_token() {
    let served = Served::new();
    let folder = tempfile::tempdir().unwrap();
    let body = json!({"add": [folder.path()]});
    served.post("/v1/index", &body).problem(403, "token_needed");

    std::fs::write(folder.path().join("z.bmp"), crate::collection::support::picture(60)).unwrap();
    let served = Served::with(|options| options.token = Some(String::from("t")));
    let headers = "Content-Type: application/json\r\nAuthorization: Bearer t\r\n";
    let begun = served.post_with("/v1/index", headers, &body.to_string());
    assert_eq!(begun.status, 202, "{begun:?}");
    let path = format!("/v1/index/jobs/{}", begun.json()["job"].as_str().unwrap());
    let ended = loop {
        let state = served.get_with(&path, "Authorization: Bearer t\r\n").json();
        if state["state"] != "running" {
            break state;
        }
    };
    assert_eq!(ended["state"], "done", "{ended}");
    let all = served.get_with("/v1/images", "Authorization: Bearer t\r\n").json();
    assert_eq!(all["matched"], 6);
    assert!(all["hits"].as_array().unwrap().iter().any(|hit| hit["path"] == "z.bmp"), "{all}");
}

#[test]
fn nothing_to_do_is_said() {
    let served = Served::new();
    for body in [json!({"refresh": false}), json!({"add": []}), json!({"remove": []})] {
        served.post("/v1/index", &body).problem(422, "nothing_to_do");
    }
    served.post("/v1/index", &json!({"add": ["relative"]})).problem(422, "bad_folder");
    served.post("/v1/index", &json!({"rebuild": true})).problem(422, "wrong_type");
    served.get("/v1/index/jobs/job-9").problem(404, "unknown_job");
}
