//! THE TOKEN: which access token the caller is entitled to at the provider: the one that the tenant holds, or one that
//! was renewed with what the tenant holds.

use std::sync::Arc;
use std::time::Instant;

use hyper::http::HeaderValue;

use crate::auth0::Tenant;
use crate::clock::Clock;
use crate::config::Config;
use crate::provider::Call;
use crate::store::Store;
use crate::telemetry::metrics::{Metrics, Outcome};

mod answer;
mod driver;
mod endpoint;
mod error;
mod flight;
mod grant;
mod held;
mod keeper;
mod record;
mod renewal;
mod users;

pub use endpoint::Class;
pub use error::TokenError;

use held::Held;
use keeper::Keeper;
use record::{BEARER, Record, Wanted};
use users::{Found, Users};

/// An access token of the caller at the provider.
pub struct AccessToken {
    value: HeaderValue,
    record: Arc<Record>,
    account: usize,
    /// Where it was renewed here.
    held: Option<Arc<Held>>,
}

impl AccessToken {
    /// The token behind its prefix, as a header value that is marked sensitive. For [`crate::headers`] alone.
    #[must_use]
    pub fn expose(&self) -> &HeaderValue {
        &self.value
    }

    /// Whether another can be had when the provider refuses this one.
    #[must_use]
    pub fn is_renewable(&self) -> bool {
        self.held.is_some()
    }
}

/// Finds access tokens. Cheap to ask: a fresh token in memory is found without a lock held across an await and
/// without I/O.
pub struct Tokens {
    users: Arc<Users>,
    keeper: Keeper,
    metrics: Metrics,
}

impl Tokens {
    /// Nothing held in memory yet.
    ///
    /// # Errors
    /// When the platform's TLS roots cannot be loaded.
    pub fn new(
        config: &Config,
        tenant: &Arc<Tenant>,
        store: &Store,
        metrics: &Metrics,
        clock: &Clock,
    ) -> std::io::Result<Self> {
        let users = Arc::new(Users::new(config, tenant, metrics, clock));
        let keeper = Keeper::new(config, store.clone(), Arc::clone(&users), metrics, clock)?;
        Ok(Self { users, keeper, metrics: metrics.clone() })
    }

    /// The same for a new configuration and its tenant. What is held stays held as far as it means the same.
    ///
    /// # Errors
    /// When the platform's TLS roots cannot be loaded.
    pub fn succeed(&self, config: &Config, tenant: &Arc<Tenant>) -> std::io::Result<Self> {
        let users = Arc::new(self.users.succeed(config, tenant));
        let keeper = self.keeper.succeed(config, Arc::clone(&users))?;
        Ok(Self { users, keeper, metrics: self.metrics.clone() })
    }

    /// Waits until no renewal is under way.
    pub async fn settled(&self) {
        self.keeper.settled().await;
    }

    /// The caller's access token for `call`, and how it was found. The caller has waited for it since `begun`.
    ///
    /// # Errors
    /// [`TokenError`], which tells what the user must do from what the tenant lacks.
    pub async fn get(&self, call: &Call, begun: Instant) -> Result<(AccessToken, Outcome), TokenError> {
        let found = self.find(call, begun).await;
        self.metrics.token_lookup(found.as_ref().map_or(Outcome::Refused, |(_, outcome)| *outcome));
        found
    }

    /// Takes note that the provider refused `token`, and finds a newer one if the call's tokens are renewed here: one
    /// that is held already, or by a renewal that all who were refused share. Otherwise the next call looks for one.
    pub async fn successor(&self, call: &Call, token: &AccessToken) -> Option<AccessToken> {
        match (&token.held, token.record.origin(token.account)) {
            (Some(held), Some(origin)) => {
                let newer = self.keeper.successor(origin, held).await?;
                AccessToken::renewed(call, Arc::clone(&token.record), token.account, newer).ok()
            }
            _ => {
                self.refuse(call, token);
                None
            }
        }
    }

    /// Takes note that the provider refused `token` once more.
    pub fn refuse(&self, call: &Call, token: &AccessToken) {
        match &token.held {
            Some(held) => self.keeper.refuse(held),
            None => self.users.refuse(call.caller().subject(), &token.record, token.account),
        }
    }

    async fn find(&self, call: &Call, begun: Instant) -> Result<(AccessToken, Outcome), TokenError> {
        let wanted = Wanted {
            connection: call.provider().connection(),
            account: call.account(),
            is_renewed: call.provider().is_renewed(),
        };
        let Found { record, account, outcome } = self.users.find(call.caller().subject(), &wanted, begun).await?;
        let Some(origin) = record.origin(account).filter(|_| wanted.is_renewed) else {
            return Ok((AccessToken::of_identity(call, record, account)?, outcome));
        };
        let (held, renewal) = self.keeper.token(origin, call.min_validity(), begun).await?;
        let outcome = if renewal == Outcome::Hit { outcome } else { renewal };
        Ok((AccessToken::renewed(call, record, account, held)?, outcome))
    }
}

impl AccessToken {
    fn of_identity(call: &Call, record: Arc<Record>, account: usize) -> Result<Self, TokenError> {
        let value = record.value(account).map(|bearer| prefixed(bearer, call)).transpose()?;
        Ok(Self { value: value.ok_or_else(|| unusable(call))?, record, account, held: None })
    }

    fn renewed(call: &Call, record: Arc<Record>, account: usize, held: Arc<Held>) -> Result<Self, TokenError> {
        Ok(Self { value: prefixed(held.value(), call)?, record, account, held: Some(held) })
    }
}

fn unusable(call: &Call) -> TokenError {
    TokenError::Unusable { connection: Arc::from(call.provider().connection()) }
}

/// Puts the token behind the provider's own prefix, which for all but a few is the one it is kept with.
fn prefixed(bearer: &HeaderValue, call: &Call) -> Result<HeaderValue, TokenError> {
    let prefix = call.provider().auth_prefix();
    if prefix == BEARER {
        return Ok(bearer.clone());
    }
    let token = bearer.as_bytes().get(BEARER.len()..).unwrap_or_default();
    let mut value = HeaderValue::from_bytes(&[prefix.as_bytes(), token].concat()).map_err(|_| unusable(call))?;
    value.set_sensitive(true);
    Ok(value)
}
