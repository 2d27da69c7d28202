//! The provider's API: a handful of operations, each for something a proxy can get wrong.

use std::time::Duration;

use aws_lc_rs::digest;
use hyper::body::{Bytes, Incoming};
use hyper::http::header::{AUTHORIZATION, IF_NONE_MATCH, USER_AGENT};
use hyper::http::{HeaderMap, Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use super::stream::Chunks;
use super::{Dialect, Shared, lock};
use crate::command::dev::answer::{self, Parameters, set, text};
use crate::command::dev::encoding::hex;
use crate::command::dev::http::Body;

/// Calls an hour, as GitHub grants them to a user.
const RATE_LIMIT: u64 = 5_000;

/// Pages of `/user/repos`.
const PAGES: u32 = 3;

/// Answers anything but the token endpoint.
pub(super) async fn answer(provider: &Shared, request: Request<Incoming>) -> Response<Body> {
    let dialect = provider.settings.dialect;
    if dialect == Dialect::GitHub && !request.headers().contains_key(USER_AGENT) {
        let words = "Request forbidden by administrative rules. Please make sure your request has a User-Agent header";
        return text(StatusCode::FORBIDDEN, words);
    }
    let mut response = match caller(provider, request.headers()) {
        Some(account) => operation(provider, &account, request).await,
        None => dialect.unauthorized(),
    };
    if dialect == Dialect::GitHub {
        let used = provider.count();
        set(&mut response, "x-ratelimit-limit", &RATE_LIMIT.to_string());
        set(&mut response, "x-ratelimit-remaining", &RATE_LIMIT.saturating_sub(used).to_string());
        set(&mut response, "x-ratelimit-used", &used.to_string());
        set(&mut response, "x-ratelimit-reset", &(provider.clock.now().unix_seconds() + 3600).to_string());
        set(&mut response, "x-ratelimit-resource", "core");
    }
    response
}

/// The account behind exactly one `Authorization: Bearer` with a live token.
fn caller(provider: &Shared, headers: &HeaderMap) -> Option<String> {
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return None;
    };
    let token = line.to_str().ok()?.strip_prefix("Bearer ")?;
    lock(&provider.ledger).account(token, provider.clock.now()).map(str::to_owned)
}

async fn operation(provider: &Shared, account: &str, request: Request<Incoming>) -> Response<Body> {
    let reads = request.method() == Method::GET || request.method() == Method::HEAD;
    let query = Parameters::from_form(request.uri().query().unwrap_or_default()).unwrap_or_default();
    let path = request.uri().path().to_owned();
    let segments: Vec<_> = path.split('/').skip(1).collect();
    match segments.as_slice() {
        ["user"] if reads => user(provider, account, request.headers()),
        ["user", "repos"] if reads => repositories(provider, account, &query),
        ["repos", owner, name, rest @ ..] if reads => {
            let body = json!({ "full_name": format!("{owner}/{name}"), "path": rest.join("/"), "seen_by": account });
            answer::json(StatusCode::OK, &body)
        }
        ["echo", ..] => echo(request).await,
        ["stream"] if reads => {
            let number = |name, default| query.get(name).and_then(|text| text.parse().ok()).unwrap_or(default);
            let chunks = Chunks::new(number("chunks", 5), Duration::from_millis(u64::from(number("pause_ms", 100))));
            let mut response = Response::new(Body::Pieces(Box::pin(chunks)));
            set(&mut response, "content-type", "text/plain; charset=utf-8");
            response
        }
        ["status", code] => {
            let status = code.parse().ok().and_then(|code| StatusCode::from_u16(code).ok());
            // Statuses below 200 are not final ones (RFC 9110 §15.2).
            let status = status.filter(|status| status.as_u16() >= 200);
            provider.settings.dialect.problem(status.unwrap_or(StatusCode::NOT_FOUND))
        }
        _ => provider.settings.dialect.problem(StatusCode::NOT_FOUND),
    }
}

fn user(provider: &Shared, account: &str, headers: &HeaderMap) -> Response<Body> {
    // GitHub's ids are numbers.
    let id = account.parse::<u64>().map_or_else(|_| json!(account), |number| json!(number));
    let body = json!({ "login": provider.login(account), "id": id, "type": "User" });
    let tag = hex(digest::digest(&digest::SHA256, body.to_string().as_bytes()).as_ref());
    let tag = format!("W/\"{tag}\"");
    let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|line| line.to_str().ok());
    let mut known = known.flat_map(|line| line.split(',')).map(str::trim);
    // Tags are compared weakly (RFC 9110 §13.1.2).
    let mut response = if known.any(|known| known == "*" || known == tag || Some(known) == tag.strip_prefix("W/")) {
        let mut response = text(StatusCode::NOT_MODIFIED, "");
        response.headers_mut().remove("content-type");
        response
    } else {
        answer::json(StatusCode::OK, &body)
    };
    set(&mut response, "etag", &tag);
    set(&mut response, "cache-control", "private, max-age=60, s-maxage=60");
    response
}

fn repositories(provider: &Shared, account: &str, query: &Parameters) -> Response<Body> {
    let page = query.get("page").and_then(|page| page.parse().ok()).unwrap_or(1_u32).max(1);
    let login = provider.login(account);
    let on_page = |number: u32| json!({ "full_name": format!("{login}/repository-{number}") });
    let body = if page <= PAGES { json!([on_page(page * 2 - 1), on_page(page * 2)]) } else { Value::Array(Vec::new()) };
    let mut response = answer::json(StatusCode::OK, &body);
    let link =
        |number: u32, relation: &str| format!("<{}/user/repos?page={number}>; rel=\"{relation}\"", provider.base_url);
    let mut links = Vec::new();
    if page > 1 {
        links.extend([link(page - 1, "prev"), link(1, "first")]);
    }
    if page < PAGES {
        links.extend([link(page + 1, "next"), link(PAGES, "last")]);
    }
    set(&mut response, "link", &links.join(", "));
    response
}

/// What arrived, without any header's value: among them is the token.
async fn echo(request: Request<Incoming>) -> Response<Body> {
    let (head, mut body) = request.into_parts();
    let mut length = 0;
    while let Some(Ok(frame)) = answer::frame(&mut body).await {
        length += frame.data_ref().map_or(0, Bytes::len);
    }
    let names: Vec<_> = head.headers.iter().map(|(name, _)| name.as_str()).collect();
    let seen = json!({
        "method": head.method.as_str(),
        "path": head.uri.path(),
        "query": head.uri.query(),
        "headers": names,
        "body_length": length,
    });
    answer::json(StatusCode::OK, &seen)
}
