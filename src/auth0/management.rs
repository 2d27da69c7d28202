//! Our own token for the Management API: fetched by client credentials, one fetch at a time, kept until it expires.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use hyper::http::StatusCode;
use serde::Deserialize;
use tokio::sync::Mutex;

use super::client::{Client, Form};
use super::wire::{self, Answer};
use super::{Tenant, TenantError};
use crate::clock::{Clock, Timestamp};
use crate::config::Auth0;
use crate::secret::Secret;

/// What the application needs. Asked for by name, so that a missing grant shows at once.
pub(super) const SCOPES: &str = "read:users read:user_idp_tokens";
const TOKENS_SCOPE: &str = "read:user_idp_tokens";
/// A token is not used in its last minute: a call takes time, and clocks differ.
const MARGIN: Duration = Duration::from_secs(60);
/// After a failed fetch the next waits this long; those who need a token meanwhile share the failure.
const FAILURE_REST: Duration = Duration::from_secs(1);

/// The management token of one application.
pub(super) struct ManagementToken {
    endpoint: String,
    audience: String,
    client: Client,
    clock: Clock,
    current: ArcSwapOption<Token>,
    /// Held during a fetch, so that there is one at a time. Who waits for it is a task of its own, never a request.
    last_failure: Mutex<Option<(Instant, Arc<TenantError>)>>,
}

/// A management token in use.
pub(super) struct Token {
    pub(super) value: Secret,
    /// Whether it holds `read:user_idp_tokens`. Without it users are read all the same, but without their tokens.
    pub(super) reads_tokens: bool,
    expires: Timestamp,
}

/// What a tenant grants (RFC 6749 §5.1).
#[derive(Deserialize)]
pub(super) struct Granted {
    pub(super) access_token: Secret,
    expires_in: Option<u64>,
    pub(super) scope: Option<String>,
}

#[derive(Default, Deserialize)]
struct Refused {
    #[serde(default)]
    error: String,
}

impl ManagementToken {
    pub(super) fn new(auth0: &Auth0, base_url: &str, clock: &Clock) -> Result<Self, jsonwebtoken::errors::Error> {
        Ok(Self {
            endpoint: format!("{base_url}/oauth/token"),
            // The canonical domain always, also where a custom domain is called.
            audience: format!("https://{}/api/v2/", auth0.domain),
            client: Client::new(&auth0.client_id, &auth0.credential, base_url, clock)?,
            clock: clock.clone(),
            current: ArcSwapOption::empty(),
            last_failure: Mutex::default(),
        })
    }

    /// The token, fetched if none is held that is fresh.
    pub(super) async fn get(&self, tenant: &Tenant) -> Result<Arc<Token>, Arc<TenantError>> {
        if let Some(token) = self.fresh() {
            return Ok(token);
        }
        let mut last_failure = self.last_failure.lock().await;
        if let Some(token) = self.fresh() {
            return Ok(token);
        }
        let now = self.clock.instant();
        if let Some((at, failure)) = &*last_failure
            && now.duration_since(*at) < FAILURE_REST
        {
            return Err(Arc::clone(failure));
        }
        let fetched = self.fetch(tenant).await;
        tenant.count("token", fetched.as_ref().err());
        match fetched {
            Ok(token) => {
                let token = Arc::new(token);
                self.current.store(Some(Arc::clone(&token)));
                Ok(token)
            }
            Err(error) => {
                let error = Arc::new(error);
                *last_failure = Some((self.clock.instant(), Arc::clone(&error)));
                // A token in its last minute is still a token.
                let current = self.current.load_full().filter(|token| self.clock.now() < token.expires);
                current.ok_or(error)
            }
        }
    }

    /// Takes note that the tenant refused `token`, unless a newer one is already there.
    pub(super) fn refused(&self, token: &Arc<Token>) {
        self.current.compare_and_swap(token, None);
    }

    fn fresh(&self) -> Option<Arc<Token>> {
        self.current.load_full().filter(|token| self.clock.now().plus(MARGIN) < token.expires)
    }

    async fn fetch(&self, tenant: &Tenant) -> Result<Token, TenantError> {
        let granted = granted(&self.ask(tenant, Some(SCOPES)).await?)?;
        // RFC 6749 §5.1: a scope that is left out is the one asked for.
        let reads_tokens = granted.scope.is_none_or(|scope| scope.split(' ').any(|scope| scope == TOKENS_SCOPE));
        let life = Duration::from_secs(granted.expires_in.unwrap_or(3600));
        Ok(Token { value: granted.access_token, reads_tokens, expires: self.clock.now().plus(life) })
    }

    /// Asks for a token with that scope; without one, with whatever scope has been granted.
    pub(super) async fn ask(&self, tenant: &Tenant, scope: Option<&str>) -> Result<Answer, TenantError> {
        wire::send(tenant.http.post(&self.endpoint).json(&self.form(scope)?), &self.clock).await
    }

    /// RFC 6749 §4.4.2, with Auth0's `audience`.
    fn form(&self, scope: Option<&str>) -> Result<Form, TenantError> {
        let mut form = self.client.form()?;
        form.extend([("grant_type", "client_credentials".to_owned()), ("audience", self.audience.clone())]);
        form.extend(scope.map(|scope| ("scope", scope.to_owned())));
        Ok(form)
    }
}

/// The token in an answer.
pub(super) fn granted(answer: &Answer) -> Result<Granted, TenantError> {
    if answer.status != StatusCode::OK {
        return Err(refusal(answer));
    }
    let granted: Granted = answer.json()?;
    if granted.access_token.expose().is_empty() {
        return Err(TenantError::nonsense("it grants an empty token"));
    }
    Ok(granted)
}

/// Auth0 tells client mistakes apart by status and `error`; its descriptions are for people and change.
fn refusal(answer: &Answer) -> TenantError {
    let refused: Refused = answer.json().unwrap_or_default();
    match (answer.status, refused.error.as_str()) {
        (StatusCode::UNAUTHORIZED, _) | (_, "invalid_client") => TenantError::Misconfigured(
            "the tenant refuses the application's credentials: check client_id and client_secret (or private_key)",
        ),
        (StatusCode::FORBIDDEN, "unauthorized_client") => TenantError::Misconfigured(
            "the application may not use client credentials: switch the grant type on in its settings",
        ),
        (StatusCode::FORBIDDEN, _) => TenantError::Misconfigured(
            "the application is not authorized for the Management API with read:users and read:user_idp_tokens",
        ),
        _ => answer.failure(),
    }
}
