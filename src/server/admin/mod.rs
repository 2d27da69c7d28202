//! The admin listener: whether the process lives, whether it is ready, what it has counted, and the console. Never public.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::http::header::{self, HeaderValue};
use hyper::http::{Method, Request, Response, StatusCode};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::Phase;
use super::Surroundings;
use super::connection::Serving;
use super::live::Live;
use crate::telemetry::metrics::Metrics;

mod console;
mod reply;

pub use console::link;

use console::Console;
use reply::Reply;

/// The admin listener's pages.
pub(super) struct Admin {
    live: Arc<Live>,
    metrics: Metrics,
    console: Console,
    phases: watch::Receiver<Phase>,
}

impl Admin {
    /// The pages at `address`. The console calls the proxy through `serving`.
    pub(super) fn new(
        serving: Arc<Serving>,
        surroundings: &Surroundings,
        address: SocketAddr,
        phases: watch::Receiver<Phase>,
    ) -> Self {
        let live = Arc::clone(serving.live());
        let console = Console::new(serving, surroundings, address, phases.clone());
        Self { live, metrics: surroundings.metrics.clone(), console, phases }
    }

    /// A link into the console, if there is a way into it at this address.
    pub(super) fn link(&self) -> Option<String> {
        self.console.link()
    }

    async fn answer(&self, request: Request<Incoming>, peer: IpAddr) -> Response<Reply> {
        if console::is_at(request.uri().path()) {
            return self.console.answer(request, peer).await;
        }
        let (status, kind, text) = match (request.method(), request.uri().path()) {
            (&Method::GET | &Method::HEAD, "/healthz") => (StatusCode::OK, TEXT, "alive\n".to_owned()),
            (&Method::GET | &Method::HEAD, "/readyz") => match self.lacks() {
                None => (StatusCode::OK, TEXT, "ready\n".to_owned()),
                Some(lacks) => (StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("not ready: {lacks}\n")),
            },
            (&Method::GET | &Method::HEAD, "/metrics") => (StatusCode::OK, OPEN_METRICS, self.metrics.render()),
            _ => (StatusCode::NOT_FOUND, TEXT, "/healthz /readyz /metrics /admin/\n".to_owned()),
        };
        let mut answer = Response::new(Reply::whole(text));
        *answer.status_mut() = status;
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        answer
    }

    fn lacks(&self) -> Option<&'static str> {
        if *self.phases.borrow() == Phase::Serve { self.live.lacks() } else { Some("draining") }
    }
}

/// Serves the admin pages until the process ends, also while it drains.
pub(super) fn spawn(listener: TcpListener, admin: Arc<Admin>) {
    let mut phases = admin.phases.clone();
    tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                biased;
                // An error means that the server is gone without a word, which ends this one too.
                ended = phases.wait_for(|phase| *phase == Phase::End) => {
                    drop(ended);
                    return;
                }
                accepted = listener.accept() => accepted,
            };
            let Ok((stream, peer)) = accepted else {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                continue;
            };
            tokio::spawn(serve(stream, peer.ip(), Arc::clone(&admin)));
        }
    });
}

async fn serve(stream: TcpStream, peer: IpAddr, admin: Arc<Admin>) {
    let service = service_fn(|request| {
        let admin = &admin;
        async move { Ok::<_, Infallible>(admin.answer(request, peer).await) }
    });
    // Whoever asked and left is no matter here.
    let _ = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
}

const TEXT: &str = "text/plain; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
