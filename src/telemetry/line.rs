//! How a request's line looks: text for people, JSON for machines.

use std::fmt::Write as _;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::time::Duration;

use super::access::Record;
use super::digits::{push_decimal, push_hex, push_millis, push_padded};
use crate::clock::Timestamp;
use crate::percent::{self, Kept};

/// What is longer says no more.
const CAUSE_CHARACTERS_MAX: usize = 500;

/// Subjects are written as hashes, which differ from one process to the next, and are the same wherever this one
/// writes.
static SALT: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// Writes lines.
pub struct Lines {
    salt: RandomState,
    /// The second of the last line, and how it is written up to the point: most lines share it with the one before.
    second: (u64, String),
}

impl Default for Lines {
    fn default() -> Self {
        Self { salt: SALT.clone(), second: (u64::MAX, String::new()) }
    }
}

impl Lines {
    /// The line for people.
    pub fn write_text(&mut self, record: &Record, out: &mut String) {
        let provider = record.provider.as_deref().unwrap_or("-");
        self.push_time(out, record.at);
        match record.status {
            0 => out.push_str(" ---"),
            status => drop(write!(out, " {status}")),
        }
        let _ = write!(out, " {} {provider} ", record.method);
        write_target(record, out);
        out.push_str("  ");
        push_millis(out, record.total);
        out.push_str(" ms");
        if record.upstream > Duration::ZERO {
            out.push_str(" (verify ");
            push_millis(out, record.verify);
            let _ = write!(out, ", token {} ", record.token_outcome);
            push_millis(out, record.token);
            out.push_str(", upstream ");
            push_millis(out, record.upstream);
            out.push(')');
        }
        if let Some(code) = record.code {
            let _ = write!(out, "  {code}, fault of the {}", record.fault);
        }
        if let Some(cause) = &record.cause {
            out.push_str(": ");
            push_printable(cause, out);
        }
        if !record.complete {
            out.push_str("  incomplete");
        }
        if let Some(subject) = &record.subject {
            out.push_str("  user=");
            push_hex(out, self.salt.hash_one(subject));
        }
        let _ = writeln!(out, "  id={}", record.request_id);
    }

