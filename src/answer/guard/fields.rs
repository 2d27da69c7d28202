//! Members of JSON objects that carry a token: Facebook gives the tokens of a user's pages away with the pages. Their values
//! are masked in place, whatever token they are.

use std::ops::Range;
use std::sync::Arc;

use hyper::body::Bytes;

use super::plain::masked;
use crate::body::{Cut, Edit};

/// The names of a provider's members that are not for its callers.
#[derive(Clone)]
pub struct Fields(Arc<[String]>);

impl Fields {
    /// Those of these names; `None` if there are none.
    #[must_use]
    pub fn new(names: &[String]) -> Option<Self> {
        (!names.is_empty()).then(|| Self(names.into()))
    }

    /// At the beginning of a JSON body.
    #[must_use]
    pub fn mask(&self) -> FieldMask {
        let longest = self.0.iter().map(String::len).max().unwrap_or_default();
        FieldMask { fields: self.clone(), longest, quoted: Vec::new(), at: At::Far, is_nested: false }
    }
}

/// Where in the text it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Where no name can be.
    Far,
    /// Behind a quote, before which a name may stand or not.
    Name,
    /// Behind a name.
    Colon,
    /// Behind its colon; `is_nested`: the quotes are escaped, for the JSON stands in a string of another.
    Value { is_nested: bool },
    /// In the string that is its value.
    Secret { is_nested: bool },
    /// Behind a backslash there.
    Escape { is_nested: bool },
}

/// Masks them in a body that comes in chunks. Nothing waits: what is masked comes behind what tells.
pub struct FieldMask {
    fields: Fields,
    longest: usize,
    /// What has come since the last quote, as long as it may be a name.
    quoted: Vec<u8>,
    at: At,
    /// Whether the name that was read last stood between escaped quotes.
    is_nested: bool,
}

/// Each character of a name may be written as six (RFC 8259 §7).
const SPELLING_MAX: usize = 6;

impl FieldMask {
    /// Finds what is to be masked in `text`. Quotes are not told apart: what stands between a closing and an opening one is
    /// no name, and so no body is broken enough to hide one.
    fn walk(&mut self, text: &[u8]) -> Vec<Range<usize>> {
        let mut spans: Vec<Range<usize>> = Vec::new();
        for (index, byte) in text.iter().enumerate() {
            let before = self.at;
            self.at = self.behind(*byte);
            let is_secret = match (before, self.at) {
                // An escape in an escaped string stays, or the string around it would end there.
                (At::Secret { .. }, At::Secret { .. }) => true,
                (At::Secret { is_nested: false }, At::Escape { .. }) => true,
                (At::Escape { is_nested: false }, At::Secret { .. }) => true,
                (_, _) => false,
            };
            if is_secret {
                match spans.last_mut() {
                    Some(span) if span.end == index => span.end = index + 1,
                    _ => spans.push(index..index + 1),
                }
            }
        }
        spans
    }

    /// The place behind the next byte.
    fn behind(&mut self, byte: u8) -> At {
        match (self.at, byte) {
            (At::Escape { is_nested: true }, b'"') => At::Far,
            (At::Escape { is_nested }, _) => At::Secret { is_nested },
            (At::Secret { is_nested }, b'\\') => At::Escape { is_nested },
            (At::Secret { .. }, b'"') => At::Far,
            (at @ At::Secret { .. }, _) => at,
            (at @ (At::Colon | At::Value { .. }), b' ' | b'\t' | b'\r' | b'\n') => at,
            (At::Colon, b':') => At::Value { is_nested: self.is_nested },
            (At::Value { is_nested: true }, b'\\') => self.at,
            (At::Value { is_nested }, b'"') => At::Secret { is_nested },
            (At::Name, b'"') if self.is_field() => At::Colon,
            (At::Far | At::Name | At::Colon, b'"') => {
                self.quoted.clear();
                At::Name
            }
            (At::Name, byte) if self.quoted.len() <= SPELLING_MAX * self.longest => {
                self.quoted.push(byte);
                At::Name
            }
            (At::Far | At::Name | At::Colon | At::Value { .. }, _) => At::Far,
        }
    }

