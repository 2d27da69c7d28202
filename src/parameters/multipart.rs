//! Names of the parts of a `multipart/form-data` body (RFC 7578) that comes in chunks.
//!
//! Servers differ in what they take for a delimiter and for a name, so more is taken for one here than RFC 2046 §5.1 has
//! it: a delimiter wherever it stands, a header's end behind any two line breaks, a name in any quotes.

use std::sync::Arc;

use super::{Names, Spelling};
use crate::percent;

/// The longest head of a part. That of a browser has some hundred bytes.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// Where in the body it is.
pub(super) struct Multipart {
    /// `--` and the boundary.
    delimiter: Vec<u8>,
    /// A part's head so far, or the end of its content, which may be the beginning of a delimiter.
    waiting: Vec<u8>,
    is_in_head: bool,
}

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// One of the names.
    Named(Arc<str>),
    /// A head that is too long to be looked into.
    TooLong,
}

impl Multipart {
    /// A body whose `Content-Type` is this; `None` if it does not say plainly what its boundary is.
    pub(super) fn of(content_type: &str) -> Option<Self> {
        let lower = content_type.to_ascii_lowercase();
        let mut places = lower.match_indices("boundary");
        let (at, name) = places.next()?;
        // Of two, servers take one or the other. (Browsers have the word in the value as well.)
        let is_another = |(at, name): (usize, &str)| {
            lower.get(at + name.len()..).is_some_and(|behind| behind.trim_start().starts_with(['=', '*']))
        };
        if places.any(is_another) {
            return None;
        }
        let before = content_type.get(..at)?.trim_end();
        let value = content_type.get(at + name.len()..)?.strip_prefix('=')?;
        let (boundary, behind) = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => {
                value.split_at(value.find(|end: char| end == ';' || end.is_ascii_whitespace()).unwrap_or(value.len()))
            }
        };
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_-./:=?".contains(&byte);
        let is_clear = before.ends_with(';') && (behind.is_empty() || behind.trim_start().starts_with(';'));
        if !is_clear || !(1..=70).contains(&boundary.len()) || !boundary.bytes().all(is_plain) {
            return None;
        }
        Some(Self { delimiter: format!("--{boundary}").into_bytes(), waiting: Vec::new(), is_in_head: false })
    }

    /// The first of `names` that a part in this chunk has.
    pub(super) fn find(&mut self, chunk: &[u8], names: &Names) -> Option<Part> {
        let mut rest = chunk;
        loop {
            let (found, next) = if self.is_in_head { self.head(rest, names) } else { (None, self.content(rest)) };
            match (found, next) {
                (Some(found), _) => return Some(found),
                (None, Some(next)) => rest = next,
                (None, None) => return None,
            }
        }
    }

    /// Looks for the next delimiter, and gives what stands behind it.
    fn content<'chunk>(&mut self, chunk: &'chunk [u8]) -> Option<&'chunk [u8]> {
        let open = self.delimiter.len().saturating_sub(1);
        let waited = self.waiting.len();
        // What waits is shorter than a delimiter, so that one which begins there ends in the next `open` bytes.
        self.waiting.extend_from_slice(chunk.get(..open.min(chunk.len())).unwrap_or_default());
        let end = match position(&self.waiting, &self.delimiter) {
            Some(at) => Some((at + self.delimiter.len()).saturating_sub(waited)),
            None => position(chunk, &self.delimiter).map(|at| at + self.delimiter.len()),
        };
        if let Some(end) = end {
            self.waiting.clear();
            self.is_in_head = true;
            return chunk.get(end..);
        }
        if chunk.len() >= open {
            self.waiting.clear();
            self.waiting.extend_from_slice(chunk.get(chunk.len() - open..).unwrap_or_default());
        } else {
            let surplus = self.waiting.len().saturating_sub(open);
            self.waiting.drain(..surplus);
        }
        None
    }

    /// Reads on in a part's head, and gives what stands behind it.
    fn head<'chunk>(&mut self, chunk: &'chunk [u8], names: &Names) -> (Option<Part>, Option<&'chunk [u8]>) {
        for (index, byte) in chunk.iter().enumerate() {
            self.waiting.push(*byte);
            if *byte == b'\n' && ends(&self.waiting) {
                let found = named(&self.waiting, names).map(Part::Named);
                self.waiting.clear();
                self.is_in_head = false;
                return (found, chunk.get(index + 1..));
            }
            if self.waiting.len() > HEAD_BYTES_MAX {
                return (Some(Part::TooLong), None);
            }
        }
        (None, None)
    }
}

/// Whether a head that ends in a line break ends in an empty line. Its first line is what stands behind the boundary.
fn ends(head: &[u8]) -> bool {
    let before = head.strip_suffix(b"\n").unwrap_or(head);
    before.strip_suffix(b"\r").unwrap_or(before).ends_with(b"\n")
}

/// The first of `names` that is the value of a parameter `name` in a part's head.
fn named(head: &[u8], names: &Names) -> Option<Arc<str>> {
    let lower = head.to_ascii_lowercase();
    let mut from = 0;
    while let Some(at) = position(lower.get(from..).unwrap_or_default(), b"name") {
        let before = (from + at).checked_sub(1).and_then(|before| head.get(before));
        from += at + b"name".len();
        // The end of `filename`, which is another.
        if before.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
            continue;
        }
        let rest = head.get(from..).unwrap_or_default().trim_ascii_start();
        let rest = rest.strip_prefix(b"*").unwrap_or(rest).trim_ascii_start();
        let Some(value) = rest.strip_prefix(b"=").map(<[u8]>::trim_ascii_start) else { continue };
        if let Some(found) = spellings(value).find_map(|spelling| names.find(&spelling).cloned()) {
            return Some(found);
        }
    }
    None
}

/// What a parameter that begins like this may be: quoted or not (RFC 9110 §5.6.6), with its charset (RFC 8187 §3.2) or
/// without, encoded or as it stands.
fn spellings(value: &[u8]) -> impl Iterator<Item = Spelling> {
    let quote = value.first().filter(|byte| matches!(byte, b'"' | b'\''));
    let bare = |byte: &u8| matches!(byte, b';' | b'\r' | b'\n' | b' ' | b'\t' | b',');
    let token = value.split(bare).next().unwrap_or_default();
    let quoted = quote.map(|quote| unquoted(value.get(1..).unwrap_or_default(), *quote));
    let extended = token.splitn(3, |byte| *byte == b'\'').nth(2).map(<[u8]>::to_vec);
    let all = [Some(token.to_vec()), quoted, extended].into_iter().flatten();
    all.flat_map(|name| [Spelling::plain(&name), Spelling::plain(&percent::decode(&name))])
}

/// A quoted text up to its end, without the backslashes in it.
fn unquoted(text: &[u8], quote: u8) -> Vec<u8> {
    let (mut plain, mut is_escaped) = (Vec::new(), false);
    for byte in text {
        match byte {
            b'\\' if !is_escaped => is_escaped = true,
            byte if *byte == quote && !is_escaped => break,
            byte => {
                is_escaped = false;
                plain.push(*byte);
            }
        }
    }
    plain
}

fn position(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}
