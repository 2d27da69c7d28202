//! One caller's connection: HTTP/1.1 or HTTP/2 as its first bytes say, one timer, a graceful end.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Request;
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::Phase;
use super::live::Live;
use crate::activity::{Activity, Finding, Patience};
use crate::clock::Clock;

/// What an HTTP/2 connection begins with (RFC 9113 §3.4), also without TLS by a caller who knows that we speak it.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Streams of one HTTP/2 connection at a time.
const STREAMS_MAX: u32 = 200;
/// What one HTTP/2 connection may make us hold of request bodies that a provider does not take yet. The window of a
/// stream is smaller, so a stream that is stuck does not stop the others.
const CONNECTION_WINDOW: u32 = 1 << 20;
const STREAM_WINDOW: u32 = 256 * 1024;

/// What all connections are served with.
pub(super) struct Serving {
    live: Arc<Live>,
    clock: Clock,
    patience: Patience,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl Serving {
    pub(super) fn new(live: Arc<Live>, clock: Clock, patience: Patience, head_bytes: usize) -> Self {
        let mut http1 = http1::Builder::new();
        // The timers are ours: hyper's header timeout also runs between requests, and HTTP/2 has none.
        http1.timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(head_bytes);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS_MAX)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .initial_stream_window_size(STREAM_WINDOW)
            .max_header_list_size(u32::try_from(head_bytes).unwrap_or(u32::MAX));
        Self { live, clock, patience, http1, http2 }
    }
}

/// Serves a connection to its end.
pub(super) async fn serve(stream: TcpStream, serving: &Serving, mut phases: watch::Receiver<Phase>) {
    // Without it, the last segment of an answer can wait 40 ms for an acknowledgement.
    let _ = stream.set_nodelay(true);
    let activity = Arc::new(Activity::new(serving.clock.clone(), serving.patience));
    let is_http2 = tokio::select! {
        biased;
        begins = begins_http2(&stream) => begins,
        () = watch_over(&activity) => return,
        _ = phases.changed() => return,
    };
    let io = Watched { io: TokioIo::new(stream), activity: Arc::clone(&activity) };
    let service = service_fn(|request: Request<Incoming>| {
        let (proxy, running) = (serving.live.proxy(), activity.begin());
        // Boxed: an idle connection keeps room for the future, and this one is several KiB.
        Box::pin(async move { Ok::<_, Infallible>(proxy.handle(request, running).await) })
    });
    let outcome = match is_http2 {
        Ok(true) => {
            let proxy_and_activity = (Arc::clone(&serving.live), Arc::clone(&activity));
            let service = service_fn(move |request: Request<Incoming>| {
                let (live, activity) = &proxy_and_activity;
                let (proxy, running) = (live.proxy(), activity.begin());
                async move { Ok::<_, Infallible>(proxy.handle(request, running).await) }
            });
            let connection = serving.http2.serve_connection(io, service);
            drive(connection, http2::Connection::graceful_shutdown, &activity, phases).await
        }
        Ok(false) => {
            let connection = serving.http1.serve_connection(io, service);
            drive(connection, http1::Connection::graceful_shutdown, &activity, phases).await
        }
        Err(_) => return,
    };
    if let Err(error) = outcome {
        // Callers leave and strangers send nonsense: not worth a line unless somebody looks.
        tracing::debug!(cause = %crate::telemetry::chain(&error), "connection ended");
    }
}

/// Polls the connection to its end, has it finish when the phase says so, and drops it when its timer says so.
async fn drive<C>(
    connection: C,
    finish: impl Fn(Pin<&mut C>),
    activity: &Activity,
    mut phases: watch::Receiver<Phase>,
) -> Result<(), hyper::Error>
where
    C: Future<Output = Result<(), hyper::Error>>,
{
    tokio::pin!(connection);
    let too_slow = watch_over(activity);
    tokio::pin!(too_slow);
    loop {
        tokio::select! {
            biased;
            ended = &mut connection => return ended,
            () = &mut too_slow => return Ok(()),
            changed = phases.changed() => {
                if changed.is_err() || *phases.borrow_and_update() == Phase::End {
                    return Ok(());
                }
                finish(connection.as_mut());
            }
        }
    }
}

/// Ends when the caller has been too slow, or idle for too long.
async fn watch_over(activity: &Activity) {
    let mut seen = activity.first_look();
    while let Finding::Wait(pause) = activity.look(&mut seen) {
        tokio::time::sleep(pause).await;
    }
}

/// Looks at the first bytes without taking them.
async fn begins_http2(stream: &TcpStream) -> io::Result<bool> {
    let mut buffer = [0; PREFACE.len()];
    loop {
        let count = stream.peek(&mut buffer).await?;
        let seen = buffer.get(..count).unwrap_or_default();
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if !PREFACE.starts_with(seen) {
            return Ok(false);
        }
        if count == PREFACE.len() {
            return Ok(true);
        }
        // The rest is on its way, but the socket is readable already, so only time can pass.
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

/// A connection whose reads and writes are noticed.
struct Watched {
    io: TokioIo<TcpStream>,
    activity: Arc<Activity>,
}

impl Read for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.io).poll_read(context, buffer);
        if read.is_ready() {
            self.activity.read();
        }
        read
    }
}

impl Write for Watched {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        if written.is_ready() {
            self.activity.wrote();
        }
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(context, slices);
        if written.is_ready() {
            self.activity.wrote();
        }
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
