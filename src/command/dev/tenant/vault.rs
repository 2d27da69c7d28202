//! Token Vault: what it holds of a user, and the exchange of the caller's token for the provider's.

use std::time::Duration;

use hyper::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::client::Client;
use super::connection::Connection;
use super::wire::OauthError;
use super::{Shared, User, lock};
use crate::clock::Timestamp;
use crate::command::dev::answer::Parameters;
use crate::command::dev::provider::Issued;

/// The grant, which is Auth0's own.
pub(super) const GRANT: &str = "urn:auth0:params:oauth:grant-type:token-exchange:federated-connection-access-token";

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const CONNECTION_TOKEN: &str = "http://auth0.com/oauth/token-type/federated-connection-access-token";

/// What the vault holds of one connected account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vaulted {
    /// The connection's name.
    pub connection: String,
    /// The account's id at the provider, which `login_hint` may name.
    pub account: String,
    /// The provider's access token.
    pub access_token: String,
    /// The provider's refresh token. The vault serves no account without one.
    pub refresh_token: Option<String>,
    /// When the access token ends; absent where it never does.
    pub expires: Option<Timestamp>,
    /// The scopes at the provider.
    pub scope: String,
}

impl Vaulted {
    /// An account with an access token that never ends, and a refresh token made up for it.
    #[must_use]
    pub fn new(connection: &str, account: &str, access_token: &str) -> Self {
        Self {
            connection: connection.to_owned(),
            account: account.to_owned(),
            access_token: access_token.to_owned(),
            refresh_token: Some(format!("refreshes-{access_token}")),
            expires: None,
            scope: "openid profile".to_owned(),
        }
    }

    /// The same account with an access token that ends then.
    #[must_use]
    pub const fn expires(mut self, at: Timestamp) -> Self {
        self.expires = Some(at);
        self
    }

    /// What the provider issued for an account just now.
    pub(super) fn issued(connection: &str, account: &str, issued: Issued, now: Timestamp) -> Self {
        let mut vaulted = Self { refresh_token: None, ..Self::new(connection, account, "") };
        vaulted.put(issued, now);
        vaulted
    }

    /// Whether it is of an account at `connection`, and of the named one, if one is named.
    pub(super) fn is_of(&self, connection: &str, account: Option<&str>) -> bool {
        self.connection == connection && account.is_none_or(|account| self.account == account)
    }

    fn put(&mut self, issued: Issued, now: Timestamp) {
        self.access_token = issued.access_token;
        // A provider that does not rotate says nothing of the refresh token, which goes on being good (RFC 6749 §6).
        self.refresh_token = issued.refresh_token.or_else(|| self.refresh_token.take());
        self.expires = issued.expires_in.map(|seconds| now.plus(Duration::from_secs(seconds)));
    }

    /// The answer, once the token has been renewed if it had to be.
    fn serve(&mut self, connection: &Connection, now: Timestamp) -> Result<Value, OauthError> {
        // No token is given that could not be renewed.
        let refresh_token = self.refresh_token.clone().ok_or_else(nothing_there)?;
        let left = |vaulted: &Self| vaulted.expires.map(|expires| expires.since(now).as_secs());
        if left(self) == Some(0) {
            let renewed = connection.renew.as_ref().and_then(|renew| renew(&refresh_token));
            self.put(renewed.ok_or_else(not_renewed)?, now);
        }
        let mut answer = json!({
            "access_token": self.access_token,
            "scope": self.scope,
            "issued_token_type": CONNECTION_TOKEN,
            "token_type": "Bearer",
        });
        if let (Some(seconds), Some(members)) = (left(self), answer.as_object_mut()) {
            members.insert("expires_in".to_owned(), json!(seconds));
        }
        Ok(answer)
    }
}

