//! "Try a request": a call of the proxy on a connection like any caller's, but for the wire. So it is verified, limited,
//! counted and written down as theirs are, and its answer is what they would get.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::{Body as HttpBody, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::http::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Console, page};
use crate::secret::Secret;
use crate::server::admin::reply::Reply;
use crate::server::connection;

/// What the page may send us.
const ORDER_BYTES_MAX: usize = 1 << 20;
/// What is shown of an answer's body.
const SHOWN_BYTES_MAX: usize = 64 * 1024;
/// Nobody looks at a page for longer.
const PATIENCE: Duration = Duration::from_secs(60);
/// What lies between the two ends of the connection.
const PIPE_BYTES: usize = 64 * 1024;

/// What is to be sent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: String,
    /// One of the console's own users.
    user: Option<String>,
    /// Somebody else's access token.
    token: Option<Secret>,
}

/// Why it is not sent, or what it came to nothing by.
type Fault = (StatusCode, &'static str);

/// Sends what is asked for and tells what came of it.
pub(super) async fn answer(console: &Console, head: &Parts, body: Incoming) -> Response<Reply> {
    // A form of another page could not say so (Fetch §2.2.2).
    if head.headers.get(header::CONTENT_TYPE).is_none_or(|kind| kind != "application/json") {
        return page::text(StatusCode::UNSUPPORTED_MEDIA_TYPE, "The request to try comes as JSON.\n");
    }
    let tried = async {
        let (order, is_whole) = read(body, ORDER_BYTES_MAX).await.map_err(|_| TOO_LONG)?;
        let order = is_whole.then_some(order).ok_or(TOO_LONG)?;
        let order = serde_json::from_slice(&order).map_err(|_| (StatusCode::BAD_REQUEST, "That is no request.\n"))?;
        let request = request(console, order)?;
        send(console, request).await.map_err(|_| (StatusCode::BAD_GATEWAY, "The proxy did not answer.\n"))
    };
    let tried = tokio::time::timeout(PATIENCE, tried).await;
    match tried.unwrap_or(Err((StatusCode::GATEWAY_TIMEOUT, "There was no answer within a minute.\n"))) {
        Ok(told) => page::json(&told),
        Err((status, why)) => page::text(status, why),
    }
}

const TOO_LONG: Fault = (StatusCode::PAYLOAD_TOO_LARGE, "A request to try is a MiB long at most.\n");
const OWN_HEADERS: [HeaderName; 4] =
    [header::HOST, header::AUTHORIZATION, header::CONTENT_LENGTH, header::TRANSFER_ENCODING];

/// The request as a caller would send it.
fn request(console: &Console, order: Order) -> Result<Request<Reply>, Fault> {
    let bad = |why| (StatusCode::BAD_REQUEST, why);
    let method = order.method.parse::<Method>().map_err(|_| bad("That is no method.\n"))?;
    let uri: Uri = order.path.parse().map_err(|_| bad("That is no path.\n"))?;
    if uri.authority().is_some() || !uri.path().starts_with('/') {
        return Err(bad("A path begins with a slash.\n"));
    }
    let mut headers = HeaderMap::new();
    for (name, value) in order.headers {
        let name = HeaderName::try_from(name).map_err(|_| bad("That is no header's name.\n"))?;
        if OWN_HEADERS.contains(&name) {
            return Err(bad("Host, Authorization, Content-Length and Transfer-Encoding are written by the console.\n"));
        }
        headers.append(name, HeaderValue::try_from(value).map_err(|_| bad("That is no header's value.\n"))?);
    }
    let lent = order.user.map(|user| {
        let known = console.users.iter().find(|(name, _)| *name == user).map(|(_, token)| token.clone());
        known.ok_or_else(|| bad("There is no user of that name.\n"))
    });
    if let Some(token) = lent.transpose()?.or(order.token) {
        let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose()))
            .map_err(|_| bad("That is no access token.\n"))?;
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
    let host = HeaderValue::try_from(console.live().address().to_string()).map_err(|_| bad("No host.\n"))?;
    headers.insert(header::HOST, host);
    let mut request = Request::new(Reply::whole(order.body));
    (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) = (method, uri, headers);
    Ok(request)
}

async fn send(console: &Console, request: Request<Reply>) -> io::Result<Value> {
    let begun = console.clock.instant();
    let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
    let (serving, phases) = (Arc::clone(&console.serving), console.phases.clone());
    tokio::spawn(async move { connection::serve_piped(theirs, &serving, phases).await });
    let (mut sender, connection) = http1::handshake(TokioIo::new(ours)).await.map_err(io::Error::other)?;
    let driven = tokio::spawn(connection);
    let answer = sender.send_request(request).await.map_err(io::Error::other)?;
    let (head, body) = answer.into_parts();
    let read = read(body, SHOWN_BYTES_MAX).await;
    let took = console.clock.instant().saturating_duration_since(begun);
    driven.abort();
    let headers: Vec<_> =
        head.headers.iter().map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes()))).collect();
    let (text, is_whole) = match &read {
        Ok((bytes, is_whole)) => (shown(bytes, *is_whole), *is_whole),
        Err(_) => (None, false),
    };
    Ok(json!({
        "status": head.status.as_u16(),
        "headers": headers,
        "body": text,
        "bytes": read.as_ref().map_or(0, |(bytes, _)| bytes.len()),
        "is_whole": is_whole,
        "is_broken": read.is_err(),
        "milliseconds": took.as_secs_f64() * 1000.0,
    }))
}

/// The text that bytes are, if they are; a cut may have gone through its last character.
fn shown(bytes: &[u8], is_whole: bool) -> Option<&str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) if !is_whole && error.error_len().is_none() => {
            std::str::from_utf8(bytes.get(..error.valid_up_to())?).ok()
        }
        Err(_) => None,
    }
}

/// A body up to that length, and whether that is all of it.
async fn read(body: Incoming, limit: usize) -> Result<(Vec<u8>, bool), hyper::Error> {
    let mut body = pin!(body);
    let mut bytes = Vec::new();
    while let Some(frame) = std::future::poll_fn(|context| body.as_mut().poll_frame(context)).await {
        let data: Bytes = frame?.into_data().unwrap_or_default();
        let room = limit - bytes.len();
        bytes.extend_from_slice(data.get(..room).unwrap_or(&data));
        if data.len() > room {
            return Ok((bytes, false));
        }
    }
    Ok((bytes, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_through_a_character_shows_what_is_before_it() {
        let text = "aé".as_bytes();
        assert_eq!(shown(text, true), Some("aé"));
        assert_eq!(shown(&text[..2], false), Some("a"));
        assert_eq!(shown(&text[..2], true), None);
        assert_eq!(shown(&[b'a', 0xff, b'b'], false), None);
    }
}
