//! THE TOKEN: which access token the caller is entitled to at the provider, from memory or from the tenant.

use std::collections::hash_map::RandomState;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderValue;

use crate::auth0::{Priority, Tenant, TenantError};
use crate::bounded::Bounded;
use crate::clock::Clock;
use crate::config::Config;
use crate::provider::Call;
use crate::telemetry::metrics::{Metrics, Outcome};

mod flight;
mod record;

use flight::{Flights, Landing};
use record::{BEARER, Record, Standpoint};

/// A refusal that another look at the tenant could lift is believed this long: a user who has just signed in waits no
/// longer, and callers that insist cost the tenant one read in that time.
const REFUSAL_LIFE: Duration = Duration::from_secs(5);
/// Callers within this time after a failed read share the failure.
const FAILURE_REST: Duration = Duration::from_secs(1);
/// A user whose recheck was not answered in time is served from memory this long before the next is waited for.
const HANGING_REST: Duration = Duration::from_secs(15);
/// How long a caller whose token is held waits for a recheck that is due. Then it is served what is held.
const RECHECK_PATIENCE: Duration = Duration::from_secs(1);

/// An access token of the caller at the provider.
pub struct AccessToken {
    value: HeaderValue,
    record: Arc<Record>,
    account: usize,
}

impl AccessToken {
    /// The token behind its prefix, as a header value that is marked sensitive. For [`crate::headers`] alone.
    #[must_use]
    pub fn expose(&self) -> &HeaderValue {
        &self.value
    }
}

/// Why there is no token for a call.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The user has no (such) account at the connection.
    #[error("you have no {}account connected at {connection}", if *.other_accounts { "such " } else { "" })]
    NotConnected {
        /// The connection's name.
        connection: Arc<str>,
        /// Whether there are accounts, only not the one that was asked for.
        other_accounts: bool,
    },
    /// Several accounts, and the call does not say which.
    #[error("you have several accounts there; say which with Idp-Proxy-Account")]
    AmbiguousAccount {
        /// Their ids.
        choices: Vec<String>,
    },
    /// The token has expired, and nothing can renew it.
    #[error("the access token of your account at {connection} has expired; sign in there again")]
    Expired {
        /// The connection's name.
        connection: Arc<str>,
    },
    /// The provider refused the token, and the tenant holds no other.
    #[error("{connection} no longer accepts the access token of your account; sign in there again")]
    Rejected {
        /// The connection's name.
        connection: Arc<str>,
    },
    /// The account is there, but the tenant holds no token for it.
    #[error(
        "the tenant holds no access token for your account at {connection}: sign in there again, unless the connection \
         uses Token Vault, which keeps tokens elsewhere"
    )]
    NoToken {
        /// The connection's name.
        connection: Arc<str>,
    },
    /// A token with characters that no header can carry.
    #[error("the tenant's token for your account at {connection} cannot be sent in a header")]
    Unusable {
        /// The connection's name.
        connection: Arc<str>,
    },
    /// OAuth 1.0a.
    #[error("your account at {connection} has an OAuth 1.0a token, which cannot be sent as a bearer")]
    OAuth1 {
        /// The connection's name.
        connection: Arc<str>,
    },
    /// Blocked at the tenant.
    #[error("you are blocked at the tenant")]
    UserBlocked,
    /// The token's subject is no user of the tenant any more.
    #[error("the tenant no longer knows the user of this access token; sign in again")]
    UnknownUser,
    /// The tenant gave no answer, and nothing is held.
    #[error("your account could not be looked up: {0}")]
    Tenant(#[source] Arc<TenantError>),
    /// No answer within `token_wait`.
    #[error("your account could not be looked up in time")]
    TooSlow,
    /// A task of ours died.
    #[error("the lookup of your account failed inside the proxy")]
    Died,
}

impl TokenError {
    /// The connection at which the user must sign in (anew), if that is what it takes.
    #[must_use]
    pub fn connection(&self) -> Option<&str> {
        match self {
            Self::NotConnected { connection, .. }
            | Self::Expired { connection }
            | Self::Rejected { connection }
            | Self::NoToken { connection } => Some(connection),
            Self::AmbiguousAccount { .. }
            | Self::Unusable { .. }
            | Self::OAuth1 { .. }
            | Self::UserBlocked
            | Self::UnknownUser
            | Self::Tenant(_)
            | Self::TooSlow
            | Self::Died => None,
        }
    }
}

