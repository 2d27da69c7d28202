//! One line for every request: what was asked, what was answered, whose fault it was, what our own steps cost.
//!
//! Query values, tokens and users' names never get here: the query is kept as its names, a path segment that looks like
//! a token is masked, the subject is a hash whose salt lives as long as the process.

use std::fmt::{self, Write as _};
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use http::uri::PathAndQuery;
use percent_encoding::{CONTROLS, utf8_percent_encode};

use super::log::Log;
use super::metrics::{Metrics, Step};
use crate::clock::Timestamp;

/// A request's id: 24 characters, unique for this process and not by chance the same in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId(pub [u8; 24]);

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(std::str::from_utf8(&self.0).unwrap_or_default())
    }
}

/// What is written about one request.
#[derive(Clone, Debug)]
pub struct Record {
    /// When its head was complete.
    pub at: Timestamp,
    /// Its id.
    pub request_id: RequestId,
    /// Its method.
    pub method: Method,
    /// Its path and query, of which only the names are written.
    pub target: Option<PathAndQuery>,
    /// The configured provider, once it is known.
    pub provider: Option<Arc<str>>,
    /// The caller, once it is known.
    pub subject: Option<Arc<str>>,
    /// The status of the answer; 0 when the caller left before there was one.
    pub status: u16,
    /// The error code of an answer of our own.
    pub code: Option<&'static str>,
    /// Whose fault a failure was; empty for a relayed answer.
    pub fault: &'static str,
    /// What verifying cost.
    pub verify: Duration,
    /// What the token cost.
    pub token: Duration,
    /// How the token was found.
    pub token_outcome: &'static str,
    /// From sending to the head of the answer.
    pub upstream: Duration,
    /// All of it, to the last byte.
    pub total: Duration,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// Whether the answer was handed over to its end.
    pub complete: bool,
}

/// A record in the making. It is written when it is dropped, however the request ends.
pub struct Entry {
    record: Option<Box<Record>>,
    book: Book,
    begun: std::time::Instant,
}

/// Where entries are written and counted.
#[derive(Clone)]
pub struct Book(Arc<Inner>);

struct Inner {
    log: Option<Log>,
    metrics: Metrics,
    clock: crate::clock::Clock,
    nobody: Arc<str>,
}

impl Book {
    /// A book that writes to `log`, if there is one, and counts in `metrics`.
    #[must_use]
    pub fn new(log: Option<Log>, metrics: Metrics, clock: crate::clock::Clock) -> Self {
        Self(Arc::new(Inner { log, metrics, clock, nobody: Arc::from("-") }))
    }

    /// Begins the entry of a request.
    #[must_use]
    pub fn begin(&self, request_id: RequestId, method: &Method, target: Option<&PathAndQuery>) -> Entry {
        let record = Record {
            at: self.0.clock.now(),
            request_id,
            method: method.clone(),
            target: target.cloned(),
            provider: None,
            subject: None,
            status: 0,
            code: None,
            fault: "",
            verify: Duration::ZERO,
            token: Duration::ZERO,
            token_outcome: "",
            upstream: Duration::ZERO,
            total: Duration::ZERO,
            bytes_out: 0,
            complete: false,
        };
        Entry { record: Some(Box::new(record)), book: self.clone(), begun: self.0.clock.instant() }
    }
}

impl Entry {
    /// Changes what is known so far.
    pub fn note(&mut self, change: impl FnOnce(&mut Record)) {
        if let Some(record) = &mut self.record {
            change(record);
        }
    }

    /// What is known so far.
    #[must_use]
    pub fn record(&self) -> Option<&Record> {
        self.record.as_deref()
    }

    /// When the request began.
    #[must_use]
    pub fn begun(&self) -> std::time::Instant {
        self.begun
    }

    /// Counts bytes of the answer's body.
    pub fn add_bytes_out(&mut self, bytes: usize) {
        self.note(|record| record.bytes_out += bytes as u64);
    }

    /// The answer has been handed over to its end.
    pub fn complete(&mut self) {
        self.note(|record| record.complete = true);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let Some(mut record) = self.record.take() else { return };
        let Inner { log, metrics, clock, nobody } = &*self.book.0;
        record.total = clock.instant().saturating_duration_since(self.begun);
        let provider = record.provider.as_ref().unwrap_or(nobody);
        metrics.request(provider, record.status, record.fault);
        // A step that was not taken is not timed.
        if record.subject.is_some() {
            metrics.step(Step::verify, record.verify);
        }
        if !record.token_outcome.is_empty() {
            metrics.step(Step::token, record.token);
        }
        if record.upstream > Duration::ZERO {
            metrics.step(Step::upstream, record.upstream);
        }
        if let Some(log) = log {
            log.request(record);
        }
    }
}

