//! What may be done to the bytes of an answer on their way to the caller.

use hyper::body::{Bytes, Frame};
use hyper::http::HeaderMap;

/// An edit of a body, chunk by chunk.
pub trait Edit: Send {
    /// Takes the next bytes, and gives what may go on already: all, some, or nothing yet. However the body is divided into
    /// chunks, what comes out is the same.
    ///
    /// # Errors
    /// [`Cut`] when the answer must not go on.
    fn push(&mut self, chunk: Bytes) -> Result<Bytes, Cut>;

    /// The body has ended: gives what was kept back.
    ///
    /// # Errors
    /// [`Cut`] when the answer must not go on.
    fn end(&mut self) -> Result<Bytes, Cut>;

    /// Takes a body that is all there, instead of chunks and their end: what comes out is the same.
    ///
    /// # Errors
    /// [`Cut`] when the answer must not go on.
    fn whole(&mut self, body: Bytes) -> Result<Bytes, Cut> {
        let first = self.push(body)?;
        Ok(joined(first, self.end()?))
    }

    /// Looks through the trailers, which come behind the end.
    fn trailers(&mut self, _trailers: &mut HeaderMap) {}
}

/// One behind the other. Mostly one of them is empty.
#[must_use]
pub fn joined(first: Bytes, second: Bytes) -> Bytes {
    match (first.is_empty(), second.is_empty()) {
        (true, _) => second,
        (false, true) => first,
        (false, false) => [first, second].concat().into(),
    }
}

/// Where there is no edit, everything goes on as it came.
impl<E: Edit> Edit for Option<E> {
    fn push(&mut self, chunk: Bytes) -> Result<Bytes, Cut> {
        match self {
            Some(edit) => edit.push(chunk),
            None => Ok(chunk),
        }
    }

    fn end(&mut self) -> Result<Bytes, Cut> {
        self.as_mut().map_or(Ok(Bytes::new()), Edit::end)
    }

    fn whole(&mut self, body: Bytes) -> Result<Bytes, Cut> {
        match self {
            Some(edit) => edit.whole(body),
            None => Ok(body),
        }
    }

    fn trailers(&mut self, trailers: &mut HeaderMap) {
        if let Some(edit) = self {
            edit.trailers(trailers);
        }
    }
}

/// One edit after the other.
impl<First: Edit, Second: Edit> Edit for (First, Second) {
    fn push(&mut self, chunk: Bytes) -> Result<Bytes, Cut> {
        let bytes = self.0.push(chunk)?;
        if bytes.is_empty() { Ok(bytes) } else { self.1.push(bytes) }
    }

    fn end(&mut self) -> Result<Bytes, Cut> {
        let last = self.0.end()?;
        let bytes = if last.is_empty() { last } else { self.1.push(last)? };
        Ok(joined(bytes, self.1.end()?))
    }

    fn whole(&mut self, body: Bytes) -> Result<Bytes, Cut> {
        let body = self.0.whole(body)?;
        self.1.whole(body)
    }

    fn trailers(&mut self, trailers: &mut HeaderMap) {
        self.0.trailers(trailers);
        self.1.trailers(trailers);
    }
}

/// The answer must not go on: it is broken off where the caller notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut;

/// What is to be done to a body, and how far that has come. In one box, whatever the edit is.
pub struct Edited<E: ?Sized = dyn Edit> {
    /// What comes behind the bytes that were kept back.
    last: Option<Frame<Bytes>>,
    has_ended: bool,
    edit: E,
}

/// What a frame has become.
pub(super) enum Step {
    /// This goes on.
    Frame(Frame<Bytes>),
    /// Nothing goes on yet.
    Wait,
    /// There is nothing more.
    End,
}

impl Step {
    pub(super) fn frame(self) -> Option<Frame<Bytes>> {
        match self {
            Self::Frame(frame) => Some(frame),
            Self::Wait | Self::End => None,
        }
    }
}

impl<E: Edit + 'static> Edited<E> {
    /// At the beginning of a body.
    #[must_use]
    pub fn boxed(edit: E) -> Box<Edited> {
        Box::new(Self { edit, last: None, has_ended: false })
    }
}

impl Edited {
    /// What waits to go on before anything more is read.
    pub(super) fn waiting(&mut self) -> Option<Step> {
        let last = self.last.take().map(Step::Frame);
        last.or(self.has_ended.then_some(Step::End))
    }

