//! A body that is guarded, in the way in which it can be.

use std::sync::Arc;

use hyper::body::Bytes;
use hyper::http::HeaderMap;

use super::plain::Plain;
use super::watch::Watch;
use super::{Alarm, Guard};
use crate::answer::content::{Codings, Content};
use crate::body::{Cut, Edit};

/// A body in which the token is looked for.
pub enum Guarded {
    /// It is masked.
    Plain(Plain),
    /// The body is watched while it passes, and cut. Boxed: it takes much more room, and is rarer.
    Watch(Box<Watch>),
    /// The body passes: it is no text, or not covered. Its trailers are text all the same.
    Passing((Arc<Guard>, Alarm)),
}

impl Guarded {
    /// At the beginning of such a content; `None` if it does not come.
    #[must_use]
    pub fn new(content: &Content, guard: &Arc<Guard>, alarm: &Alarm) -> Option<Self> {
        if !content.is_here {
            return None;
        }
        let shared = (Arc::clone(guard), Arc::clone(alarm));
        Some(match content.codings {
            // A piece of plain text is text too; from the middle of a compressed one nothing can be decoded.
            Codings::None if content.is_text() => Self::Plain(Plain::new(shared)),
            Codings::One(coding) if content.is_text() && !content.is_piece => {
                Self::Watch(Box::new(Watch::new(shared, coding)))
            }
            Codings::None | Codings::One(_) | Codings::Uncovered => Self::Passing(shared),
        })
    }
}

impl Edit for Guarded {
    fn push(&mut self, chunk: Bytes) -> Result<Bytes, Cut> {
        match self {
            Self::Plain(plain) => plain.push(chunk),
            Self::Watch(watch) => watch.push(chunk),
            Self::Passing(_) => Ok(chunk),
        }
    }

    fn end(&mut self) -> Result<Bytes, Cut> {
        match self {
            Self::Plain(plain) => plain.end(),
            Self::Watch(watch) => watch.end(),
            Self::Passing(_) => Ok(Bytes::new()),
        }
    }

    fn whole(&mut self, body: Bytes) -> Result<Bytes, Cut> {
        match self {
            Self::Plain(plain) => plain.whole(body),
            Self::Watch(watch) => watch.whole(body),
            Self::Passing(_) => Ok(body),
        }
    }

    fn trailers(&mut self, trailers: &mut HeaderMap) {
        match self {
            Self::Plain(plain) => plain.trailers(trailers),
            Self::Watch(watch) => watch.trailers(trailers),
            Self::Passing((guard, alarm)) => guard.mask_fields(trailers, alarm),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::content::Kind;
    use crate::answer::decoder::Coding;

    #[test]
    fn text_is_guarded_if_it_can_be_read() {
        let guard = Arc::new(Guard::new(b"gho_16C7e42F292c6912E7").unwrap());
        let alarm: Alarm = Arc::new(|_| {});
        let guarded = |content: Content| match Guarded::new(&content, &guard, &alarm) {
            None => "not",
            Some(Guarded::Plain(_)) => "plain",
            Some(Guarded::Watch(_)) => "watched",
            Some(Guarded::Passing(_)) => "passing",
        };
        let json =
            Content { kind: Kind::Json, codings: Codings::None, is_here: true, is_piece: false, is_fixed: false };
        let gzip = Content { codings: Codings::One(Coding::Gzip), ..json };
        let piece = |content: Content| Content { is_piece: true, ..content };
        assert_eq!(guarded(json), "plain");
        assert_eq!(guarded(Content { kind: Kind::Untold, ..json }), "plain");
        assert_eq!(guarded(piece(json)), "plain");
        assert_eq!(guarded(gzip), "watched");
        assert_eq!(guarded(piece(gzip)), "passing");
        assert_eq!(guarded(Content { codings: Codings::Uncovered, ..json }), "passing");
        assert_eq!(guarded(Content { kind: Kind::Other, ..json }), "passing");
        assert_eq!(guarded(Content { is_here: false, ..json }), "not");
    }
}
