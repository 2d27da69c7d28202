//! The bodies that pass through, streamed both ways with back-pressure, and those that we make.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint};
use hyper::http::HeaderMap;
use tokio::time::Sleep;

use crate::activity::Running;
use crate::telemetry::access::Entry;

mod ahead;
mod edit;
mod kept;
mod upload;

pub use ahead::Ahead;
pub use edit::{Cut, Edit};
pub use kept::Kept;
pub use upload::{RequestBody, Upload};

use edit::{Edited, Step};

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
}

/// The body of an answer to a caller.
pub struct Body {
    content: Content,
    end: Option<End>,
}

enum Content {
    Whole(Option<Bytes>),
    Relayed {
        ahead: Option<Box<Ahead>>,
        incoming: Incoming,
        waiting: Option<Box<dyn AtEnd>>,
        idle: Idle,
        strip: StripTrailers,
        broken: Option<BodyError>,
        edited: Option<Edited>,
    },
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

/// Notices that nothing moves. The timer is made when there is something to wait for, and not moved at each byte: when
/// it fires it looks at when the last byte came.
struct Idle {
    patience: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    moved: bool,
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
        let idle = Idle { patience: idle, timer: None, moved: true };
        Self {
            content: Content::Relayed { ahead, incoming, waiting, idle, strip, broken: None, edited: None },
            end: None,
        }
    }

    /// The same, edited on its way.
    #[must_use]
    pub fn edited(mut self, edit: Option<Box<dyn Edit>>) -> Self {
        if let Content::Relayed { edited, .. } = &mut self.content {
            *edited = edit.map(Edited::new);
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
            BodyError::Caller(_) => "bad_request",
        };
        if let Some(end) = &mut self.end {
            end.entry.note(|record| (record.code, record.fault) = (Some(code), "provider"));
        }
        tracing::warn!(code, cause = %crate::telemetry::chain(error), "an answer broke off");
    }

    fn complete(&mut self) {
        if let Content::Relayed { waiting, .. } = &mut self.content
            && let Some(waiting) = waiting.take()
        {
            waiting.at_end();
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
            Content::Relayed { broken, .. } if broken.is_some() => broken.take().map(Err),
            Content::Relayed { ahead, incoming, idle, strip, broken, edited: None, .. } => {
                ready!(poll_provider(ahead.as_deref_mut(), incoming, idle, *strip, broken, context))
            }
            Content::Relayed { ahead, incoming, idle, strip, broken, edited: Some(edited), .. } => loop {
                if let Some(step) = edited.waiting() {
                    break step.frame().map(Ok);
                }
                let frame = match ready!(poll_provider(ahead.as_deref_mut(), incoming, idle, *strip, broken, context)) {
                    Some(Err(error)) => break Some(Err(error)),
                    Some(Ok(frame)) => Some(frame),
                    None => None,
                };
                match edited.take(frame) {
                    Ok(Step::Wait) => {}
                    Ok(step) => break step.frame().map(Ok),
                    Err(Cut) => break Some(Err(BodyError::Cut)),
                }
            },
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
            Content::Relayed { edited: Some(edited), .. } => edited.is_over(),
            Content::Relayed { ahead, incoming, .. } => {
                incoming.is_end_stream() && ahead.as_ref().is_none_or(|ahead| ahead.is_empty())
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            // How long it becomes shows at its end.
            Content::Relayed { edited: Some(_), .. } => SizeHint::default(),
            Content::Relayed { ahead: None, incoming, .. } => incoming.size_hint(),
            Content::Relayed { ahead: Some(ahead), incoming, .. } => {
                let (read, left) = (ahead.len(), incoming.size_hint());
                let mut hint = SizeHint::new();
                hint.set_lower(read + left.lower());
                if let Some(upper) = left.upper() {
                    hint.set_upper(read + upper);
                }
                hint
            }
        }
    }
}

/// The next frame of a provider's answer.
fn poll_provider(
    ahead: Option<&mut Ahead>,
    incoming: &mut Incoming,
    idle: &mut Idle,
    strip: StripTrailers,
    broken: &mut Option<BodyError>,
    context: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
    let next = match ahead.and_then(Ahead::next) {
        Some(frame) => Poll::Ready(Some(frame)),
        None => Pin::new(incoming).poll_frame(context),
    };
    match next {
        Poll::Ready(Some(Err(error))) => {
            // hyper drops the connection at an error, with what it has not flushed: first it gets a turn to.
            *broken = Some(BodyError::Upstream(error));
            context.waker().wake_by_ref();
            Poll::Pending
        }
        Poll::Ready(mut frame) => {
            idle.moved = true;
            if let Some(Ok(frame)) = &mut frame
                && let Some(trailers) = frame.trailers_mut()
            {
                strip(trailers);
            }
            Poll::Ready(frame.map(|frame| frame.map_err(BodyError::Upstream)))
        }
        Poll::Pending => {
            ready!(idle.poll_silence(context));
            Poll::Ready(Some(Err(BodyError::Silent)))
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

impl Idle {
    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let patience = self.patience;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        loop {
            ready!(timer.as_mut().poll(context));
            if !std::mem::take(&mut self.moved) {
                return Poll::Ready(());
            }
            // From now: while the caller took its time, nobody asked the provider for more.
            timer.set(tokio::time::sleep(patience));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn silence_counts_while_somebody_waits_and_not_while_the_caller_takes_its_time() {
        let patience = Duration::from_millis(20);
        let mut idle = Idle { patience, timer: None, moved: true };
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(idle.poll_silence(&mut context).is_pending());
        tokio::time::sleep(patience * 5).await;
        idle.moved = true;
        assert!(idle.poll_silence(&mut context).is_pending());
        tokio::time::sleep(patience * 5).await;
        assert!(idle.poll_silence(&mut context).is_ready());
    }
}
