//! Answers of our own: problems (RFC 9457), their pages, the helper for frontends, and what the proxy says about itself
//! (RFC 9728).

use std::collections::HashMap;

use hyper::body::Bytes;
use hyper::http::HeaderMap;
use hyper::http::header::{self, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::http::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::body::Body;
use crate::config::Config;
use crate::connect::Connect;
use crate::error::{Code, Error, Row};
use crate::frontend;
use crate::headers::PROXY_STATUS;
use crate::provider::PermitError;
use crate::telemetry::access::RequestId;
use crate::token::TokenError;

mod connections;
mod page;

const RESOURCE: &str = "/.well-known/oauth-protected-resource";
const PROBLEMS: &str = "/problems/";

/// What our own answers say about where they come from.
pub struct Pages {
    public_url: String,
    audience: String,
    issuers: Vec<String>,
    login_client_id: Option<String>,
    connects: HashMap<String, Connect>,
}

impl Pages {
    /// Pages of the proxy at `public_url`.
    #[must_use]
    pub fn new(config: &Config, public_url: String) -> Self {
        let (audience, issuers) = (config.auth0.audience.clone(), config.auth0.issuers.clone());
        let login_client_id = config.login.client_id.clone();
        Self { public_url, audience, issuers, login_client_id, connects: Connect::of_each(config) }
    }

    /// The answer to a request that failed.
    #[must_use]
    pub fn problem(&self, error: &Error, provider: Option<&str>, id: RequestId) -> Response<Body> {
        let row = error.code().row();
        let mut problem = json!({
            "type": format!("{}{PROBLEMS}{}", self.public_url, row.code),
            "title": row.title,
            "status": row.status.as_u16(),
            "code": row.code,
            "fault": row.fault.name(),
            "detail": error.to_string(),
            "request_id": id.to_string(),
        });
        if let Value::Object(members) = &mut problem {
            if let Some(provider) = provider {
                members.insert("provider".into(), provider.into());
            }
            if let Error::Token(TokenError::AmbiguousAccount { choices }) = error {
                members.insert("choices".into(), choices.clone().into());
            }
            if let Error::Permit(PermitError::InsufficientScope { scope, provider }) = error
                && let Some(connect) = self.connects.get(&**provider)
            {
                members.insert("connect".into(), connect.with_scope(scope));
            }
            if let Some(connect) = provider.and_then(|provider| self.connect(error.code(), provider)) {
                members.insert("connect".into(), connect);
            }
        }
        let mut answer = Response::new(Body::whole(problem.to_string()));
        *answer.status_mut() = row.status;
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let status = format!(r#"idp-proxy; error={}; details="{}""#, row.proxy_error, row.code);
        insert_text(headers, PROXY_STATUS, &status);
        if let Some(pause) = error.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(pause.as_secs_f64().ceil() as u64));
        }
        if row.status == StatusCode::BAD_REQUEST {
            // Whoever is mistaken about a request's head may be mistaken about where its body ends (RFC 9112 §9.6).
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(challenge) = self.challenge(error, &row) {
            insert_text(headers, header::WWW_AUTHENTICATE, &challenge);
        }
        answer
    }

    /// What the application has to do, where the user's account is what is wrong.
    fn connect(&self, code: Code, provider: &str) -> Option<Value> {
        let connect = self.connects.get(provider)?;
        if code == Code::NotConnected {
            return Some(connect.first());
        }
        (code == Code::ReconnectRequired).then(|| connect.anew())
    }

    /// RFC 6750 §3: without credentials a challenge names no error; RFC 9728 §5.1: it says where to learn more.
    fn challenge(&self, error: &Error, row: &Row) -> Option<String> {
        let resource = format!(r#"Bearer realm="idp-proxy", resource_metadata="{}{RESOURCE}""#, self.public_url);
        if let Error::Permit(PermitError::InsufficientScope { scope, .. }) = error {
            return Some(format!(r#"{resource}, error="insufficient_scope", scope="{scope}""#));
        }
        if row.status != StatusCode::UNAUTHORIZED {
            return None;
        }
        if error.code() == Code::MissingToken {
            return Some(resource);
        }
        Some(format!(r#"{resource}, error="invalid_token", error_description="{}""#, row.title))
    }

    /// The answer to a request for one of our own pages.
    ///
    /// # Errors
    /// [`Error::NotFound`] for any other path.
    pub fn answer(&self, head: &Parts) -> Result<Response<Body>, Error> {
        let path = head.uri.path();
        if !matches!(head.method, Method::GET | Method::HEAD) {
            return Err(Error::NotFound);
        }
        if path == RESOURCE {
            return Ok(document("application/json", self.resource().to_string()));
        }
        if let Some((kind, text)) = frontend::file(path) {
            return Ok(document(kind, text));
        }
        let code = path.strip_prefix(PROBLEMS).ok_or(Error::NotFound)?;
        let row = Code::ALL.iter().map(|known| known.row()).find(|row| row.code == code).ok_or(Error::NotFound)?;
        Ok(page::answer(&row, &head.headers))
    }

    /// RFC 9728 §2: what we are, who issues our tokens, how they are presented. Members of our own are allowed: the last one
    /// is for `idp-proxy login`.
    fn resource(&self) -> Value {
        let mut resource = json!({
            "resource": self.audience,
            "authorization_servers": self.issuers,
            "bearer_methods_supported": ["header"],
            "resource_documentation": format!("{}{PROBLEMS}missing_token", self.public_url),
        });
        if let (Value::Object(members), Some(client_id)) = (&mut resource, &self.login_client_id) {
            members.insert("idp_proxy_login_client_id".into(), client_id.clone().into());
        }
        resource
    }
}

fn document(kind: &'static str, text: impl Into<Bytes>) -> Response<Body> {
    let mut answer = Response::new(Body::whole(text));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=300"));
    answer.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// Every text here is ours or was checked when the configuration was read; one that no header can carry is left out.
fn insert_text(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}
