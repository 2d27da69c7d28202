//! A provider's body on its way to the caller.

use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use hyper::body::{Body as _, Bytes, Frame, Incoming, SizeHint};
use tokio::time::Sleep;

use super::edit::{Edited, Step};
use super::{Ahead, AtEnd, BodyError, Cut, StripTrailers};

/// So long a body may be edited at once, in bytes.
const SMALL: u64 = 64 * 1024;

/// A provider's body, and what is done with it.
pub(super) struct Relay {
    /// What was read of it already.
    ahead: Option<Box<Ahead>>,
    incoming: Incoming,
    waiting: Option<Box<dyn AtEnd>>,
    idle: Idle,
    strip: StripTrailers,
    broken: Option<BodyError>,
    edited: Option<Box<Edited>>,
    /// What has become of a body that was edited at once.
    settled: Option<Result<Bytes, Cut>>,
}

/// Notices that nothing moves. The timer is made when there is something to wait for, and not moved at each byte: when
/// it fires it looks at when the last byte came.
struct Idle {
    patience: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    moved: bool,
}

type Next = Option<Result<Frame<Bytes>, BodyError>>;

impl Relay {
    pub(super) fn new(
        (ahead, incoming): (Option<Box<Ahead>>, Incoming),
        waiting: Option<Box<dyn AtEnd>>,
        patience: Duration,
        strip: StripTrailers,
    ) -> Self {
        let idle = Idle { patience, timer: None, moved: true };
        Self { ahead, incoming, waiting, idle, strip, broken: None, edited: None, settled: None }
    }

    /// Has it edited: at once, if all of it has come with its head, as small ones do. Its length can be told then, and head
    /// and body leave in one piece.
    pub(super) fn edit(&mut self, mut edited: Box<Edited>) {
        // Of an empty body nobody asks for the end.
        if self.is_read() {
            return;
        }
        if let Some(whole) = self.whole() {
            self.settled = edited.take_whole(whole).transpose();
        }
        self.edited = Some(edited);
    }

    /// The whole body, if it is small and there.
    fn whole(&mut self) -> Option<Bytes> {
        if self.size_hint().exact().is_none_or(|length| length > SMALL) {
            return None;
        }
        let read = self.ahead.as_mut().and_then(|ahead| ahead.next());
        let frame = match read {
            Some(frame) => frame,
            // Nobody is woken by what comes later: whoever sends the answer asks again.
            None => match Pin::new(&mut self.incoming).poll_frame(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(Some(frame)) => frame,
                Poll::Ready(None) | Poll::Pending => return None,
            },
        };
        match frame.map(Frame::into_data) {
            Ok(Ok(body)) if self.is_read() => Some(body),
            frame => {
                let frame = frame.map(|frame| frame.map_or_else(|other| other, Frame::data));
                self.ahead.get_or_insert_default().put_back(frame);
                None
            }
        }
    }

    /// The next frame for the caller.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Next> {
        if let Some(broken) = self.broken.take() {
            return Poll::Ready(Some(Err(broken)));
        }
        if self.edited.is_none() {
            return self.poll_provider(context);
        }
        match self.settled.take() {
            Some(Ok(body)) => return Poll::Ready(Some(Ok(Frame::data(body)))),
            Some(Err(Cut)) => return self.break_off(BodyError::Cut, context),
            None => {}
        }
        loop {
            if let Some(step) = self.edited.as_mut().and_then(|edited| edited.waiting()) {
                return Poll::Ready(step.frame().map(Ok));
            }
            let frame = match ready!(self.poll_provider(context)) {
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(frame)) => Some(frame),
                None => None,
            };
            let is_last = self.is_read();
            let Some(edited) = &mut self.edited else { return Poll::Ready(None) };
            let step = match frame {
                Some(frame) if is_last => edited.take_last(frame),
                frame => edited.take(frame),
            };
            match step {
                Ok(Step::Wait) => {}
                Ok(step) => return Poll::Ready(step.frame().map(Ok)),
                Err(Cut) => return self.break_off(BodyError::Cut, context),
            }
        }
    }

    /// The next frame of the provider's.
    fn poll_provider(&mut self, context: &mut Context<'_>) -> Poll<Next> {
        let next = match self.ahead.as_mut().and_then(|ahead| ahead.next()) {
            Some(frame) => Poll::Ready(Some(frame)),
            None => Pin::new(&mut self.incoming).poll_frame(context),
        };
        match next {
            Poll::Ready(Some(Err(error))) => self.break_off(BodyError::Upstream(error), context),
            Poll::Ready(mut frame) => {
                self.idle.moved = true;
                if let Some(Ok(frame)) = &mut frame
                    && let Some(trailers) = frame.trailers_mut()
                {
                    (self.strip)(trailers);
                }
                Poll::Ready(frame.map(|frame| frame.map_err(BodyError::Upstream)))
            }
            Poll::Pending => {
                ready!(self.idle.poll_silence(context));
                Poll::Ready(Some(Err(BodyError::Silent)))
            }
        }
    }

    /// hyper drops the connection at an error, with what it has not flushed: first it gets a turn to.
    fn break_off(&mut self, error: BodyError, context: &Context<'_>) -> Poll<Next> {
        self.broken = Some(error);
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Tells the connection that the answer was read to its end.
    pub(super) fn complete(&mut self) {
        if let Some(waiting) = self.waiting.take() {
            waiting.at_end();
        }
    }

    pub(super) fn is_over(&self) -> bool {
        match &self.edited {
            Some(edited) => edited.is_over() && self.settled.is_none(),
            None => self.is_read(),
        }
    }

    /// Whether nothing more comes from the provider.
    fn is_read(&self) -> bool {
        self.incoming.is_end_stream() && self.ahead.as_ref().is_none_or(|ahead| ahead.is_empty())
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        if let Some(Ok(body)) = &self.settled {
            return SizeHint::with_exact(body.len() as u64);
        }
        match (&self.edited, &self.ahead) {
            (None, None) => self.incoming.size_hint(),
            (None, Some(ahead)) => {
                let (read, left) = (ahead.len(), self.incoming.size_hint());
                let mut hint = SizeHint::new();
                hint.set_lower(read + left.lower());
                if let Some(upper) = left.upper() {
                    hint.set_upper(read + upper);
                }
                hint
            }
            // How long it becomes shows at its end; where it keeps its length, the head says so.
            (Some(_), _) => SizeHint::default(),
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
        let mut context = Context::from_waker(Waker::noop());
        assert!(idle.poll_silence(&mut context).is_pending());
        tokio::time::sleep(patience * 5).await;
        idle.moved = true;
        assert!(idle.poll_silence(&mut context).is_pending());
        tokio::time::sleep(patience * 5).await;
        assert!(idle.poll_silence(&mut context).is_ready());
    }
}
