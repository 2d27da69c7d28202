//! Client authentication at `/oauth/token`.

use std::collections::HashMap;

use hyper::http::HeaderMap;
use hyper::http::StatusCode;
use hyper::http::header::AUTHORIZATION;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};

use super::application::Application;
use super::settings::{Machine, TenantSettings};
use super::wire::OauthError;
use super::{Shared, lock};
use crate::command::dev::answer::Parameters;
use crate::command::dev::credentials;

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The longest life of an assertion, in seconds.
const ASSERTION_LIFE_MAX: u64 = 300;

/// How far in the future `iat` and `nbf` may lie, in seconds.
const ASSERTION_LEEWAY: u64 = 10;

/// The `jti`s used, each with the time until which it has to be remembered.
pub(super) type Assertions = HashMap<String, u64>;

/// An application that the tenant knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Client {
    /// The proxy's own, confidential.
    Machine,
    /// The Custom API Client for Token Vault, where it is one of its own; confidential.
    Vault,
    /// Somebody's backend, confidential.
    Backend(Machine),
    /// A public one, which people sign in with.
    Public(Application),
}

/// Finds out which application asks, and whether it really is that one.
pub(super) fn authenticate(
    tenant: &Shared,
    headers: &HeaderMap,
    parameters: &Parameters,
) -> Result<Client, OauthError> {
    let settings = lock(&tenant.settings).clone();
    let basic = headers.get(AUTHORIZATION);
    let (secret, assertion) = (parameters.get("client_secret"), parameters.get("client_assertion"));
    let client_id = parameters.get("client_id");
    let by_secret = |genuine: &dyn Fn(&str, &str) -> bool| {
        // An application has one method, and one with keys has no secret.
        if settings.client_keys.is_empty() && genuine(&settings.client_id, &settings.client_secret) {
            return Ok(Client::Machine);
        }
        if genuine(&settings.backend.client_id, &settings.backend.client_secret) {
            return Ok(Client::Backend(settings.backend.clone()));
        }
        let vault = settings.vault_client.as_ref();
        let vault = vault.filter(|vault| genuine(&vault.client_id, &vault.client_secret));
        vault.map(|_| Client::Vault).ok_or_else(OauthError::unauthorized)
    };
    match (basic, secret, assertion) {
        (Some(basic), None, None) => by_secret(&|id, secret| credentials::basic_matches(basic.as_bytes(), id, secret)),
        (None, Some(secret), None) => by_secret(&|id, expected| client_id == Some(id) && secret == expected),
        (None, None, Some(assertion)) => {
            if parameters.get("client_assertion_type") != Some(ASSERTION_TYPE) {
                return Err(OauthError::bad_request("Invalid client_assertion_type"));
            }
            if client_id.is_some_and(|id| id != settings.client_id) {
                return Err(refused("client_id does not match the assertion"));
            }
            check_assertion(tenant, &settings, assertion).map(|()| Client::Machine)
        }
        (None, None, None) => {
            let application = client_id.and_then(|id| settings.application(id)).cloned();
            application.map(Client::Public).ok_or_else(OauthError::unauthorized)
        }
        // RFC 6749 §2.3: no more than one method in a request.
        _ => Err(OauthError::bad_request("More than one client authentication method")),
    }
}

fn refused(why: &str) -> OauthError {
    OauthError::new(StatusCode::UNAUTHORIZED, "invalid_client", format!("Client assertion refused: {why}"))
}

/// The rules of RFC 7523 §3 as Auth0 has sharpened them.
fn check_assertion(tenant: &Shared, settings: &TenantSettings, assertion: &str) -> Result<(), OauthError> {
    if !settings.client_keys.iter().any(|key| is_signed_by(assertion, key)) {
        return Err(refused("signature"));
    }
    let claims: Map<String, Value> =
        jsonwebtoken::dangerous::insecure_decode_claims(assertion).map_err(|_| refused("not a JWT"))?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let client_id = Some(settings.client_id.as_str());
    if text("iss") != client_id || text("sub") != client_id {
        return Err(refused("iss and sub must be the client id"));
    }
    // The domain that is asked, or the canonical one: here the first stands for a custom domain.
    if ![tenant.issuer(), format!("https://{}/", settings.domain)].iter().any(|domain| text("aud") == Some(domain)) {
        return Err(refused("aud must be the tenant's issuer"));
    }
    let now = tenant.clock.now().unix_seconds();
    let expiry = claims.get("exp").and_then(Value::as_u64).ok_or_else(|| refused("exp is missing"))?;
    if expiry <= now || expiry > now + ASSERTION_LIFE_MAX {
        return Err(refused("exp must lie within five minutes"));
    }
    for name in ["iat", "nbf"] {
        if claims.get(name).is_some_and(|time| time.as_u64().is_none_or(|time| time > now + ASSERTION_LEEWAY)) {
            return Err(refused("iat or nbf in the future"));
        }
    }
    let jti = text("jti").filter(|jti| !jti.is_empty()).ok_or_else(|| refused("jti is missing"))?;
    let mut used = lock(&tenant.assertions);
    used.retain(|_, until| *until > now);
    if used.insert(jti.to_owned(), expiry).is_some() {
        return Err(refused("jti was used before"));
    }
    Ok(())
}

fn is_signed_by(assertion: &str, key: &DecodingKey) -> bool {
    let Ok(header) = jsonwebtoken::decode_header(assertion) else {
        return false;
    };
    let Some((message, signature)) = assertion.rsplit_once('.') else {
        return false;
    };
    [Algorithm::RS256, Algorithm::RS384, Algorithm::PS256].contains(&header.alg)
        && jsonwebtoken::crypto::verify(signature, message.as_bytes(), key, header.alg).unwrap_or(false)
}
