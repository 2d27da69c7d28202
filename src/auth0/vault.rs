//! Token Vault's access-token exchange: the caller's own token buys the provider's (Auth0's grant, in the manner of RFC
//! 8693). Auth0 renews what it holds before it answers, so that whoever wants a new token just asks again.

use std::time::{Duration, Instant};

use hyper::http::StatusCode;
use serde::{Deserialize, Deserializer};

use super::client::Form;
use super::wire::{self, Answer};
use super::{Priority, Tenant, TenantError};
use crate::secret::Secret;

const GRANT: &str = "urn:auth0:params:oauth:grant-type:token-exchange:federated-connection-access-token";
const SUBJECT_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const REQUESTED_TOKEN: &str = "http://auth0.com/oauth/token-type/federated-connection-access-token";

/// What the vault gave. There is never a refresh token in it.
#[derive(Debug, Deserialize)]
pub struct VaultToken {
    /// The provider's access token.
    pub access_token: Secret,
    /// How much of its life is left, counted from the answer.
    #[serde(default, deserialize_with = "seconds")]
    pub expires_in: Option<Duration>,
    /// The scopes at the provider, as it writes them.
    #[serde(default)]
    pub scope: Option<String>,
    #[serde(default)]
    issued_token_type: String,
}

/// Why the vault gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The vault holds nothing for this user at this connection: never connected (a login alone does not fill it),
    /// connected without a refresh token, or the entry was deleted.
    #[error("the vault holds no token for this user and connection")]
    NotConnected,
    /// None of the user's accounts at the connection is the one that was named.
    #[error("the vault knows no such account of the user at the connection")]
    NoSuchAccount,
    /// The provider did not renew what the vault holds: the user has to connect once more.
    #[error("the provider no longer renews what the vault holds")]
    RenewalFailed,
    /// The tenant has no such connection, or its purpose does not include Connected Accounts for Token Vault.
    #[error("Token Vault is not enabled for the connection")]
    NotEnabled,
    /// The caller's token was not accepted: expired meanwhile, or not for the API that our client is linked to.
    #[error("the tenant does not accept the caller's token in exchange")]
    SubjectRefused,
    /// A policy of the tenant, or one of its Actions, denies this exchange.
    #[error("the tenant denies the exchange")]
    Denied,
    /// Whatever may befall any call to the tenant; a client that may not use the grant is misconfigured.
    #[error(transparent)]
    Tenant(#[from] TenantError),
}

impl VaultError {
    /// The outcome's name in `idp_proxy_tenant_calls_total`.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::NotConnected => "not_connected",
            Self::NoSuchAccount => "no_such_account",
            Self::RenewalFailed => "renewal_failed",
            Self::NotEnabled => "not_enabled",
            Self::SubjectRefused => "subject_refused",
            Self::Denied => "denied",
            Self::Tenant(error) => error.outcome(),
        }
    }
}

#[derive(Default, Deserialize)]
struct Refused {
    #[serde(default)]
    error: String,
}

impl Tenant {
    /// Exchanges the caller's Auth0 access token for the provider's token of the user's account at `connection`; with
    /// several accounts there, `account` is the id that the wanted one has at the provider (`login_hint`).
    ///
    /// The Authentication API's limits are not the Management API's: this takes no turn of `management_rps`, only one of
    /// the concurrent calls, and it waits for what the Authentication API's own refusals ask for, but not beyond
    /// `deadline`.
    ///
    /// # Errors
    /// [`VaultError`], telling a user who has to connect from a tenant that has to be set up from an outage.
    pub async fn exchange(
        &self,
        subject_token: &Secret,
        connection: &str,
        account: Option<&str>,
        deadline: Instant,
    ) -> Result<VaultToken, VaultError> {
        loop {
            let mut form = self.vault.form()?;
            form.extend(parameters(subject_token, connection, account));
            let place = self.authentication.enter(Priority::Interactive, deadline).await?;
            let exchanged = self.ask_vault(&form, account.is_some()).await;
            drop(place);
            self.metrics.tenant_call("vault", exchanged.as_ref().err().map_or("ok", VaultError::outcome));
            match exchanged {
                // The answer said when to come back. If that is in time, the caller need not know.
                Err(VaultError::Tenant(TenantError::RateLimited { .. }))
                    if self.authentication.is_worth_waiting(deadline) => {}
                exchanged => return exchanged,
            }
        }
    }

