//! The caller's own access token, as received. Taking it removes it from the request, so forwarding it is impossible.

use std::sync::Arc;

use hyper::http::request::Parts;
use hyper::http::uri::PathAndQuery;
use hyper::http::{HeaderValue, header};

use super::CallerError;
use crate::parameters::{Names, query};
use crate::secret::Secret;

/// The caller's access token (RFC 6750), no longer in the request it came with.
#[derive(Clone)]
pub struct Bearer {
    line: HeaderValue,
    /// Where in the line the token begins.
    start: usize,
    /// Whether it came in the query.
    is_from_query: bool,
}

/// What becomes of a token that stands where it would be forwarded.
const TWICE: CallerError =
    CallerError::BadRequest("the access token stands in the request a second time, where it would be forwarded");

/// What becomes of two tokens.
const DIFFERENT: CallerError = CallerError::BadRequest("the request has two access tokens, and they differ");

impl Bearer {
    /// Takes the token out of the request's head.
    ///
    /// The scheme is `Bearer` in any case, or `token`, which Octokit and PyGithub send. Tokens in a form or in a cookie
    /// are no login (RFC 6750 §2.2 is not offered). One in the query (§2.3) is, where there is no `Authorization`, in the
    /// parameters `in_query`: which providers take it there is not known yet, so each must be asked with
    /// [`Bearer::suits`].
    ///
    /// # Errors
    /// [`CallerError::MissingToken`] if there is none, [`CallerError::BadRequest`] if there are two or the token stands
    /// in the request a second time (where it would be forwarded), [`CallerError::Invalid`] for a proof of possession.
    pub fn take(head: &mut Parts, in_query: &Names) -> Result<Self, CallerError> {
        let target = head.uri.path_and_query().map_or("", PathAndQuery::as_str);
        let header::Entry::Occupied(entry) = head.headers.entry(header::AUTHORIZATION) else {
            let bearer = Self::in_query(target, in_query)?;
            return if stands_elsewhere(head, in_query, bearer.expose()) { Err(TWICE) } else { Ok(bearer) };
        };
        let mut lines = entry.remove_entry_mult().1;
        let (Some(mut line), None) = (lines.next(), lines.next()) else {
            return Err(CallerError::BadRequest("the request has two Authorization lines"));
        };
        drop(lines);
        line.set_sensitive(true);
        let scheme_end = line.as_bytes().iter().position(|byte| *byte == b' ').unwrap_or(line.len());
        let (scheme, rest) = line.as_bytes().split_at(scheme_end);
        let start = scheme_end + rest.iter().take_while(|byte| **byte == b' ').count();
        if scheme.eq_ignore_ascii_case(b"dpop") {
            return Err(CallerError::Invalid("proofs of possession are not accepted yet; send it as a bearer"));
        }
        let is_known = scheme.eq_ignore_ascii_case(b"bearer") || scheme.eq_ignore_ascii_case(b"token");
        if !is_known || start == line.len() {
            return Err(CallerError::MissingToken);
        }
        let bearer = Self { line, start, is_from_query: false };
        if stands_elsewhere(head, in_query, bearer.expose()) { Err(TWICE) } else { Ok(bearer) }
    }

    fn in_query(target: &str, names: &Names) -> Result<Self, CallerError> {
        let mut tokens = query::values(target, names).map(|(_, token)| token).filter(|token| !token.is_empty());
        let token = tokens.next().ok_or(CallerError::MissingToken)?;
        if tokens.any(|other| other != token) {
            return Err(DIFFERENT);
        }
        let invalid = |_| CallerError::Invalid("it has characters that no token has");
        let mut line = HeaderValue::from_bytes(&token).map_err(invalid)?;
        line.set_sensitive(true);
        Ok(Self { line, start: 0, is_from_query: true })
    }

    /// Whether the token came in the query.
    #[must_use]
    pub fn is_from_query(&self) -> bool {
        self.is_from_query
    }

    /// Whether a provider takes the token where it came, and gets to see nothing of it. `taken` are the tokens that were
    /// taken out of the query for it, and `target` is what is left.
    ///
    /// # Errors
    /// [`CallerError::MissingToken`] if it looks for tokens elsewhere, [`CallerError::BadRequest`] if the query had
    /// another token, or has this one still.
    pub fn suits(&self, taken: &[Vec<u8>], target: &str) -> Result<(), CallerError> {
        if self.is_from_query && taken.is_empty() {
            return Err(CallerError::MissingToken);
        }
        if taken.iter().any(|token| token != self.expose()) {
            return Err(DIFFERENT);
        }
        if contains(target.as_bytes(), self.expose()) { Err(TWICE) } else { Ok(()) }
    }

