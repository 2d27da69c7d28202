//! The HTTP server below every simulated party: loopback, HTTP/1.1 and HTTP/2, a task per connection.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint};
use hyper::http::{Request, Response};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Mutex, oneshot};
use tokio::task::{JoinHandle, JoinSet};

/// A body this server sends.
pub enum Body {
    /// All at once.
    Whole(Option<Bytes>),
    /// Piece by piece.
    Pieces(Pin<Box<dyn HttpBody<Data = Bytes, Error = Infallible> + Send>>),
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Pieces(pieces) => pieces.as_mut().poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Pieces(pieces) => pieces.size_hint(),
        }
    }
}

/// What a request gets; `None` closes the connection without an answer.
pub type Answer = Option<Response<Body>>;

/// A future as a value of one type.
pub type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

type Handler = Arc<dyn Fn(Request<Incoming>) -> Boxed<Answer> + Send + Sync>;

/// The loopback address with a port of the system's choice.
pub const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Listens on `address`, which the error names if it cannot.
pub(super) async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))
}

/// A running server. Dropped, it stops listening and cuts its connections.
pub struct Server {
    address: SocketAddr,
    handler: Handler,
    state: Mutex<State>,
}

enum State {
    Up {
        /// Dropped, it tells the accepting task to stop.
        stop: oneshot::Sender<()>,
        task: JoinHandle<()>,
    },
    Down {
        /// Bound and not listening: callers are refused, and nobody else takes the port.
        port: Option<TcpSocket>,
    },
}

impl Server {
    /// Answers the connections of `listener` with `handler`.
    pub fn start(
        listener: TcpListener,
        handler: impl Fn(Request<Incoming>) -> Boxed<Answer> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let handler: Handler = Arc::new(handler);
        let state = Mutex::new(State::up(listener, Arc::clone(&handler)));
        Ok(Self { address, handler, state })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Refuses new connections and cuts those that are open. Without effect when it is down already.
    pub async fn down(&self) {
        let mut state = self.state.lock().await;
        if let State::Up { stop, task } = std::mem::replace(&mut *state, State::Down { port: None }) {
            drop(stop);
            let _ended = task.await;
        }
        if let State::Down { port } = &mut *state
            && port.is_none()
        {
            *port = reserve(self.address).ok();
        }
    }

    /// Listens again, at the same address.
    ///
    /// # Errors
    ///
    /// When the port has been taken meanwhile.
    pub async fn up(&self) -> io::Result<()> {
        let mut state = self.state.lock().await;
        if let State::Down { port } = &mut *state {
            let socket = port.take().map_or_else(|| reserve(self.address), Ok)?;
            *state = State::up(socket.listen(1024)?, Arc::clone(&self.handler));
        }
        Ok(())
    }
}

impl State {
    fn up(listener: TcpListener, handler: Handler) -> Self {
        let (stop, stopped) = oneshot::channel();
        Self::Up { stop, task: tokio::spawn(accept(listener, handler, stopped)) }
    }
}

fn reserve(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Connections cut a moment ago linger in TIME_WAIT and would block the port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

async fn accept(listener: TcpListener, handler: Handler, mut stopped: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(converse(stream, Arc::clone(&handler)));
                }
                // Out of file descriptors, most likely: some will be closed soon.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            },
        }
    }
    drop(listener);
    connections.shutdown().await;
}

async fn converse(stream: TcpStream, handler: Handler) {
    let _best_effort = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let answer = handler(request);
        async move { answer.await.ok_or_else(|| io::Error::other("closed on request")) }
    });
    // An error here is the peer's departure, or the closing that the handler asked for.
    let _ended = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

#[cfg(test)]
mod tests {
    use hyper::http::StatusCode;
    use hyper::http::Version;

    use super::*;
    use crate::command::dev::answer::text;

    async fn server() -> Server {
        let listener = TcpListener::bind(ANY_PORT).await.unwrap();
        Server::start(listener, |request| {
            Box::pin(async move {
                match request.uri().path() {
                    "/close" => None,
                    path => Some(text(StatusCode::OK, path)),
                }
            })
        })
        .unwrap()
    }

    #[tokio::test]
    async fn a_server_answers_until_it_is_down_and_again_when_it_is_up() {
        let server = server().await;
        let url = format!("http://{}/hello", server.address());
        assert_eq!(reqwest::get(&url).await.unwrap().text().await.unwrap(), "/hello");
        server.down().await;
        server.down().await;
        assert!(reqwest::get(&url).await.unwrap_err().is_connect());
        server.up().await.unwrap();
        server.up().await.unwrap();
        assert_eq!(reqwest::get(&url).await.unwrap().status(), 200);
    }

    #[tokio::test]
    async fn no_answer_closes_the_connection() {
        let server = server().await;
        let failure = reqwest::get(format!("http://{}/close", server.address())).await.unwrap_err();
        assert!(failure.is_request(), "{failure:?}");
    }

    #[tokio::test]
    async fn both_http_versions_are_spoken() {
        let server = server().await;
        let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
        let answer = client.get(format!("http://{}/two", server.address())).send().await.unwrap();
        assert_eq!(answer.version(), Version::HTTP_2);
    }

    #[tokio::test]
    async fn a_dropped_server_is_gone() {
        let server = server().await;
        let url = format!("http://{}/", server.address());
        drop(server);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(reqwest::get(&url).await.is_err());
    }
}
