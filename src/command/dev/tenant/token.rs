//! `/oauth/token`, `/oauth/device/code` and `/oauth/revoke`.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::http::{HeaderMap, Request, Response, StatusCode};
use serde_json::{Value, json};

use super::application::Application;
use super::client::{Client, authenticate};
use super::code::Refused;
use super::grant::Grant;
use super::mint::TokenBuilder;
use super::refresh::Patience;
use super::wire::OauthError;
use super::{Endpoint, Shared, lock, vault};
use crate::command::dev::answer::{self, Parameters, collect, media_type, uncached};
use crate::command::dev::encoding::random_url_safe;
use crate::command::dev::http::{Answer, Body};

const AUTHORIZATION_CODE: &str = "authorization_code";
const REFRESH_TOKEN: &str = "refresh_token";
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

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
        Ok((_, parameters)) => start_device(tenant, &parameters),
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
    let switched_on = lock(&tenant.settings).client_credentials;
    match (grant, &client) {
        ("client_credentials", Client::Machine) if switched_on => client_credentials(tenant, parameters),
        (AUTHORIZATION_CODE, Client::Public(application)) => exchange_code(tenant, application, parameters),
        (REFRESH_TOKEN, Client::Public(application)) => refresh(tenant, application, parameters),
        (DEVICE_CODE, Client::Public(application)) if application.device_flow => {
            poll_device(tenant, application, parameters)
        }
        (vault::GRANT, client) => vault::exchange(tenant, client, parameters),
        (
            "client_credentials" | AUTHORIZATION_CODE | REFRESH_TOKEN | DEVICE_CODE,
            Client::Machine | Client::Vault | Client::Public(_),
        ) => Err(OauthError::grant_not_allowed(grant)),
        (other, _) if SWITCHED_OFF.contains(&other) => Err(OauthError::grant_not_allowed(other)),
        (other, _) => Err(OauthError::new(
            StatusCode::BAD_REQUEST,
            "unsupported_grant_type",
            format!("Unsupported grant type: {other}"),
        )),
    }
}

fn no_such_api(audience: &str) -> OauthError {
    OauthError::forbidden("access_denied", format!("Service not enabled within domain: {audience}"))
}

fn client_credentials(tenant: &Arc<Shared>, parameters: &Parameters) -> Result<Value, OauthError> {
    let settings = lock(&tenant.settings).clone();
    let no_audience = "No audience parameter was provided, and no default audience has been configured";
    let audience = parameters.get("audience").ok_or_else(|| OauthError::forbidden("access_denied", no_audience))?;
    let is_management = audience == tenant.management_audience();
    if !is_management && audience != settings.audience {
        return Err(no_such_api(audience));
    }
    if !is_management || settings.scopes.is_empty() {
        let description = format!(
            "Client is not authorized to access \"{audience}\". You need to create a \"client-grant\" associated to \
             this API. See: https://auth0.com/docs/api/v2#!/Client_Grants/post_client_grants"
        );
        return Err(OauthError::forbidden("access_denied", description));
    }
    let scope = match parameters.get("scope").map(str::trim).filter(|scope| !scope.is_empty()) {
        None => settings.scopes.join(" "),
        Some(asked) => {
            let granted = |scope: &&str| settings.scopes.iter().any(|granted| granted == scope);
            let refused: Vec<_> = asked.split_whitespace().filter(|scope| !granted(scope)).collect();
            if !refused.is_empty() {
                let description = format!("Client has not been granted scopes: {}", refused.join(", "));
                return Err(OauthError::forbidden("access_denied", description));
            }
            asked.split_whitespace().collect::<Vec<_>>().join(" ")
        }
    };
    Ok(json!({
        "access_token": TokenBuilder::management(tenant, &scope).sign(),
        "scope": scope,
        "expires_in": settings.management_token_life,
        "token_type": "Bearer",
    }))
}

fn start_device(tenant: &Arc<Shared>, parameters: &Parameters) -> Result<Value, OauthError> {
    let settings = lock(&tenant.settings).clone();
    let application = parameters.get("client_id").and_then(|client_id| settings.application(client_id));
    let unknown = || OauthError::forbidden("unauthorized_client", "Unauthorized or unknown client");
    if !application.ok_or_else(unknown)?.device_flow {
        return Err(OauthError::grant_not_allowed(DEVICE_CODE));
    }
    let audience = parameters.get("audience");
    if let Some(other) = audience.filter(|audience| *audience != settings.audience) {
        return Err(no_such_api(other));
    }
    let scope = parameters.get("scope").unwrap_or_default();
    let now = tenant.clock.now();
    let (device_code, user_code, life) = lock(&tenant.devices).start(now, scope, audience.is_some());
    Ok(json!({
        "device_code": device_code,
        "user_code": user_code,
        "verification_uri": format!("{}/activate", tenant.base_url),
        "verification_uri_complete": format!("{}/activate?user_code={user_code}", tenant.base_url),
        "expires_in": life,
        "interval": settings.device_interval,
    }))
}

