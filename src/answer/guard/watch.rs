//! A compressed text body: it is forwarded as it came, while a decoded copy of it is watched just ahead.

use std::collections::VecDeque;
use std::sync::Arc;

use hyper::body::Bytes;
use hyper::http::HeaderMap;

use super::{Alarm, Finding, Guard};
use crate::answer::decoder::{Coding, Decoder};
use crate::answer::expansion::Expansion;
use crate::body::{Cut, Edit};

/// Room for what is decoded at a time.
const ROOM: usize = 16 * 1024;

/// Forwards a compressed body until the token would be in it. Input whose output may begin the token waits.
pub struct Watch {
    guard: Arc<Guard>,
    alarm: Alarm,
    decoder: Decoder,
    /// The end of the decoded copy, as far as it may begin the token, and room behind it for more.
    decoded: Vec<u8>,
    /// How long that end is.
    open: usize,
    /// What waits of the input.
    waiting: Vec<u8>,
    /// How much of the end of the input may itself begin the token: there are places that no decoder reads.
    raw_open: usize,
    /// How long input and decoded copy are until now.
    length: Expansion,
    /// How long they were at each place up to which the input may be let go.
    places: VecDeque<Expansion>,
    /// Up to where the input may be let go: the last place that was passed.
    safe: u64,
    is_cut: bool,
}

impl Watch {
    pub(super) fn new((guard, alarm): (Arc<Guard>, Alarm), coding: Coding) -> Self {
        Self {
            decoded: vec![0; guard.reach() + ROOM],
            guard,
            alarm,
            decoder: Decoder::new(coding),
            open: 0,
            waiting: Vec::new(),
            raw_open: 0,
            length: Expansion::default(),
            places: VecDeque::new(),
            safe: 0,
            is_cut: false,
        }
    }

    /// Decodes and watches all of `input`.
    fn watch(&mut self, mut input: &[u8]) -> Result<(), Finding> {
        while !input.is_empty() {
            let step = self.decoder.step(input).map_err(|_| Finding::Unreadable)?;
            let (mut piece, rest) = input.split_at(step.length.min(input.len()));
            input = rest;
            self.length.grow(piece.len(), 0)?;
            loop {
                let room = self.decoded.get_mut(self.open..).unwrap_or_default();
                let count = self.decoder.decode(&mut piece, room).map_err(|_| Finding::Unreadable)?;
                self.look(count)?;
                if self.decoder.wants_more(piece) {
                    break;
                }
            }
            if step.is_complete {
                self.places.push_back(self.length);
            }
            let known = self.length.output - self.open as u64;
            while let Some(place) = self.places.pop_front_if(|place| place.output <= known) {
                self.safe = place.input;
            }
        }
        Ok(())
    }

    /// Looks through what was decoded last, `count` bytes behind those that were open.
    fn look(&mut self, count: usize) -> Result<(), Finding> {
        self.length.grow(0, count)?;
        if count == 0 {
            return Ok(());
        }
        let end = self.open + count;
        let findings = self.guard.scan(self.decoded.get(..end).unwrap_or_default());
        if !findings.spans.is_empty() {
            return Err(Finding::Compressed);
        }
        let open = findings.open.unwrap_or(end);
        self.decoded.copy_within(open..end, 0);
        self.open = end - open;
        Ok(())
    }

    /// Looks through the input itself: a file name in its head, or what follows its end.
    fn look_at_input(&mut self, chunk: &[u8]) -> Result<(), Finding> {
        let joined;
        let text = match self.waiting.len().checked_sub(self.raw_open) {
            Some(from) if self.raw_open > 0 => {
                joined = [self.waiting.get(from..).unwrap_or_default(), chunk].concat();
                &joined
            }
            _ => chunk,
        };
        let findings = self.guard.scan(text);
        self.raw_open = text.len() - findings.open.unwrap_or(text.len());
        if findings.spans.is_empty() { Ok(()) } else { Err(Finding::Compressed) }
    }

    /// Lets go what may go of what waits and of `chunk`.
    fn let_go(&mut self, chunk: Bytes) -> Bytes {
        let safe = self.safe.min(self.length.input - self.raw_open as u64);
        let kept = usize::try_from(self.length.input - safe).unwrap_or(usize::MAX);
        if self.waiting.is_empty() && kept == 0 {
            return chunk;
        }
        self.waiting.extend_from_slice(&chunk);
        let end = self.waiting.len().saturating_sub(kept);
        if end == 0 {
            return Bytes::new();
        }
        let kept = self.waiting.split_off(end);
        std::mem::replace(&mut self.waiting, kept).into()
    }

    fn cut(&mut self, finding: Finding) -> Cut {
        (self.alarm)(finding);
        self.is_cut = true;
        self.waiting = Vec::new();
        Cut
    }
}

impl Edit for Watch {
    fn push(&mut self, chunk: Bytes) -> Result<Bytes, Cut> {
        if self.is_cut {
            return Err(Cut);
        }
        let watched = self.look_at_input(&chunk).and_then(|()| self.watch(&chunk));
        watched.map_err(|finding| self.cut(finding))?;
        Ok(self.let_go(chunk))
    }

    fn end(&mut self) -> Result<Bytes, Cut> {
        if self.is_cut {
            return Err(Cut);
        }
        // A stream that ends too early goes on to whom it is for as far as it was decoded: the token is not in it. What
        // could not be decoded does not.
        let is_decoded = self.places.back().map_or(self.safe, |place| place.input) == self.length.input;
        if is_decoded { Ok(std::mem::take(&mut self.waiting).into()) } else { Err(self.cut(Finding::Unreadable)) }
    }

    fn trailers(&mut self, trailers: &mut HeaderMap) {
        self.guard.mask_fields(trailers, &self.alarm);
    }
}

#[cfg(test)]
mod tests;
