//! What was read of a body before it was decided what becomes of it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use hyper::body::{Body as _, Bytes, Frame, Incoming};

/// The frames that were read, and how the reading went on.
#[derive(Default)]
pub struct Ahead {
    frames: VecDeque<Result<Frame<Bytes>, hyper::Error>>,
}

impl Ahead {
    /// Reads a body that should be small to its end. Gives all of it, if the end came before `limit` bytes were exceeded
    /// and within `patience`.
    pub async fn read(&mut self, incoming: &mut Incoming, limit: usize, patience: Duration) -> Option<Vec<u8>> {
        let reading = async {
            let mut whole = Vec::new();
            while !incoming.is_end_stream() {
                let next = std::future::poll_fn(|context| Pin::new(&mut *incoming).poll_frame(context));
                let Some(frame) = next.await else { break };
                let bytes = frame.as_ref().ok().and_then(Frame::data_ref).cloned();
                let is_broken = frame.is_err();
                self.frames.push_back(frame);
                whole.extend_from_slice(&bytes.unwrap_or_default());
                if is_broken || whole.len() > limit {
                    return None;
                }
            }
            Some(whole)
        };
        tokio::time::timeout(patience, reading).await.ok().flatten()
    }

    /// The next of what was read.
    pub(super) fn next(&mut self) -> Option<Result<Frame<Bytes>, hyper::Error>> {
        self.frames.pop_front()
    }

    /// Takes back what was read first.
    pub(super) fn put_back(&mut self, frame: Result<Frame<Bytes>, hyper::Error>) {
        self.frames.push_front(frame);
    }

    /// Whether nothing is left of it.
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// How many bytes are left.
    pub(super) fn len(&self) -> u64 {
        let frames = self.frames.iter().flatten().filter_map(Frame::data_ref);
        frames.map(|bytes| bytes.len() as u64).sum()
    }
}
