//! Query parameters that carry a token, in the URLs of an answer: Facebook puts `access_token` into the links to further
//! pages. They are taken out, whatever token they carry.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use hyper::body::Bytes;
use hyper::http::{HeaderMap, HeaderValue, header};

use super::form::Start;
use crate::body::{Cut, Edit};

/// The names of a provider's parameters that are not for its callers.
#[derive(Clone)]
pub struct Parameters(Arc<[String]>);

impl Parameters {
    /// Those of these names; `None` if there are none.
    #[must_use]
    pub fn new(names: &[String]) -> Option<Self> {
        (!names.is_empty()).then(|| Self(names.into()))
    }

    /// Takes them out of the URLs in headers.
    pub fn remove_from_headers(&self, headers: &mut HeaderMap) {
        for name in [header::LOCATION, header::LINK, header::CONTENT_LOCATION] {
            let header::Entry::Occupied(mut entry) = headers.entry(name) else { continue };
            for value in entry.iter_mut() {
                if let Cow::Owned(rest) = self.without(value.as_bytes()) {
                    *value = HeaderValue::from_bytes(&rest).unwrap_or_else(|_| HeaderValue::from_static(""));
                }
            }
        }
    }

    /// At the beginning of a text body, out of whose URLs they are taken. The body becomes shorter by what is taken.
    #[must_use]
    pub fn removal(&self) -> Removal {
        Removal { parameters: self.clone(), at: At::Text, waiting: Bytes::new() }
    }

    /// `text` without them.
    fn without<'text>(&self, text: &'text [u8]) -> Cow<'text, [u8]> {
        let mut removal = self.removal();
        let (edits, open) = removal.walk(text);
        let (ready, open) = text.split_at(open.min(text.len()));
        match (edited(ready, &edits), removal.rest(open)) {
            (Cow::Borrowed(_), Cow::Borrowed(rest)) if rest.len() == open.len() => Cow::Borrowed(text),
            (ready, rest) => Cow::Owned([ready, rest].concat()),
        }
    }

    /// Whether `text` begins with one of the names and the sign behind it.
    fn start_of(&self, text: &[u8]) -> Start {
        let mut start = Start::Other;
        for name in self.0.iter() {
            for sign in ["=", r"\u003d", r"\u003D"] {
                match prefix(text, &[name.as_bytes(), sign.as_bytes()]) {
                    Start::Other => {}
                    Start::Part => start = Start::Part,
                    whole @ Start::Whole(_) => return whole,
                }
            }
        }
        start
    }
}

/// Where in the text it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Outside of a parameter.
    Text,
    /// At a separator that takes the place of the `?`: what stood between them was removed.
    First,
    /// In the value of a parameter that is removed; `is_first`: it followed the `?`.
    Value { is_first: bool },
}