    /// Whether a name stands between the last two quotes, however its characters are spelt.
    fn is_field(&mut self) -> bool {
        let name = self.quoted.strip_suffix(b"\\").unwrap_or(&self.quoted);
        self.is_nested = name.len() < self.quoted.len();
        let is_name = |name: &[u8]| self.fields.0.iter().any(|field| field.as_bytes() == name);
        if !name.contains(&b'\\') {
            return is_name(name);
        }
        let quoted = [&b"\""[..], name, b"\""].concat();
        serde_json::from_slice::<String>(&quoted).is_ok_and(|name| is_name(name.as_bytes()))
    }
}

impl Edit for FieldMask {
    fn push(&mut self, chunk: Bytes) -> Result<Bytes, Cut> {
        let spans = self.walk(&chunk);
        Ok(if spans.is_empty() { chunk } else { masked(&chunk, &spans).into() })
    }

    fn end(&mut self) -> Result<Bytes, Cut> {
        Ok(Bytes::new())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn in_pieces(text: &str, size: usize) -> String {
        let mut mask = Fields::new(&["access_token".to_owned(), "key".to_owned()]).unwrap().mask();
        let chunks = text.as_bytes().chunks(size);
        let mut out: Vec<u8> = chunks.flat_map(|chunk| mask.push(Bytes::copy_from_slice(chunk)).unwrap()).collect();
        out.extend(mask.end().unwrap());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn their_values_are_masked_and_nothing_else_however_the_body_is_divided() {
        let same = |text| (text, text);
        let cases = [
            (r#"{"access_token":"EAA","id":"1"}"#, r#"{"access_token":"***","id":"1"}"#),
            ("{\"access_token\" :\n \"E\\\"A\", \"a\":2}", "{\"access_token\" :\n \"****\", \"a\":2}"),
            (r#"[{"key":"a"},{"key":"b\\"},"c"]"#, r#"[{"key":"*"},{"key":"***"},"c"]"#),
            (r#"{"a":"\\","key":"x"}"#, r#"{"a":"\\","key":"*"}"#),
            (r#"{"a":"broken \" string","key":"x"}"#, r#"{"a":"broken \" string","key":"*"}"#),
            (r#"{"key":"unending"#, r#"{"key":"********"#),
            (r#"{"access\u005ftoken":"EAA"}"#, r#"{"access\u005ftoken":"***"}"#),
            // In a string, as Facebook's batches have their answers.
            (
                r#"[{"body":"{\"access_token\":\"EAA\",\"id\":\"1\"}"}]"#,
                r#"[{"body":"{\"access_token\":\"***\",\"id\":\"1\"}"}]"#,
            ),
            same(r#"{"access_tokens":"EAA","xkey":"b","KEY":"c"}"#),
            same(r#"{"key":1,"a":["key","access_token"],"b":"key"}"#),
            same(r#"{"key":null,"a":"x"}"#),
            same(r#"{"key":"","a":"x"}"#),
        ];
        for (text, expected) in cases {
            for size in 1..=text.len() {
                assert_eq!(in_pieces(text, size), expected, "by {size}");
            }
        }
    }

    /// What a reader of the whole document would do.
    fn by_hand(value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(by_hand),
            Value::Object(members) => {
                for (name, value) in members {
                    by_hand(value);
                    if let (Value::String(secret), "access_token" | "key") = (value, name.as_str()) {
                        let spelt = serde_json::to_string(secret).unwrap();
                        *secret = "*".repeat(spelt.len() - 2);
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn document() -> impl Strategy<Value = Value> {
        let name = || prop_oneof![Just("key".to_owned()), Just("access_token".to_owned()), "[a-z\"\\\\:,{ ]{0,4}"];
        let leaf = prop_oneof![name().prop_map(Value::from), any::<u8>().prop_map(Value::from), Just(json!(null))];
        leaf.prop_recursive(4, 24, 4, move |inner| {
            let members = prop::collection::btree_map(name(), inner.clone(), 0..4);
            prop_oneof![prop::collection::vec(inner, 0..4).prop_map(Value::from), members.prop_map(Value::from_iter),]
        })
    }

    proptest! {
        #[test]
        fn any_document_loses_them_and_nothing_else(document in document(), size in 1..16_usize) {
            let mut expected = document.clone();
            by_hand(&mut expected);
            prop_assert_eq!(in_pieces(&document.to_string(), size), expected.to_string());
        }
    }
}
