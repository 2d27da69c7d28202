//! A caller's bytes, noticed as they come and go.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::heads::Heads;
use super::linger::Linger;
use crate::activity::Activity;
use crate::gather;

/// A connection whose reads and writes are noticed.
pub(super) struct Watched<S> {
    stream: S,
    heads: Heads,
    activity: Arc<Activity>,
    /// What is left to do once nothing is written any more.
    linger: Option<Box<Linger>>,
}

impl<S> Watched<S> {
    /// The bytes of `stream` are the caller's own, not those of TLS around them.
    pub(super) fn new(stream: S, heads: Heads, activity: &Arc<Activity>) -> TokioIo<Self> {
        TokioIo::new(Self { stream, heads, activity: Arc::clone(activity), linger: None })
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        let bytes = buffer.filled().get(before..).unwrap_or_default();
        if !bytes.is_empty() {
            this.activity.transfer();
            this.heads.see(bytes, &this.activity);
        }
        read
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        if written.is_ready() {
            this.activity.transfer();
        }
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let together = gather::together(slices, |bytes| Pin::new(&mut this.stream).poll_write(context, bytes));
        let written = match together {
            Some(written) => written,
            None => Pin::new(&mut this.stream).poll_write_vectored(context, slices),
        };
        if written.is_ready() {
            this.activity.transfer();
        }
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
        }
        // In HTTP/2 a request is refused by itself (RFC 9113 §8.1), and a connection that ends has been misused.
        if matches!(this.heads, Heads::Http2(_)) {
            return Poll::Ready(Ok(()));
        }
        let linger = this.linger.get_or_insert_with(Linger::begin);
        linger.poll(&mut this.stream, context).map(Ok)
    }
}
