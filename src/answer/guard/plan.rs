//! What is to be done about an answer's body, judged by its head.

use std::sync::Arc;

use hyper::http::header::{self, HeaderMap, HeaderValue};
use hyper::http::{Method, StatusCode, response};

use super::plain::Plain;
use super::watch::Watch;
use super::{Alarm, Guard};
use crate::answer::decoder::Coding;
use crate::body::Edit;
use crate::config::GuardMode;

/// What is done with a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// It passes: there is none, it is not text, or it is not covered.
    Nothing,
    /// The token is masked in it.
    Plain,
    /// It is watched while it passes, and cut.
    Watch(Coding),
}

impl Plan {
    /// What to do with the body of the answer `head` to a request by `method`.
    #[must_use]
    pub fn of(head: &response::Parts, method: &Method, mode: GuardMode) -> Self {
        let is_bodiless = *method == Method::HEAD
            || head.status.is_informational()
            || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        if mode == GuardMode::Off || is_bodiless || !is_text(&head.headers) {
            return Self::Nothing;
        }
        // A piece of plain text is text too; from the middle of a compressed one nothing can be decoded.
        let is_piece = head.status == StatusCode::PARTIAL_CONTENT;
        let mut codings = members(&head.headers, header::CONTENT_ENCODING);
        match (codings.next(), codings.next()) {
            (None, _) => Self::Plain,
            (Some(name), None) if !is_piece => coding(name).map_or(Self::Nothing, Self::Watch),
            (Some(_), _) => Self::Nothing,
        }
    }

    /// The edit that does it; `None` if there is nothing to do.
    #[must_use]
    pub fn edit(self, guard: &Arc<Guard>, alarm: &Alarm) -> Option<Box<dyn Edit>> {
        match self {
            Self::Nothing => None,
            Self::Plain => Some(Box::new(Plain::new(Arc::clone(guard), Arc::clone(alarm)))),
            Self::Watch(coding) => Some(Box::new(Watch::new(Arc::clone(guard), coding, Arc::clone(alarm)))),
        }
    }
}

/// The codings of a content, without `identity`, which is none.
fn members(headers: &HeaderMap, name: header::HeaderName) -> impl Iterator<Item = &[u8]> {
    let lines = headers.get_all(name).into_iter();
    let members = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii));
    members.filter(|member| !member.is_empty() && !member.eq_ignore_ascii_case(b"identity"))
}

fn coding(name: &[u8]) -> Option<Coding> {
    let known: [(&[u8], Coding); 5] = [
        (b"gzip", Coding::Gzip),
        (b"x-gzip", Coding::Gzip),
        (b"deflate", Coding::Deflate),
        (b"br", Coding::Brotli),
        (b"zstd", Coding::Zstd),
    ];
    known.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, coding)| *coding)
}

/// Whether a client may read the content as text. Where no type is given, clients guess.
fn is_text(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(header::CONTENT_TYPE).into_iter().peekable();
    lines.peek().is_none() || lines.any(is_text_type)
}

fn is_text_type(line: &HeaderValue) -> bool {
    /// What there is beside `text/…`, under `application/` for the most part, with or without a `+suffix`.
    const WORDS: [&str; 14] = [
        "json",
        "xml",
        "javascript",
        "ecmascript",
        "form-urlencoded",
        "yaml",
        "graphql",
        "ndjson",
        "jsonl",
        "html",
        "csv",
        "jwt",
        "jose",
        "sql",
    ];
    let essence = line.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let essence = String::from_utf8_lossy(essence).to_ascii_lowercase();
    let Some((kind, subtype)) = essence.split_once('/') else { return true };
    let is_word = |part: &str| WORDS.iter().any(|word| part.trim_start_matches("x-").ends_with(word));
    // Word processors' files are named after the XML that is zipped in them.
    kind == "text" || subtype.split(['+', '.']).next_back().is_some_and(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::http::Response;

    fn plan(status: u16, headers: &[(&str, &str)]) -> Plan {
        let answer = headers
            .iter()
            .fold(Response::builder().status(status), |answer, (name, value)| answer.header(*name, *value));
        Plan::of(&answer.body(()).unwrap().into_parts().0, &Method::GET, GuardMode::On)
    }

    #[test]
    fn text_is_looked_through_and_nothing_else() {
        let text = [
            "text/html; charset=utf-8",
            "TEXT/event-stream",
            "application/json",
            "application/vnd.github.v3+json; charset=utf-8",
            "application/scim+json",
            "application/atom+xml",
            "image/svg+xml",
            "application/javascript",
            "application/x-javascript",
            "application/x-www-form-urlencoded",
            "application/vnd.github.raw+json",
            "nonsense",
        ];
        for kind in text {
            assert_eq!(plan(200, &[("content-type", kind)]), Plan::Plain, "{kind}");
        }
        assert_eq!(plan(200, &[]), Plan::Plain);
        assert_eq!(plan(206, &[("content-type", "text/plain")]), Plan::Plain);
        let other = [
            "application/octet-stream",
            "image/png",
            "video/mp4",
            "application/zip",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        ];
        for kind in other {
            assert_eq!(plan(200, &[("content-type", kind)]), Plan::Nothing, "{kind}");
        }
    }

    #[test]
    fn a_compressed_text_is_watched_if_it_is_whole_and_compressed_once() {
        let json = ("content-type", "application/json");
        let known =
            [("gzip", Coding::Gzip), ("X-GZIP", Coding::Gzip), ("deflate", Coding::Deflate), ("br", Coding::Brotli)];
        for (name, coding) in known.into_iter().chain([("zstd", Coding::Zstd), ("identity, gzip", Coding::Gzip)]) {
            assert_eq!(plan(200, &[json, ("content-encoding", name)]), Plan::Watch(coding));
            assert_eq!(plan(206, &[json, ("content-encoding", name)]), Plan::Nothing);
        }
        assert_eq!(plan(200, &[json, ("content-encoding", "identity")]), Plan::Plain);
        for uncovered in ["gzip, br", "compress", "exi"] {
            assert_eq!(plan(200, &[json, ("content-encoding", uncovered)]), Plan::Nothing);
        }
        assert_eq!(plan(200, &[json, ("content-encoding", "gzip"), ("content-encoding", "gzip")]), Plan::Nothing);
    }

    #[test]
    fn where_there_is_no_body_or_no_guard_there_is_nothing_to_do() {
        assert_eq!(plan(204, &[]), Plan::Nothing);
        assert_eq!(plan(304, &[("content-type", "text/plain")]), Plan::Nothing);
        let (head, ()) = Response::new(()).into_parts();
        assert_eq!(Plan::of(&head, &Method::HEAD, GuardMode::On), Plan::Nothing);
        assert_eq!(Plan::of(&head, &Method::GET, GuardMode::Off), Plan::Nothing);
        assert_eq!(Plan::of(&head, &Method::GET, GuardMode::On), Plan::Plain);
    }
}
