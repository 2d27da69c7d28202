//! The one page that is served while a browser is away, and with what it returned.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::http::header::{self, HeaderValue};
use hyper::http::{Method, Request, Response, StatusCode};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use reqwest::Url;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::body::Body;
use crate::secret::Secret;

/// What a browser returned with (RFC 6749 §4.1.2).
#[derive(Default)]
pub(super) struct Returned {
    pub(super) code: Option<Secret>,
    /// What went wrong: a word for programs, and one for people.
    pub(super) error: Option<(String, String)>,
    pub(super) issuer: Option<String>,
}

/// Waits for a browser that returns with `state`. Whatever else is asked of the port is refused.
pub(super) async fn wait(listener: TcpListener, state: &str) -> Returned {
    let state: Arc<str> = state.into();
    let mut connections = JoinSet::new();
    loop {
        // Browsers open connections in advance, so one that is silent must not keep others waiting.
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(converse(stream, Arc::clone(&state)));
                }
                // Out of file descriptors, most likely: some will be closed soon.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            },
            Some(ended) = connections.join_next() => {
                if let Ok(Some(returned)) = ended {
                    return returned;
                }
            }
        }
    }
}

/// Answers one request. What it returned with is told when its page has been sent.
async fn converse(stream: TcpStream, state: Arc<str>) -> Option<Returned> {
    let arrived = Arc::new(Mutex::new(None));
    let service = service_fn(|request: Request<Incoming>| {
        let returned = returned(&request, &state);
        let answer = page(returned.as_ref());
        if returned.is_some() {
            *arrived.lock().unwrap_or_else(PoisonError::into_inner) = returned;
        }
        async { Ok::<_, Infallible>(answer) }
    });
    // An error here is the browser's departure.
    let _ended = http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    arrived.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// What a request brings, if it is the one that is waited for.
fn returned(request: &Request<Incoming>, state: &str) -> Option<Returned> {
    if request.method() != Method::GET || request.uri().path() != "/callback" {
        return None;
    }
    let url = Url::parse(&format!("http://127.0.0.1{}", request.uri().path_and_query()?)).ok()?;
    let one = |name: &str| {
        let mut values = url.query_pairs().filter(|(given, _)| given == name).map(|(_, value)| value.into_owned());
        // RFC 6749 §3.1: a parameter that comes twice is none.
        values.next().filter(|_| values.next().is_none())
    };
    if one("state")? != state {
        return None;
    }
    let error = one("error").map(|error| (error, one("error_description").unwrap_or_default()));
    Some(Returned { code: one("code").map(Secret::new), error, issuer: one("iss") })
}

fn page(returned: Option<&Returned>) -> Response<Body> {
    let (status, words) = match returned {
        None => (StatusCode::NOT_FOUND, "There is nothing here."),
        Some(Returned { code: Some(_), error: None, .. }) => {
            (StatusCode::OK, "That is all: it goes on in the terminal. You can close this page.")
        }
        Some(_) => (StatusCode::OK, "You are not logged in; the terminal says why. You can close this page."),
    };
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>idp-proxy login</title>\n<p>{words}</p>\n</html>\n"
    );
    let mut answer = Response::new(Body::whole(html));
    *answer.status_mut() = status;
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}
