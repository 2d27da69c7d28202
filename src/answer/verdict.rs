//! WHAT A REFUSAL MEANS: whether an answer says that the access token is dead, in the provider's own words. Pure.

use hyper::http::header;
use hyper::http::response::Parts;
use hyper::http::{HeaderMap, HeaderName};
use serde_json::Value;

use super::content::{Codings, Kind};
use super::shortage::words;
use crate::config::{ExpiredWhen, HeaderTest, JsonTest, JsonValue, Means, Wanted};

/// The largest body that is read for a verdict, in bytes: errors are small.
pub const BODY_MAX: usize = 16 * 1024;

/// What the head of an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This; or nothing about the token.
    Clear(Option<Means>),
    /// The body tells.
    InBody,
}

/// Judges an answer by its head. The first of `rules` that matches decides.
#[must_use]
pub fn by_head(rules: &[ExpiredWhen], head: &Parts) -> Verdict {
    let mut matching = rules.iter().filter(|rule| is_about(rule, head));
    match matching.next() {
        None => Verdict::Clear(None),
        Some(ExpiredWhen { json: None, means, .. }) => Verdict::Clear(Some(*means)),
        Some(_) if is_readable(&head.headers) => Verdict::InBody,
        // What cannot be read passes no test.
        Some(_) => Verdict::Clear(matching.find(|rule| rule.json.is_none()).map(|rule| rule.means)),
    }
}

/// Judges an answer by its head and its whole body.
#[must_use]
pub fn by_body(rules: &[ExpiredWhen], head: &Parts, body: &[u8]) -> Option<Means> {
    let body: Option<Value> = serde_json::from_slice(body).ok();
    let passes = |test: &JsonTest| {
        let value = body.as_ref().and_then(|body| body.pointer(&test.pointer));
        value.is_some_and(|value| stands(&test.wanted, value))
    };
    let decides = |rule: &&ExpiredWhen| is_about(rule, head) && rule.json.as_ref().is_none_or(passes);
    rules.iter().find(decides).map(|rule| rule.means)
}

/// Whether the rule is about an answer with this head, as far as that tells.
fn is_about(rule: &ExpiredWhen, head: &Parts) -> bool {
    rule.status.contains(&head.status) && rule.header.as_ref().is_none_or(|test| says(test, &head.headers))
}

fn says(test: &HeaderTest, headers: &HeaderMap) -> bool {
    if test.none_in.as_ref().is_some_and(|held| !lacks(headers, &test.name, held)) {
        return false;
    }
    let mut lines = headers.get_all(&test.name).iter();
    lines.any(|line| {
        let line = String::from_utf8_lossy(line.as_bytes());
        match &test.wanted {
            Wanted::Anything => true,
            Wanted::Equals(values) => values.iter().any(|value| *value == line),
            Wanted::Contains(text) => line.contains(text.as_str()),
        }
    })
}

/// Whether `held` is there without any of the words of `accepted`. Where none is named, none is asked for.
fn lacks(headers: &HeaderMap, accepted: &HeaderName, held: &HeaderName) -> bool {
    let all = |name: &HeaderName| {
        let lines = headers.get_all(name).iter();
        lines.map(|line| String::from_utf8_lossy(line.as_bytes())).collect::<Vec<_>>().join(",")
    };
    let (accepted, has) = (all(accepted), all(held));
    let mut accepted = words(&accepted).peekable();
    headers.contains_key(held) && accepted.peek().is_some() && !accepted.any(|one| words(&has).any(|held| held == one))
}

fn stands(wanted: &Wanted<JsonValue>, value: &Value) -> bool {
    match wanted {
        Wanted::Anything => true,
        Wanted::Contains(text) => value.as_str().is_some_and(|value| value.contains(text.as_str())),
        Wanted::Equals(values) => values.iter().any(|wanted| match wanted {
            JsonValue::Text(text) => value.as_str() == Some(text),
            JsonValue::Number(number) => value.as_i64() == Some(*number),
            JsonValue::Bool(bool) => value.as_bool() == Some(*bool),
        }),
    }
}

/// Whether the body is JSON that can be read here: not compressed, and not too long, as far as that is told.
fn is_readable(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    Kind::of(headers) == Kind::Json && Codings::of(headers) == Codings::None && length.unwrap_or(0) <= BODY_MAX
}

