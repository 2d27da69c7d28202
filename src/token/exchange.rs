//! TOKEN VAULT as a source: Auth0 keeps the grant and renews it, and the caller's own token is exchanged for the
//! provider's.

use std::sync::Arc;
use std::time::Duration;

use super::TokenError;
use super::grant::{Access, Demand, Life, Lineage};
use super::held::Held;
use super::source::Source;
use super::users::Users;
use crate::auth0::{Tenant, TenantError, VaultError};
use crate::caller::Bearer;
use crate::clock::Clock;
use crate::config::Config;
use crate::store::Key;
use crate::telemetry::metrics::Outcome;

/// Exchanges callers' tokens.
pub(super) struct Exchange {
    tenant: Arc<Tenant>,
    users: Arc<Users>,
    clock: Clock,
    /// How long an exchange may wait for its turn and its answer.
    patience: Duration,
    recheck: Duration,
}

impl Exchange {
    /// Nothing is sent yet.
    pub(super) fn new(config: &Config, tenant: &Arc<Tenant>, users: Arc<Users>, clock: &Clock) -> Self {
        Self {
            tenant: Arc::clone(tenant),
            users,
            clock: clock.clone(),
            patience: config.limits.token_wait,
            recheck: config.auth0.recheck,
        }
    }

    async fn explain(&self, error: VaultError, key: &Key) -> TokenError {
        let connection = Arc::clone(&key.connection);
        match error {
            VaultError::NotConnected => TokenError::NotInVault { connection },
            VaultError::RenewalFailed => {
                TokenError::Dead { connection, reason: "the provider no longer renews what Token Vault holds" }
            }
            VaultError::NoSuchAccount => {
                TokenError::NotConnected { connection, other_accounts: !key.account.is_empty() }
            }
            VaultError::NotEnabled => TokenError::NoVault {
                cause: Arc::new(TenantError::Misconfigured(
                    "the connection is not meant for Token Vault: switch Connected Accounts on in its purpose, or set \
                     `source = \"identities\"`",
                )),
            },
            VaultError::Tenant(cause @ (TenantError::Misconfigured(_) | TenantError::Nonsense(..))) => {
                TokenError::NoVault { cause: Arc::new(cause) }
            }
            VaultError::Tenant(cause) => TokenError::Tenant(Arc::new(cause)),
            VaultError::SubjectRefused => self.doubt(key).await,
        }
    }

    /// The tenant does not take a token that we have verified. It does that too when the user is blocked.
    async fn doubt(&self, key: &Key) -> TokenError {
        let standing = self.users.look(&key.subject).await.map(|record| record.standing());
        standing.and_then(Result::err).unwrap_or_else(|| TokenError::NoVault {
            cause: Arc::new(TenantError::Misconfigured(
                "the tenant does not take callers' tokens in exchange: link the vault's client to this API \
                 (resource_server_identifier), and do not demand a second factor always",
            )),
        })
    }
}

impl Source for Exchange {
    /// The caller's own token. Any caller's of the same user does.
    type Errand = Bearer;

    const OUTCOME: Outcome = Outcome::Exchanged;

    fn lineage(_bearer: &Bearer) -> Option<Lineage> {
        None
    }

    fn too_slow(&self, _connection: &Arc<str>) -> TokenError {
        TokenError::TooSlow
    }

    async fn fetch(&self, key: &Key, bearer: Bearer, demand: Demand) -> Result<Held, TokenError> {
        let (issued, deadline) = (self.clock.now(), self.clock.instant() + self.patience);
        let hint = (!key.account.is_empty()).then_some(&*key.account);
        let token = match self.tenant.exchange(&bearer.secret(), &key.connection, hint, deadline).await {
            Ok(token) => token,
            Err(error) => return Err(self.explain(error, key).await),
        };
        // What is left of its life is told as of the answer; counted from the question it is never too long.
        let life = Life { born: issued.unix_millis(), issued, expires: token.expires_in.map(|left| issued.plus(left)) };
        let access = Access { value: token.access_token, life };
        let connection = || Arc::clone(&key.connection);
        if demand.refused == Some(access.fingerprint()) {
            return Err(TokenError::Rejected { connection: connection() });
        }
        let held = Held::of_vault(&access, self.recheck);
        let mut held = held.ok_or_else(|| TokenError::Unusable { connection: connection() })?;
        if demand.refused.is_some() {
            held.comes_of_refusal();
        }
        Ok(held)
    }
}
