//! How the answer to an authorization request gets to the application.

use hyper::http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use crate::command::dev::answer::{html, set, text};
use crate::command::dev::encoding::random_url_safe;
use crate::command::dev::http::Body;
use crate::command::dev::tenant::application::origin;
use crate::command::dev::tenant::page::{encode, protect};

/// Where an answer goes. Nothing in it has been taken over unchecked.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) redirect_uri: String,
    pub(super) state: Option<String>,
    pub(super) mode: ResponseMode,
}

/// `response_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResponseMode {
    /// A redirect.
    Query,
    /// A page that posts a message to the window it was opened from, or framed by.
    WebMessage,
}

/// An error response (RFC 6749 §4.1.2.1).
#[derive(Debug)]
pub(super) struct AuthorizationError {
    pub(super) error: &'static str,
    pub(super) description: String,
}

impl AuthorizationError {
    pub(super) fn new(error: &'static str, description: impl Into<String>) -> Self {
        Self { error, description: description.into() }
    }
}

impl Target {
    /// The answer with a code.
    pub(super) fn code(&self, code: &str) -> Response<Body> {
        self.send(&[("code", code)])
    }

    /// The answer without one.
    pub(super) fn refuse(&self, error: &AuthorizationError) -> Response<Body> {
        self.send(&[("error", error.error), ("error_description", &error.description)])
    }

    fn send(&self, members: &[(&str, &str)]) -> Response<Body> {
        let state = self.state.as_deref().map(|state| ("state", state));
        let members = members.iter().copied().chain(state);
        match self.mode {
            ResponseMode::Query => {
                let query = members.map(|(name, value)| format!("{name}={}", encode(value)));
                let query = query.collect::<Vec<_>>().join("&");
                let separator = if self.redirect_uri.contains('?') { '&' } else { '?' };
                redirect(&format!("{}{separator}{query}", self.redirect_uri))
            }
            ResponseMode::WebMessage => {
                self.message(members.map(|(name, value)| (name.to_owned(), json!(value))).collect())
            }
        }
    }

    fn message(&self, members: Map<String, Value>) -> Response<Body> {
        let origin = origin(&self.redirect_uri);
        let message = json!({ "type": "authorization_response", "response": members });
        // No text in it can end the script.
        let [message, target] = [message, json!(origin)].map(|value| value.to_string().replace('<', "\\u003c"));
        let nonce = random_url_safe(22);
        let page = format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Authorization Response</title>\
             <script nonce=\"{nonce}\">(window.opener || window.parent).postMessage({message}, {target});</script></html>\n"
        );
        let mut response = html(StatusCode::OK, page);
        protect(&mut response, &format!("script-src 'nonce-{nonce}'; frame-ancestors {origin}"));
        response
    }
}

/// Sends a browser elsewhere.
pub(in crate::command::dev::tenant) fn redirect(url: &str) -> Response<Body> {
    let mut response = text(StatusCode::FOUND, "");
    set(&mut response, "location", url);
    set(&mut response, "cache-control", "no-store");
    response
}
