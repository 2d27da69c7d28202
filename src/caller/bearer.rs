//! The caller's own access token, as received. Taking it removes it from the request, so forwarding it is impossible.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderValue, header};

use super::CallerError;

/// The caller's access token (RFC 6750), no longer in the request it came with.
pub struct Bearer(HeaderValue, usize);

impl Bearer {
    /// Takes the token out of the request's head.
    ///
    /// The scheme is `Bearer` in any case, or `token`, which Octokit and PyGithub send. Tokens in the query, in a form
    /// or in a cookie are no login (RFC 6750 §2.2 and §2.3 are not offered).
    ///
    /// # Errors
    /// [`CallerError::MissingToken`] if there is none, [`CallerError::BadRequest`] if there are two or the token stands
    /// in the request a second time (where it would be forwarded), [`CallerError::Invalid`] if it has characters that
    /// no token has.
    pub fn take(head: &mut Parts) -> Result<Self, CallerError> {
        let header::Entry::Occupied(entry) = head.headers.entry(header::AUTHORIZATION) else {
            return Err(CallerError::MissingToken);
        };
        let mut lines = entry.remove_entry_mult().1;
        let (Some(line), None) = (lines.next(), lines.next()) else {
            return Err(CallerError::BadRequest("the request has two Authorization lines"));
        };
        drop(lines);
        let text = line.to_str().map_err(|_| CallerError::Invalid("it has characters that no token has"))?;
        let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
        let token = rest.trim_start_matches(' ');
        if scheme.eq_ignore_ascii_case("dpop") {
            return Err(CallerError::Invalid("proofs of possession are not accepted yet; send it as a bearer"));
        }
        if !(scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token")) || token.is_empty() {
            return Err(CallerError::MissingToken);
        }
        if !token.bytes().all(is_token_byte) {
            return Err(CallerError::Invalid("it has characters that no token has"));
        }
        if stands_elsewhere(head, token.as_bytes()) {
            return Err(CallerError::BadRequest(
                "the access token stands in the request a second time, where it would be forwarded",
            ));
        }
        let start = text.len() - token.len();
        let mut line = line;
        line.set_sensitive(true);
        Ok(Self(line, start))
    }

    /// The token's characters.
    pub(super) fn expose(&self) -> &str {
        self.0.to_str().ok().and_then(|text| text.get(self.1..)).unwrap_or_default()
    }
}

/// RFC 6750 §2.1: `b64token`.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=')
}

/// Whether the token is also in the target or in a header that is forwarded. Cookies are not forwarded.
fn stands_elsewhere(head: &Parts, token: &[u8]) -> bool {
    let contains = |haystack: &[u8]| haystack.len() >= token.len() && haystack.windows(token.len()).any(|w| w == token);
    head.uri.path_and_query().is_some_and(|target| contains(target.as_str().as_bytes()))
        || head.headers.iter().any(|(name, value)| name != header::COOKIE && contains(value.as_bytes()))
}

/// Refuses a token that nobody but the tenant can read, by its shape alone.
///
/// A JWT has three parts. Five parts are an encrypted token and none at all an opaque one: Auth0 issues both when the
/// login asked for no audience.
pub(super) fn readable(token: &str, audience: &Arc<str>) -> Result<(), CallerError> {
    match token.bytes().filter(|byte| *byte == b'.').count() {
        2 => Ok(()),
        0 => Err(CallerError::Unreadable("opaque", Arc::clone(audience))),
        4 => Err(CallerError::Unreadable("encrypted", Arc::clone(audience))),
        _ => Err(CallerError::Invalid("it is not a JWT")),
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn take(lines: &[(&str, &str)], target: &str) -> Result<(String, Parts), CallerError> {
        let mut request = Request::get(target);
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        let bearer = Bearer::take(&mut head)?;
        Ok((bearer.expose().to_owned(), head))
    }

    #[test]
    fn any_spelling_of_the_scheme_is_taken_and_the_header_is_gone() {
        for scheme in ["Bearer", "bearer", "BEARER", "token", "Token"] {
            let (token, head) = take(&[("authorization", &format!("{scheme} a.b.c"))], "/x").unwrap();
            assert_eq!(token, "a.b.c");
            assert!(!head.headers.contains_key("authorization"));
        }
    }

    #[test]
    fn no_token_and_another_scheme_are_a_missing_token() {
        for lines in [
            &[][..],
            &[("authorization", "Basic YTpi")],
            &[("authorization", "Bearer")],
            &[("authorization", "Bearer ")],
        ] {
            assert!(matches!(take(lines, "/x"), Err(CallerError::MissingToken)), "{lines:?}");
        }
    }

    #[test]
    fn two_lines_are_a_bad_request_even_if_equal() {
        let lines = [("authorization", "Bearer a.b.c"), ("authorization", "Bearer a.b.c")];
        assert!(matches!(take(&lines, "/x"), Err(CallerError::BadRequest(_))));
    }

    #[test]
    fn two_tokens_in_one_line_are_no_token() {
        assert!(matches!(take(&[("authorization", "Bearer a.b.c, Bearer d.e.f")], "/x"), Err(CallerError::Invalid(_))));
    }

    #[test]
    fn the_same_token_in_target_or_header_is_refused_and_in_a_cookie_is_not() {
        let line = ("authorization", "Bearer aaa.bbb.ccc");
        assert!(matches!(take(&[line], "/x?access_token=aaa.bbb.ccc"), Err(CallerError::BadRequest(_))));
        assert!(matches!(take(&[line, ("x-token", "aaa.bbb.ccc")], "/x"), Err(CallerError::BadRequest(_))));
        assert!(take(&[line, ("cookie", "t=aaa.bbb.ccc")], "/x").is_ok());
    }
}
