//! The path and query at the provider: the caller's own bytes behind the configured base path, or a refusal.
//!
//! No URL library touches the caller's text: `url::Url` climbs out of a base path on `%2e%2e/` and changes the host on
//! `//evil`. The bytes are looked at, and then either sent as they are or not at all.

use hyper::body::Bytes;
use hyper::http::uri::PathAndQuery;

use crate::percent;

/// A target that is refused, because what it means depends on who decodes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// A `.` or `..` segment, plain or encoded (RFC 3986 §5.2.4 would remove it).
    #[error("the path has a dot segment")]
    DotSegment,
    /// `\`, plain or encoded, which some servers take for `/`.
    #[error("the path has a backslash")]
    Backslash,
    /// A control byte, plain or encoded.
    #[error("the target has a control character")]
    Control,
    /// A byte outside ASCII (RFC 3986 §2: it must be percent-encoded).
    #[error("the target has a character that must be percent-encoded")]
    NotAscii,
    /// It does not begin with `/`.
    #[error("the target is not a path")]
    Form,
}

/// Joins the configured base path (no trailing slash) and what followed the provider's name (path and query, or
/// nothing). Clients that are told a base URL with a slash at its end put their own behind it (Octokit's `//user`, which
/// GitHub does not know): one of the two is left out there, and no slash anywhere else.
pub(super) fn upstream(base_path: &str, rest: &str) -> Result<PathAndQuery, TargetError> {
    let rest = if rest.starts_with("//") { rest.get(1..).unwrap_or_default() } else { rest };
    let path = rest.split_once('?').map_or(rest, |(path, _)| path);
    if !path.is_empty() && !path.starts_with('/') {
        return Err(TargetError::Form);
    }
    check(path, rest)?;
    let mut target = Vec::with_capacity(base_path.len() + rest.len() + 1);
    target.extend_from_slice(base_path.as_bytes());
    if base_path.is_empty() && path.is_empty() {
        target.push(b'/');
    }
    target.extend_from_slice(rest.as_bytes());
    PathAndQuery::from_maybe_shared(Bytes::from(target)).map_err(|_| TargetError::Form)
}

fn check(path: &str, whole: &str) -> Result<(), TargetError> {
    let (mut has_escape, mut has_dot) = (false, false);
    for (index, byte) in whole.bytes().enumerate() {
        match byte {
            0..=0x1f | 0x7f => return Err(TargetError::Control),
            0x80.. => return Err(TargetError::NotAscii),
            // A fragment never travels (RFC 9110 §7.1); what is behind it would be cut off in silence.
            b'#' => return Err(TargetError::Form),
            b'\\' if index < path.len() => return Err(TargetError::Backslash),
            b'%' => has_escape = true,
            b'.' => has_dot = true,
            _ => {}
        }
    }
    // The common target has neither, and is done here.
    if has_escape {
        check_escapes(path)?;
    }
    if has_escape || has_dot {
        path.split('/').try_for_each(check_segment)?;
    }
    Ok(())
}

fn check_escapes(path: &str) -> Result<(), TargetError> {
    for escape in path.split('%').skip(1) {
        match escape.get(..2).map(|digits| u8::from_str_radix(digits, 16)) {
            Some(Ok(0..=0x1f | 0x7f)) => return Err(TargetError::Control),
            Some(Ok(b'\\')) => return Err(TargetError::Backslash),
            Some(Ok(_) | Err(_)) | None => {}
        }
    }
    Ok(())
}

/// A segment is a dot segment if it is `.` or `..` as sent or decoded once, also with parameters behind a `;`, which
/// some servers cut off first (Envoy's CVE-2026-73551), and also between encoded slashes.
fn check_segment(segment: &str) -> Result<(), TargetError> {
    if segment.len() < 64 && !segment.contains('%') {
        return check_decoded(segment.as_bytes());
    }
    let decoded = percent::decode(segment.as_bytes());
    decoded.split(|byte| *byte == b'/').try_for_each(check_decoded)
}

fn check_decoded(segment: &[u8]) -> Result<(), TargetError> {
    let name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
    if matches!(name, b"." | b"..") { Err(TargetError::DotSegment) } else { Ok(()) }
}