/// What becomes of a range of the text.
type Change = (Range<usize>, &'static [u8]);

/// Takes parameters out of a body that comes in chunks.
pub struct Removal {
    parameters: Parameters,
    at: At,
    /// What waits for the next chunk.
    waiting: Bytes,
}

impl Removal {
    /// Finds what is to be changed in `text`, and from where on what comes next decides.
    fn walk(&mut self, text: &[u8]) -> (Vec<Change>, usize) {
        let (mut changes, mut index) = (Vec::new(), 0);
        loop {
            let rest = text.get(index..).unwrap_or_default();
            if let At::Value { is_first } = self.at {
                let (length, end) = value(rest);
                changes.push((index..index + length, &b""[..]));
                index += length;
                self.at = match end {
                    Start::Part => return (changes, index),
                    Start::Whole(_) if is_first => At::First,
                    Start::Whole(_) | Start::Other => At::Text,
                };
                continue;
            }
            let length = match self.at {
                At::First => 0,
                At::Text | At::Value { .. } => {
                    let may_separate = |byte: &u8| matches!(byte, b'?' | b'&' | b'\\');
                    let Some(skipped) = rest.iter().position(may_separate) else { return (changes, text.len()) };
                    skipped
                }
            };
            index += length;
            let rest = rest.get(length..).unwrap_or_default();
            let separator = match separator(rest) {
                Start::Whole(length) => length,
                Start::Part => return (changes, index),
                Start::Other => {
                    index += 1;
                    continue;
                }
            };
            match self.parameters.start_of(rest.get(separator..).unwrap_or_default()) {
                Start::Part => return (changes, index),
                Start::Whole(length) => {
                    let is_first = self.at == At::First || rest.first() == Some(&b'?');
                    changes.push((index..index + separator + length, &b""[..]));
                    index += separator + length;
                    self.at = At::Value { is_first };
                }
                Start::Other => {
                    if self.at == At::First {
                        changes.push((index..index + separator, &b"?"[..]));
                    }
                    index += separator;
                    self.at = At::Text;
                }
            }
        }
    }

    /// What becomes of `open` when nothing follows it.
    fn rest<'text>(&mut self, open: &'text [u8]) -> Cow<'text, [u8]> {
        match (std::mem::replace(&mut self.at, At::Text), separator(open)) {
            (At::Value { .. }, _) => Cow::Borrowed(&[]),
            (At::First, Start::Whole(length)) => Cow::Owned([b"?", open.get(length..).unwrap_or_default()].concat()),
            (At::Text | At::First, _) => Cow::Borrowed(open),
        }
    }
}

impl Edit for Removal {
    fn push(&mut self, chunk: Bytes) -> Result<Bytes, Cut> {
        let mut text =
            if self.waiting.is_empty() { chunk } else { [std::mem::take(&mut self.waiting), chunk].concat().into() };
        let (changes, open) = self.walk(&text);
        if open < text.len() {
            self.waiting = text.split_off(open);
        }
        Ok(match edited(&text, &changes) {
            Cow::Borrowed(_) => text,
            Cow::Owned(edited) => edited.into(),
        })
    }

    fn end(&mut self) -> Result<Bytes, Cut> {
        let open = std::mem::take(&mut self.waiting);
        Ok(self.rest(&open).into_owned().into())
    }
}

/// Whether `text` begins with a separator of parameters, as it is or as JSON may have it.
fn separator(text: &[u8]) -> Start {
    match text.first() {
        Some(b'?' | b'&') => Start::Whole(1),
        _ => prefix(text, &[br"\u0026"]),
    }
}

/// How long the value is with which `text` begins, and what ends it: a separator, something else, or nothing yet.
fn value(text: &[u8]) -> (usize, Start) {
    let mut length = 0;
    loop {
        let rest = text.get(length..).unwrap_or_default();
        match rest {
            [] => return (length, Start::Part),
            [b'&' | b'\\', ..] => match (separator(rest), rest) {
                (Start::Other, [_, b'/' | b'u', ..]) => length += 2,
                (end, _) => return (length, end),
            },
            [b'#' | b'"' | b'\'' | b'<' | b'>' | 0..=b' ', ..] => return (length, Start::Other),
            _ => length += 1,
        }
    }
}

/// Whether `text` begins with `parts`, one behind the other.
fn prefix(text: &[u8], parts: &[&[u8]]) -> Start {
    let mut rest = text;
    for part in parts {
        match rest.strip_prefix(*part) {
            Some(behind) => rest = behind,
            None if part.starts_with(rest) => return Start::Part,
            None => return Start::Other,
        }
    }
    Start::Whole(text.len() - rest.len())
}

