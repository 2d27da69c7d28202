//! The connections to one provider: kept while they are good, handed from request to request.
//!
//! hyper-util's client does this for any number of hosts and races a new connection against one that may come free;
//! for one host that costs two tasks, a channel and a copy of its settings for each request, which is a third of what
//! a forwarded request costs us.

use std::error::Error as StdError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper::http::header::{self, HeaderValue};
use hyper::http::uri::{PathAndQuery, Scheme};
use hyper::http::{Request, Uri};

use super::Answer;
use super::connect::Connector;
use crate::body::{AtEnd, RequestBody, Upload};

mod opening;

use opening::Opening;

/// An idle connection is kept for between one and two of these; providers' edges close theirs after one to several
/// minutes, and one that is closed under a request costs a second attempt.
const IDLE: Duration = Duration::from_secs(30);
/// Idle connections to one provider. More than this after a burst are closed.
const IDLE_MAX: usize = 1024;
/// Requests on one HTTP/2 connection at a time: what RFC 9113 §6.5.2 advises servers to allow at the least.
const STREAMS_MAX: usize = 100;

/// The pool of one provider.
pub(super) struct Pool(Arc<Shared>);

struct Shared {
    connector: Connector,
    /// `https://api.github.com/`: where connections lead.
    origin: Uri,
    /// What `Host` says in HTTP/1.1.
    host: HeaderValue,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The last one in is the first one out: it is the least likely to be closed by now.
    idle: Vec<Idle>,
    /// Each connection serves many requests.
    http2: Vec<Shareable>,
    /// Whether the provider chose HTTP/1.1 last time.
    is_http1: bool,
    /// The connection that is being opened for all who wait, or the last one that was.
    opening: Option<Opening>,
    /// Counts the reaper's rounds.
    round: u32,
    is_reaped: bool,
}

/// An HTTP/2 connection, and a token of which each request under way on it holds a copy.
struct Shareable {
    sender: http2::SendRequest<RequestBody>,
    token: Arc<()>,
}

impl Shareable {
    /// Whether there is room for another stream. What is sent beyond the peer's limit would wait in a queue.
    fn has_room(&self) -> bool {
        Arc::strong_count(&self.token) <= STREAMS_MAX
    }
}

struct Idle {
    sender: http1::SendRequest<RequestBody>,
    round: u32,
}

/// A connection to send a request on.
enum Sender {
    Http1(http1::SendRequest<RequestBody>),
    Http2(http2::SendRequest<RequestBody>, Arc<()>),
}