/// Whether the path has an encoded slash, which a rule could read as part of a segment or as its end.
pub(super) fn has_encoded_slash(path: &str) -> bool {
    path.split('%').skip(1).any(|escape| escape.get(..2).is_some_and(|digits| digits.eq_ignore_ascii_case("2f")))
}

/// The path in which decoding leaves encoded slashes as they are: parts of their segments.
pub(super) fn keep_encoded_slashes(path: &str) -> String {
    path.replace("%2F", "%252F").replace("%2f", "%252f")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_sent_is_what_came() {
        for (base, rest, sent) in [
            ("", "", "/"),
            ("", "?a=1", "/?a=1"),
            ("", "/", "/"),
            ("/v1", "", "/v1"),
            ("/v1", "?a=b", "/v1?a=b"),
            ("/v1", "/x//y/", "/v1/x//y/"),
            ("", "/a%2Fb%252e%252e/c;d=1/+~'()*!$&,=:@", "/a%2Fb%252e%252e/c;d=1/+~'()*!$&,=:@"),
            ("", "/x?", "/x?"),
            ("", "/x?..=/../&a=%00%5c", "/x?..=/../&a=%00%5c"),
            ("", "/...", "/..."),
            ("", "/a..b/.hidden", "/a..b/.hidden"),
            ("", "/%zz%", "/%zz%"),
        ] {
            assert_eq!(upstream(base, rest).map(|t| t.to_string()), Ok(sent.to_owned()), "{base} {rest}");
        }
    }

    #[test]
    fn a_second_slash_behind_the_base_is_left_out_and_none_elsewhere() {
        for (base, rest, sent) in [
            ("", "//x", "/x"),
            ("/v1", "//x//y?a=//b", "/v1/x//y?a=//b"),
            ("/v1", "///x", "/v1//x"),
            ("", "//", "/"),
            ("", "?//", "/?//"),
        ] {
            assert_eq!(upstream(base, rest).map(|t| t.to_string()), Ok(sent.to_owned()), "{base} {rest}");
        }
        assert_eq!(upstream("", "//../x"), Err(TargetError::DotSegment));
    }

    #[test]
    fn what_decoding_would_change_is_refused() {
        use TargetError::{Backslash, Control, DotSegment, Form, NotAscii};
        for (rest, error) in [
            ("/..", DotSegment),
            ("/../x", DotSegment),
            ("/.", DotSegment),
            ("/a/./b", DotSegment),
            ("/%2e%2e/x", DotSegment),
            ("/.%2E/x", DotSegment),
            ("/..;/x", DotSegment),
            ("/..%3b/x", DotSegment),
            ("/a%2f..%2fb", DotSegment),
            ("/a%2f%2e%2e", DotSegment),
            ("/..\\x", Backslash),
            ("/..%5cx", Backslash),
            ("/a%0d%0aHost:%20evil", Control),
            ("/a%00", Control),
            ("/a%7F", Control),
            ("/é", NotAscii),
            ("/x?q=é", NotAscii),
            ("@evil.example/x", Form),
            (":80/x", Form),
        ] {
            assert_eq!(upstream("/v1", rest), Err(error), "{rest}");
        }
    }

    proptest! {
        #[test]
        fn nothing_accepted_leaves_the_base_path_or_changes_a_byte(rest in "(/[a-z.%2eE5cC0;/\\\\]{0,12}){0,4}(\\?[ -~]{0,8})?") {
            if let Ok(target) = upstream("/base", &rest) {
                let rest = if rest.starts_with("//") { &rest[1..] } else { &rest };
                prop_assert_eq!(target.as_str(), format!("/base{rest}"));
                let decoded = String::from_utf8_lossy(&percent::decode(target.path().as_bytes())).into_owned();
                let mut depth = 0_i32;
                for segment in decoded.split(['/', '\\']).skip(2) {
                    depth += match segment { ".." => -1, "." | "" => 0, _ => 1 };
                    prop_assert!(depth >= 0, "{} climbs out", target);
                }
            }
        }

        #[test]
        fn no_text_makes_it_panic(rest in "\\PC{0,40}") {
            let _ = upstream("", &rest);
        }
    }
}
