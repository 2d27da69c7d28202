//! The tenant's endpoints: its key set, its token endpoint, its Management API. A leaf: it knows no room.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::Jwk;
use reqwest::header;
use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::config::Config;
use crate::store::Store;
use crate::telemetry::metrics::Metrics;

mod budget;
mod client;
mod error;
mod fleet;
mod management;
mod probe;
mod user;
mod vault;
mod wire;

pub use budget::Priority;
pub use error::TenantError;
pub use probe::{Connection, Grant};
pub use user::{Identity, User};
#[cfg_attr(not(test), expect(unused_imports, reason = "the token source that asks the vault is wired next"))]
pub use vault::{VaultError, VaultToken};

use budget::Budget;
use client::Client;
use management::{ManagementToken, Token};

/// The largest answer that is read from the tenant, in bytes: a user with hundreds of identities has some 200 KiB.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// The tenant, as this proxy uses it.
pub struct Tenant {
    http: reqwest::Client,
    base_url: String,
    budget: Budget,
    /// What the Authentication API's answers say of its limits, which are not the Management API's.
    authentication: Budget,
    management: ManagementToken,
    vault: Client,
    metrics: Metrics,
    clock: Clock,
}

impl Tenant {
    /// A client of the tenant in `config`. Nothing is sent yet.
    ///
    /// # Errors
    /// When the platform's TLS roots cannot be loaded, or the private key is unusable.
    pub fn new(
        config: &Config,
        store: &Store,
        metrics: Metrics,
        clock: &Clock,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let http = reqwest::Client::builder()
            // Redirects would carry our credentials along; environment proxies would see them.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(config.limits.tenant_timeout)
            .user_agent(concat!("idp-proxy/", env!("CARGO_PKG_VERSION")))
            .build()?;
        let base_url = config.auth0.base_url.to_string();
        let shared = store.is_durable().then_some((store, config.auth0.domain.as_str()));
        let auth0 = &config.auth0;
        let concurrency = Arc::new(Semaphore::new(auth0.tenant_concurrency));
        let (vault_id, vault_credential) = match &auth0.vault {
            Some(vault) => (&vault.client_id, &vault.credential),
            None => (&auth0.client_id, &auth0.credential),
        };
        Ok(Self {
            management: ManagementToken::new(auth0, &base_url, clock)?,
            vault: Client::new(vault_id, vault_credential, &base_url, clock)?,
            budget: Budget::new(auth0.management_rps, &concurrency, shared, clock),
            authentication: Budget::new(None, &concurrency, None, clock),
            http,
            base_url,
            metrics,
            clock: clock.clone(),
        })
    }

    /// The issuer's published keys (RFC 7517), those that can be read, and for how long they may be kept.
    ///
    /// # Errors
    /// [`TenantError`] when there is no usable answer.
    pub async fn key_set(&self, issuer: &str) -> Result<(Vec<Jwk>, Option<Duration>), TenantError> {
        let fetched = async {
            let answer = wire::send(self.http.get(format!("{issuer}.well-known/jwks.json")), &self.clock).await?;
            let max_age = wire::max_age(answer.headers.get(header::CACHE_CONTROL));
            // One by one: a key of an unknown kind must not take the others with it.
            let set: KeySetDocument = answer.json_if_ok()?;
            Ok((set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect(), max_age))
        };
        let fetched = fetched.await;
        self.count("jwks", fetched.as_ref().err());
        fetched
    }

    /// Reads one user's record, `None` if the tenant has no such user.
    ///
    /// Waits for its turn in the budget, but not beyond `deadline`.
    ///
    /// # Errors
    /// [`TenantError`], telling an outage from a throttled tenant from a missing grant.
    pub async fn user(
        &self,
        subject: &str,
        priority: Priority,
        deadline: Instant,
    ) -> Result<Option<User>, Arc<TenantError>> {
        let mut may_renew = true;
        loop {
            let token = self.management.get(self).await?;
            let place = self.budget.enter(priority, deadline).await?;
            let read = self.read_user(subject, &token).await;
            drop(place);
            match read {
                // A management token can be dropped at the tenant before it expires: once anew, not in a loop.
                Err(TenantError::TokenRefused) if may_renew => {
                    may_renew = false;
                    self.management.refused(&token);
                }
                // The answer said when to come back. If that is in time, the caller need not know.
                Err(TenantError::RateLimited { .. }) if self.budget.is_worth_waiting(deadline) => {}
                read => return Ok(read?),
            }
        }
    }

    async fn read_user(&self, subject: &str, token: &Token) -> Result<Option<User>, TenantError> {
        let request = self.http.get(user::url(&self.base_url, subject)).bearer_auth(token.value.expose());
        let read = match wire::send(request, &self.clock).await {
            Ok(answer) => {
                self.budget.learn(&answer).await;
                user::read(&answer, token.reads_tokens)
            }
            Err(error) => Err(error),
        };
        self.count("users", read.as_ref().err());
        read
    }

    fn count(&self, endpoint: &'static str, failure: Option<&TenantError>) {
        self.metrics.tenant_call(endpoint, failure.map_or("ok", TenantError::outcome));
    }
}

#[derive(serde::Deserialize)]
struct KeySetDocument {
    keys: Vec<serde_json::Value>,
}

impl std::fmt::Debug for Tenant {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Tenant").field("base_url", &self.base_url).finish_non_exhaustive()
    }
}
