//! Scripts of other origins: who may call the tenant from a browser, and what they may read.

use hyper::http::header::ORIGIN;
use hyper::http::{HeaderMap, Method, Request, Response, StatusCode};

use super::{Shared, lock};
use crate::command::dev::answer::{set, text};
use crate::command::dev::http::Body;

/// The headers that Auth0's libraries send.
const HEADERS: &str = "authorization, content-type, auth0-client, dpop";

/// The origin of a script that may call what is asked for; nobody's script needs the pages and the Management API.
pub(super) fn caller<B>(tenant: &Shared, request: &Request<B>) -> Option<String> {
    let path = request.uri().path();
    let is_open = matches!(path, "/oauth/token" | "/oauth/revoke" | "/userinfo") || path.starts_with("/.well-known/");
    let origin = origin(request.headers()).filter(|_| is_open)?;
    lock(&tenant.settings).is_web_origin(origin).then(|| origin.to_owned())
}

/// The answer to a preflight, if it is one.
pub(super) fn preflight<B>(request: &Request<B>) -> Option<Response<Body>> {
    let is_preflight = request.method() == Method::OPTIONS
        && origin(request.headers()).is_some()
        && request.headers().contains_key("access-control-request-method");
    is_preflight.then(|| {
        let mut response = text(StatusCode::NO_CONTENT, "");
        response.headers_mut().remove("content-type");
        response
    })
}

/// Tells the browser that `caller` may read the answer. One that may not is told nothing.
pub(super) fn allow(response: &mut Response<Body>, caller: Option<&str>, is_preflight: bool) {
    set(response, "vary", "origin");
    let Some(caller) = caller else { return };
    set(response, "access-control-allow-origin", caller);
    set(response, "access-control-allow-credentials", "true");
    if is_preflight {
        set(response, "access-control-allow-methods", "GET, POST");
        set(response, "access-control-allow-headers", HEADERS);
        set(response, "access-control-max-age", "600");
    } else {
        set(response, "access-control-expose-headers", "dpop-nonce, retry-after, www-authenticate");
    }
}

fn origin(headers: &HeaderMap) -> Option<&str> {
    headers.get(ORIGIN)?.to_str().ok()
}
