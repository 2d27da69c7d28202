//! `/oauth/token`, `/oauth/device/code` and `/oauth/revoke`.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::http::{HeaderMap, Request, Response, StatusCode};
use serde_json::Value;

use super::client::{Client, authenticate};
use super::wire::OauthError;
use super::{Endpoint, Shared, code, device, lock, machine, refresh, vault};
use crate::command::dev::answer::{self, Parameters, collect, media_type, uncached};
use crate::command::dev::http::{Answer, Body};

const CLIENT_CREDENTIALS: &str = "client_credentials";
const AUTHORIZATION_CODE: &str = "authorization_code";
const REFRESH_TOKEN: &str = "refresh_token";

/// Grants that Auth0 knows and that are switched off for every application here.
const SWITCHED_OFF: [&str; 5] = [
    "implicit",
    "password",
    "http://auth0.com/oauth/grant-type/password-realm",
    "http://auth0.com/oauth/grant-type/passwordless/otp",
    "urn:ietf:params:oauth:grant-type:token-exchange",
];

/// Answers `POST /oauth/token`. The vault's exchanges are counted, and fail, apart from the other grants.
pub(super) async fn answer(tenant: &Arc<Shared>, request: Request<Incoming>) -> Answer {
    let read = read(request).await;
    let grant = read.as_ref().ok().and_then(|(_, parameters)| parameters.get("grant_type"));
    let endpoint = if grant == Some(vault::GRANT) { Endpoint::Vault } else { Endpoint::Token };
    let work = async {
        let exchanged = match read {
            Ok((headers, parameters)) => exchange(tenant, &headers, &parameters),
            Err(error) => Err(error),
        };
        finish(exchanged)
    };
    tenant.faults.run(endpoint, work).await
}

/// Answers `POST /oauth/device/code`.
pub(super) async fn device_code(tenant: &Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    let started = match read(request).await {
        Ok((_, parameters)) => device::start(tenant, &parameters),
        Err(error) => Err(error),
    };
    finish(started)
}

fn finish(result: Result<Value, OauthError>) -> Response<Body> {
    match result {
        Ok(body) => uncached(answer::json(StatusCode::OK, &body)),
        Err(error) => error.response(),
    }
}

/// Both forms of body are understood; anything else is not.
async fn read(request: Request<Incoming>) -> Result<(HeaderMap, Parameters), OauthError> {
    let (head, body) = request.into_parts();
    let body = collect(body).await.ok_or_else(|| OauthError::bad_request("Request body too large"))?;
    let text = std::str::from_utf8(&body).unwrap_or_default();
    let parameters = match media_type(&head.headers).as_str() {
        "application/json" => Parameters::from_json(text),
        "application/x-www-form-urlencoded" => Parameters::from_form(text),
        _ => None,
    };
    let parameters = parameters.ok_or_else(|| OauthError::bad_request("Malformed request body"))?;
    Ok((head.headers, parameters))
}

fn exchange(tenant: &Arc<Shared>, headers: &HeaderMap, parameters: &Parameters) -> Result<Value, OauthError> {
    let missing = || OauthError::bad_request("Missing required parameter: grant_type");
    let grant = parameters.get("grant_type").ok_or_else(missing)?;
    let client = authenticate(tenant, headers, parameters)?;
    let settings = lock(&tenant.settings).clone();
    match (grant, &client) {
        (CLIENT_CREDENTIALS, Client::Machine) if settings.client_credentials => {
            machine::token(tenant, &settings.proxy(), parameters)
        }
        (CLIENT_CREDENTIALS, Client::Backend(machine)) => machine::token(tenant, machine, parameters),
        (AUTHORIZATION_CODE, Client::Public(application)) => code::exchange(tenant, application, parameters),
        (REFRESH_TOKEN, Client::Public(application)) => refresh::renew(tenant, application, parameters),
        (device::GRANT, Client::Public(application)) if application.device_flow => {
            device::poll(tenant, application, parameters)
        }
        (vault::GRANT, client) => vault::exchange(tenant, client, parameters),
        (
            CLIENT_CREDENTIALS | AUTHORIZATION_CODE | REFRESH_TOKEN | device::GRANT,
            Client::Machine | Client::Backend(_) | Client::Vault | Client::Public(_),
        ) => Err(OauthError::grant_not_allowed(grant)),
        (other, _) if SWITCHED_OFF.contains(&other) => Err(OauthError::grant_not_allowed(other)),
        (other, _) => Err(OauthError::new(
            StatusCode::BAD_REQUEST,
            "unsupported_grant_type",
            format!("Unsupported grant type: {other}"),
        )),
    }
}

/// Answers `POST /oauth/revoke` (RFC 7009). An unknown token is revoked already.
pub(super) async fn revoke(tenant: &Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    let revoked = match read(request).await {
        Ok((headers, parameters)) => {
            authenticate(tenant, &headers, &parameters).and_then(|client| refresh::revoke(tenant, &client, &parameters))
        }
        Err(error) => Err(error),
    };
    match revoked {
        Ok(()) => uncached(answer::text(StatusCode::OK, "")),
        Err(error) => error.response(),
    }
}
