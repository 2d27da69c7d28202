//! Requests read and answers made, the same way for every simulated party.

use std::future::poll_fn;
use std::pin::Pin;

use hyper::body::{Body as _, Bytes, Frame, Incoming};
use hyper::http::header::{CACHE_CONTROL, CONTENT_TYPE, PRAGMA};
use hyper::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde_json::Value;

use super::http::Body;
use crate::percent;

/// The longest body read; none of the endpoints needs more than a few kilobytes.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// An answer with this body and content type.
pub(super) fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::Whole(Some(body.into()).filter(|bytes: &Bytes| !bytes.is_empty())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// An answer in JSON.
pub(super) fn json(status: StatusCode, body: &Value) -> Response<Body> {
    answer(status, "application/json; charset=utf-8", body.to_string())
}

/// An answer in plain text.
pub(super) fn text(status: StatusCode, body: &str) -> Response<Body> {
    answer(status, "text/plain; charset=utf-8", body.to_owned())
}

/// An answer in HTML.
pub(super) fn html(status: StatusCode, body: String) -> Response<Body> {
    answer(status, "text/html; charset=utf-8", body)
}

/// Sets one header. A value that no header may carry is left out.
pub(super) fn set(response: &mut Response<Body>, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
}

/// Marks an answer that holds tokens (RFC 6749 §5.1).
pub(super) fn uncached(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

/// The next frame of a body.
pub(super) async fn frame(body: &mut Incoming) -> Option<Result<Frame<Bytes>, hyper::Error>> {
    poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await
}

/// The whole body, or `None` when it is broken off or too long.
pub(super) async fn collect(body: Incoming) -> Option<Bytes> {
    let (mut body, mut collected) = (body, Vec::new());
    while let Some(frame) = frame(&mut body).await {
        collected.extend_from_slice(&frame.ok()?.into_data().unwrap_or_default());
        if collected.len() > BODY_BYTES_MAX {
            return None;
        }
    }
    Some(collected.into())
}

/// Named texts of a query, a form or a JSON object. A name given twice is an error (RFC 6749 §3.2).
#[derive(Debug, Default)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads `application/x-www-form-urlencoded`; also the form of a query.
    pub(super) fn from_form(text: &str) -> Option<Self> {
        let mut parameters = Self::default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            parameters.add(decode_form(name)?, decode_form(value)?)?;
        }
        Some(parameters)
    }

    /// Reads a JSON object whose values are texts.
    pub(super) fn from_json(text: &str) -> Option<Self> {
        let mut parameters = Self::default();
        let Ok(Value::Object(object)) = serde_json::from_str(text) else {
            return None;
        };
        for (name, value) in object {
            parameters.add(name, value.as_str()?.to_owned())?;
        }
        Some(parameters)
    }

    fn add(&mut self, name: String, value: String) -> Option<()> {
        if self.get(&name).is_some() {
            return None;
        }
        self.0.push((name, value));
        Some(())
    }

    /// The value of `name`.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(held, _)| held == name).map(|(_, value)| value.as_str())
    }

    /// All names, in their order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

fn decode_form(text: &str) -> Option<String> {
    percent::decode_utf8(&text.replace('+', " "))
}

/// The media type without its parameters, in lower case; empty when there is none.
pub(super) fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_decoded() {
        let form = Parameters::from_form("a=1%2B1&b=x+y&c&d=%C3%A9=").unwrap();
        assert_eq!(form.get("a"), Some("1+1"));
        assert_eq!(form.get("b"), Some("x y"));
        assert_eq!(form.get("c"), Some(""));
        assert_eq!(form.get("d"), Some("é="));
        assert_eq!(form.names().collect::<Vec<_>>(), ["a", "b", "c", "d"]);
    }

    #[test]
    fn a_name_given_twice_and_broken_utf_8_are_refused() {
        assert!(Parameters::from_form("a=1&a=1").is_none());
        assert!(Parameters::from_form("a=%ff").is_none());
    }

    #[test]
    fn a_json_object_of_texts_is_as_good_as_a_form() {
        assert_eq!(Parameters::from_json(r#"{"a":"1"}"#).unwrap().get("a"), Some("1"));
        assert!(Parameters::from_json(r#"{"a":1}"#).is_none());
        assert!(Parameters::from_json("[]").is_none());
    }
}
