//! The bodies that pass through, streamed both ways with back-pressure, and those that we make.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint};
use hyper::http::HeaderMap;

use crate::activity::Running;
use crate::parameters::Found;
use crate::telemetry::access::Entry;

mod ahead;
mod edit;
mod kept;
mod relay;
mod upload;

pub use ahead::Ahead;
pub use edit::{Cut, Edit, Edited, joined};
pub use kept::Kept;
pub use upload::{RequestBody, Upload};

use relay::Relay;

/// An error of a body, which breaks the message it belongs to in a way that the receiver notices (RFC 9112 §8).
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The provider's answer broke off.
    #[error("the provider's answer broke off")]
    Upstream(#[source] hyper::Error),
    /// No byte came from the provider for `idle_timeout`.
    #[error("the provider fell silent in the middle of its answer")]
    Silent,
    /// Something in it must not go on.
    #[error("the provider's answer was cut")]
    Cut,
    /// The caller's request broke off.
    #[error("the caller's request broke off")]
    Caller(#[source] hyper::Error),
    /// There is something in the caller's request that must not go on.
    #[error("something in the caller's request must not go on")]
    Refused(Found),
}

/// The body of an answer to a caller.
pub struct Body {
    content: Content,
    end: Option<End>,
}

enum Content {
    Whole(Option<Bytes>),
    Relayed(Relay),
}

/// Takes out of an answer's trailers what must not be handed on.
pub type StripTrailers = fn(&mut HeaderMap);

/// What waits for the end of a provider's answer: the connection that it comes on.
pub trait AtEnd: Send + Sync {
    /// The answer was read to its end. It is dropped instead when the answer was not.
    fn at_end(self: Box<Self>);
}

/// What happens when the answer has been handed over or was given up: the connection is told, the log line is written.
struct End {
    entry: Entry,
    _running: Running,
}

impl Default for Body {
    fn default() -> Self {
        Self { content: Content::Whole(None), end: None }
    }
}

impl Body {
    /// A body of our own, complete.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        Self { content: Content::Whole(Some(bytes.into()).filter(|bytes| !bytes.is_empty())), end: None }
    }

    /// The provider's body, streamed, with its trailers after `strip`; broken if no byte comes for `idle`. `ahead`
    /// is what was read of it already. `waiting` hears of its end.
    #[must_use]
    pub fn relayed(
        (ahead, incoming): (Option<Box<Ahead>>, Incoming),
        waiting: Option<Box<dyn AtEnd>>,
        idle: Duration,
        strip: StripTrailers,
    ) -> Self {
        Self { content: Content::Relayed(Relay::new((ahead, incoming), waiting, idle, strip)), end: None }
    }

    /// The same, edited on its way.
    #[must_use]
    pub fn edited(mut self, edit: Option<Box<Edited>>) -> Self {
        if let (Content::Relayed(relay), Some(edit)) = (&mut self.content, edit) {
            relay.edit(edit);
        }
        self
    }

    /// Has `entry` written once the body has been handed over, and the connection told then.
    #[must_use]
    pub fn with_end(mut self, running: Running, entry: Entry) -> Self {
        self.end = Some(End { entry, _running: running.streaming() });
        self
    }

    fn count(&mut self, bytes: usize) {
        if let Some(end) = &mut self.end {
            end.entry.add_bytes_out(bytes);
        }
    }

    /// The status has long been sent, so the log and the metrics are where it can still be said who failed.
    fn break_off(&mut self, error: &BodyError) {
        let code = match error {
            BodyError::Upstream(_) | BodyError::Cut => "upstream_protocol",
            BodyError::Silent => "upstream_timeout",
            BodyError::Caller(_) | BodyError::Refused(_) => "bad_request",
        };
        if let Some(end) = &mut self.end {
            end.entry.note(|record| (record.code, record.fault) = (Some(code), "provider"));
        }
        tracing::warn!(code, cause = %crate::telemetry::chain(error), "an answer broke off");
    }

    fn complete(&mut self) {
        if let Content::Relayed(relay) = &mut self.content {
            relay.complete();
        }
        if let Some(end) = &mut self.end {
            end.entry.complete();
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let frame = match &mut this.content {
            Content::Whole(bytes) => bytes.take().map(|bytes| Ok(Frame::data(bytes))),
            Content::Relayed(relay) => ready!(relay.poll_next(context)),
        };
        match &frame {
            Some(Ok(frame)) => this.count(frame.data_ref().map_or(0, Bytes::len)),
            Some(Err(error)) => this.break_off(error),
            None => this.complete(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole(bytes) => bytes.is_none(),
            Content::Relayed(relay) => relay.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Content::Relayed(relay) => relay.size_hint(),
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        // hyper does not poll once more for the end of a body that says that it has ended, and not at all for one of ours
        // that answers a HEAD.
        if self.is_end_stream() || matches!(self.content, Content::Whole(_)) {
            self.complete();
        }
    }
}
