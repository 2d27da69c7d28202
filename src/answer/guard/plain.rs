//! A plain text body: the token is masked in place, length for length.

use std::ops::Range;
use std::sync::Arc;

use hyper::body::Bytes;
use hyper::http::HeaderMap;

use super::{Alarm, Finding, Guard};
use crate::body::{Cut, Edit};

/// What a byte of the token becomes. It stands for itself in every text format.
const MASK: u8 = b'*';

/// Masks the token in a body that comes in chunks. A chunk with nothing in it goes on as it came; of one that ends with
/// what may be the beginning of a token, that end waits.
pub struct Plain {
    guard: Arc<Guard>,
    alarm: Alarm,
    /// Whether it has been given.
    is_told: bool,
    /// What waits for the next chunk.
    waiting: Bytes,
    /// So many bytes at its beginning are of a token that began before it: one may begin within another.
    condemned: usize,
}

impl Plain {
    pub(super) fn new((guard, alarm): (Arc<Guard>, Alarm)) -> Self {
        Self { guard, alarm, is_told: false, waiting: Bytes::new(), condemned: 0 }
    }

    fn alarm(&mut self) {
        if !std::mem::replace(&mut self.is_told, true) {
            (self.alarm)(Finding::Body);
        }
    }

    /// Lets go on what of `text` stands before `open`, and keeps the rest.
    fn divide(&mut self, mut text: Bytes, spans: &[Range<usize>], open: usize) -> Bytes {
        let end = spans.iter().map(|span| span.end).max().unwrap_or_default();
        self.condemned = end.saturating_sub(open);
        if open < text.len() {
            self.waiting = text.split_off(open);
        }
        if spans.is_empty() { text } else { masked(&text, spans).into() }
    }
}

impl Edit for Plain {
    fn push(&mut self, chunk: Bytes) -> Result<Bytes, Cut> {
        let text =
            if self.waiting.is_empty() { chunk } else { [std::mem::take(&mut self.waiting), chunk].concat().into() };
        let mut findings = self.guard.scan(&text);
        if !findings.spans.is_empty() {
            self.alarm();
        }
        if self.condemned > 0 {
            findings.spans.push(0..self.condemned);
        }
        let open = findings.open.unwrap_or(text.len());
        Ok(self.divide(text, &findings.spans, open))
    }

    fn end(&mut self) -> Result<Bytes, Cut> {
        // Nothing more comes: it only began like a token.
        let text = std::mem::take(&mut self.waiting);
        let condemned = 0..std::mem::take(&mut self.condemned);
        Ok(if condemned.is_empty() { text } else { masked(&text, &[condemned]).into() })
    }

    fn whole(&mut self, body: Bytes) -> Result<Bytes, Cut> {
        let spans = self.guard.scan_whole(&body).spans;
        if spans.is_empty() {
            return Ok(body);
        }
        self.alarm();
        Ok(masked(&body, &spans).into())
    }

    fn trailers(&mut self, trailers: &mut HeaderMap) {
        self.guard.mask_fields(trailers, &self.alarm);
    }
}

/// `text` with `spans` masked, as far as they lie in it.
pub(super) fn masked(text: &[u8], spans: &[Range<usize>]) -> Vec<u8> {
    let mut masked = text.to_vec();
    for span in spans {
        let end = span.end.min(masked.len());
        if let Some(bytes) = masked.get_mut(span.start.min(end)..end) {
            bytes.fill(MASK);
        }
    }
    masked
}

#[cfg(test)]
mod tests;