/// Answers the exchange.
pub(super) fn exchange(tenant: &Shared, client: &Client, parameters: &Parameters) -> Result<Value, OauthError> {
    let audience = linked_audience(tenant, client)?;
    let required = |name: &str| {
        let missing = || OauthError::bad_request(format!("Missing required parameter: {name}"));
        parameters.get(name).filter(|value| !value.is_empty()).ok_or_else(missing)
    };
    for (name, only) in [("subject_token_type", ACCESS_TOKEN), ("requested_token_type", CONNECTION_TOKEN)] {
        if required(name)? != only {
            return Err(OauthError::bad_request(format!("Invalid {name}")));
        }
    }
    if let Some(name) = ["audience", "resource", "scope"].into_iter().find(|name| parameters.get(name).is_some()) {
        return Err(OauthError::bad_request(format!("Parameter not allowed: {name}")));
    }
    let (name, login_hint) = (required("connection")?, parameters.get("login_hint"));
    let sub = subject(tenant, required("subject_token")?, &audience)?;
    let connection = lock(&tenant.connections).get(name).cloned();
    let connection = connection.filter(Connection::has_vault);
    let not_enabled = || OauthError::bad_request("Token Vault is not enabled for the provided connection");
    let connection = connection.ok_or_else(not_enabled)?;
    let now = tenant.clock.now();
    let served = {
        let mut users = lock(&tenant.users);
        let user = users.get_mut(&sub).ok_or_else(OauthError::no_identity)?;
        held(user, name, login_hint)?.serve(&connection, now)
    };
    tenant.keep();
    served
}

/// What the vault holds of the user's account that is asked for: the one connected last, if none is named.
fn held<'user>(
    user: &'user mut User,
    connection: &str,
    login_hint: Option<&str>,
) -> Result<&'user mut Vaulted, OauthError> {
    let found = user.vault.iter_mut().rfind(|vaulted| vaulted.is_of(connection, login_hint));
    found.ok_or_else(|| if login_hint.is_some() { OauthError::no_identity() } else { nothing_there() })
}

fn nothing_there() -> OauthError {
    let error = "federated_connection_refresh_token_not_found";
    OauthError::new(StatusCode::UNAUTHORIZED, error, "Federated connection Refresh Token not found.")
}

fn not_renewed() -> OauthError {
    let error = "federated_connection_refresh_token_flow_failed";
    OauthError::new(StatusCode::UNAUTHORIZED, error, "Refresh Token flow for the Federated Connection failed")
}

/// The API that the client is linked to. Only a Custom API Client may use the grant, and there is one.
fn linked_audience(tenant: &Shared, client: &Client) -> Result<String, OauthError> {
    let settings = lock(&tenant.settings);
    let is_custom_api_client = match client {
        Client::Vault => true,
        Client::Machine => settings.vault_client.is_none(),
        Client::Backend(_) | Client::Public(_) => false,
    };
    let audience = settings.vault_audience.clone().filter(|_| is_custom_api_client);
    audience.ok_or_else(|| OauthError::grant_not_allowed(GRANT))
}

/// The user behind the caller's token: signed here, not expired, for the API that the client is linked to.
fn subject(tenant: &Shared, token: &str, audience: &str) -> Result<String, OauthError> {
    let refused =
        |why: &str| OauthError::new(StatusCode::UNAUTHORIZED, "invalid_grant", format!("Subject token: {why}"));
    let claims = lock(&tenant.keys).verified(token).map_err(|_| refused("not signed by this tenant"))?;
    if claims.get("iss").and_then(Value::as_str) != Some(&tenant.issuer()) {
        return Err(refused("issuer"));
    }
    let is_audience = |value: &Value| value.as_str() == Some(audience);
    let found = claims.get("aud").unwrap_or(&Value::Null);
    if !is_audience(found) && !found.as_array().is_some_and(|list| list.iter().any(is_audience)) {
        return Err(refused("audience"));
    }
    let expiry = claims.get("exp").and_then(Value::as_u64).unwrap_or_default();
    if expiry <= tenant.clock.now().unix_seconds() {
        return Err(refused("expired"));
    }
    let sub = claims.get("sub").and_then(Value::as_str).unwrap_or_default();
    Ok(sub.to_owned())
}
