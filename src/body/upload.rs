//! The body of a request on its way to the provider, and how far it has come.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint};
use tokio::sync::Notify;

use super::{BodyError, Kept};
use crate::activity::{Running, Uploading};
use crate::parameters::Watch;

/// The body of a caller's request on its way to the provider. Request trailers end here: nothing that a trailer may
/// bring was judged with the head.
pub struct RequestBody {
    content: Content,
    /// What keeps a copy, if it may be needed again.
    kept: Option<Kept>,
    /// What looks for parameters that must not go on.
    watch: Option<Box<Watch>>,
    upload: Option<Arc<Upload>>,
    /// For the timers of the connection on which it comes.
    uploading: Option<Uploading>,
}

enum Content {
    Incoming(Incoming),
    /// A body that is sent once more.
    Whole(VecDeque<Bytes>),
}

/// How far a request's body has come, for the timers of whoever waits for the answer.
#[derive(Default)]
pub struct Upload {
    bytes: AtomicU64,
    waiting: AtomicBool,
    ended: AtomicBool,
    end: Notify,
}

impl RequestBody {
    /// The body of a request that runs.
    #[must_use]
    pub fn new(incoming: Incoming, running: &Running) -> Self {
        let has_body = !incoming.is_end_stream();
        Self {
            content: Content::Incoming(incoming),
            kept: None,
            watch: None,
            upload: has_body.then(Arc::default),
            uploading: has_body.then(|| running.uploading()),
        }
    }

    /// A body that is all here.
    pub(super) fn of(chunks: VecDeque<Bytes>) -> Self {
        Self { content: Content::Whole(chunks), kept: None, watch: None, upload: None, uploading: None }
    }

    /// Keeps a copy of up to `limit` bytes while they are handed on.
    pub fn keep(&mut self, limit: usize) -> Kept {
        let kept = Kept::new(limit, self.upload.is_none());
        self.kept = Some(kept.clone());
        kept
    }

    /// Breaks the request off before anything in it goes on that `watch` finds.
    pub fn watched(&mut self, watch: Option<Watch>) {
        self.watch = watch.map(Box::new);
    }

    /// How far it has come; `None` if there is nothing to wait for.
    #[must_use]
    pub fn upload(&self) -> Option<Arc<Upload>> {
        self.upload.clone()
    }
}

impl Upload {
    /// Bytes that were handed on so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether all of the body was handed on.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Whether the provider would take more than the caller has sent.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Waits until all of the body was handed on.
    pub async fn end(&self) {
        if !self.has_ended() {
            self.end.notified().await;
        }
    }

    fn set_ended(&self) {
        self.ended.store(true, Ordering::Release);
        self.end.notify_one();
    }
}

/// A frame that may go on, or the end of the request.
fn look(watch: &mut Option<Box<Watch>>, frame: Frame<Bytes>) -> Result<Frame<Bytes>, BodyError> {
    let found = watch.as_mut().and_then(|watch| watch.find(frame.data_ref()?));
    found.map_or(Ok(frame), |found| Err(BodyError::Refused(found)))
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let incoming = match &mut this.content {
            Content::Incoming(incoming) => incoming,
            Content::Whole(chunks) => return Poll::Ready(chunks.pop_front().map(|chunk| Ok(Frame::data(chunk)))),
        };
        let frame = Pin::new(&mut *incoming).poll_frame(context);
        if let Some(upload) = &this.upload {
            upload.waiting.store(frame.is_pending(), Ordering::Relaxed);
        }
        let frame = match ready!(frame) {
            Some(Ok(frame)) if frame.is_data() => Some(look(&mut this.watch, frame)),
            Some(Ok(_)) | None => None,
            Some(Err(error)) => Some(Err(BodyError::Caller(error))),
        };
        if let Some(upload) = &this.upload {
            if let Some(chunk) = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()) {
                upload.bytes.fetch_add(chunk.len() as u64, Ordering::Relaxed);
                if let Some(kept) = &this.kept {
                    kept.push(chunk);
                }
            }
            if frame.as_ref().is_none_or(|frame| frame.is_ok() && incoming.is_end_stream()) {
                upload.set_ended();
                if let Some(kept) = &this.kept {
                    kept.end();
                }
                this.uploading = None;
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Incoming(incoming) => incoming.is_end_stream(),
            Content::Whole(chunks) => chunks.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Incoming(incoming) => incoming.size_hint(),
            Content::Whole(chunks) => SizeHint::with_exact(chunks.iter().map(|chunk| chunk.len() as u64).sum()),
        }
    }
}
