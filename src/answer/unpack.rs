//! A compressed body that is to be edited goes on as it is without its coding.

use std::sync::Arc;

use hyper::body::Bytes;

use super::decoder::{Coding, Decoder};
use super::expansion::Expansion;
use super::guard::{Alarm, Finding};
use crate::body::{Cut, Edit};

/// Room for what is decoded at a time.
const ROOM: usize = 16 * 1024;

/// Takes the coding off a body. What cannot be read is cut: nobody knows what is in it.
pub(super) struct Unpack {
    decoder: Decoder,
    alarm: Alarm,
    expansion: Expansion,
}

impl Unpack {
    pub(super) fn new(coding: Coding, alarm: &Alarm) -> Self {
        Self { decoder: Decoder::new(coding), alarm: Arc::clone(alarm), expansion: Expansion::default() }
    }

    fn decode(&mut self, mut input: &[u8]) -> Result<Vec<u8>, Finding> {
        let mut decoded = Vec::new();
        loop {
            let length = decoded.len();
            decoded.resize(length + ROOM, 0);
            let given = decoded.get_mut(length..).unwrap_or_default();
            let before = input.len();
            let count = self.decoder.decode(&mut input, given).map_err(|_| Finding::Unreadable)?;
            decoded.truncate(length + count);
            self.expansion.grow(before - input.len(), count)?;
            if self.decoder.wants_more(input) {
                return Ok(decoded);
            }
        }
    }

    fn cut(&self, finding: Finding) -> Cut {
        (self.alarm)(finding);
        Cut
    }
}

impl Edit for Unpack {
    fn push(&mut self, chunk: Bytes) -> Result<Bytes, Cut> {
        self.decode(&chunk).map(Bytes::from).map_err(|finding| self.cut(finding))
    }

    fn end(&mut self) -> Result<Bytes, Cut> {
        // Without its coding nobody would see that the body broke off.
        if self.decoder.may_end() { Ok(Bytes::new()) } else { Err(self.cut(Finding::Unreadable)) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::answer::decoder::encoding::{ENCODINGS, Encoding};

    /// What goes on of a body that comes in chunks of `size`, whether it was cut, and what the operator hears of it.
    fn unpacked(coding: Coding, body: &[u8], size: usize) -> (Vec<u8>, bool, Vec<Finding>) {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let alarm: Alarm = {
            let heard = Arc::clone(&heard);
            Arc::new(move |finding| heard.lock().unwrap().push(finding))
        };
        let mut unpack = Unpack::new(coding, &alarm);
        let mut out = Vec::new();
        let mut edit = |step: Result<Bytes, Cut>| step.map(|bytes| out.extend(bytes)).is_err();
        let is_cut =
            body.chunks(size).any(|chunk| edit(unpack.push(Bytes::copy_from_slice(chunk)))) || edit(unpack.end());
        let heard = heard.lock().unwrap().clone();
        (out, is_cut, heard)
    }

    fn text() -> Vec<u8> {
        (0..3000_u32)
            .flat_map(|number| format!("{{\"id\":{}}},", number.wrapping_mul(2_654_435_761)).into_bytes())
            .collect()
    }

    #[test]
    fn a_body_becomes_what_was_packed_however_it_is_divided() {
        for encoding in ENCODINGS {
            let body = encoding.compress(&[&text()]);
            for size in [1, 7, 1000, body.len()] {
                let (out, is_cut, heard) = unpacked(encoding.coding(), &body, size);
                assert!(out == text(), "{encoding:?} by {size}: {} bytes of {}", out.len(), text().len());
                assert!(!is_cut && heard.is_empty(), "{encoding:?} by {size}");
            }
            assert_eq!(unpacked(encoding.coding(), &[], 1), (Vec::new(), false, Vec::new()), "{encoding:?}");
        }
    }

    #[test]
    fn a_body_that_breaks_off_or_is_none_is_cut_where_that_shows() {
        for encoding in ENCODINGS {
            let body = encoding.compress(&[&text()]);
            let (out, is_cut, heard) = unpacked(encoding.coding(), &body[..body.len() / 2], 100);
            assert!(is_cut && text().starts_with(&out), "{encoding:?}");
            assert_eq!(heard, [Finding::Unreadable], "{encoding:?}");
        }
        let (out, is_cut, heard) = unpacked(Coding::Gzip, br#"{"this":"is not compressed"}"#, 5);
        assert!(out.is_empty() && is_cut);
        assert_eq!(heard, [Finding::Unreadable]);
    }

    #[test]
    fn a_bomb_is_cut_before_it_fills_the_memory() {
        let body = Encoding::Gzip.compress(&[&vec![b' '; 64 << 20]]);
        let (out, is_cut, heard) = unpacked(Coding::Gzip, &body, 1024);
        assert!(is_cut && out.len() < 16 << 20, "{} bytes", out.len());
        assert_eq!(heard, [Finding::Bomb]);
    }
}
