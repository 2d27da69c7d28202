//! Which URLs are a provider's own, and where they lead instead.
//!
//! Scheme and authority are compared as RFC 3986 §6.2.2.1 and §6.2.3 have it, and the base's path in whole segments: what
//! only begins with the same letters (`https://api.github.com.evil.example`, `https://api.github.com@evil.example`) is
//! another's.

use std::borrow::Cow;

use super::text::{Cursor, Miss, Plain, Spelling, Step};
use crate::config::BaseUrl;
use crate::percent;

/// Where callers enter a provider.
pub(super) struct Entrance {
    /// The proxy's origin.
    pub(super) origin: String,
    /// What stands there before the provider's path.
    pub(super) path: String,
}

/// The base of a provider, and what stands in its place.
pub(super) struct Base {
    /// Where it is; `None` for a path alone, which is at the provider's.
    origin: Option<Origin>,
    path: String,
    /// What stands in place of the base.
    url: String,
    entrance: Entrance,
}

struct Origin {
    /// In lower case.
    scheme_and_host: String,
    port: String,
    is_default_port: bool,
}

impl Base {
    /// The base of a provider that is entered at `entrance`.
    pub(super) fn new(base_url: &BaseUrl, entrance: Entrance) -> Self {
        let BaseUrl { scheme, authority, path } = base_url;
        let default_port = if scheme.as_str() == "http" { 80 } else { 443 };
        let port = authority.port_u16().unwrap_or(default_port);
        let origin = Origin {
            scheme_and_host: format!("{scheme}://{}", authority.host()).to_ascii_lowercase(),
            port: port.to_string(),
            is_default_port: port == default_port,
        };
        let url = format!("{}{}", entrance.origin, entrance.path);
        Self { origin: Some(origin), path: path.clone(), url, entrance }
    }

    /// A path at the host of a provider that is entered at `entrance`, where it is written without that host.
    pub(super) fn path(path: &str, base_url: &BaseUrl, entrance: Entrance) -> Self {
        let behind = path.strip_prefix(&base_url.path).unwrap_or(path);
        Self { origin: None, path: path.to_owned(), url: format!("{}{behind}", entrance.path), entrance }
    }

    fn first(&self) -> Option<u8> {
        let start = self.origin.as_ref().map_or(&self.path, |origin| &origin.scheme_and_host);
        start.bytes().next()
    }

    /// What stands in place of the base.
    pub(super) fn url(&self) -> &[u8] {
        self.url.as_bytes()
    }

    /// How many bytes at the beginning of `text` are this base.
    fn length<S: Spelling>(&self, text: &[u8]) -> Result<usize, Miss> {
        let mut cursor = Cursor::<S>::new(text);
        if let Some(origin) = &self.origin {
            origin.pass(&mut cursor)?;
        }
        cursor.pass(self.path.as_bytes(), |found, expected| found == expected)?;
        let length = cursor.taken();
        ends_here(cursor)?;
        Ok(length)
    }
}

impl Origin {
    fn pass<S: Spelling>(&self, cursor: &mut Cursor<'_, S>) -> Result<(), Miss> {
        cursor.pass(self.scheme_and_host.as_bytes(), |found, expected| found.eq_ignore_ascii_case(&expected))?;
        self.pass_port(cursor)
    }

    /// The default port may be left out, with or without its colon.
    fn pass_port<S: Spelling>(&self, cursor: &mut Cursor<'_, S>) -> Result<(), Miss> {
        match cursor.peek() {
            Step::Byte(b':') => {
                cursor.next();
            }
            Step::Unknown => return Err(Miss::Unknown),
            Step::Byte(_) | Step::End | Step::Foreign if self.is_default_port => return Ok(()),
            Step::Byte(_) | Step::End | Step::Foreign => return Err(Miss::Other),
        }
        match cursor.peek() {
            Step::Byte(digit) if digit.is_ascii_digit() => cursor.pass(self.port.as_bytes(), |a, b| a == b),
            Step::Unknown => Err(Miss::Unknown),
            Step::Byte(_) | Step::End | Step::Foreign if self.is_default_port => Ok(()),
            Step::Byte(_) | Step::End | Step::Foreign => Err(Miss::Other),
        }
    }
}

/// Behind a base comes a segment, a query, a fragment, nothing, or an expression of a URL template that stands for one of
/// these (RFC 6570 §3.2: `{/sha}`, `{?page}`, `{#section}`; `{.suffix}` or `{name}` would lengthen the name before it).
fn ends_here<S: Spelling>(mut cursor: Cursor<'_, S>) -> Result<(), Miss> {
    let mut next = cursor.next();
    if next == Step::Byte(b'{') {
        next = match cursor.next() {
            Step::End => Step::Foreign,
            step @ (Step::Byte(_) | Step::Foreign | Step::Unknown) => step,
        };
    }
    match next {
        Step::Byte(b'/' | b'?' | b'#') | Step::End => Ok(()),
        Step::Unknown => Err(Miss::Unknown),
        Step::Byte(_) | Step::Foreign => Err(Miss::Other),
    }
}

