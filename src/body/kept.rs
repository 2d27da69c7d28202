//! A request's body, kept while it is handed on, for the one time that it may be needed again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use hyper::body::Bytes;

use super::RequestBody;

/// What was kept of a body. Chunks are shared with those that were handed on, not copied.
#[derive(Clone)]
pub struct Kept(Arc<Mutex<State>>);

struct State {
    chunks: Vec<Bytes>,
    /// How many more bytes may be kept; `None` once there were too many.
    room: Option<usize>,
    has_ended: bool,
}

impl Kept {
    /// Room for `limit` bytes of a body. `is_empty`: there is none, so all of it is kept already.
    pub(super) fn new(limit: usize, is_empty: bool) -> Self {
        Self(Arc::new(Mutex::new(State { chunks: Vec::new(), room: Some(limit), has_ended: is_empty })))
    }

    pub(super) fn push(&self, chunk: &Bytes) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // To remember a chunk takes memory too, so that a body in crumbs is not kept in many times its size.
        let cost = chunk.len().max(size_of::<Bytes>());
        state.room = state.room.and_then(|room| room.checked_sub(cost));
        match state.room {
            Some(_) => state.chunks.push(chunk.clone()),
            None => state.chunks = Vec::new(),
        }
    }

    pub(super) fn end(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).has_ended = true;
    }

    /// The body once more, if all of it was kept.
    #[must_use]
    pub fn again(self) -> Option<RequestBody> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_whole = state.has_ended && state.room.is_some();
        is_whole.then(|| RequestBody::of(VecDeque::from(std::mem::take(&mut state.chunks))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(chunks: usize, chunk: &'static [u8]) -> Option<RequestBody> {
        let kept = Kept::new(1024, false);
        for _ in 0..chunks {
            kept.push(&Bytes::from_static(chunk));
        }
        kept.end();
        kept.again()
    }

    #[test]
    fn a_body_is_kept_up_to_its_limit_and_a_crumb_counts_for_what_it_takes() {
        assert!(kept(2, &[b'x'; 512]).is_some());
        assert!(kept(3, &[b'x'; 512]).is_none());
        assert!(kept(32, b"x").is_some());
        assert!(kept(33, b"x").is_none());
    }
}
