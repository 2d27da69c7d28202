//! One caller's connection: HTTP/1.1 or HTTP/2 as its first bytes or its TLS handshake say, one timer, a graceful end.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::http::Request;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, Interest};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::Phase;
use super::heads::Heads;
use super::live::Live;
use super::watched::Watched;
use crate::activity::{Activity, Finding, Patience};
use crate::clock::Clock;
use crate::telemetry;

/// What an HTTP/2 connection begins with (RFC 9113 §3.4), also without TLS by a caller who knows that we speak it.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Streams of one HTTP/2 connection at a time.
const STREAMS_MAX: u32 = 200;
/// What one HTTP/2 connection may make us hold of request bodies that a provider does not take yet. The window of a
/// stream is smaller, so a stream that is stuck does not stop the others.
const CONNECTION_WINDOW: u32 = 1 << 20;
const STREAM_WINDOW: u32 = 256 * 1024;
/// How long an idle connection may take to say goodbye.
const FAREWELL: Duration = Duration::from_secs(1);
/// Between two looks at a beginning that may become the one of HTTP/2.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LAST_PAUSE: Duration = Duration::from_millis(50);

/// Why a connection ended that did not end well.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("the TLS handshake failed")]
    Handshake(#[source] io::Error),
    #[error("HTTP broke off")]
    Http(#[source] hyper::Error),
}

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
        http1.timer(TokioTimer::new()).header_read_timeout(None);
        // Of the two only the second is exact: a buffer may have grown larger when it is looked at.
        http1.max_buf_size(head_bytes).max_header_size(head_bytes);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS_MAX)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .initial_stream_window_size(STREAM_WINDOW)
            .max_header_list_size(u32::try_from(head_bytes).unwrap_or(u32::MAX));
        Self { live, clock, patience, http1, http2 }
    }

    /// The proxy in force.
    pub(super) fn live(&self) -> &Arc<Live> {
        &self.live
    }
}

/// Serves a connection to its end.
pub(super) async fn serve(stream: TcpStream, serving: &Serving, mut phases: watch::Receiver<Phase>) {
    // Without it, the last segment of an answer can wait 40 ms for an acknowledgement.
    let _ = stream.set_nodelay(true);
    let activity = Arc::new(Activity::new(serving.clock.clone(), serving.patience));
    // Boxed but for one: most connections are HTTP/1.1, and each would keep room for the largest of the three.
    let ended = if let Some(tls) = serving.live.tls() {
        Box::pin(serve_tls(stream, tls, serving, &activity, phases)).await
    } else {
        match in_time(begins_http2(&stream), &activity, &mut phases).await {
            Some(Ok(true)) => Box::pin(serve_http2(stream, serving, &activity, phases)).await.map_err(Ended::Http),
            Some(Ok(false)) => serve_http1(stream, serving, &activity, phases).await.map_err(Ended::Http),
            Some(Err(_)) | None => return,
        }
    };
    if let Err(error) = ended {
        // Callers leave and strangers send nonsense: not worth a line unless somebody looks.
        tracing::debug!(cause = %telemetry::chain(&error), "connection ended");
    }
}

/// Serves a connection that comes from within the process: HTTP/1.1 without TLS.
pub(super) async fn serve_piped(stream: DuplexStream, serving: &Serving, phases: watch::Receiver<Phase>) {
    let activity = Arc::new(Activity::new(serving.clock.clone(), serving.patience));
    // Who is at the other end sees how it ends.
    let _ = serve_http1(stream, serving, &activity, phases).await;
}

/// With TLS, the handshake says it (RFC 7301).
async fn serve_tls(
    stream: TcpStream,
    tls: Arc<ServerConfig>,
    serving: &Serving,
    activity: &Arc<Activity>,
    mut phases: watch::Receiver<Phase>,
) -> Result<(), Ended> {
    // Boxed, so that its room is free again when it is over.
    let handshake = Box::pin(async {
        let stream = TlsAcceptor::from(tls).accept(stream).await?;
        // Also boxed: on its way into the future that serves it, it would have room kept for it at every station.
        Ok(Box::new(stream))
    });
    let Some(shaken) = in_time(handshake, activity, &mut phases).await else { return Ok(()) };
    let stream = shaken.map_err(Ended::Handshake)?;
    let ended = if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        Box::pin(serve_http2(stream, serving, activity, phases)).await
    } else {
        serve_http1(stream, serving, activity, phases).await
    };
    ended.map_err(Ended::Http)
}

