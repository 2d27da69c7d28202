//! A request as it is written on the command line.

use hyper::http::{HeaderName, HeaderValue, Method, Uri, header};

/// A method. They are case-sensitive (RFC 9110 §9.1), and clients send the standard ones in capitals.
pub(super) fn method(text: &str) -> Result<Method, String> {
    let method = |text: &str| Method::from_bytes(text.as_bytes());
    let given = method(text).map_err(|_| "is no method, such as GET".to_owned())?;
    let meant = text.to_ascii_uppercase();
    let is_standard =
        ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"].contains(&&*meant);
    if is_standard && meant != text { Err(format!("did you mean {meant}?")) } else { Ok(given) }
}

/// Where a request goes: a path and query, or a whole URL.
pub(super) fn target(text: &str) -> Result<Uri, String> {
    let is_path = text.starts_with('/');
    if !is_path && !["http://", "https://"].iter().any(|scheme| text.starts_with(scheme)) {
        return Err("begins with /, such as /proxy/github/user, or is a whole http(s) URL".to_owned());
    }
    text.parse().map_err(|error| format!("is no path or URL: {error}"))
}

/// A header, but not the one with the token: every process can read the command line.
pub(super) fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("is not of the form `Name: value`")?;
    let name: HeaderName = name.trim().parse().map_err(|_| "has no header's name before the colon".to_owned())?;
    if name == header::AUTHORIZATION {
        return Err("every process can read the command line; name the token's file with --token-file".to_owned());
    }
    let value = value.trim().parse().map_err(|_| "has a value that no header can carry".to_owned())?;
    Ok((name, value))
}
