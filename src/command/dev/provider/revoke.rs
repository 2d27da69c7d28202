//! Where the provider takes back what a user has granted: by RFC 7009, or as GitHub has it.

use hyper::body::Incoming;
use hyper::http::header::{ALLOW, AUTHORIZATION};
use hyper::http::{HeaderValue, Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use super::{Dialect, Shared, token};
use crate::command::dev::answer::{self, Parameters, collect, media_type, uncached};
use crate::command::dev::credentials;
use crate::command::dev::http::Body;

/// Where RFC 7009 is spoken.
pub(super) const TOKEN: &str = "/oauth/revoke";
/// Where GitHub takes it.
pub(super) const GRANT: &str = "/applications/{client_id}/grant";

/// Whether that is where tokens are revoked.
pub(super) fn is_meant(path: &str) -> bool {
    path == TOKEN || (path.starts_with("/applications/") && path.ends_with("/grant"))
}

/// Answers a revocation.
pub(super) async fn answer(provider: &Shared, request: Request<Incoming>) -> Response<Body> {
    let is_github = provider.settings.dialect == Dialect::GitHub;
    let (method, path) = match is_github {
        true => (Method::DELETE, GRANT.replace("{client_id}", &provider.settings.client_id)),
        false => (Method::POST, TOKEN.to_owned()),
    };
    if request.uri().path() != path {
        return provider.settings.dialect.problem(StatusCode::NOT_FOUND);
    }
    if request.method() != method {
        let mut response = answer::text(StatusCode::METHOD_NOT_ALLOWED, "not this method");
        response.headers_mut().extend(HeaderValue::from_str(method.as_str()).ok().map(|method| (ALLOW, method)));
        return response;
    }
    uncached(if is_github { grant(provider, request).await } else { one(provider, request).await })
}

/// RFC 7009 §2.2: a token that is not known is no error, since it is good for nothing already. But Google calls it one.
async fn one(provider: &Shared, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = collect(body).await.unwrap_or_default();
    let form = std::str::from_utf8(&body).ok().and_then(Parameters::from_form);
    let form = form.filter(|_| media_type(&head.headers) == "application/x-www-form-urlencoded");
    let error = |status, error: &str| answer::json(status, &json!({ "error": error }));
    let Some(form) = form else { return error(StatusCode::BAD_REQUEST, "invalid_request") };
    if !token::is_client(provider, &head.headers, &form) {
        return error(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    let Some(token) = form.get("token") else { return error(StatusCode::BAD_REQUEST, "invalid_request") };
    let now = provider.clock.now();
    if !provider.change(|ledger| ledger.revoke_token(token, now)) && provider.settings.dialect == Dialect::Google {
        return error(StatusCode::BAD_REQUEST, "invalid_token");
    }
    answer::text(StatusCode::OK, "")
}

/// The client proves itself with `Basic`, and shows one of the user's tokens.
async fn grant(provider: &Shared, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let settings = &provider.settings;
    let basic = head.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
    if !credentials::basic_matches(basic, &settings.client_id, &settings.client_secret) {
        return settings.dialect.problem(StatusCode::UNAUTHORIZED);
    }
    let body = collect(body).await.unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    match body.get("access_token").and_then(Value::as_str) {
        Some(token) if provider.change(|ledger| ledger.revoke_token(token, provider.clock.now())) => {
            let mut response = answer::text(StatusCode::NO_CONTENT, "");
            response.headers_mut().remove("content-type");
            response
        }
        Some(_) => settings.dialect.problem(StatusCode::NOT_FOUND),
        None => settings.dialect.problem(StatusCode::UNPROCESSABLE_ENTITY),
    }
}