/// What comes of `beginning`; `None` when the connection must end before.
async fn in_time<T>(
    beginning: impl Future<Output = T>,
    activity: &Activity,
    phases: &mut watch::Receiver<Phase>,
) -> Option<T> {
    tokio::select! {
        biased;
        begun = beginning => Some(begun),
        _ = watch_over(activity) => None,
        _ = phases.changed() => None,
    }
}

async fn serve_http1<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    serving: &Serving,
    activity: &Arc<Activity>,
    phases: watch::Receiver<Phase>,
) -> Result<(), hyper::Error> {
    let service = service_fn(|request: Request<Incoming>| {
        activity.head_ends();
        let (proxy, running) = (serving.live.proxy(), activity.begin());
        // Boxed: hyper would keep room for it in every connection, idle ones too, and it is 2.7 KiB.
        Box::pin(async move { Ok::<_, Infallible>(proxy.handle(request, running).await) })
    });
    let io = Watched::new(stream, Heads::Http1, activity);
    let connection = serving.http1.serve_connection(io, service);
    drive(connection, http1::Connection::graceful_shutdown, activity, phases).await
}

async fn serve_http2<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    serving: &Serving,
    activity: &Arc<Activity>,
    phases: watch::Receiver<Phase>,
) -> Result<(), hyper::Error> {
    let (live, running) = (Arc::clone(&serving.live), Arc::clone(activity));
    let service = service_fn(move |request: Request<Incoming>| {
        let (proxy, running) = (live.proxy(), running.begin());
        async move { Ok::<_, Infallible>(proxy.handle(request, running).await) }
    });
    let io = Watched::new(stream, Heads::http2(PREFACE.len()), activity);
    let connection = serving.http2.serve_connection(io, service);
    drive(connection, http2::Connection::graceful_shutdown, activity, phases).await
}

/// Polls the connection to its end, has it finish when the phase or its timer says so, and drops it when it must go.
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
    {
        let overdue = watch_over(activity);
        tokio::pin!(overdue);
        loop {
            tokio::select! {
                biased;
                ended = &mut connection => return ended,
                end = &mut overdue => match end {
                    End::Finish => break,
                    End::Drop => return Ok(()),
                },
                changed = phases.changed() => {
                    if changed.is_err() || *phases.borrow_and_update() == Phase::End {
                        return Ok(());
                    }
                    finish(connection.as_mut());
                }
            }
        }
    }
    // Nobody is asking, so there is nothing to lose; but an HTTP/2 caller should hear of it before it asks again.
    finish(connection.as_mut());
    tokio::time::timeout(FAREWELL, connection).await.unwrap_or(Ok(()))
}

/// How a connection that is overdue ends.
enum End {
    Finish,
    Drop,
}

/// Ends when the connection must.
async fn watch_over(activity: &Activity) -> End {
    let mut seen = activity.first_look();
    loop {
        match activity.look(&mut seen) {
            Finding::Wait(pause) => tokio::time::sleep(pause).await,
            Finding::Idle => return End::Finish,
            Finding::TooSlow => return End::Drop,
        }
    }
}

/// Looks at the first bytes without taking them.
async fn begins_http2(stream: &TcpStream) -> io::Result<bool> {
    let mut buffer = [0; PREFACE.len()];
    let mut pause = FIRST_PAUSE;
    loop {
        // Before the bytes, which are all there if no more can come.
        let is_at_end = stream.ready(Interest::READABLE).await?.is_read_closed();
        let count = stream.peek(&mut buffer).await?;
        let seen = buffer.get(..count).unwrap_or_default();
        if !PREFACE.starts_with(seen) {
            return Ok(false);
        }
        if count == PREFACE.len() {
            return Ok(true);
        }
        if count == 0 || is_at_end {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // The rest is on its way, but the socket is readable already, so only time can pass.
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LAST_PAUSE);
    }
}