    async fn ask_vault(&self, form: &Form, names_account: bool) -> Result<VaultToken, VaultError> {
        let request = self.http.post(format!("{}/oauth/token", self.base_url)).json(form);
        let answer = wire::send(request, &self.clock).await?;
        self.authentication.learn(&answer).await;
        if answer.status != StatusCode::OK {
            return Err(refusal(&answer, names_account));
        }
        let token: VaultToken = answer.json()?;
        if token.access_token.expose().is_empty() {
            return Err(TenantError::nonsense("it grants an empty token").into());
        }
        // RFC 8693 §2.2.1. A token of any other kind may be the tenant's own, which is nobody's at a provider.
        if token.issued_token_type != REQUESTED_TOKEN {
            return Err(TenantError::nonsense("it grants a token of another kind than was asked for").into());
        }
        Ok(token)
    }
}

fn parameters(subject_token: &Secret, connection: &str, account: Option<&str>) -> Form {
    let mut form = Form::from([
        ("grant_type", GRANT.to_owned()),
        ("subject_token_type", SUBJECT_TOKEN.to_owned()),
        ("subject_token", subject_token.expose().to_owned()),
        ("requested_token_type", REQUESTED_TOKEN.to_owned()),
        ("connection", connection.to_owned()),
    ]);
    form.extend(account.map(|account| ("login_hint", account.to_owned())));
    form
}

/// Auth0 says 401 for nearly everything here and changes its descriptions, so `error` decides, whatever the status.
fn refusal(answer: &Answer, names_account: bool) -> VaultError {
    if answer.status == StatusCode::TOO_MANY_REQUESTS || answer.status.is_server_error() {
        return answer.failure().into();
    }
    let refused: Refused = answer.json().unwrap_or_default();
    match refused.error.as_str() {
        "federated_connection_refresh_token_not_found" | "tokenset_not_found" => VaultError::NotConnected,
        "user_not_found" if names_account => VaultError::NoSuchAccount,
        "user_not_found" => VaultError::NotConnected,
        "federated_connection_refresh_token_flow_failed" => VaultError::RenewalFailed,
        // Our requests are well formed: what the tenant finds wrong in one is the connection that it names.
        "invalid_request" => VaultError::NotEnabled,
        // RFC 6749 §5.2, RFC 6750 §3.1, RFC 8628 §3.5.
        "invalid_grant" | "invalid_token" | "expired_token" => VaultError::SubjectRefused,
        "unauthorized_client" | "unsupported_grant_type" => TenantError::Misconfigured(
            "the application may not use Token Vault: make it a Custom API Client of this API and switch the grant type on",
        )
        .into(),
        // Auth0 says `access_denied` for a wrong secret, with 401, and where a policy or an Action denies, with 403.
        "access_denied" | "mfa_required" if answer.status == StatusCode::FORBIDDEN => VaultError::Denied,
        "invalid_client" | "access_denied" => TenantError::Misconfigured(
            "the tenant refuses the vault client's credentials: check `vault` in [auth0] (or client_id and client_secret)",
        )
        .into(),
        _ => answer.failure().into(),
    }
}

/// What is left, in seconds: a number, whole or not, or its text. What cannot be read counts as not told.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
    Ok(number.and_then(|seconds: f64| Duration::try_from_secs_f64(seconds.max(0.0)).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_a_number_or_its_text_and_never_negative() {
        let left = |value: &str| {
            let text = format!(r#"{{"access_token":"t","scope":"a b","expires_in":{value}}}"#);
            serde_json::from_str::<VaultToken>(&text).unwrap().expires_in
        };
        assert_eq!(left("1377"), Some(Duration::from_secs(1377)));
        assert_eq!(left("0.5"), Some(Duration::from_millis(500)));
        assert_eq!(left("\" 60 \""), Some(Duration::from_secs(60)));
        assert_eq!(left("-3"), Some(Duration::ZERO));
        for unreadable in ["null", "\"soon\"", "1e300", "[]"] {
            assert_eq!(left(unreadable), None, "{unreadable}");
        }
        assert_eq!(serde_json::from_str::<VaultToken>(r#"{"access_token":"t"}"#).unwrap().expires_in, None);
    }
}