    /// Takes a frame, or the end.
    pub(super) fn take(&mut self, frame: Option<Frame<Bytes>>) -> Result<Step, Cut> {
        let data = match frame.map(Frame::into_data) {
            Some(Ok(data)) => {
                let bytes = self.edit.push(data)?;
                return Ok(if bytes.is_empty() { Step::Wait } else { Step::Frame(Frame::data(bytes)) });
            }
            // Trailers are the last there is.
            Some(Err(mut trailers)) => {
                if let Some(trailers) = trailers.trailers_mut() {
                    self.edit.trailers(trailers);
                }
                Some(trailers)
            }
            None => None,
        };
        self.has_ended = true;
        let kept_back = self.edit.end()?;
        if kept_back.is_empty() {
            return Ok(data.map_or(Step::End, Step::Frame));
        }
        self.last = data;
        Ok(Step::Frame(Frame::data(kept_back)))
    }

    /// Takes a body that is all there; `None` if nothing of it goes on.
    pub(super) fn take_whole(&mut self, body: Bytes) -> Result<Option<Bytes>, Cut> {
        self.has_ended = true;
        let body = self.edit.whole(body)?;
        Ok((!body.is_empty()).then_some(body))
    }

    /// Takes a frame behind which nothing more comes. Who knows how long the body is does not ask for its end.
    pub(super) fn take_last(&mut self, frame: Frame<Bytes>) -> Result<Step, Cut> {
        match (self.take(Some(frame))?, self.has_ended) {
            (step, true) => Ok(step),
            (Step::Frame(frame), false) => {
                let kept_back = self.take(None)?.frame().and_then(|frame| frame.into_data().ok());
                match (frame.into_data(), kept_back) {
                    (Ok(data), Some(kept_back)) => Ok(Step::Frame(Frame::data([data, kept_back].concat().into()))),
                    (Ok(data), None) => Ok(Step::Frame(Frame::data(data))),
                    (Err(frame), _) => Ok(Step::Frame(frame)),
                }
            }
            (Step::Wait | Step::End, false) => self.take(None),
        }
    }

    /// Whether all of it has gone on.
    pub(super) fn is_over(&self) -> bool {
        self.has_ended && self.last.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps everything back to the end, or cuts where there is an `x`.
    struct Keep(Vec<u8>);

    impl Edit for Keep {
        fn push(&mut self, chunk: Bytes) -> Result<Bytes, Cut> {
            self.0.extend_from_slice(&chunk);
            if chunk.contains(&b'x') { Err(Cut) } else { Ok(Bytes::new()) }
        }

        fn end(&mut self) -> Result<Bytes, Cut> {
            Ok(Bytes::from(std::mem::take(&mut self.0)))
        }
    }

    #[test]
    fn what_is_kept_back_comes_before_the_trailers_and_the_end() {
        let mut edited = Edited::boxed(Keep(Vec::new()));
        assert!(matches!(edited.take(Some(Frame::data(Bytes::from_static(b"a")))), Ok(Step::Wait)));
        assert!(matches!(edited.take(Some(Frame::data(Bytes::from_static(b"b")))), Ok(Step::Wait)));
        let trailers = Frame::trailers(HeaderMap::new());
        let Ok(Step::Frame(frame)) = edited.take(Some(trailers)) else { panic!("nothing came") };
        assert_eq!(frame.into_data().unwrap(), "ab");
        assert!(!edited.is_over());
        assert!(matches!(edited.waiting(), Some(Step::Frame(frame)) if frame.is_trailers()));
        assert!(edited.is_over());
        assert!(matches!(edited.waiting(), Some(Step::End)));
    }

    #[test]
    fn behind_the_last_frame_comes_what_was_kept_back_at_once() {
        let mut edited = Edited::boxed(Keep(Vec::new()));
        assert!(matches!(edited.take(Some(Frame::data(Bytes::from_static(b"a")))), Ok(Step::Wait)));
        let Ok(step) = edited.take_last(Frame::data(Bytes::from_static(b"b"))) else { panic!("it was cut") };
        assert_eq!(step.frame().unwrap().into_data().unwrap(), "ab");
        assert!(edited.is_over());
    }

    #[test]
    fn what_the_first_of_two_keeps_back_goes_through_the_second() {
        let mut two = (Keep(Vec::new()), (None::<Keep>, Some(Keep(Vec::new()))));
        assert_eq!(two.push(Bytes::from_static(b"a")), Ok(Bytes::new()));
        assert_eq!(two.end(), Ok(Bytes::from_static(b"a")));
    }

    #[test]
    fn a_cut_is_a_cut() {
        let mut edited = Edited::boxed(Keep(Vec::new()));
        assert!(matches!(edited.take(Some(Frame::data(Bytes::from_static(b"x")))), Err(Cut)));
    }
}
