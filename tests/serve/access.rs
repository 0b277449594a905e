//! Who is answered: the token, the names of the server, other origins.

use serde_json::json;
use sightword::serve::{ServeError, ServeOptions, Server};

use super::support::Served;
use crate::collection::support::Album;

fn with_token() -> Served {
    Served::with(|options| options.token = Some(String::from("open-sesame")))
}

#[test]
fn a_server_for_others_needs_a_token() {
    let (_album, collection) = Album::indexed(&[("a.bmp", 1)]);
    let mut options = ServeOptions::default();
    options.address = "0.0.0.0:0".parse().unwrap();
    let refused = Server::bind(collection.clone(), options.clone()).map(|_| ()).unwrap_err();
    assert!(matches!(refused, ServeError::NeedsToken { .. }), "{refused}");
    options.token = Some(String::from("with spaces"));
    let refused = Server::bind(collection.clone(), options.clone()).map(|_| ()).unwrap_err();
    assert!(matches!(refused, ServeError::BadToken), "{refused}");
    options.token = Some(String::from("open-sesame"));
    assert!(Server::bind(collection, options).is_ok());
}

#[test]
fn a_taken_port_is_named() {
    let served = Served::new();
    let mut options = ServeOptions::default();
    options.address = served.address;
    let error = Server::bind(served.album.open().unwrap(), options).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains(&served.address.to_string()), "{error}");
}

#[test]
fn without_the_token_nothing_of_the_pictures_is_told() {
    let served = with_token();
    let id = served.id("a.bmp");
    let paths = [
        "/v1/search?q=dog",
        "/v1/images",
        "/v1/vocabulary",
        "/v1/facets",
        "/v1/index",
        "/info",
        "/metrics",
        "/openapi.json",
        "/nothing",
    ];
    for path in paths.map(str::to_owned).into_iter().chain([format!("/v1/images/{id}/thumbnail")]) {
        served.get(&path).problem(401, "token_needed");
        let wrong = served.get_with(&path, "Authorization: Bearer open-sesam\r\n");
        wrong.problem(401, "token_needed");
        assert_eq!(wrong.header("www-authenticate"), "Bearer");
    }
    // The page asks for the token, so it must come without.
    for path in ["/", "/page/app.js", "/health"] {
        assert_eq!(served.get(path).status, 200, "{path}");
    }
    let bearer = "Authorization: Bearer open-sesame\r\n";
    assert_eq!(served.get_with("/v1/images", bearer).status, 200);
}

#[test]
fn the_page_keeps_the_token_in_a_cookie_that_scripts_cannot_read() {
    let served = with_token();
    served.post("/v1/session", &json!({"token": "guess"})).problem(401, "wrong_token");
    let answer = served.post("/v1/session", &json!({"token": "open-sesame"}));
    assert_eq!(answer.status, 204);
    let cookie = answer.header("set-cookie");
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let header = format!("Cookie: {}\r\n", cookie.split(';').next().unwrap());
    let thumbnail = format!("/v1/images/{}/thumbnail", served.id("a.bmp"));
    assert_eq!(served.get_with(&thumbnail, &header).status, 200);
}

#[test]
fn a_name_that_is_not_the_servers_is_refused() {
    let served = Served::with(|options| options.hosts = vec![String::from("photos.example")]);
    let ask = |host: &str| {
        served
            .send(&format!("GET /v1/images HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
    };
    for host in ["evil.example", "127.0.0.1.evil.example", ""] {
        ask(host).problem(421, "unknown_host");
    }
    for host in ["localhost", "127.0.0.1:80", "[::1]", "photos.example:7117"] {
        assert_eq!(ask(host).status, 200, "{host}");
    }
}

#[test]
fn pages_of_other_origins_may_read_only_where_that_was_asked_for() {
    let origin = "Origin: http://other.example\r\n";
    let closed = Served::new();
    let answer = closed.get_with("/v1/images", origin);
    assert_eq!(answer.header("access-control-allow-origin"), "");
    assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin");
    let open = Served::with(|options| options.origins = vec![String::from("http://other.example")]);
    let answer = open.get_with("/v1/images", origin);
    assert_eq!(answer.header("access-control-allow-origin"), "http://other.example");
    let other = open.get_with("/v1/images", "Origin: http://third.example\r\n");
    assert_eq!(other.header("access-control-allow-origin"), "");
}

#[test]
fn the_page_may_run_nothing_but_its_own_scripts() {
    let served = Served::new();
    let page = served.get("/");
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    let policy = page.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    let known = format!("If-None-Match: {}\r\n", page.header("etag"));
    assert_eq!(served.get_with("/", &known).status, 304);
    let text = page.text();
    for part in text.split('"').filter(|part| part.starts_with("/page/")) {
        assert_eq!(served.get(part).status, 200, "{part}");
    }
}