    /// The token's bytes, whatever they are.
    pub(super) fn expose(&self) -> &[u8] {
        self.line.as_bytes().get(self.start..).unwrap_or_default()
    }

    /// The token as text, for the tenant that issued it; empty if it is none, and then it was never verified.
    #[must_use]
    pub fn secret(&self) -> Secret {
        Secret::new(std::str::from_utf8(self.expose()).unwrap_or_default())
    }

    /// The token as text, if it is a JWT by its shape.
    ///
    /// A JWT has three parts. Five parts are an encrypted token and none at all an opaque one, which nobody but the tenant
    /// can read: Auth0 issues both when the login asked for no audience.
    pub(super) fn jwt(&self, audience: &Arc<str>) -> Result<&str, CallerError> {
        let text = std::str::from_utf8(self.expose()).ok().filter(|text| text.bytes().all(is_token_byte));
        let text = text.ok_or(CallerError::Invalid("it has characters that no token has"))?;
        match text.bytes().filter(|byte| *byte == b'.').count() {
            2 => Ok(text),
            0 => Err(CallerError::Unreadable("opaque", Arc::clone(audience))),
            4 => Err(CallerError::Unreadable("encrypted", Arc::clone(audience))),
            _ => Err(CallerError::Invalid("it is not a JWT")),
        }
    }
}

/// The shortest text that could be an Auth0 token; opaque ones have 32 characters.
const TOKEN_BYTES_MIN: usize = 20;

/// RFC 6750 §2.1: `b64token`.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=')
}

/// Whether the token is also in the target, but for the parameters `in_query`, or in a header that is forwarded. Cookies
/// are not forwarded.
fn stands_elsewhere(head: &Parts, in_query: &Names, token: &[u8]) -> bool {
    let target = head.uri.path_and_query().map_or("", PathAndQuery::as_str);
    contains(query::without(target, in_query).as_bytes(), token)
        || head.headers.iter().any(|(name, value)| name != header::COOKIE && contains(value.as_bytes(), token))
}

/// Whether `text` has the token in it. A short text is no token, and would be found in any path.
fn contains(text: &[u8], token: &[u8]) -> bool {
    token.len() >= TOKEN_BYTES_MIN && text.windows(token.len()).any(|window| window == token)
}

#[cfg(test)]
mod tests {
    use hyper::http::Request;

    use super::*;

    fn take(lines: &[(&str, &str)], target: &str) -> Result<(String, Parts), CallerError> {
        let mut request = Request::get(target);
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        let bearer = Bearer::take(&mut head, &Names::new([]))?;
        Ok((String::from_utf8_lossy(bearer.expose()).into_owned(), head))
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
    fn only_three_parts_of_token_characters_are_a_jwt() {
        let audience = Arc::from("https://api.example/");
        for (token, is_jwt, is_unreadable) in [
            ("a.b.c", true, false),
            ("a..c.d.e", false, true),
            ("0123456789abcdef0123456789abcdef", false, true),
            ("a.b.c, Bearer d.e.f", false, false),
            ("a.b", false, false),
            ("a.b.c.d", false, false),
        ] {
            let line = HeaderValue::from_str(token).unwrap();
            let bearer = Bearer { line, start: 0, is_from_query: false };
            let jwt = bearer.jwt(&audience);
            assert_eq!(jwt.is_ok(), is_jwt, "{token}");
            assert_eq!(matches!(jwt, Err(CallerError::Unreadable(..))), is_unreadable, "{token}");
        }
    }

    #[test]
    fn the_same_token_in_target_or_header_is_refused_and_in_a_cookie_is_not() {
        let line = ("authorization", "Bearer aaaaaaaa.bbbbbbbb.cccccccc");
        assert!(matches!(take(&[line], "/x?access_token=aaaaaaaa.bbbbbbbb.cccccccc"), Err(CallerError::BadRequest(_))));
        assert!(matches!(
            take(&[line, ("x-token", "aaaaaaaa.bbbbbbbb.cccccccc")], "/x"),
            Err(CallerError::BadRequest(_))
        ));
        assert!(take(&[line, ("cookie", "t=aaaaaaaa.bbbbbbbb.cccccccc")], "/x").is_ok());
    }
}
