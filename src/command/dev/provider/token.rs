//! The provider's token endpoint: the refresh-token grant (RFC 6749 §6).

use hyper::body::Incoming;
use hyper::http::header::{ACCEPT, ALLOW, AUTHORIZATION};
use hyper::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use serde_json::{Map, Value, json};

use super::{Dialect, Issued, Shared};
use crate::command::dev::answer::{self, Parameters, collect, media_type, set, uncached};
use crate::command::dev::credentials;
use crate::command::dev::http::Body;
use crate::percent::{self, Kept};

/// An error of RFC 6749 §5.2.
struct Refused {
    error: &'static str,
    description: &'static str,
}

const fn refused(error: &'static str, description: &'static str) -> Refused {
    Refused { error, description }
}

/// Answers `/oauth/token`.
pub(super) async fn answer(provider: &Shared, request: Request<Incoming>) -> Response<Body> {
    if request.method() != Method::POST {
        let mut response = answer::text(StatusCode::METHOD_NOT_ALLOWED, "POST only");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        return response;
    }
    let (head, body) = request.into_parts();
    let body = collect(body).await.unwrap_or_default();
    let form = std::str::from_utf8(&body).ok().and_then(Parameters::from_form);
    let form = form.filter(|_| media_type(&head.headers) == "application/x-www-form-urlencoded");
    let renewed = match form {
        Some(form) => renew(provider, &head.headers, &form),
        None => Err(refused("invalid_request", "A form without repeated parameters is expected.")),
    };
    let response = match renewed {
        Ok(issued) => success(provider, &head.headers, issued),
        Err(refused) => failure(provider, &head.headers, &refused),
    };
    uncached(response)
}

fn renew(provider: &Shared, headers: &HeaderMap, form: &Parameters) -> Result<Issued, Refused> {
    authenticate(provider, headers, form)?;
    match form.get("grant_type") {
        Some("refresh_token") => {}
        Some(_) => return Err(refused("unsupported_grant_type", "Only refresh_token is served.")),
        None => return Err(refused("invalid_request", "grant_type is missing.")),
    }
    let token = form.get("refresh_token").ok_or(refused("invalid_request", "refresh_token is missing."))?;
    provider.renew(token).ok_or(refused("invalid_grant", "Token has been expired or revoked."))
}

/// Whether the client has proven itself.
pub(super) fn is_client(provider: &Shared, headers: &HeaderMap, form: &Parameters) -> bool {
    authenticate(provider, headers, form).is_ok()
}

fn authenticate(provider: &Shared, headers: &HeaderMap, form: &Parameters) -> Result<(), Refused> {
    let settings = &provider.settings;
    let genuine = match (headers.get(AUTHORIZATION), form.get("client_secret")) {
        // RFC 6749 §2.3: no more than one method in a request.
        (Some(_), Some(_)) => return Err(refused("invalid_request", "More than one client authentication method.")),
        (Some(basic), None) => {
            credentials::basic_matches(basic.as_bytes(), &settings.client_id, &settings.client_secret)
        }
        (None, Some(secret)) => form.get("client_id") == Some(&settings.client_id) && secret == settings.client_secret,
        (None, None) => false,
    };
    if genuine { Ok(()) } else { Err(refused("invalid_client", "The OAuth client was not found.")) }
}

fn success(provider: &Shared, headers: &HeaderMap, issued: Issued) -> Response<Body> {
    let mut body = Map::new();
    body.insert("access_token".to_owned(), json!(issued.access_token));
    body.insert("token_type".to_owned(), json!("Bearer"));
    body.extend(issued.expires_in.map(|seconds| ("expires_in".to_owned(), json!(seconds))));
    body.extend(issued.refresh_token.map(|token| ("refresh_token".to_owned(), json!(token))));
    written(provider, headers, StatusCode::OK, body)
}

fn failure(provider: &Shared, headers: &HeaderMap, refused: &Refused) -> Response<Body> {
    let is_github = provider.settings.dialect == Dialect::GitHub;
    let (status, error) = match refused.error {
        // GitHub reports errors with 200 and under names of its own.
        "invalid_grant" if is_github => (StatusCode::OK, "bad_refresh_token"),
        "invalid_client" if is_github => (StatusCode::OK, "incorrect_client_credentials"),
        error if is_github => (StatusCode::OK, error),
        "invalid_client" => (StatusCode::UNAUTHORIZED, "invalid_client"),
        error => (StatusCode::BAD_REQUEST, error),
    };
    let mut body = Map::new();
    body.insert("error".to_owned(), json!(error));
    body.insert("error_description".to_owned(), json!(refused.description));
    let mut response = written(provider, headers, status, body);
    if status == StatusCode::UNAUTHORIZED {
        set(&mut response, "www-authenticate", r#"Basic realm="token endpoint""#);
    }
    response
}

/// JSON; GitHub answers with a form unless JSON is asked for.
fn written(provider: &Shared, headers: &HeaderMap, status: StatusCode, body: Map<String, Value>) -> Response<Body> {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if provider.settings.dialect != Dialect::GitHub || accept.contains("application/json") {
        return answer::json(status, &Value::Object(body));
    }
    let pairs = body.into_iter().map(|(name, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("{name}={}", percent::encode(text.as_bytes(), Kept::ALPHANUMERIC))
    });
    answer::answer(status, "application/x-www-form-urlencoded; charset=utf-8", pairs.collect::<Vec<_>>().join("&"))
}
