//! The admin listener: whether the process lives, whether it is ready, what it has counted. Never public.

use std::convert::Infallible;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::http::header::{self, HeaderValue};
use hyper::http::{Method, Request, Response, StatusCode};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::Phase;
use super::live::Live;
use crate::body::Body;
use crate::telemetry::metrics::Metrics;

/// Serves the admin pages until the process ends, also while it drains.
pub(super) fn spawn(listener: TcpListener, live: Arc<Live>, metrics: Metrics, mut phases: watch::Receiver<Phase>) {
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
            let Ok((stream, _)) = accepted else {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                continue;
            };
            let (live, metrics, phases) = (Arc::clone(&live), metrics.clone(), phases.clone());
            let service = service_fn(move |request: Request<Incoming>| {
                let lacks = if *phases.borrow() == Phase::Serve { live.lacks() } else { Some("draining") };
                let answer = answer(&request, lacks, &metrics);
                std::future::ready(Ok::<_, Infallible>(answer))
            });
            let connection =
                http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });
}

fn answer(request: &Request<Incoming>, lacks: Option<&str>, metrics: &Metrics) -> Response<Body> {
    let (status, kind, text) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/healthz") => (StatusCode::OK, TEXT, "alive\n".to_owned()),
        (&Method::GET | &Method::HEAD, "/readyz") => match lacks {
            None => (StatusCode::OK, TEXT, "ready\n".to_owned()),
            Some(lacks) => (StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("not ready: {lacks}\n")),
        },
        (&Method::GET | &Method::HEAD, "/metrics") => (StatusCode::OK, OPEN_METRICS, metrics.render()),
        _ => (StatusCode::NOT_FOUND, TEXT, "/healthz /readyz /metrics\n".to_owned()),
    };
    let mut answer = Response::new(Body::whole(text));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

const TEXT: &str = "text/plain; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
