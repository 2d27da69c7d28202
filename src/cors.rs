//! Cross-origin sharing (Fetch §3.2): exact origins from configuration, on every answer, errors and preflights too.

use hyper::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::http::{Method, Response, StatusCode};

/// What a page may read beside the few fields that browsers always show: paging, caching, limits, and whatever tells
/// what happened. `*` would be simpler, but browsers take it literally where credentials are involved.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "content-disposition, content-location, content-range, deprecation, etag, idp-proxy-connect, idp-proxy-scope-needed, link, location, proxy-status, \
     ratelimit, ratelimit-limit, ratelimit-policy, ratelimit-remaining, ratelimit-reset, request-id, retry-after, \
     server-timing, sunset, via, warning, www-authenticate, x-accepted-github-permissions, x-accepted-oauth-scopes, \
     x-app-usage, x-github-request-id, x-github-sso, x-goog-upload-url, x-oauth-scopes, x-ratelimit-limit, \
     x-ratelimit-remaining, x-ratelimit-reset, x-ratelimit-resource, x-ratelimit-used, x-request-id, x-total-count",
);
/// The methods a preflight is told of; what a provider permits is decided on the request itself.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
/// Browsers cap it at two hours (Chromium) or a day (Firefox).
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");
const PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-request-private-network");

/// The page is not one that may read answers.
#[derive(Debug, thiserror::Error)]
#[error("the origin of this page is not among the origins that may use this proxy")]
pub struct OriginNotAllowed;

/// Which origins may use the proxy from a browser.
pub struct Cors {
    origins: Vec<String>,
    own: String,
}

/// A request's origin, which was found to be allowed; `None` inside for a request without one.
pub struct Origin(Option<HeaderValue>);

impl Cors {
    /// The origins of the configuration and `public_url`'s own.
    #[must_use]
    pub fn new(origins: &[String], public_url: &str) -> Self {
        Self { origins: origins.to_vec(), own: public_url.to_ascii_lowercase() }
    }

    /// Admits a request by its `Origin`. Without one it is not a browser's cross-origin request.
    ///
    /// # Errors
    /// [`OriginNotAllowed`] for an origin that is not listed, two of them, or `null`.
    pub fn admit(&self, head: &Parts) -> Result<Origin, OriginNotAllowed> {
        let mut lines = head.headers.get_all(header::ORIGIN).iter();
        let origin = match (lines.next(), lines.next()) {
            (None, _) => return Ok(Origin(None)),
            (Some(origin), None) => origin,
            (Some(_), Some(_)) => return Err(OriginNotAllowed),
        };
        let is_listed = |text: &str| text == self.own || self.origins.iter().any(|listed| listed == text);
        if origin.to_str().is_ok_and(is_listed) { Ok(Origin(Some(origin.clone()))) } else { Err(OriginNotAllowed) }
    }
}

impl Origin {
    /// The origin of a request that was refused before its origin was known to be good.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// The answer to a preflight, if the request is one (Fetch §3.2.2). It carries no token, so it is answered before
    /// anything else, and never forwarded. A plain `OPTIONS` is an ordinary request.
    #[must_use]
    pub fn preflight<B: Default>(&self, head: &Parts) -> Option<Response<B>> {
        let is_preflight = self.0.is_some()
            && head.method == Method::OPTIONS
            && head.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if !is_preflight {
            return None;
        }
        let mut answer = Response::new(B::default());
        *answer.status_mut() = StatusCode::NO_CONTENT;
        let headers = answer.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        // Authorization must be named: a wildcard does not cover it. What the page asks for is what it may send, since
        // the rules for headers are ours and not the browser's.
        for asked in head.headers.get_all(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.append(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
        }
        if head.headers.contains_key(PRIVATE_NETWORK) {
            let allow = HeaderName::from_static("access-control-allow-private-network");
            headers.insert(allow, HeaderValue::from_static("true"));
        }
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        for field in ["access-control-request-method", "access-control-request-headers"] {
            headers.append(header::VARY, HeaderValue::from_static(field));
        }
        Some(answer)
    }

    /// Puts our fields on an answer. `Vary` is added to what the provider says, since the answer differs by origin.
    pub fn mark(&self, headers: &mut HeaderMap) {
        headers.append(header::VARY, HeaderValue::from_static("origin"));
        if let Some(origin) = &self.0 {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
    }
}