/// The bases that the answers of one provider are searched for, for callers who came by one door.
pub(super) struct Bases {
    /// The longest path first; of equals the provider's own.
    bases: Vec<Base>,
    /// By each byte, whether a base may begin with it.
    firsts: [bool; 256],
    scheme: String,
    /// Scheme and authority of the provider, at which its references start.
    origin: String,
    /// The origin at which the callers are.
    here: String,
}

impl Bases {
    /// The bases of a provider at `own`: its own first, then those of its relations.
    pub(super) fn new(own: &BaseUrl, mut bases: Vec<Base>) -> Self {
        let here = bases.first().map(|own| own.entrance.origin.clone()).unwrap_or_default();
        bases.sort_by_key(|base| std::cmp::Reverse(base.path.len()));
        let firsts = std::array::from_fn(|byte| {
            let byte = u8::try_from(byte).unwrap_or_default();
            byte == b'\\' || bases.iter().any(|base| base.first() == Some(byte.to_ascii_lowercase()))
        });
        Self {
            bases,
            firsts,
            scheme: own.scheme.to_string(),
            origin: format!("{}://{}", own.scheme, own.authority),
            here,
        }
    }

    /// Whether all of them have a scheme.
    pub(super) fn are_urls(&self) -> bool {
        self.bases.iter().all(|base| base.origin.is_some())
    }

    /// Whether what begins with `byte` may begin with a base, however that is spelt.
    #[inline]
    pub(super) fn may_begin(&self, byte: u8) -> bool {
        self.firsts.get(usize::from(byte)).is_some_and(|is_first| *is_first)
    }

    /// The longest base with which `text` begins, and its length there.
    pub(super) fn find<S: Spelling>(&self, text: &[u8]) -> Result<(usize, &Base), Miss> {
        for base in &self.bases {
            match base.length::<S>(text) {
                Ok(length) => return Ok((length, base)),
                Err(Miss::Other) => {}
                Err(Miss::Unknown) => return Err(Miss::Unknown),
            }
        }
        Err(Miss::Other)
    }

    /// A reference (RFC 3986 §4.1) of the provider's that leads to the same through the proxy; `None` for one that stays
    /// as it is: it leads elsewhere, or it is relative to a path that the caller has asked for here.
    pub(super) fn point_back(&self, reference: &[u8]) -> Option<Vec<u8>> {
        let (absolute, added) = self.resolve(reference);
        let (length, base) = self.find::<Plain>(&absolute).ok()?;
        let rest = absolute.get(length..)?;
        // Clients remove dot segments before they ask, and would ask for something beside the provider.
        if has_dot_segment(rest) {
            return None;
        }
        let is_path = added == self.origin.len();
        let lead = if is_path { self.lead(base) } else { base.url() };
        let there = [lead, rest].concat();
        (there != reference).then_some(there)
    }

    /// The reference with what a relative one leaves out, and how long that is.
    fn resolve<'r>(&self, reference: &'r [u8]) -> (Cow<'r, [u8]>, usize) {
        let added = match reference {
            [b'/', b'/', ..] => format!("{}:", self.scheme),
            [b'/', ..] => self.origin.clone(),
            [..] => return (Cow::Borrowed(reference), 0),
        };
        (Cow::Owned([added.as_bytes(), reference].concat()), added.len())
    }

    /// What stands in place of the base where a path alone is given: a path, where that leads to the same.
    fn lead<'b>(&self, base: &'b Base) -> &'b [u8] {
        // With nothing before it, what is left of a path could begin with `//`, or with its query.
        let is_path = !base.entrance.path.is_empty() || base.path.is_empty();
        if base.entrance.origin == self.here && is_path { base.entrance.path.as_bytes() } else { base.url() }
    }
}

/// Whether the path at the beginning of `rest` has a segment `.` or `..`, as clients see it (WHATWG URL, "path state").
pub(super) fn has_dot_segment(rest: &[u8]) -> bool {
    // Nearly all paths have none, and nothing to decode.
    if !rest.windows(2).any(|pair| matches!(pair, [b'/' | b'\\', b'.' | b'%'])) {
        return false;
    }
    let path = rest.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
    path.split(|byte| matches!(byte, b'/' | b'\\')).any(|segment| matches!(&*percent::decode(segment), b"." | b".."))
}
