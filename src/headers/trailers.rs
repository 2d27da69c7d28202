//! Trailers of answers: announced to those who take them, and under the same rules as headers.

use hyper::http::Version;
use hyper::http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::{CallerSide, remove, stays_there};

impl CallerSide {
    /// The `Trailer` field of the answer, made anew: hyper sends HTTP/1.1 trailers that it announces, to callers who
    /// said that they take them (RFC 9110 §6.5.1).
    pub(super) fn announced(self, headers: &HeaderMap) -> Option<HeaderValue> {
        if self.version != Version::HTTP_11 || !self.takes_trailers || !headers.contains_key(header::TRAILER) {
            return None;
        }
        let lines = headers.get_all(header::TRAILER).iter();
        let names = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii));
        let passes = |name: &&[u8]| HeaderName::from_bytes(name).is_ok_and(|name| !stays_behind(name.as_str()));
        let announced = names.filter(passes).collect::<Vec<_>>().join(&b", "[..]);
        HeaderValue::from_bytes(&announced).ok().filter(|announced| !announced.is_empty())
    }
}

/// Takes out of an answer's trailers what its head may not bring either, and what no trailer may.
pub fn strip_trailers(trailers: &mut HeaderMap) {
    remove(trailers, stays_behind);
}

/// RFC 9110 §6.5.1: what frames, routes, authenticates or describes content has to be known before it, and caches and
/// clients that merge trailers into headers would change the answer's meaning after the fact. `Proxy-Status` and what we
/// add to heads ourselves could speak in our name.
fn stays_behind(name: &str) -> bool {
    matches!(
        name,
        "age"
            | "authorization"
            | "cache-control"
            | "content-encoding"
            | "content-length"
            | "content-range"
            | "content-security-policy"
            | "content-type"
            | "date"
            | "expires"
            | "host"
            | "location"
            | "proxy-status"
            | "retry-after"
            | "vary"
            | "via"
            | "www-authenticate"
            | "x-content-type-options"
            | "x-request-id"
    ) || stays_there(name)
}

/// Whether a request says that its sender takes trailers (RFC 9110 §10.1.4).
pub(super) fn are_taken(headers: &HeaderMap) -> bool {
    headers.get_all(header::TE).iter().any(|line| {
        line.to_str().is_ok_and(|text| {
            text.split(',')
                .any(|coding| coding.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("trailers"))
        })
    })
}
