//! Links in a JSON body: a string that begins with one of a provider's bases gets another beginning. Nothing is parsed
//! and written anew: every other byte stays as it is, and what waits for the next chunk is only what may be such a
//! beginning.
//!
//! Keys are names, not links, so it is known of each string which of both it is. A body that turns out not to be JSON
//! (RFC 8259) is handed on as it is from there on. The grammar is read as loosely as it may be without taking something
//! else for JSON: values may follow each other, as in JSON Lines.

use std::borrow::Cow;
use std::sync::Arc;

use hyper::body::Bytes;

use super::bases::{Base, Bases, has_dot_segment};
use super::text::{Json, Miss, path};
use crate::body::{Cut, Edit, joined};

/// Points the links in a JSON body back at the proxy.
pub struct JsonLinks {
    bases: Arc<Bases>,
    place: Place,
    nest: Nest,
    /// The beginning of a string that may be a link.
    held: Vec<u8>,
}

/// Where in a document the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before a value, or the end of an empty list.
    Value,
    /// Before a key, or the end of an object.
    Key,
    /// Behind a key.
    Colon,
    /// Behind a value.
    Next,
    /// In a number, `true`, `false` or `null`.
    Word,
    /// At the first character of a string that is a value.
    Start,
    /// Further on in a string.
    Text(Role),
    /// Behind a backslash.
    Escape(Role),
    /// In what is not JSON, or nested too deeply.
    Foreign,
}

/// What a string is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Key,
    Value,
}

/// So much of a link is looked at behind its base, in bytes; the rest of a longer one passes.
const LINK_BYTES_MAX: usize = 2048;

impl JsonLinks {
    /// At the beginning of a body that is searched for `bases`.
    pub(super) fn new(bases: Arc<Bases>) -> Self {
        Self { bases, place: Place::Value, nest: Nest::default(), held: Vec::new() }
    }
}

impl Edit for JsonLinks {
    fn push(&mut self, chunk: Bytes) -> Result<Bytes, Cut> {
        if self.place == Place::Foreign {
            return Ok(chunk);
        }
        let text = if self.held.is_empty() {
            chunk
        } else {
            let mut text = std::mem::take(&mut self.held);
            text.extend_from_slice(&chunk);
            Bytes::from(text)
        };
        Ok(self.rewrite(text))
    }

    fn end(&mut self) -> Result<Bytes, Cut> {
        Ok(std::mem::take(&mut self.held).into())
    }

    fn whole(&mut self, body: Bytes) -> Result<Bytes, Cut> {
        if self.bases.are_urls() && !may_have_url(&body) {
            return Ok(body);
        }
        let first = self.push(body)?;
        Ok(joined(first, self.end()?))
    }
}

