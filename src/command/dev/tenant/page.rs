//! The tenant's pages: plain HTML that may run nothing and be framed by nobody.

use hyper::http::{Response, StatusCode};

use super::application::origin;
use crate::command::dev::answer::{html, set};
use crate::command::dev::http::Body;
use crate::percent::{self, Kept};

/// A page. A form on it may be sent to the tenant, and from there lead to `callback`: browsers hold redirects of a form to
/// the policy of the page it was on.
pub(super) fn page(status: StatusCode, title: &str, body: &str, callback: Option<&str>) -> Response<Body> {
    let title = escape(title);
    let text = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title>\n<h1>Simulated Auth0</h1>\n{body}\n</html>\n"
    );
    let mut response = html(status, text);
    let callback = callback.map(|url| format!(" {}", origin(url))).unwrap_or_default();
    protect(&mut response, &format!("form-action 'self'{callback}; frame-ancestors 'none'"));
    response
}

/// The page of a request that must not be sent back to where it came from.
pub(super) fn error(error: &str, description: &str) -> Response<Body> {
    let body = format!("<p>Oops!, something went wrong</p>\n<p>{}: {}</p>", escape(error), escape(description));
    page(StatusCode::BAD_REQUEST, "Error", &body, None)
}

/// Puts a policy on a page that allows nothing but `more`, and keeps the page out of every cache.
pub(super) fn protect(response: &mut Response<Body>, more: &str) {
    set(response, "content-security-policy", &format!("default-src 'none'; base-uri 'none'; {more}"));
    set(response, "cache-control", "no-store");
}

/// Text as HTML shows it.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

/// Text as a value in a query.
pub(super) fn encode(text: &str) -> String {
    percent::encode(text.as_bytes(), Kept::ALPHANUMERIC.and(b"-._~"))
}
