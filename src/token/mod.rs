//! THE TOKEN: which access token the caller is entitled to at the provider: the one that the tenant holds with the
//! user's identity, one that was renewed with what the tenant holds, or one of Token Vault.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::auth0::Tenant;
use crate::caller::Caller;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::provider::{Call, Provider};
use crate::store::{Key, Store};
use crate::telemetry::metrics::{Metrics, Outcome};

mod access;
mod answer;
mod client;
mod desk;
mod disconnect;
mod disconnects;
mod driver;
mod endpoint;
mod error;
mod exchange;
mod flight;
mod grant;
mod held;
mod keeper;
mod news;
mod record;
mod renewal;
mod revoke;
mod source;
mod summary;
mod trial;
mod users;
mod view;
mod worlds;

pub use access::AccessToken;
pub use disconnect::Parted;
pub use endpoint::Class;
pub use error::TokenError;
pub use revoke::Revoked;
pub use summary::Summary;
pub use trial::try_client;
pub use view::{Kept, Step, View};

use access::Origin;
use disconnects::Disconnects;
use driver::Driver;
use exchange::Exchange;
use flight::Flights;
use keeper::Keeper;
use news::Listener;
use record::Wanted;
use revoke::Revoker;
use source::Ask;
use users::{Found, Users};
use worlds::Worlds;

type Get = Result<(AccessToken, Outcome), TokenError>;

