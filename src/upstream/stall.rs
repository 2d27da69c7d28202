//! A connection on which a write that gets nowhere is an error.
//!
//! Nobody else would end it: while hyper waits to write the body of a request over HTTP/1.1, it does not look at whether
//! anybody still waits for the answer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::time::Sleep;

use crate::gather;

/// Nothing could be written for too long.
#[derive(Debug, thiserror::Error)]
#[error("the other side took no byte within the time limit")]
pub(super) struct Stalled;

/// A connection with a limit to how long a write may wait.
pub(super) struct Impatient<Io> {
    io: Io,
    patience: Duration,
    /// Runs while a write waits.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<Io> Impatient<Io> {
    pub(super) fn new(io: Io, patience: Duration) -> Self {
        Self { io, patience, timer: None }
    }

    fn judge<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.timer = None;
            return written;
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.patience)));
        ready!(timer.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, Stalled)))
    }
}

impl<Io: Connection> Connection for Impatient<Io> {
    fn connected(&self) -> Connected {
        self.io.connected()
    }
}

impl<Io: Read + Unpin> Read for Impatient<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl<Io: Write + Unpin> Write for Impatient<Io> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.judge(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let together = gather::together(slices, |bytes| Pin::new(&mut self.io).poll_write(context, bytes));
        let written = match together {
            Some(written) => written,
            None => Pin::new(&mut self.io).poll_write_vectored(context, slices),
        };
        self.judge(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(context);
        self.judge(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.io).poll_shutdown(context);
        self.judge(context, shut)
    }
}
