//! TOKEN VAULT as a source: Auth0 keeps the grant and renews it, and the caller's own token is exchanged for the
//! provider's.

use std::collections::hash_map::RandomState;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::TokenError;
use super::grant::{Access, Demand, Life, Lineage};
use super::held::Held;
use super::source::Source;
use super::users::Users;
use crate::auth0::{Tenant, TenantError, VaultError};
use crate::bounded::Bounded;
use crate::caller::Caller;
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
    spent: Bounded<Arc<str>, Arc<Spent>, RandomState>,
}

/// What one user has cost the tenant.
struct Spent {
    until: Instant,
    count: AtomicU32,
}

/// A user with an account at every provider needs some twenty exchanges at once, and then none for minutes.
const EXCHANGES_MAX: u32 = 40;
const WHILE: Duration = Duration::from_secs(10);

impl Exchange {
    /// Nothing is sent yet.
    pub(super) fn new(config: &Config, tenant: &Arc<Tenant>, users: Arc<Users>, clock: &Clock) -> Self {
        Self {
            tenant: Arc::clone(tenant),
            users,
            clock: clock.clone(),
            patience: config.limits.token_wait,
            recheck: config.auth0.recheck,
            spent: Bounded::new(config.limits.tokens, RandomState::new()),
        }
    }

    async fn explain(&self, error: VaultError, key: &Key, caller: &Caller) -> TokenError {
        let connection = Arc::clone(&key.connection);
        let no_vault = |cause, is_general| TokenError::NoVault { cause: Arc::new(cause), is_general };
        match error {
            VaultError::NotConnected => TokenError::NotInVault { connection },
            VaultError::RenewalFailed => {
                TokenError::Dead { connection, reason: "the provider no longer renews what Token Vault holds" }
            }
            VaultError::NoSuchAccount => {
                TokenError::NotConnected { connection, other_accounts: !key.account.is_empty() }
            }
            // A name that a caller made up may be what the tenant finds wrong.
            VaultError::NotEnabled => no_vault(
                TenantError::Misconfigured(
                    "the connection is not meant for Token Vault: switch Connected Accounts on in its purpose, or set \
                     `source = \"identities\"`",
                ),
                key.account.is_empty(),
            ),
            VaultError::Denied => no_vault(
                TenantError::Misconfigured(
                    "the tenant denies the exchange: its policy for a second factor must not be \"Always\", and its \
                     Actions must let Token Vault pass",
                ),
                false,
            ),
            VaultError::Tenant(cause @ TenantError::Misconfigured(_)) => no_vault(cause, true),
            VaultError::Tenant(cause) => TokenError::Tenant(Arc::new(cause)),
            VaultError::SubjectRefused if caller.has_expired(self.clock.now()) => TokenError::CallerExpired,
            VaultError::SubjectRefused => self.doubt(key).await,
        }
    }

    /// The tenant does not take a token that we have verified. It does that too when the user is blocked.
    async fn doubt(&self, key: &Key) -> TokenError {
        let standing = self.users.look(&key.subject).await.map(|record| record.standing());
        standing.and_then(Result::err).unwrap_or_else(|| TokenError::NoVault {
            cause: Arc::new(TenantError::Misconfigured(
                "the tenant does not take callers' tokens in exchange: link the vault's client to this API \
                 (resource_server_identifier)",
            )),
            is_general: false,
        })
    }

    /// One user may cost the tenant so many exchanges in a while: a caller can name accounts without end.
    fn spend(&self, subject: &Arc<str>) -> Result<(), TokenError> {
        let now = self.clock.instant();
        let spent = self.spent.get(subject).filter(|spent| now < spent.until);
        let spent = spent.unwrap_or_else(|| {
            let fresh = Arc::new(Spent { until: now + WHILE, count: AtomicU32::new(0) });
            self.spent.insert(Arc::clone(subject), Arc::clone(&fresh));
            fresh
        });
        if spent.count.fetch_add(1, Ordering::Relaxed) < EXCHANGES_MAX {
            return Ok(());
        }
        let retry_after = spent.until.saturating_duration_since(now).max(Duration::from_secs(1));
        Err(TokenError::Tenant(Arc::new(TenantError::RateLimited { retry_after })))
    }
}

impl Source for Exchange {
    /// A caller, for the token of which the exchange is made. Any of the same user does.
    type Errand = Caller;

    const OUTCOME: Outcome = Outcome::Exchanged;

    fn lineage(_caller: &Caller) -> Option<Lineage> {
        None
    }

    fn too_slow(&self, _connection: &Arc<str>) -> TokenError {
        TokenError::TooSlow
    }

    async fn fetch(&self, key: &Key, caller: Caller, demand: Demand) -> Result<Held, TokenError> {
        self.spend(&key.subject)?;
        let (issued, deadline) = (self.clock.now(), self.clock.instant() + self.patience);
        let hint = (!key.account.is_empty()).then_some(&*key.account);
        let token = match self.tenant.exchange(&caller.bearer().secret(), &key.connection, hint, deadline).await {
            Ok(token) => token,
            Err(error) => return Err(self.explain(error, key, &caller).await),
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