/// Finds access tokens. Cheap to ask: a fresh token in memory is found without a lock held across an await and
/// without I/O.
pub struct Tokens {
    tenant: Arc<Tenant>,
    clock: Clock,
    metrics: Metrics,
    recheck: Duration,
    token_wait: Duration,
    /// The configured connections' names; accounts elsewhere are not kept.
    connections: Arc<[Arc<str>]>,
    users: Arc<Bounded<Arc<str>, Arc<Record>, RandomState>>,
    failures: Arc<Bounded<Arc<str>, Arc<Failure>, RandomState>>,
    flights: Flights<Arc<str>, Read>,
}

/// A read that failed.
struct Failure {
    at: Instant,
    /// How long it would have waited for its turn. Who would wait longer learns nothing from it.
    patience: Duration,
    error: Arc<TenantError>,
    /// For how long it speaks for others.
    rest: Duration,
}

type Read = Result<Arc<Record>, Arc<Failure>>;

impl Tokens {
    /// Nothing held yet.
    #[must_use]
    pub fn new(config: &Config, tenant: &Arc<Tenant>, metrics: &Metrics, clock: &Clock) -> Self {
        let mut connections: Vec<Arc<str>> =
            config.providers.values().map(|provider| Arc::from(provider.connection.as_str())).collect();
        connections.sort();
        connections.dedup();
        Self {
            tenant: Arc::clone(tenant),
            clock: clock.clone(),
            metrics: metrics.clone(),
            recheck: config.auth0.recheck,
            token_wait: config.limits.token_wait,
            connections: connections.into(),
            users: Arc::new(Bounded::new(config.limits.tokens, RandomState::new())),
            failures: Arc::new(Bounded::new(config.limits.tokens, RandomState::new())),
            flights: Flights::new(),
        }
    }

    /// The caller's access token for `call`, and how it was found.
    ///
    /// # Errors
    /// [`TokenError`], which tells what the user must do from what the tenant lacks.
    pub async fn get(&self, call: &Call) -> Result<(AccessToken, Outcome), TokenError> {
        let held = self.users.get(call.caller().subject());
        let found = match held {
            Some(record) => self.look_up(call, record).await,
            // Boxed, here and below: what is rare must not make every request's future larger.
            None => Box::pin(self.fetch(call)).await.map(|token| (token, Outcome::Miss)),
        };
        self.metrics.token_lookup(found.as_ref().map_or(Outcome::Refused, |(_, outcome)| *outcome));
        found
    }

    /// Takes note that the provider refused `token`: the next call looks for a newer one.
    pub fn reject(&self, call: &Call, token: &AccessToken) {
        let Some(refused) = token.record.value(token.account) else { return };
        let now = self.clock.now();
        token.record.refuse(refused, now);
        // The user may have been read anew while the provider thought about it, and the same token found.
        if let Some(current) = self.users.get(call.caller().subject()) {
            current.refuse(refused, now);
        }
    }

    async fn look_up(&self, call: &Call, record: Arc<Record>) -> Result<(AccessToken, Outcome), TokenError> {
        let age = self.clock.instant().saturating_duration_since(record.read_at);
        match self.standpoint(&record, call) {
            Standpoint::Usable(account) if age < self.recheck => {
                if age >= self.recheck / 5 * 4 {
                    drop(self.read_behind(call));
                }
                Ok((token(&record, account, call)?, Outcome::Hit))
            }
            Standpoint::Usable(account) => Box::pin(self.recheck(call, &record, account)).await,
            Standpoint::Refused(error) if age < REFUSAL_LIFE => Err(error),
            Standpoint::Refused(_) | Standpoint::Doubtful => Ok((Box::pin(self.fetch(call)).await?, Outcome::Miss)),
        }
    }

    /// The record is older than it may be, so it is read again before it is used. But a tenant that is down, slow or
    /// throttling does not stop a user whose token is held.
    async fn recheck(
        &self,
        call: &Call,
        record: &Arc<Record>,
        account: usize,
    ) -> Result<(AccessToken, Outcome), TokenError> {
        // Its read waits for a turn no longer either: callers who have no token yet go first.
        let patience = RECHECK_PATIENCE.min(self.token_wait);
        if self.recent_failure(call, patience).is_some() {
            return Ok((token(record, account, call)?, Outcome::ServedOn));
        }
        let landing = self.read(call, Priority::Background, patience);
        match tokio::time::timeout(patience, landing.outcome()).await {
            Ok(Some(Ok(record))) => Ok((self.conclude(&record, call)?, Outcome::Recheck)),
            Ok(Some(Err(_)) | None) => Ok((token(record, account, call)?, Outcome::ServedOn)),
            Err(_) => {
                // The tenant hangs. Who is served from memory should not find that out one second each.
                let error = Arc::new(TenantError::TooSlow);
                let failure = Failure { at: self.clock.instant(), patience, error, rest: HANGING_REST };
                self.failures.insert(Arc::clone(call.caller().subject()), Arc::new(failure));
                Ok((token(record, account, call)?, Outcome::ServedOn))
            }
        }
    }

