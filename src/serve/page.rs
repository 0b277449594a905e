//! The web page: a few files that are compiled in, so that it works wherever the program does.

use axum::{
    extract::Request,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};

/// A file of the page.
struct Part {
    path: &'static str,
    kind: &'static str,
    text: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const ICON: &str = "image/svg+xml";

const PARTS: &[Part] = &[
    Part { path: "/", kind: HTML, text: include_str!("page/index.html") },
    Part { path: "/page/style.css", kind: CSS, text: include_str!("page/style.css") },
    Part { path: "/page/icon.svg", kind: ICON, text: include_str!("page/icon.svg") },
    Part { path: "/page/app.js", kind: SCRIPT, text: include_str!("page/app.js") },
    Part { path: "/page/api.js", kind: SCRIPT, text: include_str!("page/api.js") },
    Part { path: "/page/state.js", kind: SCRIPT, text: include_str!("page/state.js") },
    Part { path: "/page/dom.js", kind: SCRIPT, text: include_str!("page/dom.js") },
    Part { path: "/page/box.js", kind: SCRIPT, text: include_str!("page/box.js") },
    Part { path: "/page/results.js", kind: SCRIPT, text: include_str!("page/results.js") },
    Part { path: "/page/steer.js", kind: SCRIPT, text: include_str!("page/steer.js") },
    Part { path: "/page/picture.js", kind: SCRIPT, text: include_str!("page/picture.js") },
    Part { path: "/page/words.js", kind: SCRIPT, text: include_str!("page/words.js") },
];

fn part(path: &str) -> Option<&'static Part> {
    PARTS.iter().find(|part| part.path == path)
}

/// Whether this is the path of a file of the page.
pub(crate) fn is_part(path: &str) -> bool {
    part(path).is_some()
}

/// The paths of the page's files.
pub(crate) fn paths() -> impl Iterator<Item = &'static str> {
    PARTS.iter().map(|part| part.path)
}

/// Answers with a file of the page; a browser that has it is told so.
pub(crate) async fn get_part(request: Request) -> Response {
    let Some(part) = part(request.uri().path()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let tag = format!("\"{}\"", &blake3::hash(part.text.as_bytes()).to_hex()[..16]);
    let is_known = is_known(request.headers(), &tag);
    let headers = [
        (header::CONTENT_TYPE, part.kind.to_owned()),
        (header::CACHE_CONTROL, String::from("no-cache")),
        (header::ETAG, tag),
    ];
    if is_known {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, part.text).into_response()
}

fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    headers.get(header::IF_NONE_MATCH).is_some_and(|known| known == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_small_and_asks_no_other_host() {
        let bytes: usize = PARTS.iter().map(|part| part.text.len()).sum();
        assert!(bytes <= 80_000, "{bytes} bytes");
        for part in PARTS {
            let text = part.text.replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains("http://") && !text.contains("https://"), "{}", part.path);
            assert!(!text.contains("innerHTML"), "{}: file names are hostile", part.path);
        }
    }
}