#[cfg(test)]
mod tests {
    use hyper::http::{Response, StatusCode};

    use super::*;

    fn rule(status: u16, means: Means) -> ExpiredWhen {
        ExpiredWhen { status: vec![StatusCode::from_u16(status).unwrap()], header: None, json: None, means }
    }

    fn json(pointer: &str, wanted: Wanted<JsonValue>) -> Option<JsonTest> {
        Some(JsonTest { pointer: pointer.to_owned(), wanted })
    }

    fn head(status: u16, headers: &[(&str, &str)]) -> Parts {
        let builder = Response::builder().status(status).header("content-type", "application/json; charset=utf-8");
        let response = headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value));
        response.body(()).unwrap().into_parts().0
    }

    fn facebook() -> Vec<ExpiredWhen> {
        let number = |number| Wanted::Equals(vec![JsonValue::Number(number)]);
        vec![
            ExpiredWhen { json: json("/error/error_subcode", number(458)), ..rule(400, Means::Revoked) },
            ExpiredWhen { json: json("/error/code", number(190)), ..rule(400, Means::Expired) },
        ]
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let (rules, head) = (facebook(), head(400, &[]));
        assert_eq!(by_head(&rules, &head), Verdict::InBody);
        let said = |body: &str| by_body(&rules, &head, body.as_bytes());
        assert_eq!(said(r#"{"error":{"code":190,"error_subcode":458}}"#), Some(Means::Revoked));
        assert_eq!(said(r#"{"error":{"code":190,"error_subcode":463}}"#), Some(Means::Expired));
        for nothing in [r#"{"error":{"code":"190"}}"#, r#"{"error":{"code":100}}"#, "{}", "", "[190", "190"] {
            assert_eq!(said(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn only_the_answers_that_a_rule_is_about_are_looked_into() {
        let rules = facebook();
        assert_eq!(by_head(&rules, &head(200, &[])), Verdict::Clear(None));
        assert_eq!(by_head(&rules, &head(400, &[("content-encoding", "gzip")])), Verdict::Clear(None));
        assert_eq!(by_head(&rules, &head(400, &[("content-length", "16385")])), Verdict::Clear(None));
        assert_eq!(by_head(&rules, &head(400, &[("content-length", "16384")])), Verdict::InBody);
    }

    #[test]
    fn what_cannot_be_read_falls_to_the_rule_that_need_not_read() {
        let rules = [facebook(), vec![rule(400, Means::Scope)]].concat();
        assert_eq!(by_head(&rules, &head(400, &[("content-encoding", "br")])), Verdict::Clear(Some(Means::Scope)));
        assert_eq!(by_body(&rules, &head(400, &[]), b"nonsense"), Some(Means::Scope));
    }

    #[test]
    fn a_header_says_it_in_one_of_its_lines() {
        let name = HeaderName::from_static("www-authenticate");
        let contains = |text: &str| {
            Some(HeaderTest { name: name.clone(), wanted: Wanted::Contains(text.to_owned()), none_in: None })
        };
        let rules = [
            ExpiredWhen { header: contains("insufficient_scope"), ..rule(401, Means::Scope) },
            rule(401, Means::Expired),
        ];
        let scope = [("www-authenticate", "Basic"), ("www-authenticate", "Bearer error=\"insufficient_scope\"")];
        assert_eq!(by_head(&rules, &head(401, &scope)), Verdict::Clear(Some(Means::Scope)));
        assert_eq!(by_head(&rules, &head(401, &[])), Verdict::Clear(Some(Means::Expired)));
        let there = HeaderTest { name, wanted: Wanted::Anything, none_in: None };
        assert!(says(&there, &head(401, &scope).headers) && !says(&there, &head(401, &[]).headers));
    }

    #[test]
    fn values_are_compared_by_kind() {
        let stands = |wanted, value: &str| stands(&wanted, &serde_json::from_str(value).unwrap());
        assert!(stands(Wanted::Contains("expired".to_owned()), "\"token expired\""));
        assert!(!stands(Wanted::Contains("1".to_owned()), "190"));
        assert!(stands(Wanted::Equals(vec![JsonValue::Bool(false)]), "false"));
        assert!(stands(Wanted::Equals(vec![JsonValue::Text("a".into()), JsonValue::Number(2)]), "2"));
        assert!(stands(Wanted::Anything, "null"));
    }
}
