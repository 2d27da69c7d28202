//! The console's files, and the answers they are sent in.

use hyper::http::header::{self, HeaderValue};
use hyper::http::{Response, StatusCode};
use serde_json::Value;

use crate::server::admin::reply::Reply;

const PAGE: &str = include_str!("page/index.html");
const CLOSED: &str = include_str!("page/closed.html");
/// Where the page says why a link did not work.
const WHY: &str = "<!-- why -->";

/// What the page loads, by name.
const ASSETS: [(&str, &str, &str); 11] = [
    ("console.css", "text/css; charset=utf-8", include_str!("page/console.css")),
    ("icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
    ("console.js", SCRIPT, include_str!("page/console.js")),
    ("dom.js", SCRIPT, include_str!("page/dom.js")),
    ("caller.js", SCRIPT, include_str!("page/caller.js")),
    ("connections.js", SCRIPT, include_str!("page/connections.js")),
    ("try.js", SCRIPT, include_str!("page/try.js")),
    ("copy.js", SCRIPT, include_str!("page/copy.js")),
    ("log.js", SCRIPT, include_str!("page/log.js")),
    ("charts.js", SCRIPT, include_str!("page/charts.js")),
    ("calls.json", "application/json", include_str!("page/calls.json")),
];
const SCRIPT: &str = "text/javascript; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

/// One of the files that the page loads. There is nothing in them that is not public.
pub(super) fn asset(name: &str) -> Option<Response<Reply>> {
    let (_, kind, text) = ASSETS.iter().find(|(known, ..)| *known == name)?;
    Some(answer(StatusCode::OK, kind, Reply::whole(*text)))
}

/// The page itself.
pub(super) fn open() -> Response<Reply> {
    answer(StatusCode::OK, HTML, Reply::whole(PAGE))
}

/// The page for who has no session, and how to get one. `why` is one of our own sentences.
pub(super) fn closed(status: StatusCode, why: &str) -> Response<Reply> {
    answer(status, HTML, Reply::whole(CLOSED.replace(WHY, why)))
}

/// A sentence.
pub(super) fn text(status: StatusCode, text: &'static str) -> Response<Reply> {
    answer(status, "text/plain; charset=utf-8", Reply::whole(text))
}

/// A JSON document.
pub(super) fn json(value: &Value) -> Response<Reply> {
    answer(StatusCode::OK, "application/json", Reply::whole(value.to_string()))
}

/// A body of some kind.
pub(super) fn answer(status: StatusCode, kind: &'static str, body: Reply) -> Response<Reply> {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

/// Elsewhere.
pub(super) fn see_other(to: &'static str) -> Response<Reply> {
    let mut answer = text(StatusCode::SEE_OTHER, "");
    answer.headers_mut().insert(header::LOCATION, HeaderValue::from_static(to));
    answer
}

/// The same with a cookie to set.
pub(super) fn with_cookie(mut answer: Response<Reply>, cookie: &str) -> Response<Reply> {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        answer.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::presets;

    #[test]
    fn there_are_calls_to_try_for_every_preset_and_for_nothing_else() {
        let (_, _, text) = ASSETS.iter().find(|(name, ..)| *name == "calls.json").unwrap();
        let calls: std::collections::BTreeMap<String, Vec<String>> = serde_json::from_str(text).unwrap();
        let names: Vec<&str> = presets().map(|preset| preset.name).collect();
        assert_eq!(calls.keys().collect::<Vec<_>>(), names);
        // A path, for GET, or a method and a path.
        let is_call = |call: &String| call.trim_start_matches("POST ").starts_with('/');
        for (name, paths) in &calls {
            assert!(!paths.is_empty() && paths.iter().all(is_call), "{name}: {paths:?}");
        }
    }

    #[test]
    fn the_pages_hold_nothing_inline_and_load_nothing_from_elsewhere() {
        for page in [PAGE, CLOSED] {
            for piece in [" style=", " onclick=", "<style", "javascript:", "//"] {
                assert!(!page.contains(piece), "{piece}");
            }
            for script in page.split("<script").skip(1) {
                assert!(script.starts_with(" type=\"module\" src=\"") && script.contains("></script>"), "{script}");
            }
        }
        assert!(CLOSED.contains(WHY));
    }
}
