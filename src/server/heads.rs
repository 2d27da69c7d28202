//! When a request's head begins and ends, seen in the bytes that come in, so that a slow one can be cut off.
//!
//! hyper's own header timeout also runs between requests, and for HTTP/2 there is none.

use crate::activity::Activity;

/// RFC 9113 §6.2 and §6.10: the frames that a head is made of, and the flag of its last one.
const HEADERS: u8 = 0x1;
const CONTINUATION: u8 = 0x9;
const END_HEADERS: u8 = 0x4;
const FRAME_HEADER_BYTES: usize = 9;

/// Follows the heads of one connection.
pub(super) enum Heads {
    /// Bytes that come while no request runs are a head's. It ends where the request begins.
    Http1,
    /// A head is a HEADERS frame and its CONTINUATIONs. Others (PING, WINDOW_UPDATE) come at any time and mean nothing.
    Http2(Frames),
}

/// Finds the frames in a stream of bytes.
pub(super) struct Frames {
    /// Bytes that are passed over: the rest of the preface or of a frame's payload.
    skip: usize,
    header: Vec<u8>,
    /// Whether the head is complete when the current payload is.
    ends_head: bool,
}

impl Heads {
    /// Heads of an HTTP/2 connection, which begins with a preface of `preface` bytes.
    pub(super) fn http2(preface: usize) -> Self {
        Self::Http2(Frames { skip: preface, header: Vec::with_capacity(FRAME_HEADER_BYTES), ends_head: false })
    }

    /// Bytes came in.
    pub(super) fn see(&mut self, bytes: &[u8], activity: &Activity) {
        match self {
            Self::Http1 if activity.is_idle() => activity.head_begins(),
            Self::Http1 => {}
            Self::Http2(frames) => frames.see(bytes, activity),
        }
    }
}

impl Frames {
    fn see(&mut self, mut bytes: &[u8], activity: &Activity) {
        while !bytes.is_empty() {
            let passed = self.skip.min(bytes.len());
            self.skip -= passed;
            bytes = bytes.get(passed..).unwrap_or_default();
            if self.skip == 0 && std::mem::take(&mut self.ends_head) {
                activity.head_ends();
            }
            let missing = FRAME_HEADER_BYTES - self.header.len();
            let (more, rest) = bytes.split_at(missing.min(bytes.len()));
            if self.skip == 0 {
                self.header.extend_from_slice(more);
                bytes = rest;
            }
            if let [high, middle, low, kind, flags, ..] = *self.header.as_slice()
                && self.header.len() == FRAME_HEADER_BYTES
            {
                self.skip = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
                self.header.clear();
                if kind == HEADERS || kind == CONTINUATION {
                    activity.head_begins();
                    self.ends_head = flags & END_HEADERS != 0;
                }
            }
        }
        if self.skip == 0 && std::mem::take(&mut self.ends_head) {
            activity.head_ends();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::activity::{Finding, Patience};
    use crate::clock::Clock;

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let mut bytes = vec![0, 0, u8::try_from(payload).unwrap(), kind, flags, 0, 0, 0, 1];
        bytes.resize(FRAME_HEADER_BYTES + payload, 0);
        bytes
    }

    /// Whether a head is coming in after these bytes, however they are cut up.
    fn head_is_open(bytes: &[u8]) -> bool {
        let verdicts = [1, 2, 7, bytes.len()].map(|size| {
            let clock = Clock::system();
            let second = Duration::from_secs(1);
            let patience = Patience { head: second, keep_alive: 10 * second, idle: 10 * second };
            let activity = Arc::new(Activity::new(clock.clone(), patience));
            activity.head_ends();
            let mut heads = Heads::http2(PREFACE.len());
            heads.see(PREFACE, &activity);
            bytes.chunks(size).for_each(|chunk| heads.see(chunk, &activity));
            clock.advance(2 * second);
            activity.look(&mut activity.first_look()) == Finding::TooSlow
        });
        assert!(verdicts.iter().all(|verdict| *verdict == verdicts[0]), "{verdicts:?}");
        verdicts[0]
    }

    #[test]
    fn a_head_is_open_from_its_frame_header_to_the_end_of_its_last_frame() {
        let settings = frame(4, 0, 18);
        let ping = frame(6, 0, 8);
        let whole = frame(HEADERS, END_HEADERS, 40);
        assert!(!head_is_open(&[settings.clone(), ping.clone()].concat()));
        assert!(!head_is_open(&[settings.clone(), whole.clone(), ping].concat()));
        assert!(head_is_open(&[settings.as_slice(), &whole[..whole.len() - 1]].concat()));
        assert!(head_is_open(&frame(HEADERS, 0, 10)));
        assert!(head_is_open(&[frame(HEADERS, 0, 10), frame(CONTINUATION, 0, 0)].concat()));
        assert!(!head_is_open(&[frame(HEADERS, 0, 10), frame(CONTINUATION, END_HEADERS, 0)].concat()));
    }
}
