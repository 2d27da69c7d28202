//! What a code means, as a page: HTML for whoever asks for HTML, and text for everybody else.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::http::header::{self, HeaderMap, HeaderValue};
use hyper::http::{HeaderName, Response};

use super::document;
use crate::body::Body;
use crate::error::{Code, Row};

/// The one style of these pages, allowed by its digest alone.
const STYLE: &str = "\
:root{color-scheme:light dark;font:1rem/1.6 system-ui,sans-serif}\
body{max-width:44rem;margin:3rem auto;padding:0 1rem}\
code{font-family:ui-monospace,monospace}\
dt{font-weight:600;margin-top:1rem}dd{margin:0}\
nav{margin-top:3rem;font-size:.875rem}nav ul{padding:0;display:flex;flex-wrap:wrap;gap:0 1rem;list-style:none}";

/// The page of a code, in the form that suits the request.
pub(super) fn answer(row: &Row, headers: &HeaderMap) -> Response<Body> {
    let mut answer = if wants_html(headers) {
        let mut answer = document("text/html; charset=utf-8", html(row));
        let digest = STANDARD.encode(digest::digest(&digest::SHA256, STYLE.as_bytes()));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        super::insert_text(answer.headers_mut(), header::CONTENT_SECURITY_POLICY, &policy);
        answer.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        answer
    } else {
        document("text/plain; charset=utf-8", text(row))
    };
    answer.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    answer
}

/// RFC 9110 §12.5.1, as far as it matters here: browsers name `text/html`, and curl and libraries take anything.
fn wants_html(headers: &HeaderMap) -> bool {
    let name: HeaderName = header::ACCEPT;
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_html = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("text/html"));
        let is_refused = |part: &str| {
            let (name, weight) = part.split_once('=').unwrap_or_default();
            name.trim().eq_ignore_ascii_case("q") && weight.trim().parse::<f32>().is_ok_and(|weight| weight <= 0.0)
        };
        is_html && !parts.any(is_refused)
    })
}

fn text(row: &Row) -> String {
    format!(
        "{}: {}\n\nstatus   {}\nfault    {}\nto do    {}\n",
        row.code,
        row.title,
        row.status.as_u16(),
        row.fault.name(),
        row.cure,
    )
}

fn html(row: &Row) -> String {
    let others = Code::ALL.iter().map(|code| code.row()).filter(|other| other.code != row.code);
    let links: String =
        others.map(|other| format!("<li><a href=\"{0}\"><code>{0}</code></a></li>", other.code)).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title} · idp-proxy</title>\n<style>{STYLE}</style>\n<main>\n<h1>{title}</h1>\n\
         <dl>\n<dt>What to do</dt><dd>{cure}</dd>\n<dt>Code</dt><dd><code>{code}</code></dd>\n\
         <dt>Status</dt><dd>{status}</dd>\n<dt>Who has to change something</dt><dd>{fault}</dd>\n</dl>\n</main>\n\
         <nav aria-label=\"Other codes\"><h2>Other codes</h2>\n<ul>{links}</ul></nav>\n</html>\n",
        title = escaped(row.title),
        cure = with_code(row.cure),
        code = row.code,
        status = row.status.as_u16(),
        fault = row.fault.name(),
    )
}

/// The text as HTML, with what stands between backticks as code.
fn with_code(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts
        .map(|(index, part)| if index % 2 == 1 { format!("<code>{}</code>", escaped(part)) } else { escaped(part) })
        .collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
