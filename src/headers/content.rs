//! What an answer says about its content, where that would be misused at our origin. Nothing is allocated for the many
//! answers in which there is nothing to change.

use hyper::http::header::{self, HeaderMap, HeaderValue};

/// RFC 9111 §3.5: an answer to an authorized request is the caller's own. Where the provider called it public, a cache
/// in front of us would hand it to others.
pub(super) fn private(headers: &HeaderMap) -> Option<HeaderValue> {
    let lines = || headers.get_all(header::CACHE_CONTROL).iter();
    let directives = || lines().flat_map(|line| line.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii));
    if !directives().any(is_shared) {
        return None;
    }
    let is_kept = |directive: &&[u8]| {
        !is_shared(directive) && !directive.is_empty() && !directive.eq_ignore_ascii_case(b"private")
    };
    let mut private = b"private".to_vec();
    for directive in directives().filter(is_kept) {
        private.extend_from_slice(b", ");
        private.extend_from_slice(directive);
    }
    HeaderValue::from_bytes(&private).ok()
}

/// Whether a directive lets caches give the answer to others.
fn is_shared(directive: &[u8]) -> bool {
    let name = first_part(directive, b'=');
    name.eq_ignore_ascii_case(b"public") || name.eq_ignore_ascii_case(b"s-maxage")
}

/// Content that a browser would run or lay out if it were opened at our origin: HTML, and any XML, in which there can
/// be XHTML (MIME Sniffing §4.6). Of several types a browser takes the last one it understands, so each counts.
pub(super) fn is_active(headers: &HeaderMap) -> bool {
    let is_active = |kind: &[u8]| {
        let kind = first_part(kind, b';');
        let is_xml = kind.len().checked_sub(4).and_then(|at| kind.get(at..));
        is_xml.is_some_and(|suffix| suffix.eq_ignore_ascii_case(b"+xml"))
            || [&b"text/html"[..], b"text/xml", b"application/xml"].iter().any(|known| kind.eq_ignore_ascii_case(known))
    };
    headers.get_all(header::CONTENT_TYPE).iter().any(|line| line.as_bytes().split(|byte| *byte == b',').any(is_active))
}

/// What stands before the first `end`, without the spaces around it.
fn first_part(text: &[u8], end: u8) -> &[u8] {
    text.split(|byte| *byte == end).next().unwrap_or_default().trim_ascii()
}
