//! A body that arrives piece by piece.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame};
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Sends `chunk 1\n`, `chunk 2\n`, … with a pause between.
pub(super) struct Chunks {
    interval: Interval,
    sent: u32,
    count: u32,
}

impl Chunks {
    pub(super) fn new(count: u32, pause: Duration) -> Self {
        let mut interval = interval(pause.max(Duration::from_millis(1)));
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { interval, sent: 0, count }
    }
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.sent == self.count {
            return Poll::Ready(None);
        }
        ready!(self.interval.poll_tick(context));
        self.sent += 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(format!("chunk {}\n", self.sent))))))
    }
}
