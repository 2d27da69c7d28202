//! RENEWED GRANTS as a source: the hands of a [`Renewal`]. What it asks of store, provider and tenant is done here, until
//! it ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::TokenError;
use super::endpoint::{Failure, TokenEndpoint};
use super::grant::{DecodeError, Demand, Grant, Lineage, Seed, Terms};
use super::held::Held;
use super::renewal::{Act, End, Heard, Renewal};
use super::source::Source;
use super::users::Users;
use crate::auth0::TenantError;
use crate::clock::Clock;
use crate::config::Config;
use crate::random;
use crate::store::{Key, Store, StoreError};
use crate::telemetry::metrics::{Metrics, Outcome};

/// Between two looks at a record that somebody else renews, if no news comes.
const WAIT: Duration = Duration::from_millis(250);
/// Between two tries to write an answer down that nobody else has.
const PERSIST_PAUSE: Duration = Duration::from_millis(200);
/// What reading and marking a record may take under a lease.
const STORE_TIME: Duration = Duration::from_secs(5);

/// Carries renewals out.
pub(super) struct Driver {
    store: Store,
    users: Arc<Users>,
    clock: Clock,
    metrics: Metrics,
    endpoints: BTreeMap<String, Endpoint>,
    /// Who this process is to other replicas, in leases.
    owner: String,
    /// Counts renewals: two of one process must not share a lease either.
    driven: AtomicU64,
    /// Who waits for somebody else's renewal longer than this serves nobody.
    patience: Duration,
}

/// How one connection's tokens are renewed.
struct Endpoint {
    /// For metrics: the provider that is configured with it.
    provider: Arc<str>,
    client: TokenEndpoint,
    terms: Terms,
    /// How long a renewal can take: a call for each of the client's secrets.
    timeout: Duration,
}

/// Our lease on a record.
struct Lease {
    name: String,
    owner: String,
    life: Duration,
    until: Instant,
}

enum Done {
    Heard(Heard),
    End(End),
}

impl Driver {
    /// Nothing is sent yet.
    pub(super) fn new(
        config: &Config,
        store: Store,
        users: Arc<Users>,
        metrics: &Metrics,
        clock: &Clock,
    ) -> std::io::Result<Self> {
        let mut endpoints = BTreeMap::new();
        for (name, provider) in &config.providers {
            let Some(renewal) = &provider.renewal else { continue };
            let timeout = config.limits.tenant_timeout;
            endpoints.entry(provider.connection.clone()).or_insert(Endpoint {
                provider: Arc::from(name.as_str()),
                client: TokenEndpoint::new(renewal, timeout, clock)?,
                terms: Terms::of(renewal, timeout),
                timeout: timeout * renewal.proof.tries(),
            });
        }
        Ok(Self {
            store,
            users,
            clock: clock.clone(),
            metrics: metrics.clone(),
            endpoints,
            owner: random::name().ok_or_else(|| std::io::Error::other("no randomness"))?,
            driven: AtomicU64::new(0),
            patience: config.limits.token_wait,
        })
    }

    /// The same for a new configuration.
    pub(super) fn succeed(&self, config: &Config, users: Arc<Users>) -> std::io::Result<Self> {
        Self::new(config, self.store.clone(), users, &self.metrics, &self.clock)
    }

    /// Renews the grant at `key`, as far as `demand` and the record ask for it. `seed` is what the tenant was last seen
    /// to hold.
    async fn drive(&self, key: &Key, seed: Seed, demand: Demand) -> Result<End, TokenError> {
        let connection = || Arc::clone(&key.connection);
        let Some(endpoint) = self.endpoints.get(&*key.connection) else {
            return Err(TokenError::NoToken { connection: connection() });
        };
        let begun = self.clock.instant();
        let mut renewal = Renewal::new(endpoint.terms, demand, Some(seed));
        let mut lease = self.lease(key, endpoint.timeout);
        let mut act = Act::Read;
        loop {
            if act == Act::Wait && self.clock.instant() > begun + self.patience {
                return Err(TokenError::RenewalTooSlow { connection: connection() });
            }
            let heard = match self.act(key, endpoint, &mut lease, act.clone()).await {
                Ok(Done::Heard(heard)) => heard,
                Ok(Done::End(end)) => {
                    self.release(&lease).await;
                    return Ok(end);
                }
                Err(error @ StoreError::Unavailable(_)) if renewal.must_persist() => {
                    tracing::warn!(cause = %error, "a renewed token waits for the store");
                    tokio::time::sleep(PERSIST_PAUSE).await;
                    continue;
                }
                Err(error) => {
                    self.release(&lease).await;
                    return Err(TokenError::Store(Arc::new(error)));
                }
            };
            act = renewal.hear(heard, self.clock.now());
        }
    }