impl JsonLinks {
    /// Reads on in `text`, and gives what may go on. A text without a link is not copied.
    fn rewrite(&mut self, text: Bytes) -> Bytes {
        let mut written: Option<Vec<u8>> = None;
        let (mut at, mut from) = (0, 0);
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            at += match self.place {
                Place::Start if rest.first().is_some_and(|first| !self.bases.may_begin(*first)) => {
                    self.read_string(Role::Value, rest)
                }
                Place::Start => match self.link(rest) {
                    Ok((length, base)) => {
                        let written = written.get_or_insert_with(|| Vec::with_capacity(text.len() + text.len() / 8));
                        written.extend_from_slice(text.get(from..at).unwrap_or_default());
                        written.extend_from_slice(base.url());
                        from = at + length;
                        self.place = Place::Text(Role::Value);
                        length
                    }
                    Err(Miss::Other) => {
                        self.place = Place::Text(Role::Value);
                        0
                    }
                    Err(Miss::Unknown) => {
                        self.held.extend_from_slice(rest);
                        break;
                    }
                },
                Place::Text(role) => self.read_string(role, rest),
                Place::Escape(role) => {
                    self.place = Place::Text(role);
                    1
                }
                Place::Foreign => rest.len(),
                Place::Value | Place::Key | Place::Colon | Place::Next | Place::Word => self.read_structure(rest),
            };
        }
        match written {
            None => text.slice(..at),
            Some(mut written) => {
                written.extend_from_slice(text.get(from..at).unwrap_or_default());
                written.into()
            }
        }
    }

    /// The base with which the string `rest` begins, and its length there. One whose path has dot segments stays: clients
    /// remove them before they ask, and would ask for something beside the provider.
    fn link(&self, rest: &[u8]) -> Result<(usize, &Base), Miss> {
        let (length, base) = self.bases.find::<Json>(rest)?;
        let behind = rest.get(length..).unwrap_or_default();
        let plain = plain_length(behind.get(..LINK_BYTES_MAX).unwrap_or(behind));
        let path = match behind.get(plain) {
            // With an escape in it, or longer than is looked at.
            Some(end) if *end != b'"' => Cow::Owned(path::<Json>(behind, LINK_BYTES_MAX)?),
            Some(_) => Cow::Borrowed(behind.get(..plain).unwrap_or_default()),
            None => return Err(Miss::Unknown),
        };
        if has_dot_segment(&path) { Err(Miss::Other) } else { Ok((length, base)) }
    }

    /// Reads to the end of a string or to a backslash in it, and past that.
    fn read_string(&mut self, role: Role, text: &[u8]) -> usize {
        let length = plain_length(text);
        let Some(end) = text.get(length) else {
            self.place = Place::Text(role);
            return length;
        };
        self.place = match (end, role) {
            (b'\\', role) => Place::Escape(role),
            (_, Role::Key) => Place::Colon,
            (_, Role::Value) => Place::Next,
        };
        length + 1
    }

    /// Reads what stands between strings, up to the quote of the next one and past that.
    fn read_structure(&mut self, text: &[u8]) -> usize {
        let mut place = self.place;
        for (index, byte) in text.iter().enumerate() {
            place = match (place, byte) {
                // What there is most of.
                (Place::Word, b'a'..=b'z' | b'0'..=b'9' | b'.') => continue,
                (Place::Colon, b':') => Place::Value,
                (place, byte) => self.behind(place, *byte),
            };
            if matches!(place, Place::Start | Place::Text(_) | Place::Foreign) {
                self.place = place;
                return index + 1;
            }
        }
        self.place = place;
        text.len()
    }

    /// The place behind a byte that stands between strings.
    fn behind(&mut self, place: Place, byte: u8) -> Place {
        let moved = match (place, byte) {
            (Place::Word, b' ' | b'\t' | b'\r' | b'\n') => Some(Place::Next),
            (place, b' ' | b'\t' | b'\r' | b'\n') => Some(place),
            // A byte order mark, which some put in front although they must not (RFC 8259 §8.1).
            (Place::Value, 0xef | 0xbb | 0xbf) if self.nest.innermost().is_none() => Some(place),
            (Place::Value, b'"') => Some(Place::Start),
            (Place::Key, b'"') => Some(Place::Text(Role::Key)),
            (Place::Colon, b':') => Some(Place::Value),
            (Place::Value, b'{') => self.nest.open(Container::Object).then_some(Place::Key),
            (Place::Value, b'[') => self.nest.open(Container::List).then_some(Place::Value),
            (Place::Key | Place::Next | Place::Word, b'}') => self.close(Container::Object),
            (Place::Value | Place::Next | Place::Word, b']') => self.close(Container::List),
            (Place::Next | Place::Word, b',') => self.nest.innermost().map(|container| match container {
                Container::Object => Place::Key,
                Container::List => Place::Value,
            }),
            (Place::Value, b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => Some(Place::Word),
            (Place::Word, b'-' | b'+' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'E') => Some(Place::Word),
            (Place::Next, b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n')
                if self.nest.innermost().is_none() =>
            {
                return self.behind(Place::Value, byte);
            }
            _ => None,
        };
        moved.unwrap_or(Place::Foreign)
    }

    fn close(&mut self, container: Container) -> Option<Place> {
        self.nest.close(container).then_some(Place::Next)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Container {
    List,
    Object,
}

/// The containers that are open: a bit for each, set for an object, the innermost lowest.
#[derive(Default)]
struct Nest {
    objects: u128,
    depth: u32,
}

impl Nest {
    /// Enters a container, unless it would be one too many. (`serde_json` reads no deeper either.)
    fn open(&mut self, container: Container) -> bool {
        if self.depth == u128::BITS {
            return false;
        }
        self.objects = self.objects << 1 | u128::from(container == Container::Object);
        self.depth += 1;
        true
    }

    /// Leaves the innermost container, if it is such a one.
    fn close(&mut self, container: Container) -> bool {
        if self.innermost() != Some(container) {
            return false;
        }
        self.objects >>= 1;
        self.depth -= 1;
        true
    }

    fn innermost(&self) -> Option<Container> {
        let container = if self.objects & 1 == 1 { Container::Object } else { Container::List };
        (self.depth > 0).then_some(container)
    }
}

/// Whether a URL may stand in a JSON text: a colon with a slash behind it, however the two are escaped. Most bytes are
/// neither; the loop has no branches, and compilers make of it what the processor has for many bytes at once.
fn may_have_url(text: &[u8]) -> bool {
    const BLOCK: usize = 64;
    let is_sign = |(first, second): (&u8, &u8)| {
        u8::from(*first == b':') & (u8::from(*second == b'/') | u8::from(*second == b'\\'))
            | u8::from(*first == b'\\') & u8::from(*second == b'u')
    };
    let seconds = text.get(1..).unwrap_or_default();
    let mut blocks = text.chunks(BLOCK).zip(seconds.chunks(BLOCK));
    blocks.any(|(firsts, seconds)| firsts.iter().zip(seconds).map(is_sign).fold(0, |any, sign| any | sign) != 0)
}

/// How many bytes stand before the first quote or backslash, looked for in eight at a time.
fn plain_length(text: &[u8]) -> usize {
    const LOW: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    // The lowest bit that is set is that of the first byte which is zero.
    let zeros = |word: u64| word.wrapping_sub(LOW) & !word & HIGH;
    let (words, tail) = text.as_chunks::<8>();
    let mut passed = 0;
    for word in words {
        let word = u64::from_le_bytes(*word);
        let hits = zeros(word ^ u64::from_ne_bytes([b'"'; 8])) | zeros(word ^ u64::from_ne_bytes([b'\\'; 8]));
        if hits != 0 {
            return passed + hits.trailing_zeros() as usize / 8;
        }
        passed += 8;
    }
    passed + tail.iter().position(|byte| matches!(byte, b'"' | b'\\')).unwrap_or(tail.len())
}

#[cfg(test)]
mod tests;