    async fn fetch(&self, call: &Call) -> Result<AccessToken, TokenError> {
        if let Some(failure) = self.recent_failure(call, self.token_wait) {
            return Err(TokenError::Tenant(failure));
        }
        let record = tokio::time::timeout(self.token_wait, self.read_patiently(call)).await;
        self.conclude(&record.map_err(|_| TokenError::TooSlow)??, call)
    }

    async fn read_patiently(&self, call: &Call) -> Result<Arc<Record>, TokenError> {
        loop {
            match self.read(call, Priority::Interactive, self.token_wait).outcome().await.ok_or(TokenError::Died)? {
                Ok(record) => return Ok(record),
                // A flight that was under way already, for somebody who would not wait as long.
                Err(failure) if failure.patience < self.token_wait => {}
                Err(failure) => return Err(TokenError::Tenant(Arc::clone(&failure.error))),
            }
        }
    }

    fn conclude(&self, record: &Arc<Record>, call: &Call) -> Result<AccessToken, TokenError> {
        match self.standpoint(record, call) {
            Standpoint::Usable(account) => token(record, account, call),
            Standpoint::Refused(error) => Err(error),
            // Refused again in the moment since it was read.
            Standpoint::Doubtful => Err(TokenError::Rejected { connection: Arc::from(call.provider().connection()) }),
        }
    }

    fn standpoint(&self, record: &Record, call: &Call) -> Standpoint {
        record.standpoint(call.provider().connection(), call.account(), self.clock.now(), self.recheck)
    }

    fn recent_failure(&self, call: &Call, patience: Duration) -> Option<Arc<TenantError>> {
        let failure = self.failures.get(call.caller().subject())?;
        let age = self.clock.instant().saturating_duration_since(failure.at);
        (age < failure.rest && failure.patience >= patience).then(|| Arc::clone(&failure.error))
    }

    fn read_behind(&self, call: &Call) -> Option<Landing<Read>> {
        let patience = Duration::ZERO;
        self.recent_failure(call, patience).is_none().then(|| self.read(call, Priority::Background, patience))
    }

    /// Reads the user's record at the tenant, together with everybody else who needs it now.
    fn read(&self, call: &Call, priority: Priority, patience: Duration) -> Landing<Read> {
        let subject = call.caller().subject();
        self.flights.join(subject, || {
            let subject = Arc::clone(subject);
            let (tenant, clock, metrics) = (Arc::clone(&self.tenant), self.clock.clone(), self.metrics.clone());
            let (users, failures) = (Arc::clone(&self.users), Arc::clone(&self.failures));
            let connections = Arc::clone(&self.connections);
            let deadline = clock.instant() + patience;
            async move {
                match tenant.user(&subject, priority, deadline).await {
                    Ok(user) => {
                        let previous = users.get(&subject);
                        let record = Record::new(user, &connections, previous.as_deref(), clock.instant());
                        let record = Arc::new(record);
                        users.insert(subject, Arc::clone(&record));
                        metrics.tokens_held(users.count());
                        Ok(record)
                    }
                    Err(error) => {
                        let failure = Arc::new(Failure { at: clock.instant(), patience, error, rest: FAILURE_REST });
                        failures.insert(subject, Arc::clone(&failure));
                        Err(failure)
                    }
                }
            }
        })
    }
}

/// Puts the token behind the provider's own prefix, which for all but a few is the one it is kept with.
fn token(record: &Arc<Record>, account: usize, call: &Call) -> Result<AccessToken, TokenError> {
    let unusable = || TokenError::Unusable { connection: Arc::from(call.provider().connection()) };
    let bearer = record.value(account).ok_or_else(unusable)?;
    let prefix = call.provider().auth_prefix();
    let value = if prefix == BEARER {
        bearer.clone()
    } else {
        let token = bearer.as_bytes().get(BEARER.len()..).unwrap_or_default();
        let mut value = HeaderValue::from_bytes(&[prefix.as_bytes(), token].concat()).map_err(|_| unusable())?;
        value.set_sensitive(true);
        value
    };
    Ok(AccessToken { value, record: Arc::clone(record), account })
}