impl Record {
    /// The line for people.
    pub fn write_text(&self, out: &mut String, salt: &impl BuildHasher) {
        let provider = self.provider.as_deref().unwrap_or("-");
        let _ = write!(out, "{} {} {} {provider} ", self.at, Status(self.status), self.method);
        self.write_target(out);
        let _ = write!(out, "  {} ms", Millis(self.total));
        if self.upstream > Duration::ZERO {
            let (verify, token, upstream) = (Millis(self.verify), Millis(self.token), Millis(self.upstream));
            let _ = write!(out, " (verify {verify}, token {} {token}, upstream {upstream})", self.token_outcome);
        }
        if let Some(code) = self.code {
            let _ = write!(out, "  {code}, fault of the {}", self.fault);
        }
        if !self.complete {
            out.push_str("  incomplete");
        }
        if let Some(subject) = &self.subject {
            let _ = write!(out, "  user={:016x}", salt.hash_one(subject));
        }
        let _ = writeln!(out, "  id={}", self.request_id);
    }

    /// The line for machines: one JSON object.
    pub fn write_json(&self, out: &mut String, salt: &impl BuildHasher) {
        let _ = write!(
            out,
            r#"{{"ts":"{}","level":"INFO","event":"request","request_id":"{}","method":"{}","path":""#,
            self.at, self.request_id, self.method,
        );
        let mut target = String::new();
        self.write_target(&mut target);
        escape_json(&target, out);
        let _ = write!(out, r#"","status":{}"#, self.status);
        if let Some(provider) = &self.provider {
            let _ = write!(out, r#","provider":"{provider}""#);
        }
        if let Some(code) = self.code {
            let _ = write!(out, r#","code":"{code}","fault":"{}""#, self.fault);
        }
        if let Some(subject) = &self.subject {
            let _ = write!(out, r#","sub_hash":"{:016x}""#, salt.hash_one(subject));
        }
        let (total, verify) = (Millis(self.total), Millis(self.verify));
        let _ = write!(out, r#","total_ms":{total},"verify_ms":{verify},"token_ms":{}"#, Millis(self.token));
        if !self.token_outcome.is_empty() {
            let _ = write!(out, r#","token_outcome":"{}""#, self.token_outcome);
        }
        let _ = write!(out, r#","upstream_ms":{},"bytes_out":{}"#, Millis(self.upstream), self.bytes_out);
        let _ = writeln!(out, r#","complete":{}}}"#, self.complete);
    }

    /// The path as it came, its token-like segments masked, and the names in the query.
    fn write_target(&self, out: &mut String) {
        let Some(target) = &self.target else {
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
                None => push_masked(pair, out),
            }
        }
    }
}

/// Longer than any word, and either the beginning that all JSON tokens share or one unbroken run of letters and digits.
fn push_masked(text: &str, out: &mut String) {
    let looks_like_token = text.len() >= 20 && text.starts_with("eyJ") || text.len() > 100;
    if looks_like_token {
        out.push('…');
    } else {
        // As a well-behaved caller would have sent it (RFC 3986 §2): nothing here reaches a terminal raw.
        out.extend(utf8_percent_encode(text, CONTROLS));
    }
}

fn escape_json(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            control if control.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.push(other),
        }
    }
}

/// Milliseconds with three digits, without going through a float.
pub struct Millis(pub Duration);

impl fmt::Display for Millis {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        write!(formatter, "{}.{:03}", micros / 1000, micros % 1000)
    }
}

struct Status(u16);

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 { formatter.write_str("---") } else { write!(formatter, "{}", self.0) }
    }
}

#[cfg(test)]
mod tests {
    use std::hash::RandomState;

    use super::*;

    fn lines(target: &str) -> (String, String) {
        let clock = crate::clock::Clock::system();
        let book = Book::new(None, Metrics::new(), clock);
        let target: PathAndQuery = target.parse().unwrap();
        let mut entry = book.begin(RequestId(*b"abcdefghijklmnopqrstuvwx"), &Method::GET, Some(&target));
        entry.note(|record| record.subject = Some(Arc::from("github|583231")));
        let (mut text, mut json) = (String::new(), String::new());
        let record = entry.record().unwrap();
        record.write_text(&mut text, &RandomState::new());
        record.write_json(&mut json, &RandomState::new());
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
}
