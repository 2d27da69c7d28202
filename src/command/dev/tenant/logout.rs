//! The end of a session: `/v2/logout`, and `/oidc/logout` (OpenID Connect RP-Initiated Logout). Tokens outlive it.

use hyper::http::{HeaderMap, Response, StatusCode};
use serde_json::Value;

use super::authorize::redirect;
use super::{Shared, lock, page};
use crate::command::dev::answer::{Parameters, set, text};
use crate::command::dev::http::Body;

/// Answers `GET /v2/logout`.
pub(super) fn own(tenant: &Shared, headers: &HeaderMap, query: &str) -> Response<Body> {
    let parameters = Parameters::from_form(query).unwrap_or_default();
    let mut response = match parameters.get("returnTo").filter(|url| !url.is_empty()) {
        None => text(StatusCode::OK, "OK"),
        Some(url) if may_log_out_to(tenant, parameters.get("client_id"), url) => redirect(url),
        Some(url) => {
            let description = format!(
                "The \"returnTo\" querystring parameter \"{url}\" is not defined as a valid URL in \"Allowed Logout URLs\""
            );
            return page::error("invalid_request", &description);
        }
    };
    set(&mut response, "set-cookie", &lock(&tenant.sessions).end(headers));
    response
}

/// Answers `GET /oidc/logout`. Without a token of the session Auth0 asks the person, which is not simulated.
pub(super) fn oidc(tenant: &Shared, headers: &HeaderMap, query: &str) -> Response<Body> {
    let parameters = Parameters::from_form(query).unwrap_or_default();
    let hint = parameters.get("id_token_hint").and_then(|token| lock(&tenant.keys).verified(token).ok());
    let Some(hint) = hint else {
        return page::error("invalid_request", "Missing or invalid parameter: id_token_hint");
    };
    let claim = |name: &str| hint.get(name).and_then(Value::as_str);
    if parameters.get("client_id").is_some_and(|client_id| claim("aud") != Some(client_id)) {
        return page::error("invalid_request", "The client_id is not the audience of the id_token_hint");
    }
    let mut response = match parameters.get("post_logout_redirect_uri").filter(|url| !url.is_empty()) {
        None => text(StatusCode::OK, "OK"),
        Some(url) if may_log_out_to(tenant, claim("aud"), url) => redirect(&with_state(url, parameters.get("state"))),
        Some(_) => {
            let description = "The post_logout_redirect_uri is not defined as a valid URL in \"Allowed Logout URLs\"";
            return page::error("invalid_request", description);
        }
    };
    let mut sessions = lock(&tenant.sessions);
    sessions.end_by_id(claim("sid").unwrap_or_default());
    set(&mut response, "set-cookie", &sessions.end(headers));
    response
}

fn may_log_out_to(tenant: &Shared, client_id: Option<&str>, url: &str) -> bool {
    let settings = lock(&tenant.settings);
    // Without an application it would have to be an address of the whole tenant, which has none.
    let application = client_id.and_then(|client_id| settings.application(client_id));
    application.is_some_and(|application| application.may_log_out_to(url))
}

fn with_state(url: &str, state: Option<&str>) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    state.map_or_else(|| url.to_owned(), |state| format!("{url}{separator}state={}", page::encode(state)))
}