fn poll_device(tenant: &Arc<Shared>, application: &Application, parameters: &Parameters) -> Result<Value, OauthError> {
    let missing = || OauthError::bad_request("Missing required parameter: device_code");
    let device_code = parameters.get("device_code").ok_or_else(missing)?;
    let interval = lock(&tenant.settings).device_interval;
    let login = lock(&tenant.devices).poll(tenant.clock.now(), device_code, interval)?;
    let grant = Grant {
        client_id: application.client_id.clone(),
        sub: login.sub,
        sid: random_url_safe(32),
        scope: login.scope,
        has_audience: login.has_audience,
        nonce: None,
        auth_time: None,
    };
    begin(tenant, grant).map(|(body, _)| body)
}

fn exchange_code(
    tenant: &Arc<Shared>,
    application: &Application,
    parameters: &Parameters,
) -> Result<Value, OauthError> {
    let spent = lock(&tenant.codes).spend(&application.client_id, parameters, tenant.clock.now());
    let grant = match spent {
        Ok(grant) => grant,
        Err(Refused { error, family }) => {
            if let Some(family) = family {
                lock(&tenant.refresh).end(family);
                tenant.keep();
            }
            return Err(error);
        }
    };
    let (body, family) = begin(tenant, grant)?;
    if let (Some(family), Some(code)) = (family, parameters.get("code")) {
        lock(&tenant.codes).exchanged(code, family);
    }
    Ok(body)
}

/// The first tokens of a grant, and the family of the refresh token if there is one.
fn begin(tenant: &Arc<Shared>, grant: Grant) -> Result<(Value, Option<u64>), OauthError> {
    let mut body = grant.tokens(tenant)?;
    if !grant.has("offline_access") {
        return Ok((Value::Object(body), None));
    }
    let (token, family) = lock(&tenant.refresh).start(grant, tenant.clock.now());
    tenant.keep();
    body.insert("refresh_token".to_owned(), json!(token));
    Ok((Value::Object(body), Some(family)))
}

fn refresh(tenant: &Arc<Shared>, application: &Application, parameters: &Parameters) -> Result<Value, OauthError> {
    let missing = || OauthError::bad_request("Missing required parameter: refresh_token");
    let token = parameters.get("refresh_token").ok_or_else(missing)?;
    let settings = lock(&tenant.settings).clone();
    if let Some(other) = parameters.get("audience").filter(|audience| *audience != settings.audience) {
        return Err(no_such_api(other));
    }
    let patience = Patience {
        idle: Duration::from_secs(settings.refresh_idle_life),
        leeway: Duration::from_secs(settings.refresh_leeway),
    };
    let rotated = lock(&tenant.refresh).rotate(token, &application.client_id, patience, tenant.clock.now());
    tenant.keep();
    let invalid = || OauthError::forbidden("invalid_grant", "Unknown or invalid refresh token.");
    let (grant, token) = rotated.ok_or_else(invalid)?;
    let mut body = grant.narrowed(parameters.get("scope"))?.tokens(tenant)?;
    body.insert("refresh_token".to_owned(), json!(token));
    Ok(Value::Object(body))
}

/// Answers `POST /oauth/revoke` (RFC 7009). An unknown token is revoked already.
pub(super) async fn revoke(tenant: &Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    let revoked = match read(request).await {
        Ok((headers, parameters)) => revoke_token(tenant, &headers, &parameters),
        Err(error) => Err(error),
    };
    match revoked {
        Ok(()) => uncached(answer::text(StatusCode::OK, "")),
        Err(error) => error.response(),
    }
}

fn revoke_token(tenant: &Arc<Shared>, headers: &HeaderMap, parameters: &Parameters) -> Result<(), OauthError> {
    let missing = || OauthError::bad_request("Missing required parameter: token");
    let token = parameters.get("token").filter(|token| !token.is_empty()).ok_or_else(missing)?;
    let client_id = match authenticate(tenant, headers, parameters)? {
        Client::Public(application) => application.client_id,
        // They have no refresh tokens.
        Client::Machine | Client::Vault => return Ok(()),
    };
    let is_theirs = lock(&tenant.refresh).revoke(token, &client_id);
    tenant.keep();
    if is_theirs { Ok(()) } else { Err(OauthError::unauthorized()) }
}
