//! What the head of an answer says of its content: read once, for all who decide by it.

use hyper::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::{Method, StatusCode, response};

use super::decoder::Coding;

/// What is known of an answer's content before it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    /// What a client will take it for.
    pub kind: Kind,
    /// How it is compressed.
    pub codings: Codings,
    /// Whether it comes with this answer: not with one to HEAD, and not with a status that has none.
    pub is_here: bool,
    /// Whether it is a piece of the whole (206).
    pub is_piece: bool,
    /// Whether the provider wants it to stay as it is (`no-transform`, RFC 9111 §5.2.2.6).
    pub is_fixed: bool,
}

/// What a content is, as far as that matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `application/json` and what is built on it (RFC 6839 §3.1). Facebook has called its JSON JavaScript for those who
    /// ask for nothing in particular; what is no JSON after all stays as it is.
    Json,
    /// Another that may be read as text.
    Text,
    /// Nobody says. Clients guess.
    Untold,
    /// Something else.
    Other,
}

/// The content codings of a content (RFC 9110 §8.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codings {
    /// It comes as it is.
    None,
    /// One that can be read.
    One(Coding),
    /// Unknown ones, or one on top of another.
    Uncovered,
}

impl Content {
    /// That of the answer `head` to a request by `method`.
    #[must_use]
    pub fn of(head: &response::Parts, method: &Method) -> Self {
        let headers = &head.headers;
        let is_without = head.status.is_informational()
            || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED);
        Self {
            kind: Kind::of(headers),
            codings: Codings::of(headers),
            is_here: *method != Method::HEAD && !is_without,
            is_piece: head.status == StatusCode::PARTIAL_CONTENT,
            is_fixed: members(headers, header::CACHE_CONTROL)
                .any(|directive| directive.eq_ignore_ascii_case(b"no-transform")),
        }
    }

    /// Whether a client may read it as text.
    #[must_use]
    pub fn is_text(&self) -> bool {
        match self.kind {
            Kind::Json | Kind::Text | Kind::Untold => true,
            Kind::Other => false,
        }
    }
}

impl Kind {
    /// What the headers call it.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut lines = headers.get_all(header::CONTENT_TYPE).iter();
        match (lines.next(), lines.next()) {
            (None, _) => Self::Untold,
            (Some(line), None) if is_json(essence(line)) => Self::Json,
            // Of several types nobody knows which a client takes.
            (Some(line), None) if is_text(essence(line)) => Self::Text,
            (Some(_), None) => Self::Other,
            (Some(_), Some(_)) => {
                let is_text = headers.get_all(header::CONTENT_TYPE).iter().any(|line| is_text(essence(line)));
                if is_text { Self::Text } else { Self::Other }
            }
        }
    }
}

impl Codings {
    /// Those that the headers name.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut codings = members(headers, header::CONTENT_ENCODING);
        let mut codings = codings.by_ref().filter(|coding| !coding.eq_ignore_ascii_case(b"identity"));
        match (codings.next(), codings.next()) {
            (None, _) => Self::None,
            (Some(name), None) => coding(name).map_or(Self::Uncovered, Self::One),
            (Some(_), Some(_)) => Self::Uncovered,
        }
    }
}

/// A media type without its parameters.
fn essence(line: &HeaderValue) -> &[u8] {
    line.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii()
}

fn is_json(essence: &[u8]) -> bool {
    ends_with(essence, b"/json") || ends_with(essence, b"+json") || essence.eq_ignore_ascii_case(b"text/javascript")
}

fn is_text(essence: &[u8]) -> bool {
    /// What there is beside `text/…`, under `application/` for the most part, with or without a `+suffix`.
    const WORDS: [&[u8]; 15] = [
        b"json",
        b"xml",
        b"javascript",
        b"ecmascript",
        b"form-urlencoded",
        b"yaml",
        b"graphql",
        b"ndjson",
        b"jsonl",
        b"html",
        b"csv",
        b"jwt",
        b"jose",
        b"sql",
        b"http",
    ];
    let Some(slash) = essence.iter().position(|byte| *byte == b'/') else { return true };
    let (kind, subtype) = essence.split_at(slash);
    // Word processors' files are named after the XML that is zipped in them.
    let last = subtype.rsplit(|byte| matches!(byte, b'+' | b'.')).next().unwrap_or_default();
    // Messages, alone or several in one, are text around what they carry.
    [&b"text"[..], b"multipart", b"message"].iter().any(|text| kind.eq_ignore_ascii_case(text))
        || WORDS.iter().any(|word| ends_with(last, word))
}