/// Finds access tokens. Cheap to ask: a fresh token in memory is found without a lock held across an await and
/// without I/O.
pub struct Tokens {
    users: Arc<Users>,
    grants: Keeper<Driver>,
    vault: Keeper<Exchange>,
    /// By connection.
    revokers: BTreeMap<String, Revoker>,
    /// What is being disconnected, for whom and since when.
    partings: Flights<(Arc<str>, Instant), Result<Parted, TokenError>>,
    _listener: Listener,
    store: Store,
    worlds: Worlds,
    domain: Arc<str>,
    /// The part of a key that does not matter.
    any: Arc<str>,
    /// How long a token that was refused rests.
    recheck: Duration,
    metrics: Metrics,
    clock: Clock,
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
        let disconnects = Arc::new(Disconnects::new(store.clone(), config.limits.tokens));
        let users = Arc::new(Users::new(config, tenant, disconnects, metrics, clock));
        let driver = Driver::new(config, store.clone(), Arc::clone(&users), metrics, clock)?;
        let exchange = Exchange::new(config, tenant, Arc::clone(&users), clock);
        let grants = Keeper::new(config, driver, clock);
        Ok(Self {
            _listener: Listener::start(store, Arc::clone(&users), grants.clone()),
            store: store.clone(),
            users,
            grants,
            vault: Keeper::new(config, exchange, clock),
            revokers: revokers(config, clock)?,
            partings: Flights::new(),
            worlds: Worlds::new(config),
            domain: Arc::from(config.auth0.domain.as_str()),
            any: Arc::from(""),
            recheck: config.auth0.recheck,
            metrics: metrics.clone(),
            clock: clock.clone(),
        })
    }

    /// The same for a new configuration and its tenant. What is held stays held as far as it means the same.
    ///
    /// # Errors
    /// When the platform's TLS roots cannot be loaded.
    pub fn succeed(&self, config: &Config, tenant: &Arc<Tenant>) -> std::io::Result<Self> {
        let users = Arc::new(self.users.succeed(config, tenant));
        let driver = self.grants.source().succeed(config, Arc::clone(&users))?;
        let exchange = Exchange::new(config, tenant, Arc::clone(&users), &self.clock);
        let grants = self.grants.succeed(config, driver);
        Ok(Self {
            _listener: Listener::start(&self.store, Arc::clone(&users), grants.clone()),
            store: self.store.clone(),
            users,
            grants,
            vault: self.vault.succeed(config, exchange),
            revokers: revokers(config, &self.clock)?,
            partings: self.partings.clone(),
            worlds: Worlds::new(config),
            domain: Arc::from(config.auth0.domain.as_str()),
            any: Arc::clone(&self.any),
            recheck: config.auth0.recheck,
            metrics: self.metrics.clone(),
            clock: self.clock.clone(),
        })
    }

    /// Waits until nothing is renewed or disconnected any more, for as long as one of either can take.
    pub async fn settled(&self) {
        let renewing = self.grants.source().longest();
        let parting = self.revokers.values().map(|revoker| renewing + revoker.longest()).max();
        let settled = async {
            self.partings.settled().await;
            self.grants.settled().await;
        };
        drop(tokio::time::timeout(parting.unwrap_or(renewing), settled).await);
    }

    /// The caller's access token for `call`, and how it was found. The caller has waited for it since `begun`.
    ///
    /// # Errors
    /// [`TokenError`], which tells what the user must do from what the tenant lacks.
    pub async fn get(&self, call: &Call, begun: Instant) -> Get {
        let found = match call.provider().source() {
            config::Source::Auto => self.in_either(call, begun).await,
            config::Source::Identities => self.among_identities(call, begun).await,
            config::Source::TokenVault => Box::pin(self.in_vault(call, begun)).await,
        };
        self.metrics.token_lookup(found.as_ref().map_or(Outcome::Refused, |(_, outcome)| *outcome));
        found
    }

    /// Takes note that the provider refused `token`, and finds a newer one if one can be had: one that is held already,
    /// or by a renewal that all who were refused share. Otherwise the next call looks for one.
    pub async fn successor(&self, call: &Call, token: &AccessToken) -> Option<AccessToken> {
        let begun = self.clock.instant();
        let origin = match &token.origin {
            Origin::Grant(record, account, held) => {
                let origin = record.origin(*account, call.provider().audience())?;
                let newer = self.grants.successor(&ask(call, &origin.key, &origin.seed, begun), held).await?;
                Origin::Grant(Arc::clone(record), *account, newer)
            }
            Origin::Vault(held) => {
                let key = self.vault_key(call.caller().subject(), call.provider(), call.account());
                Origin::Vault(self.vault.successor(&ask(call, &key, call.caller(), begun), held).await?)
            }
            Origin::Identity(..) => {
                self.refuse(call, token);
                return None;
            }
        };
        AccessToken::new(call, origin).ok()
    }

    /// Takes note that the provider refused `token` once more.
    pub fn refuse(&self, call: &Call, token: &AccessToken) {
        match &token.origin {
            Origin::Grant(record, account, held) => {
                if let Some(origin) = record.origin(*account, call.provider().audience()) {
                    self.grants.refuse(&origin.key, held);
                }
            }
            Origin::Vault(held) => {
                self.vault.refuse(&self.vault_key(call.caller().subject(), call.provider(), call.account()), held)
            }
            Origin::Identity(record, account) => self.users.refuse(call.caller().subject(), record, *account),
        }
    }

    /// From the identities, and from Token Vault where they end in a new sign-in. At a connection that the vault has had
    /// tokens of it goes first, unless the identities are known to serve.
    async fn in_either(&self, call: &Call, begun: Instant) -> Get {
        let connection = call.provider().connection();
        if self.worlds.is_vault(connection) && !self.users.serves(call.caller().subject(), &wanted(call), begun) {
            let of_vault = match Box::pin(self.in_vault(call, begun)).await {
                Err(error) => error,
                found => return found,
            };
            let found = self.among_identities(call, begun).await;
            return found.map_err(|of_identities| TokenError::of_both(of_identities, of_vault));
        }
        let of_identities = match self.among_identities(call, begun).await {
            Err(error) if error.may_be_in_vault() => error,
            decided => return decided,
        };
        if !self.worlds.may_be_vault(connection, self.clock.now()) {
            return Err(of_identities);
        }
        let found = Box::pin(self.in_vault(call, begun)).await;
        found.map_err(|of_vault| TokenError::of_both(of_identities, of_vault))
    }

    async fn among_identities(&self, call: &Call, begun: Instant) -> Get {
        let wanted = wanted(call);
        let Found { record, account, outcome } = self.users.find(call.caller().subject(), &wanted, begun).await?;
        let origin = record.origin(account, call.provider().audience());
        let Some(origin) = origin.filter(|_| wanted.is_renewed) else {
            return Ok((AccessToken::new(call, Origin::Identity(record, account))?, outcome));
        };
        let (held, renewal) = self.grants.token(&ask(call, &origin.key, &origin.seed, begun)).await?;
        let outcome = if renewal == Outcome::Hit { outcome } else { renewal };
        Ok((AccessToken::new(call, Origin::Grant(record, account, held))?, outcome))
    }

    async fn in_vault(&self, call: &Call, begun: Instant) -> Get {
        let key = self.vault_key(call.caller().subject(), call.provider(), call.account());
        let found = self.vault.token(&ask(call, &key, call.caller(), begun)).await;
        self.worlds.learn(call.provider().connection(), found.as_ref(), self.clock.now());
        let (held, outcome) = found?;
        Ok((AccessToken::new(call, Origin::Vault(held))?, outcome))
    }

    /// What Token Vault is asked for. Of an account's name it knows the part that the provider gave.
    fn vault_key(&self, subject: &Arc<str>, provider: &Provider, account: Option<&str>) -> Arc<Key> {
        let account = account.map(|account| account.split_once('|').map_or(account, |(_, id)| id));
        Arc::new(Key {
            tenant: Arc::clone(&self.domain),
            subject: Arc::clone(subject),
            connection: Arc::clone(provider.connection()),
            account: account.map_or_else(|| Arc::clone(&self.any), Arc::from),
            audience: Arc::clone(&self.any),
        })
    }
}

/// How each connection's tokens are revoked.
fn revokers(config: &Config, clock: &Clock) -> std::io::Result<BTreeMap<String, Revoker>> {
    let known = config.providers.values().filter_map(|provider| Some((provider, provider.revocation.as_ref()?)));
    let revoker = |(provider, settings): (&config::Provider, &config::Revocation)| {
        let revoker = Revoker::new(settings, provider.proof.as_ref(), config.limits.tenant_timeout, clock)?;
        Ok((provider.connection.clone(), revoker))
    };
    known.map(revoker).collect()
}

/// Which of the caller's accounts `call` means.
fn wanted(call: &Call) -> Wanted<'_> {
    account_at(call.caller(), call.provider(), call.account())
}

/// Which of the caller's accounts `provider` is called with, where this one was named.
fn account_at<'call>(caller: &Caller, provider: &'call Provider, account: Option<&'call str>) -> Wanted<'call> {
    Wanted { connection: provider.connection(), account, is_renewed: provider.is_renewed(), met: caller.met() }
}

/// What `call` asks of a keeper.
fn ask<'call, E>(call: &Call, key: &'call Arc<Key>, errand: &'call E, begun: Instant) -> Ask<'call, E> {
    Ask { key, errand, min_validity: call.min_validity(), begun, met: call.caller().met() }
}
