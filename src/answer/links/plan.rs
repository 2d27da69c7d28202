//! What is done to one answer, decided by its head.

use hyper::http::header::{self, HeaderMap, HeaderName};
use hyper::http::response::Parts;
use hyper::http::{Method, StatusCode};

use crate::config::Rewrite;

/// What is done to an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// The links in its headers are pointed back.
    pub(super) links: bool,
    /// Its headers speak of a body that is rewritten when it comes, if not with this answer.
    pub(super) content: bool,
    /// Its body is rewritten.
    pub(super) body: bool,
}

/// Decides what is done to the answer to a `method` request.
pub(super) fn plan(rewrite: Rewrite, method: &Method, head: &Parts) -> Plan {
    let headers = &head.headers;
    let content = rewrite == Rewrite::Json
        // A piece does not tell where it stands, and the others may be with the client already.
        && head.status != StatusCode::PARTIAL_CONTENT
        && (is_json(headers) || head.status == StatusCode::NOT_MODIFIED && !headers.contains_key(header::CONTENT_TYPE))
        && is_plain(headers)
        && !is_untouchable(headers);
    let has_body = *method != Method::HEAD && !head.status.is_informational() && !is_bodyless(head.status);
    Plan { links: rewrite != Rewrite::Off, content, body: content && has_body }
}

/// Makes the headers fit a body that is rewritten: its length and its digests are others, and pieces of it are not to be
/// had. The `ETag` stays: the rewriting is deterministic, and conditional requests go on working.
pub(in crate::answer) fn fit_rewritten(headers: &mut HeaderMap) {
    for name in [header::CONTENT_LENGTH, header::ACCEPT_RANGES] {
        headers.remove(name);
    }
    for name in DIGESTS {
        headers.remove(name);
    }
}

/// RFC 9530 and what was in use before it.
const DIGESTS: [HeaderName; 4] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-md5"),
];

fn is_bodyless(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED)
}

/// `application/json` and what is built on it (RFC 6839 §3.1). Facebook has called its JSON JavaScript for those who ask
/// for nothing in particular; what is no JSON after all stays as it is.
fn is_json(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return false };
    let kind = line.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let suffix = kind.len().checked_sub(5).and_then(|at| kind.get(at..)).unwrap_or_default();
    suffix.eq_ignore_ascii_case(b"/json")
        || suffix.eq_ignore_ascii_case(b"+json")
        || kind.eq_ignore_ascii_case(b"text/javascript")
}

/// Whether the body comes as it is, without a content coding.
fn is_plain(headers: &HeaderMap) -> bool {
    let mut codings = members(headers, header::CONTENT_ENCODING);
    codings.all(|coding| coding.eq_ignore_ascii_case(b"identity"))
}

/// RFC 9111 §5.2.2.6.
fn is_untouchable(headers: &HeaderMap) -> bool {
    members(headers, header::CACHE_CONTROL).any(|directive| directive.eq_ignore_ascii_case(b"no-transform"))
}

/// The members of a list, of all its lines.
fn members(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &[u8]> {
    let lines = headers.get_all(name).into_iter();
    let members = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii));
    members.filter(|member| !member.is_empty())
}

#[cfg(test)]
mod tests {
    use hyper::http::Response;

    use super::*;

    fn planned(rewrite: Rewrite, method: Method, status: u16, headers: &[(&str, &str)]) -> Plan {
        let mut builder = Response::builder().status(status);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        plan(rewrite, &method, &builder.body(()).unwrap().into_parts().0)
    }

    const NOTHING: Plan = Plan { links: false, content: false, body: false };
    const HEADERS: Plan = Plan { links: true, content: false, body: false };
    const DESCRIBED: Plan = Plan { links: true, content: true, body: false };
    const ALL: Plan = Plan { links: true, content: true, body: true };

    #[test]
    fn the_configuration_says_where_links_are_looked_for() {
        let json = [("content-type", "application/json")];
        assert_eq!(planned(Rewrite::Off, Method::GET, 200, &json), NOTHING);
        assert_eq!(planned(Rewrite::Headers, Method::GET, 200, &json), HEADERS);
        assert_eq!(planned(Rewrite::Json, Method::GET, 200, &json), ALL);
        assert_eq!(planned(Rewrite::Json, Method::PATCH, 404, &json), ALL);
    }

    #[test]
    fn a_body_is_rewritten_if_it_is_json() {
        for json in [
            "application/json",
            "APPLICATION/JSON ; charset=utf-8",
            "application/problem+json",
            "application/vnd.github.v3+json;x=1",
            "application/json;odata.metadata=minimal",
            "text/javascript; charset=UTF-8",
        ] {
            assert_eq!(planned(Rewrite::Json, Method::GET, 200, &[("content-type", json)]), ALL, "{json}");
        }
        for other in ["text/html", "application/jsonp", "application/x-json-stream", "json", "", "text/plain; a=/json"]
        {
            assert_eq!(planned(Rewrite::Json, Method::GET, 200, &[("content-type", other)]), HEADERS, "{other}");
        }
        let twice = [("content-type", "application/json"), ("content-type", "text/html")];
        assert_eq!(planned(Rewrite::Json, Method::GET, 200, &twice), HEADERS);
        assert_eq!(planned(Rewrite::Json, Method::GET, 200, &[]), HEADERS);
    }

    #[test]
    fn a_body_stays_where_rewriting_would_break_it() {
        for (name, value) in [
            ("content-encoding", "gzip"),
            ("content-encoding", "identity, br"),
            ("cache-control", "no-transform"),
            ("cache-control", "private, No-Transform"),
        ] {
            let headers = [("content-type", "application/json"), (name, value)];
            assert_eq!(planned(Rewrite::Json, Method::GET, 200, &headers), HEADERS, "{name}: {value}");
        }
        let two_lines = [("cache-control", "private"), ("cache-control", "no-transform"), ("content-type", "a/json")];
        assert_eq!(planned(Rewrite::Json, Method::GET, 200, &two_lines), HEADERS);
        let plain =
            [("content-type", "application/json"), ("content-encoding", "Identity"), ("cache-control", "private")];
        assert_eq!(planned(Rewrite::Json, Method::GET, 200, &plain), ALL);
        assert_eq!(planned(Rewrite::Json, Method::GET, 206, &plain), HEADERS);
    }

    #[test]
    fn without_a_body_the_headers_speak_of_the_rewritten_one() {
        let json = [("content-type", "application/json")];
        assert_eq!(planned(Rewrite::Json, Method::HEAD, 200, &json), DESCRIBED);
        for status in [204, 205, 304] {
            assert_eq!(planned(Rewrite::Json, Method::GET, status, &json), DESCRIBED, "{status}");
        }
        // It updates the headers of an answer that the client has.
        assert_eq!(planned(Rewrite::Json, Method::GET, 304, &[]), DESCRIBED);
        assert_eq!(planned(Rewrite::Json, Method::GET, 304, &[("content-type", "image/png")]), HEADERS);
    }
}