/// `text` with the changes made; borrowed if there are none.
fn edited<'text>(text: &'text [u8], changes: &[Change]) -> Cow<'text, [u8]> {
    if changes.is_empty() {
        return Cow::Borrowed(text);
    }
    let (mut edited, mut from) = (Vec::with_capacity(text.len()), 0);
    for (range, by) in changes {
        edited.extend_from_slice(text.get(from..range.start).unwrap_or_default());
        edited.extend_from_slice(by);
        from = range.end;
    }
    edited.extend_from_slice(text.get(from..).unwrap_or_default());
    Cow::Owned(edited)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parameters() -> Parameters {
        Parameters::new(&["access_token".to_owned(), "appsecret_proof".to_owned()]).unwrap()
    }

    fn removed(text: &str, size: usize) -> String {
        let mut edit = parameters().removal();
        let mut out = Vec::new();
        for chunk in text.as_bytes().chunks(size) {
            out.extend(edit.push(Bytes::copy_from_slice(chunk)).unwrap());
        }
        out.extend(edit.end().unwrap());
        String::from_utf8(out).unwrap()
    }

    const CASES: [(&str, &str); 16] = [
        (r#"{"next":"https://a/me?access_token=EAA&limit=2"}"#, r#"{"next":"https://a/me?limit=2"}"#),
        (r#"{"next":"https:\/\/a\/me?access_token=E\/A&limit=2"}"#, r#"{"next":"https:\/\/a\/me?limit=2"}"#),
        (r#"{"next":"https://a/me?limit=2&access_token=EAA"}"#, r#"{"next":"https://a/me?limit=2"}"#),
        (
            r#"{"next":"https://a/me?limit=2\u0026access_token=EAA\u0026b=1"}"#,
            r#"{"next":"https://a/me?limit=2\u0026b=1"}"#,
        ),
        (r#""?access_token=EAA\u0026limit=2""#, r#""?limit=2""#),
        (r#""?access_token=1%7C2&appsecret_proof=ab&limit=2""#, r#""?limit=2""#),
        (r#""?access_token=1|2&appsecret_proof=ab""#, r#""""#),
        (r#""?access_token=EAA#part""#, r##""#part""##),
        (r#""?access_token\u003dEAA&a=1""#, r#""?a=1""#),
        (r#""?access_token=&a=1""#, r#""?a=1""#),
        ("<https://a/?access_token=E>; rel=\"next\"", "<https://a/>; rel=\"next\""),
        ("?a=1&access_token=EAA", "?a=1"),
        ("?access_token=EAA&ac", "?ac"),
        (r#""?access_tokens=EAA&xaccess_token=1""#, r#""?access_tokens=EAA&xaccess_token=1""#),
        (r#"{"access_token":"not in a URL"}"#, r#"{"access_token":"not in a URL"}"#),
        (r"a\u002", r"a\u002"),
    ];

    #[test]
    fn they_go_and_the_url_stays_one_however_the_body_is_divided() {
        for (text, expected) in CASES {
            for size in 1..=text.len() {
                assert_eq!(removed(text, size), expected, "{text} by {size}");
            }
            assert_eq!(parameters().without(text.as_bytes()), expected.as_bytes(), "{text}");
        }
    }

    #[test]
    fn urls_in_headers_lose_them_and_other_headers_nothing() {
        let mut headers = HeaderMap::new();
        headers.append("link", "<https://a/?access_token=E&p=2>; rel=\"next\"".parse().unwrap());
        headers.append("link", "<https://a/?p=9>; rel=\"last\"".parse().unwrap());
        headers.append("x-other", "?access_token=E".parse().unwrap());
        parameters().remove_from_headers(&mut headers);
        let values: Vec<_> = headers.values().map(|value| value.to_str().unwrap()).collect();
        assert_eq!(values, ["<https://a/?p=2>; rel=\"next\"", "<https://a/?p=9>; rel=\"last\"", "?access_token=E"]);
    }

    proptest! {
        #[test]
        fn any_body_is_edited_alike_in_any_chunks(
            text in r##"([?&]|\\u0026|access_token|appsecret_proof|=|\\u003d|\\/|["#<a-z0-9]|\\u00|\\){0,24}"##,
            size in 1..20_usize,
        ) {
            let whole = parameters().without(text.as_bytes()).into_owned();
            let whole = String::from_utf8(whole).unwrap();
            prop_assert_eq!(removed(&text, size), whole.as_str());
            prop_assert!(whole.len() <= text.len());
            let left = ["?access_token=", "&access_token=", r"\u0026access_token=", "?appsecret_proof="];
            prop_assert!(!left.iter().any(|left| whole.contains(left)), "{}", whole);
        }
    }
}
