//! WHAT A TOKEN MAY NOT: the scopes that a call would have needed, where the provider says them. What it says is checked
//! before it is said on: it goes into a header, and into a URL that a user is sent to. Pure.

use std::borrow::Cow;

use hyper::http::header;
use hyper::http::response::Parts;
use hyper::http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use crate::config::{NeededScopes, ScopePlace};
use crate::connect::Connect;

/// The scopes that would have been needed: a comma stands between two of which one is enough, a space between two that are
/// needed together.
const SCOPE_NEEDED: HeaderName = HeaderName::from_static("idp-proxy-scope-needed");
/// The URL of a sign-in that asks for them. Not a `Link`: the provider's own would stand beside it, and a page would have to
/// tell the two apart. Fields of this kind from a provider stay there.
const CONNECT: HeaderName = HeaderName::from_static("idp-proxy-connect");

/// More bytes of scopes are no answer to what is needed; proxies between us and the caller take heads of some KiB.
const BYTES_MAX: usize = 1024;
/// Google lists a dozen that would do.
const SCOPES_MAX: usize = 32;

/// What a call lacked.
#[derive(Debug, PartialEq, Eq)]
pub struct Shortage {
    /// None where the provider does not say, or says what cannot be meant.
    scopes: Vec<String>,
    is_any: bool,
    /// Which of `scopes` to ask for, if one is enough.
    preferred: usize,
}

impl Shortage {
    /// What an answer says that `token` lacked. The body is there if it was read.
    #[must_use]
    pub fn of(needed: &NeededScopes, head: &Parts, body: &[u8], token: &[u8]) -> Self {
        let said = match &needed.place {
            ScopePlace::Challenge => challenge(&head.headers),
            ScopePlace::Header(name) => Some(lines(&head.headers, name).collect::<Vec<_>>().join(",")),
            ScopePlace::Json(pointer) => in_json(body, pointer),
        };
        let scopes = said.and_then(|said| scopes(&said, token)).unwrap_or_default();
        let named = |text: &String| scopes.iter().position(|scope| scope.contains(text.as_str()));
        let preferred = needed.prefer.iter().find_map(named).unwrap_or(0);
        Self { scopes, is_any: needed.any, preferred }
    }

    /// Says so in the headers of the answer.
    pub fn tell(&self, connect: &Connect, headers: &mut HeaderMap) {
        let needed = self.scopes.join(if self.is_any { ", " } else { " " });
        let url = connect.login_url(self.to_ask_for());
        for (name, text) in [(SCOPE_NEEDED, Some(needed).filter(|text| !text.is_empty())), (CONNECT, url)] {
            // What no header can carry was left out before.
            if let Some(value) = text.and_then(|text| HeaderValue::try_from(text).ok()) {
                headers.insert(name, value);
            }
        }
    }

    /// No more than is needed.
    fn to_ask_for(&self) -> &[String] {
        if !self.is_any {
            return &self.scopes;
        }
        self.scopes.get(self.preferred..=self.preferred).unwrap_or_default()
    }
}

/// The words of a list: providers put spaces between them (RFC 6749 §3.3), or commas, or both.
pub(super) fn words(list: &str) -> impl Iterator<Item = &str> {
    list.split([' ', ',']).filter(|word| !word.is_empty())
}

/// The scopes of a list, if it is one from its first character to its last.
fn scopes(list: &str, token: &[u8]) -> Option<Vec<String>> {
    // RFC 6749 §3.3. Line ends, quotes and what is no ASCII are not among them.
    let is_scope = |word: &str| word.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\');
    let has_token = |word: &str| !token.is_empty() && word.as_bytes().windows(token.len()).any(|part| part == token);
    if list.len() > BYTES_MAX || !words(list).all(|word| is_scope(word) && !has_token(word)) {
        return None;
    }
    let scopes: Vec<String> = words(list).map(str::to_owned).collect();
    Some(scopes).filter(|scopes| scopes.len() <= SCOPES_MAX)
}

fn lines<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = Cow<'h, str>> {
    headers.get_all(name).iter().map(|line| String::from_utf8_lossy(line.as_bytes()))
}

/// A text, or a list of some.
fn in_json(body: &[u8], pointer: &str) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let value = body.pointer(pointer)?;
    let Some(list) = value.as_array() else { return value.as_str().map(str::to_owned) };
    let texts: Option<Vec<&str>> = list.iter().map(Value::as_str).collect();
    texts.map(|texts| texts.join(","))
}

/// RFC 6750 §3.
fn challenge(headers: &HeaderMap) -> Option<String> {
    lines(headers, &header::WWW_AUTHENTICATE).find_map(|line| parameter(&line, "scope"))
}

