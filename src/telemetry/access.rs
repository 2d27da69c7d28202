//! One line for every request: what was asked, what was answered, whose fault it was, what our own steps cost.
//!
//! Query values, tokens and users' names never get here: the query is kept as its names, a path segment that looks like
//! a token is masked, the subject is a hash whose salt lives as long as the process.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hyper::http::Method;
use hyper::http::uri::PathAndQuery;

use super::feed::Feed;
use super::log::Log;
use super::metrics::{Metrics, Step};
use crate::clock::Timestamp;

/// A request's id: 24 characters, unique for this process and not by chance the same in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId(pub [u8; 24]);

impl RequestId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
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
    /// Why, for those who mend it: the chain of causes of a failure that is no caller's.
    pub cause: Option<Box<str>>,
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
    at: Timestamp,
    begun: std::time::Instant,
}

/// Where entries are written and counted.
#[derive(Clone)]
pub struct Book(Arc<Inner>);

struct Inner {
    log: Option<Log>,
    metrics: Metrics,
    clock: crate::clock::Clock,
    feed: Feed,
    nobody: Arc<str>,
}

impl Book {
    /// A book that writes to `log`, if there is one, counts in `metrics`, and shows to who watches `feed`.
    #[must_use]
    pub fn new(log: Option<Log>, metrics: Metrics, clock: crate::clock::Clock, feed: Feed) -> Self {
        Self(Arc::new(Inner { log, metrics, clock, feed, nobody: Arc::from("-") }))
    }

    /// Begins the entry of a request.
    #[must_use]
    pub fn begin(&self, request_id: RequestId, method: &Method, target: Option<&PathAndQuery>) -> Entry {
        let at = self.0.clock.now();
        let record = Record {
            at,
            request_id,
            method: method.clone(),
            target: target.cloned(),
            provider: None,
            subject: None,
            status: 0,
            code: None,
            fault: "",
            cause: None,
            verify: Duration::ZERO,
            token: Duration::ZERO,
            token_outcome: "",
            upstream: Duration::ZERO,
            total: Duration::ZERO,
            bytes_out: 0,
            complete: false,
        };
        Entry { record: Some(Box::new(record)), book: self.clone(), at, begun: self.0.clock.instant() }
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

    /// When the request began, by the wall clock.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.at
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
        let Inner { log, metrics, clock, feed, nobody } = &*self.book.0;
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
        feed.request(&record);
        if let Some(log) = log {
            log.request(&record);
        } else if let (Some(cause), Some(code)) = (&record.cause, record.code) {
            // Without a line for every request a failure of ours has one still.
            tracing::warn!(request_id = %record.request_id, code, cause = &**cause, "request failed");
        }
    }
}
