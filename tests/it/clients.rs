//! Official clients, unmodified, and traffic that was recorded: what is used with the providers themselves works with the
//! proxy, told nothing but where it is and the caller's token.
//!
//! The stand-ins are strict. Each knows one credential and its own calls, and gives links to itself, as the provider does:
//! a client that followed one past the proxy would come with the caller's token.

use http::Response;
use http::header::CONTENT_TYPE;
use hyper::body::Bytes;
use serde_json::{Value, json};

use crate::support::rig::provider_token;
use crate::support::{Recorded, Upstream};

mod bitbucket;
mod facebook;
mod github;
mod gitlab;
mod google;
mod google_python;
mod microsoft;
mod pygithub;
mod recorded;
mod slack;

/// What clients send of their own accord, and a provider may see.
const OF_CLIENTS: [&str; 9] = [
    "cache-control",
    "client-request-id",
    "content-range",
    "pragma",
    "sdkversion",
    "sec-fetch-mode",
    "x-goog-api-client",
    "x-upload-content-length",
    "x-upload-content-type",
];

/// A provider that knows alice's token for `connection` and no other, and the calls for which `known` has an answer.
async fn provider(
    connection: &str,
    known: impl Fn(&Recorded) -> Option<Response<Bytes>> + Send + Sync + 'static,
) -> Upstream {
    let credential = format!("Bearer {}", provider_token(connection));
    let answer = move |request: &Recorded| {
        if request.all("authorization") != credential {
            return answer(401, &json!({ "message": "Bad credentials" }));
        }
        known(request).unwrap_or_else(|| answer(404, &json!({ "message": "Not Found" })))
    };
    Upstream::recording(answer).await.allow(&OF_CLIENTS)
}

/// What was asked of a provider, in order. That each came with one credential and nothing of the caller's in its head, the
/// stand-in sees to.
fn asked(upstream: &Upstream) -> Vec<String> {
    let line = |request: Recorded| {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        assert!(request.complete, "{} {}: the body broke off", request.method, request.target);
        assert!(!body.contains("eyJ"), "a piece of the caller's token in the body of {}", request.target);
        format!("{} {}", request.method, request.target)
    };
    upstream.requests().into_iter().map(line).collect()
}

fn answer(status: u16, body: &Value) -> Response<Bytes> {
    let answer = Response::builder().status(status).header(CONTENT_TYPE, "application/json; charset=utf-8");
    answer.body(Bytes::from(body.to_string())).unwrap()
}

fn ok(body: &Value) -> Option<Response<Bytes>> {
    Some(answer(200, body))
}

/// The same answer with one more header.
fn with(mut answer: Response<Bytes>, name: &'static str, value: &str) -> Response<Bytes> {
    answer.headers_mut().append(name, value.parse().unwrap());
    answer
}

/// The origin by which a provider was called, which is its own.
fn own(request: &Recorded) -> String {
    format!("http://{}", request.all("host"))
}