/// The parameter `name` of the challenges in a line (RFC 9110 §11.3 and §11.6.1): schemes and parameters, each a token.
fn parameter(line: &str, name: &str) -> Option<String> {
    let mut rest = line;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find([' ', '\t', ',', '=', '"']).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        let Some(value) = behind.trim_start_matches([' ', '\t']).strip_prefix('=') else {
            if behind.is_empty() || behind.starts_with('"') {
                return None;
            }
            rest = behind;
            continue;
        };
        let (value, behind) = parameter_value(value.trim_start_matches([' ', '\t']))?;
        if word.eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = behind;
    }
}

/// A token or a quoted string (RFC 9110 §5.6.4) at the beginning of `text`, and what stands behind it.
fn parameter_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, behind) = text.split_at(text.find([' ', '\t', ',']).unwrap_or(text.len()));
        return Some((value.to_owned(), behind));
    };
    let (mut value, mut characters) = (String::new(), quoted.char_indices());
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return Some((value, quoted.get(index + 1..)?)),
            '\\' => value.push(characters.next()?.1),
            character => value.push(character),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use hyper::http::Response;

    use super::*;

    fn said(place: ScopePlace, headers: &[(&str, &[u8])], body: &str) -> String {
        let mut response = Response::new(());
        for (name, value) in headers {
            let value = HeaderValue::from_bytes(value).unwrap();
            response.headers_mut().append(HeaderName::try_from(*name).unwrap(), value);
        }
        let needed = NeededScopes { place, any: false, prefer: Vec::new() };
        Shortage::of(&needed, &response.into_parts().0, body.as_bytes(), b"tok-123").scopes.join(" ")
    }

    #[test]
    fn a_challenge_names_them_in_its_scope() {
        for (line, expected) in [
            (r#"Bearer realm="x", error="insufficient_scope", scope="a b:c https://d/e.f""#, "a b:c https://d/e.f"),
            (r#"Bearer error="x",Scope = "a""#, "a"),
            ("Bearer scope=a, error=b", "a"),
            (r#"Basic realm="scope=\"no\"", Bearer scope="a""#, "a"),
            ("Basic dGVzdA==, Bearer scope=a", "a"),
            (r#"Bearer error_description="scope=a, scope=b""#, ""),
            (r#"Bearer xscope="a", scopes="b""#, ""),
            (r#"Bearer scope="a"#, ""),
            (r#"Bearer scope="\"#, ""),
            (r#"Bearer scope="a\"b""#, ""),
            (r#""scope="a""#, ""),
            (r#"Bearer "a", scope="b""#, ""),
            (r#"Bearer scope="""#, ""),
            ("scope", ""),
            ("=,=,scope==", "="),
            ("", ""),
        ] {
            assert_eq!(said(ScopePlace::Challenge, &[("www-authenticate", line.as_bytes())], ""), expected, "{line}");
        }
        let lines: [(&str, &[u8]); 2] = [("www-authenticate", b"Basic"), ("www-authenticate", b"Bearer scope=\"a\"")];
        assert_eq!(said(ScopePlace::Challenge, &lines, ""), "a");
    }

    #[test]
    fn a_header_is_a_list_of_them_on_any_number_of_lines() {
        let place = || ScopePlace::Header(HeaderName::from_static("x-needed"));
        assert_eq!(said(place(), &[("x-needed", b"a, b c,,d"), ("x-needed", b"e")], ""), "a b c d e");
        assert_eq!(said(place(), &[], ""), "");
    }

    #[test]
    fn a_body_has_a_text_or_a_list_of_some() {
        let place = || ScopePlace::Json("/a/b".to_owned());
        for (body, expected) in [
            (r#"{"a":{"b":"x,y z"}}"#, "x y z"),
            (r#"{"a":{"b":["x","y"]}}"#, "x y"),
            (r#"{"a":{"b":["x",1]}}"#, ""),
            (r#"{"a":{"b":{"c":"x"}}}"#, ""),
            (r#"{"a":{"b":null}}"#, ""),
            (r#"{"a":"b"}"#, ""),
            ("", ""),
        ] {
            assert_eq!(said(place(), &[], body), expected, "{body}");
        }
    }

    #[test]
    fn what_is_no_list_of_scopes_is_none_at_all() {
        let place = || ScopePlace::Json("/s".to_owned());
        let long = "s ".repeat(33);
        let longer = "s".repeat(10 * 1024);
        let bad = [
            "a\r\nset-cookie: b",
            "a\nb",
            "a\tb",
            "a \"b\"",
            "a\\b",
            "a é",
            "a\0",
            "a tok-123",
            "xtok-123x",
            &long,
            &longer,
        ];
        for bad in bad {
            assert_eq!(said(place(), &[], &serde_json::json!({ "s": bad }).to_string()), "", "{bad}");
        }
        let place = ScopePlace::Header(HeaderName::from_static("x-needed"));
        assert_eq!(said(place, &[("x-needed", b"a \xff")], ""), "");
    }
}
