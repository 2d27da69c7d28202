//! New connections to a provider: as many at once as there are requests if it speaks HTTP/1.1, one for all who wait if
//! it speaks HTTP/2 or may.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper_util::client::legacy::connect::Connection;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::watch;

use super::{Sender, Shareable, Shared};
use crate::upstream::connect::Transport;

/// A pooled HTTP/2 connection whose network path has died swallows requests until a ping notices.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// What may be on its way to us in one stream, and in all of a connection: so much that no callers who stop reading can
/// use up what the others on the same connection need.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;
/// The largest head of an answer, in bytes, and in HTTP/1.1 also how much of a body is read ahead.
const ANSWER_HEAD_BYTES_MAX: usize = 128 * 1024;

type Cause = Box<dyn StdError + Send + Sync>;

/// A connection that is being opened for all who wait for it. Its channel closes when it is there or has failed.
pub(super) type Opening = watch::Receiver<Option<NoConnection>>;

/// Why no connection came about, for each who waited for it.
#[derive(Clone, Debug)]
pub(super) struct NoConnection(Arc<dyn StdError + Send + Sync>);

impl fmt::Display for NoConnection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("no connection")
    }
}

impl StdError for NoConnection {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0)
    }
}

impl Shared {
    /// A new connection, or a place on one that others have opened meanwhile.
    ///
    /// Which version a provider chooses is known once it has chosen. Until then, and as long as it chooses HTTP/2, only
    /// one connection is opened at a time and all wait for it, its failure included: a hundred requests to a provider that
    /// nobody has called yet would otherwise shake hands a hundred times for one connection.
    pub(super) async fn connect(self: &Arc<Self>) -> Result<Sender, Cause> {
        loop {
            let mut opening = {
                let mut state = self.lock();
                if state.is_http1 {
                    break;
                }
                if let Some(shared) = state.share_http2() {
                    return Ok(shared);
                }
                let under_way = state.opening.take().filter(|opening| opening.has_changed().is_ok());
                state.opening.insert(under_way.unwrap_or_else(|| self.open_for_all())).clone()
            };
            let failed = opening.wait_for(Option::is_some).await.ok().and_then(|failure| failure.clone());
            if let Some(failure) = failed {
                return Err(failure.into());
            }
            if let Some(sender) = self.take_idle().await {
                return Ok(sender);
            }
        }
        self.open().await
    }

    /// Opens a connection in a task of its own, which a caller that leaves does not take along, and puts it into the pool.
    fn open_for_all(self: &Arc<Self>) -> Opening {
        let (sender, opening) = watch::channel(None);
        let pool = Arc::clone(self);
        tokio::spawn(async move {
            match pool.open().await {
                Ok(Sender::Http1(connection)) => pool.give_back(connection),
                Ok(Sender::Http2(..)) => {}
                Err(cause) => drop(sender.send_replace(Some(NoConnection(Arc::from(cause))))),
            }
        });
        opening
    }

    async fn open(self: &Arc<Self>) -> Result<Sender, Cause> {
        let io = self.connector.connect(self.origin.clone()).await?;
        let is_http2 = io.connected().is_negotiated_h2();
        let opened = if is_http2 { self.begin_http2(io).await } else { begin_http1(io).await }?;
        self.lock().is_http1 = !is_http2;
        Ok(opened)
    }

    async fn begin_http2(self: &Arc<Self>, io: Transport) -> Result<Sender, Cause> {
        // Somebody else may have been faster, and has room.
        if let Some(shared) = self.lock().share_http2() {
            return Ok(shared);
        }
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(u32::try_from(ANSWER_HEAD_BYTES_MAX).unwrap_or(u32::MAX));
        let (mut sender, connection) = builder.handshake(io).await?;
        drive(connection);
        sender.ready().await?;
        let token = Arc::new(());
        self.lock().http2.push(Shareable { sender: sender.clone(), token: Arc::clone(&token) });
        Ok(Sender::Http2(sender, token))
    }
}

async fn begin_http1(io: Transport) -> Result<Sender, Cause> {
    let mut builder = http1::Builder::new();
    builder.max_buf_size(ANSWER_HEAD_BYTES_MAX);
    let (mut sender, connection) = builder.handshake(io).await?;
    drive(connection);
    sender.ready().await?;
    Ok(Sender::Http1(sender))
}

/// Has a connection do its work for as long as it lasts.
fn drive(connection: impl Future<Output = Result<(), hyper::Error>> + Send + 'static) {
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(cause = %crate::telemetry::chain(&error), "connection to a provider ended");
        }
    });
}