    /// The line for machines: one JSON object. Every member but the path and the cause is made of characters
    /// that need no escape.
    pub fn write_json(&mut self, record: &Record, out: &mut String) {
        out.push_str(r#"{"timestamp":""#);
        self.push_time(out, record.at);
        out.push_str(r#"","level":""#);
        out.push_str(if record.cause.is_some() { "WARN" } else { "INFO" });
        out.push_str(r#"","message":"request","request_id":""#);
        out.push_str(record.request_id.as_str());
        out.push_str(r#"","method":""#);
        out.push_str(record.method.as_str());
        out.push_str(r#"","path":""#);
        let path = out.len();
        write_target(record, out);
        escape_json(out, path);
        out.push_str(r#"","status":"#);
        push_decimal(out, u64::from(record.status));
        if let Some(provider) = &record.provider {
            push_member(out, "provider", provider);
        }
        if let Some(code) = record.code {
            push_member(out, "code", code);
            push_member(out, "fault", record.fault);
        }
        if let Some(cause) = &record.cause {
            out.push_str(r#","cause":""#);
            let start = out.len();
            push_printable(cause, out);
            escape_json(out, start);
            out.push('"');
        }
        if let Some(subject) = &record.subject {
            out.push_str(r#","sub_hash":""#);
            push_hex(out, self.salt.hash_one(subject));
            out.push('"');
        }
        if !record.token_outcome.is_empty() {
            push_member(out, "token_outcome", record.token_outcome);
        }
        for (name, duration) in [
            (r#","total_ms":"#, record.total),
            (r#","verify_ms":"#, record.verify),
            (r#","token_ms":"#, record.token),
            (r#","upstream_ms":"#, record.upstream),
        ] {
            out.push_str(name);
            push_millis(out, duration);
        }
        out.push_str(r#","bytes_out":"#);
        push_decimal(out, record.bytes_out);
        out.push_str(if record.complete { ",\"complete\":true}\n" } else { ",\"complete\":false}\n" });
    }

    fn push_time(&mut self, out: &mut String, at: Timestamp) {
        let (second, written) = &mut self.second;
        if *second != at.unix_seconds() {
            let text = at.to_string();
            *second = at.unix_seconds();
            *written = text.rsplit_once('.').map_or(text.as_str(), |(whole, _)| whole).to_owned();
        }
        out.push_str(written);
        out.push('.');
        push_padded(out, at.unix_millis() % 1000, 3);
        out.push('Z');
    }
}

fn push_member(out: &mut String, name: &str, text: &str) {
    for part in [",\"", name, "\":\"", text, "\""] {
        out.push_str(part);
    }
}

/// The path as it came, its token-like segments masked, and the names in the query.
fn write_target(record: &Record, out: &mut String) {
    let Some(target) = &record.target else {
        out.push('-');
        return;
    };
    for (index, segment) in target.path().split('/').enumerate() {
        if index > 0 {
            out.push('/');
        }
        push_masked(segment, out);
    }
    for (index, pair) in target.query().into_iter().flat_map(|query| query.split('&')).enumerate() {
        out.push(if index == 0 { '?' } else { '&' });
        match pair.split_once('=') {
            Some((name, _)) => {
                push_masked(name, out);
                out.push_str("=…");
            }
            // Without a name all of it is a value.
            None => out.push('…'),
        }
    }
}

/// The beginnings of tokens: of every JWT, and of GitHub's, Google's, Slack's and Facebook's.
const TOKEN_BEGINNINGS: [&str; 8] = ["eyJ", "gho_", "ghp_", "ghu_", "ghs_", "ya29.", "xox", "EAA"];

/// What begins like a token, or is longer than any name, is not shown.
fn push_masked(text: &str, out: &mut String) {
    let begins_like_token = TOKEN_BEGINNINGS.iter().any(|beginning| text.starts_with(beginning));
    if (text.len() >= 20 && begins_like_token) || text.len() > 100 {
        out.push('…');
    } else if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        out.push_str(text);
    } else {
        // As a well-behaved caller would have sent it (RFC 3986 §2): nothing here reaches a terminal raw.
        out.push_str(&percent::encode(text.as_bytes(), Kept::PRINTABLE));
    }
}

/// A cause may quote what a provider sent: nothing of it reaches a terminal that is not a plain character.
fn push_printable(text: &str, out: &mut String) {
    for character in text.chars().take(CAUSE_CHARACTERS_MAX) {
        if character == ' ' || character.is_ascii_graphic() {
            out.push(character);
        } else {
            out.extend(character.escape_unicode());
        }
    }
}

/// Escapes what JSON wants escaped (RFC 8259 §7) in `out` from `start` on. Hardly any path has any of it.
fn escape_json(out: &mut String, start: usize) {
    let needs_escape = |character: char| matches!(character, '"' | '\\') || character.is_control();
    if !out.get(start..).is_some_and(|text| text.contains(needs_escape)) {
        return;
    }
    let text = out.split_off(start);
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            control if control.is_control() => drop(write!(out, "\\u{:04x}", u32::from(control))),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hyper::http::Method;
    use hyper::http::uri::PathAndQuery;

    use super::*;
    use crate::telemetry::access::{Book, RequestId};
    use crate::telemetry::feed::Feed;
    use crate::telemetry::metrics::Metrics;

    fn lines(target: &str) -> (String, String) {
        let clock = crate::clock::Clock::system();
        let book = Book::new(None, Metrics::new(), clock, Feed::default());
        let target: PathAndQuery = target.parse().unwrap();
        let mut entry = book.begin(RequestId(*b"abcdefghijklmnopqrstuvwx"), &Method::GET, Some(&target));
        entry.note(|record| record.subject = Some(Arc::from("github|583231")));
        let (mut text, mut json) = (String::new(), String::new());
        let record = entry.record().unwrap();
        Lines::default().write_text(record, &mut text);
        Lines::default().write_json(record, &mut json);
        (text, json)
    }

    #[test]
    fn query_values_tokens_and_subjects_are_in_neither_line() {
        let token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln";
        let (text, json) = lines(&format!("/proxy/github/user/{token}?q=hunter2&{token}&page=3"));
        for line in [&text, &json] {
            for secret in [token, "hunter2", "583231"] {
                assert!(!line.contains(secret), "{line}");
            }
            assert!(line.contains("/proxy/github/user/…?q=…&…&page=…"), "{line}");
        }
    }

    #[test]
    fn the_json_line_is_json_whatever_the_path_holds() {
        let (_, json) = lines("/a\"b{}|");
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["path"], "/a\"b{}|");
        assert_eq!(value["request_id"], "abcdefghijklmnopqrstuvwx");
    }

    #[test]
    fn a_cause_stays_in_its_line_whatever_it_quotes() {
        let cause = format!("a \"quote\" \\ and\n\u{1b}[31m \u{202e}{}", "x".repeat(10_000));
        let book = Book::new(None, Metrics::new(), crate::clock::Clock::system(), Feed::default());
        let mut entry = book.begin(RequestId(*b"abcdefghijklmnopqrstuvwx"), &Method::GET, None);
        entry.note(|record| (record.code, record.cause) = (Some("internal"), Some(cause.into())));
        let (mut text, mut json) = (String::new(), String::new());
        Lines::default().write_text(entry.record().unwrap(), &mut text);
        Lines::default().write_json(entry.record().unwrap(), &mut json);
        assert!(text.trim_end().chars().all(|character| character == ' ' || character.is_ascii_graphic()), "{text}");
        let line: serde_json::Value = serde_json::from_str(&json).unwrap();
        let told = line["cause"].as_str().unwrap();
        assert!(told.starts_with("a \"quote\" \\ and\\u{a}\\u{1b}[31m \\u{202e}x"), "{told}");
        assert!(text.len() < 1000 && json.len() < 1000);
        assert_eq!(line["level"], "WARN");
    }
}