    async fn act(&self, key: &Key, endpoint: &Endpoint, lease: &mut Lease, act: Act) -> Result<Done, StoreError> {
        Ok(Done::Heard(match act {
            Act::Read => Heard::Row(self.read(key).await?),
            Act::Swap(grant) => Heard::Swapped(self.store.swap(key, grant.generation - 1, &grant.row()).await?),
            Act::Lease => {
                lease.until = self.clock.instant() + lease.life;
                Heard::Leased(self.store.lease(&lease.name, &lease.owner, lease.life).await?)
            }
            Act::Wait => {
                drop(tokio::time::timeout(WAIT, self.news_of(key)).await);
                Heard::Waited
            }
            // A process that slept must not send what a neighbour has spent meanwhile.
            Act::Send(_) if self.clock.instant() + endpoint.timeout > lease.until => Heard::TooLate,
            Act::Send(spent) => {
                let answer = endpoint.client.renew(&spent).await;
                let class = answer.as_ref().map_or_else(|failure| failure.class.name(), |_| "ok");
                self.metrics.renewal(&endpoint.provider, class);
                if let Err(failure) = &answer {
                    let is_ambiguous = failure.is_ambiguous;
                    tracing::warn!(provider = %endpoint.provider, class, is_ambiguous, "a renewal failed");
                }
                Heard::Answer(answer)
            }
            Act::Look => {
                let record = self.users.look(&key.subject).await;
                Heard::Identity(record.map(|record| match record.origin_of(key) {
                    Some(origin) => origin.seed.clone(),
                    None => Seed::new(None, None, None),
                }))
            }
            Act::End(end) => return Ok(Done::End(end)),
        }))
    }

    /// Waits until somebody writes the record, as far as that is heard of.
    async fn news_of(&self, key: &Key) {
        let mut changes = self.store.changes();
        // A hint that was missed may have been the one.
        while changes.recv().await.is_ok_and(|changed| *changed != *key) {}
    }

    async fn read(&self, key: &Key) -> Result<Option<Grant>, StoreError> {
        let Some(row) = self.store.read(key).await? else { return Ok(None) };
        Grant::decode(row.generation, &row.content)
            .map(Some)
            .map_err(|error: DecodeError| StoreError::Unreadable(error.to_string()))
    }

    /// A lease to take. It outlives the call that is made under it, and what the store takes before and after.
    fn lease(&self, key: &Key, timeout: Duration) -> Lease {
        let number = self.driven.fetch_add(1, Ordering::Relaxed);
        Lease {
            name: format!("grant {key}"),
            owner: format!("{}-{number}", self.owner),
            life: timeout * 2 + STORE_TIME,
            until: self.clock.instant(),
        }
    }

    async fn release(&self, lease: &Lease) {
        if lease.until > self.clock.instant()
            && let Err(error) = self.store.release(&lease.name, &lease.owner).await
        {
            tracing::debug!(cause = %error, "a lease was not given back, and runs out by itself");
        }
    }
}

impl Source for Driver {
    /// What the tenant was last seen to hold.
    type Errand = Seed;

    const OUTCOME: Outcome = Outcome::Renewed;

    fn lineage(seed: &Seed) -> Option<Lineage> {
        Some(seed.lineage)
    }

    fn too_slow(connection: &Arc<str>) -> TokenError {
        TokenError::RenewalTooSlow { connection: Arc::clone(connection) }
    }

    async fn fetch(&self, key: &Key, seed: Seed, demand: Demand) -> Result<Held, TokenError> {
        let lineage = seed.lineage;
        let connection = || Arc::clone(&key.connection);
        let (grant, is_doubtful) = match self.drive(key, seed, demand).await? {
            End::Use(grant) => (grant, false),
            End::UseInDoubt(grant) => (grant, true),
            // What cannot be renewed any more serves to its own end.
            End::Reconnect(grant, _) if grant.living(self.clock.now(), demand.refused).is_some() => (grant, false),
            End::Reconnect(_, Some(death)) => {
                return Err(TokenError::Dead { connection: connection(), reason: death.reason() });
            }
            End::Reconnect(_, None) => return Err(TokenError::Expired { connection: connection() }),
            End::Nothing => return Err(TokenError::NoToken { connection: connection() }),
            End::Failed(Failure { class, retry_after, .. }) => {
                return Err(TokenError::Renewal { connection: connection(), class, retry_after });
            }
            End::Unsure => return Err(TokenError::Tenant(Arc::new(TenantError::TooSlow))),
        };
        let held = Held::of_grant(&grant, lineage, demand);
        let mut held = held.ok_or_else(|| TokenError::Unusable { connection: connection() })?;
        if is_doubtful {
            held.look_again_soon(self.clock.now());
        }
        Ok(held)
    }
}