/// A place on an HTTP/2 connection, given back when it is dropped.
struct Stream(#[expect(dead_code, reason = "counted by being there")] Arc<()>);

impl AtEnd for Stream {
    fn at_end(self: Box<Self>) {}
}

/// An HTTP/1.1 connection that is busy with an answer. It goes back to its pool when the answer was read to its end,
/// and is closed when this is dropped before.
struct Lease {
    sender: http1::SendRequest<RequestBody>,
    pool: Arc<Shared>,
    upload: Option<Arc<Upload>>,
}

/// Where sending failed.
pub(super) enum SendError {
    /// No connection.
    Connect(Box<dyn StdError + Send + Sync>),
    /// On a connection.
    Exchange(hyper::Error),
}

impl Pool {
    /// A pool of connections to `origin`. Nothing is connected yet.
    pub(super) fn new(connector: Connector, origin: Uri, host: HeaderValue) -> Self {
        // Without TLS there is nothing to choose.
        let state = State { is_http1: origin.scheme() == Some(&Scheme::HTTP), ..State::default() };
        Self(Arc::new(Shared { connector, origin, host, state: Mutex::new(state) }))
    }

    /// Sends a request to `target` and waits for the head of the answer.
    ///
    /// A request that provably never left (an idle connection was closed under it) is sent once more on a new one.
    pub(super) async fn send(
        &self,
        mut request: Request<RequestBody>,
        target: &PathAndQuery,
        upload: Option<&Arc<Upload>>,
    ) -> Result<Answer, SendError> {
        let mut pooled = self.0.take_idle().await;
        loop {
            let is_fresh = pooled.is_none();
            let sender = match pooled.take() {
                Some(sender) => sender,
                // Boxed: a future keeps room for all that it may wait for, and is moved several times.
                None => Box::pin(self.0.connect()).await.map_err(SendError::Connect)?,
            };
            let mut failure = match sender {
                Sender::Http1(mut sender) => {
                    self.0.address_http1(&mut request, target);
                    match sender.try_send_request(request).await {
                        Ok(response) => {
                            let pool = Arc::clone(&self.0);
                            let lease = Lease { sender, pool, upload: upload.cloned() };
                            return Ok((response, Some(Box::new(lease))));
                        }
                        Err(failure) => failure,
                    }
                }
                Sender::Http2(mut sender, token) => {
                    self.0.address_http2(&mut request, target);
                    match sender.try_send_request(request).await {
                        Ok(response) => return Ok((response, Some(Box::new(Stream(token))))),
                        Err(failure) => failure,
                    }
                }
            };
            match failure.take_message() {
                Some(unsent) if !is_fresh => request = unsent,
                Some(_) | None => return Err(SendError::Exchange(failure.into_error())),
            }
        }
    }
}

impl State {
    /// A place on an HTTP/2 connection that has room.
    fn share_http2(&mut self) -> Option<Sender> {
        self.http2.retain(|shareable| !shareable.sender.is_closed());
        let shareable = self.http2.iter().find(|shareable| shareable.has_room())?;
        Some(Sender::Http2(shareable.sender.clone(), Arc::clone(&shareable.token)))
    }
}

impl Shared {
    /// A connection that is at hand.
    async fn take_idle(&self) -> Option<Sender> {
        loop {
            let mut sender = {
                let mut state = self.lock();
                if let Some(shared) = state.share_http2() {
                    return Some(shared);
                }
                state.idle.pop()?.sender
            };
            // It was ready when it came back; now it is ready or closed.
            if sender.ready().await.is_ok() {
                return Some(Sender::Http1(sender));
            }
        }
    }

    /// RFC 9112 §3.2.1: the target in origin form, and the authority in `Host`.
    fn address_http1(&self, request: &mut Request<RequestBody>, target: &PathAndQuery) {
        *request.uri_mut() = Uri::from(target.clone());
        request.headers_mut().insert(header::HOST, self.host.clone());
        if request.headers().contains_key(header::TE) {
            // RFC 9110 §10.1.4: it is for this connection alone, and must be nominated.
            request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("te"));
        }
    }

    /// RFC 9113 §8.3.1: scheme and authority are part of the target, and there is no `Host`.
    fn address_http2(&self, request: &mut Request<RequestBody>, target: &PathAndQuery) {
        let mut parts = self.origin.clone().into_parts();
        parts.path_and_query = Some(target.clone());
        // Three parts that were each part of an address make an address.
        *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
        request.headers_mut().remove(header::HOST);
        // With it hyper would take away what it nominates, which in HTTP/2 is `TE: trailers` and allowed to stay.
        request.headers_mut().remove(header::CONNECTION);
    }

    fn give_back(self: &Arc<Self>, sender: http1::SendRequest<RequestBody>) {
        let mut state = self.lock();
        if state.idle.len() >= IDLE_MAX {
            return;
        }
        let round = state.round;
        state.idle.push(Idle { sender, round });
        if !std::mem::replace(&mut state.is_reaped, true) {
            tokio::spawn(reap(Arc::downgrade(self)));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whole after every statement: a panic elsewhere cannot have broken it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes what has been idle for too long, for as long as there is anything idle.
async fn reap(pool: Weak<Shared>) {
    loop {
        tokio::time::sleep(IDLE).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut state = pool.lock();
        state.round = state.round.wrapping_add(1);
        let round = state.round;
        state.idle.retain(|idle| round.wrapping_sub(idle.round) < 2 && !idle.sender.is_closed());
        if state.idle.is_empty() {
            state.is_reaped = false;
            return;
        }
    }
}

impl AtEnd for Lease {
    fn at_end(self: Box<Self>) {
        let Self { mut sender, pool, upload } = *self;
        // A provider that answered before it had read everything leaves the rest of the body in the way.
        if sender.is_closed() || upload.is_some_and(|upload| !upload.has_ended()) {
            return;
        }
        if sender.is_ready() {
            return pool.give_back(sender);
        }
        tokio::spawn(async move {
            if sender.ready().await.is_ok() {
                pool.give_back(sender);
            }
        });
    }
}
