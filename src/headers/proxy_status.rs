//! `Proxy-Status` (RFC 9209), in which nobody but us speaks in our name.

use hyper::http::StatusCode;
use hyper::http::header::HeaderValue;
use hyper::http::response::Parts;

use super::{ForwardError, PROXY_STATUS};

/// Takes out what a provider says in `Proxy-Status` in our name, by which callers tell our answers from its own.
///
/// # Errors
/// [`ForwardError::Loop`] if it said that the request came round: then the provider is this proxy.
pub(super) fn speak_for_us_alone(head: &mut Parts) -> Result<(), ForwardError> {
    if !head.headers.contains_key(&PROXY_STATUS) {
        return Ok(());
    }
    let is_ours = |member: &&str| {
        let name = member.split(';').next().unwrap_or_default().trim();
        name.trim_matches('"').eq_ignore_ascii_case("idp-proxy")
    };
    let lines: Vec<HeaderValue> = head.headers.get_all(&PROXY_STATUS).iter().cloned().collect();
    head.headers.remove(&PROXY_STATUS);
    for line in lines {
        let text = String::from_utf8_lossy(line.as_bytes());
        let (ours, theirs): (Vec<&str>, Vec<&str>) = members(&text).partition(is_ours);
        if head.status == StatusCode::LOOP_DETECTED && ours.iter().any(|member| member.contains("proxy_loop_detected"))
        {
            return Err(ForwardError::Loop);
        }
        if ours.is_empty() {
            head.headers.append(PROXY_STATUS, line);
        } else if let (false, Ok(kept)) = (theirs.is_empty(), HeaderValue::from_str(&theirs.join(", "))) {
            head.headers.append(PROXY_STATUS, kept);
        }
    }
    Ok(())
}

/// The members of a list of structured fields (RFC 9651 §3.1): commas in quoted strings do not part them.
fn members(line: &str) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let parts_here = move |character: char| {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ => {}
        }
        character == ',' && !is_quoted
    };
    line.split(parts_here).map(str::trim)
}