fn ends_with(text: &[u8], end: &[u8]) -> bool {
    let at = text.len().checked_sub(end.len());
    at.and_then(|at| text.get(at..)).is_some_and(|found| found.eq_ignore_ascii_case(end))
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

    fn content(method: Method, status: u16, headers: &[(&str, &str)]) -> Content {
        let builder = Response::builder().status(status);
        let answer = headers.iter().fold(builder, |answer, (name, value)| answer.header(*name, *value));
        Content::of(&answer.body(()).unwrap().into_parts().0, &method)
    }

    fn kind(kind: &str) -> Kind {
        content(Method::GET, 200, &[("content-type", kind)]).kind
    }

    #[test]
    fn json_is_known_by_its_type() {
        for json in [
            "application/json",
            "APPLICATION/JSON ; charset=utf-8",
            "application/problem+json",
            "application/vnd.github.v3+json;x=1",
            "application/json;odata.metadata=minimal",
            "text/javascript; charset=UTF-8",
        ] {
            assert_eq!(kind(json), Kind::Json, "{json}");
        }
        for text in [
            "text/html; charset=utf-8",
            "TEXT/event-stream",
            "application/x-ndjson",
            "application/atom+xml",
            "image/svg+xml",
            "application/javascript",
            "application/x-javascript",
            "application/x-www-form-urlencoded",
            "text/plain; a=/json",
            "multipart/mixed; boundary=batch_1",
            "message/rfc822",
            "application/http; msgtype=response",
            "json",
            "nonsense",
            "",
        ] {
            assert_eq!(kind(text), Kind::Text, "{text}");
        }
        for other in [
            "application/octet-stream",
            "image/png",
            "video/mp4",
            "application/zip",
            "application/jsonp",
            "application/x-json-stream",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        ] {
            assert_eq!(kind(other), Kind::Other, "{other}");
        }
    }

    #[test]
    fn of_several_types_the_most_readable_counts_and_none_is_json() {
        let types = |first, second| content(Method::GET, 200, &[("content-type", first), ("content-type", second)]);
        assert_eq!(types("application/json", "image/png").kind, Kind::Text);
        assert_eq!(types("image/png", "text/html").kind, Kind::Text);
        assert_eq!(types("image/png", "video/mp4").kind, Kind::Other);
        assert_eq!(content(Method::GET, 200, &[]).kind, Kind::Untold);
    }

    #[test]
    fn a_content_is_compressed_once_or_in_a_way_that_nobody_covers() {
        let codings = |lines: &[&str]| {
            let lines: Vec<_> = lines.iter().map(|line| ("content-encoding", *line)).collect();
            content(Method::GET, 200, &lines).codings
        };
        for (name, coding) in [
            ("gzip", Coding::Gzip),
            ("X-GZIP", Coding::Gzip),
            ("deflate", Coding::Deflate),
            ("br", Coding::Brotli),
            ("zstd", Coding::Zstd),
            ("identity, gzip", Coding::Gzip),
        ] {
            assert_eq!(codings(&[name]), Codings::One(coding), "{name}");
        }
        for lines in [&[][..], &["identity"], &["Identity", ""], &[","]] {
            assert_eq!(codings(lines), Codings::None, "{lines:?}");
        }
        for lines in [&["gzip, br"][..], &["gzip", "gzip"], &["compress"], &["exi"]] {
            assert_eq!(codings(lines), Codings::Uncovered, "{lines:?}");
        }
    }

    #[test]
    fn some_answers_speak_of_a_content_that_does_not_come() {
        for status in [204, 205, 304] {
            assert!(!content(Method::GET, status, &[]).is_here, "{status}");
        }
        assert!(!content(Method::HEAD, 200, &[]).is_here);
        assert!(content(Method::PATCH, 404, &[]).is_here);
        assert!(content(Method::GET, 206, &[]).is_piece && !content(Method::GET, 200, &[]).is_piece);
    }

    #[test]
    fn a_provider_may_want_it_left_alone() {
        for line in ["no-transform", "private, No-Transform"] {
            assert!(content(Method::GET, 200, &[("cache-control", line)]).is_fixed, "{line}");
        }
        assert!(content(Method::GET, 200, &[("cache-control", "private"), ("cache-control", "no-transform")]).is_fixed);
        assert!(!content(Method::GET, 200, &[("cache-control", "private")]).is_fixed);
    }
}
