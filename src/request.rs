//! Whether a request's head is one well-formed request to us. hyper refuses broken framing; what it lets through and
//! RFC 9110 or 9112 do not, is refused here.

use std::borrow::Cow;

use hyper::http::header::{self, HeaderValue};
use hyper::http::request::Parts;
use hyper::http::{Method, Version};

/// Why a request's head is refused.
#[derive(Debug, thiserror::Error)]
pub enum HeadError {
    /// It breaks a rule.
    #[error("{0}")]
    BadRequest(&'static str),
    /// It asks for something that this proxy does not do.
    #[error("{0}")]
    NotImplemented(&'static str),
}

/// Checks the head of a request and tells the host that it names: in lower case, without port; empty in HTTP/1.0
/// without `Host`. `is_own` tells whether a host is one of ours.
///
/// # Errors
/// [`HeadError::BadRequest`] for a target or `Host` that is not one, [`HeadError::NotImplemented`] for CONNECT, TRACE
/// and WebSocket handshakes.
pub fn check(head: &Parts, is_own: impl Fn(&str) -> bool) -> Result<Cow<'_, str>, HeadError> {
    // TRACE would echo the injected token (RFC 9110 §9.3.8).
    if head.method == Method::CONNECT || head.method == Method::TRACE {
        return Err(HeadError::NotImplemented("CONNECT and TRACE are not supported"));
    }
    check_coding(head)?;
    check_target(head)?;
    if wants_websocket(head) {
        return Err(HeadError::NotImplemented("WebSockets are not supported"));
    }
    let host = host(head)?;
    let Some(authority) = head.uri.authority() else {
        // RFC 9113 §8.3.1: HTTP/2 has it in one of the two places.
        let is_missing = host.is_empty() && head.version != Version::HTTP_10;
        return if is_missing { Err(HeadError::BadRequest("the request names no host")) } else { Ok(host) };
    };
    if authority.as_str().contains('@') {
        return Err(HeadError::BadRequest("the target has user information"));
    }
    let named = normalize(authority.as_str());
    // RFC 9113 §8.3.1: in HTTP/2 `:authority` stands for Host. RFC 9112 §3.2.2: the absolute form goes before Host, but
    // that we are meant by it is not taken for granted.
    let is_http2 = head.version == Version::HTTP_2;
    if !is_http2 && !is_own(&named) {
        return Err(HeadError::BadRequest("the target names another server"));
    }
    if named != host && !(is_http2 && host.is_empty()) {
        return Err(HeadError::BadRequest("Host and the target differ"));
    }
    Ok(named)
}

/// hyper takes chunks off as soon as `chunked` comes last, and the body goes on without the codings before it, which
/// nobody could undo then (RFC 9112 §6.1).
fn check_coding(head: &Parts) -> Result<(), HeadError> {
    let mut lines = head.headers.get_all(header::TRANSFER_ENCODING).iter();
    match (lines.next(), lines.next()) {
        (None, _) => Ok(()),
        (Some(line), None) if line.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") => Ok(()),
        (Some(_), _) => Err(HeadError::BadRequest("the transfer coding is not one `chunked`")),
    }
}

/// RFC 9112 §3.2: one Host, and one that is a host.
fn host(head: &Parts) -> Result<Cow<'_, str>, HeadError> {
    let mut lines = head.headers.get_all(header::HOST).iter();
    match (lines.next(), lines.next()) {
        (Some(_), Some(_)) => Err(HeadError::BadRequest("the request has two Host lines")),
        (Some(line), None) => {
            let text = line.to_str().ok().filter(|text| is_host(text));
            text.map(normalize).ok_or(HeadError::BadRequest("Host is not a host"))
        }
        (None, _) if head.version == Version::HTTP_11 => Err(HeadError::BadRequest("the request has no Host")),
        (None, _) => Ok(Cow::Borrowed("")),
    }
}

/// A host and perhaps a port (RFC 3986 §3.2.2); no user information, no path.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (text, ""),
    };
    let is_name = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    let is_address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).is_some_and(|inner| {
        !inner.is_empty() && inner.bytes().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(&byte))
    });
    (is_name || is_address) && port.bytes().all(|byte| byte.is_ascii_digit()) && port.len() <= 5
}

/// Without port and in lower case, which most hosts are in already.
fn normalize(host: &str) -> Cow<'_, str> {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Cow::Owned(name.to_ascii_lowercase());
    }
    Cow::Borrowed(name)
}

/// Only a path: no `*`, no bare authority, and in HTTP/2 an HTTP scheme.
fn check_target(head: &Parts) -> Result<(), HeadError> {
    if !head.uri.path().starts_with('/') {
        return Err(HeadError::BadRequest("the target is not a path"));
    }
    if head.uri.scheme_str().is_some_and(|scheme| !matches!(scheme, "http" | "https")) {
        return Err(HeadError::BadRequest("the target's scheme is not http"));
    }
    Ok(())
}

/// A WebSocket handshake cannot succeed, and whoever sends one should hear why (RFC 6455 §4.1). Other upgrades are
/// offers, which may be ignored (RFC 9110 §7.8).
fn wants_websocket(head: &Parts) -> bool {
    let is_websocket = |line: &HeaderValue| {
        line.to_str().is_ok_and(|text| text.split(',').any(|offer| offer.trim().eq_ignore_ascii_case("websocket")))
    };
    head.headers.get_all(header::UPGRADE).iter().any(is_websocket)
}
