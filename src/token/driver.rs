//! RENEWED GRANTS as a source: the hands of a [`Renewal`]. What it asks of store, provider and tenant is done here, until
//! it ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::TokenError;
use super::desk::Desk;
use super::endpoint::{Failure, Granted, TokenEndpoint};
use super::grant::{Death, Demand, Lineage, Seed, Spends, Terms};
use super::held::Held;
use super::record::Record;
use super::renewal::{Act, End, Heard, Renewal};
use super::source::Source;
use super::users::Users;
use crate::auth0::TenantError;
use crate::clock::Clock;
use crate::config::Config;
use crate::random;
use crate::secret::Secret;
use crate::store::{Key, Outage, Store, StoreError};
use crate::telemetry::metrics::{Metrics, Outcome};

mod foresight;
mod parting;

pub(super) use foresight::Prospect;

/// Between two tries to have a store do what must be done.
const STORE_PAUSE: Duration = Duration::from_millis(200);
/// How long a store is given to have a mark taken back that was made for nothing.
const STORE_TIME: Duration = Duration::from_secs(5);

/// Carries renewals out.
pub(super) struct Driver {
    store: Store,
    users: Arc<Users>,
    clock: Clock,
    metrics: Metrics,
    /// By connection and audience.
    endpoints: BTreeMap<String, BTreeMap<String, Endpoint>>,
    /// Who this process is to other replicas, in leases.
    owner: String,
    /// Counts renewals: two of one process must not share a lease either.
    driven: AtomicU64,
    /// Who waits for somebody else's renewal longer than this serves nobody.
    patience: Duration,
    /// Renewals whose answer waits for the store.
    stuck: AtomicU64,
}

/// How one connection's tokens are renewed, for one audience.
struct Endpoint {
    /// For metrics: the provider that is configured with it.
    provider: Arc<str>,
    client: TokenEndpoint,
    terms: Terms,
    /// How long a renewal can take: a call for each of the client's secrets.
    timeout: Duration,
}

/// How a renewal went.
struct Drive {
    end: End,
    /// Whether it was this one that got a new access token, and not a neighbour's.
    has_renewed: bool,
}

/// Why a renewal was not carried out to its end.
enum Stop {
    Store(StoreError),
    /// Somebody else renews, and takes long.
    TooSlow,
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
        let mut endpoints = BTreeMap::<_, BTreeMap<_, _>>::new();
        for (name, provider) in &config.providers {
            let Some(renewal) = &provider.renewal else { continue };
            let timeout = config.limits.tenant_timeout;
            let audiences = endpoints.entry(provider.connection.clone()).or_default();
            audiences.entry(provider.audience.clone().unwrap_or_default()).or_insert(Endpoint {
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
            stuck: AtomicU64::new(0),
        })
    }

    /// The longest that a renewal can take: what is under way when the process ends is given that time.
    pub(super) fn longest(&self) -> Duration {
        self.endpoints
            .values()
            .flat_map(BTreeMap::values)
            .map(|endpoint| endpoint.timeout + STORE_TIME)
            .max()
            .unwrap_or_default()
    }

    /// The same for a new configuration.
    pub(super) fn succeed(&self, config: &Config, users: Arc<Users>) -> std::io::Result<Self> {
        Self::new(config, self.store.clone(), users, &self.metrics, &self.clock)
    }

    fn desk<'desk>(&'desk self, key: &'desk Key, call: Duration) -> Desk<'desk> {
        let number = self.driven.fetch_add(1, Ordering::Relaxed);
        Desk::stored(&self.store, key, &self.clock, format!("{}-{number}", self.owner), call)
    }

    fn endpoint(&self, key: &Key) -> Option<&Endpoint> {
        self.endpoints.get(&*key.connection)?.get(&*key.audience)
    }

    /// Renews the grant at `key`, as far as `demand` and the record ask for it. `seed` is what the tenant was last seen
    /// to hold.
    async fn drive(&self, key: &Key, seed: Seed, demand: Demand) -> Result<Drive, TokenError> {
        let connection = || Arc::clone(&key.connection);
        let Some(endpoint) = self.endpoint(key) else {
            return Err(TokenError::NoToken { connection: connection() });
        };
        let renewal = || Renewal::new(endpoint.terms, demand, Some(seed.clone()));
        let desk = self.desk(key, endpoint.timeout);
        let failure = match self.carry_out(key, endpoint, renewal(), desk).await {
            Err(Stop::Store(error)) => Arc::new(error),
            Err(Stop::TooSlow) => return Err(TokenError::RenewalTooSlow { connection: connection() }),
            Ok(drive) => return Ok(drive),
        };
        // Where a refresh token is never replaced, nothing is lost if the record does not come to know of a renewal.
        if !endpoint.terms.rotates
            && !self.users.disconnects().knows(key, seed.lineage)
            && matches!(*failure, StoreError::Unavailable(_))
            && let Ok(drive) = self.carry_out(key, endpoint, renewal(), Desk::Loose(None)).await
            && matches!(drive.end, End::Use(_))
        {
            tracing::warn!(cause = %failure, "a token was found without the store");
            return Ok(drive);
        }
        Err(TokenError::Store(failure))
    }

    /// The same; and where there is nothing to begin with for an audience, the tenant is looked at once more. The record of
    /// a user who lacks nothing but offline access serves the other audiences, and is not read again for this one's sake.
    async fn drive_or_look(&self, key: &Key, seed: Seed, demand: Demand) -> Result<Drive, TokenError> {
        let may_begin = key.audience.is_empty() || seed.refresh.is_some();
        let drive = self.drive(key, seed, demand).await?;
        if may_begin || drive.end != End::Nothing {
            return Ok(drive);
        }
        match self.look(key).await {
            Some(seed) => self.drive(key, seed, demand).await,
            None => Ok(drive),
        }
    }

    async fn carry_out(
        &self,
        key: &Key,
        endpoint: &Endpoint,
        mut renewal: Renewal,
        mut desk: Desk<'_>,
    ) -> Result<Drive, Stop> {
        let begun = self.clock.instant();
        let (mut act, mut is_stuck, mut has_renewed) = (Act::Read, false, false);
        let end = loop {
            if let Act::End(end) = act {
                break Ok(end);
            }
            if act == Act::Wait && self.clock.instant() > begun + self.patience {
                break Err(Stop::TooSlow);
            }
            let error = match self.act(key, endpoint, &mut desk, act.clone()).await {
                Ok(heard) => {
                    has_renewed |= matches!(heard, Heard::Answer(Ok(_)));
                    act = renewal.hear(heard, self.clock.now());
                    continue;
                }
                Err(error) => error,
            };
            if !matches!(error, StoreError::Unavailable(_)) {
                break Err(Stop::Store(error));
            }
            if let Some(grant) = renewal.unwritten().filter(|next| !endpoint.terms.rotates && !next.is_disconnected()) {
                break Ok(End::Use(grant.clone()));
            }
            if renewal.must_persist() {
                tracing::warn!(cause = %error, "a renewed token waits for the store");
                if !std::mem::replace(&mut is_stuck, true) {
                    self.stuck.fetch_add(1, Ordering::Relaxed);
                }
            } else if renewal.must_unmark() && self.clock.instant() < begun + STORE_TIME {
                if matches!(act, Act::Swap(_)) {
                    act = renewal.hear(Heard::Unclear, self.clock.now());
                }
            } else {
                break Err(Stop::Store(error));
            }
            tokio::time::sleep(STORE_PAUSE).await;
        };
        if is_stuck {
            self.stuck.fetch_sub(1, Ordering::Relaxed);
        }
        desk.leave().await;
        end.map(|end| Drive { end, has_renewed })
    }

    async fn act(&self, key: &Key, endpoint: &Endpoint, desk: &mut Desk<'_>, act: Act) -> Result<Heard, StoreError> {
        Ok(match act {
            Act::Read => Heard::Row(desk.read().await?),
            Act::Create(grant) => Heard::Swapped(desk.create(grant).await?),
            Act::Swap(grant) => Heard::Swapped(desk.swap(grant).await?),
            Act::Lease => Heard::Leased(desk.lease().await?),
            Act::Send(_) if !desk.has_time_for(endpoint.timeout) => Heard::TooLate,
            Act::Send(spent) => Heard::Answer(self.send(endpoint, &spent).await),
            Act::Look => Heard::Identity(self.look(key).await),
            Act::Wait | Act::End(_) => {
                desk.wait().await;
                Heard::Waited
            }
        })
    }

    /// What the tenant holds now to begin the grant at `key` with, if it can be asked.
    async fn look(&self, key: &Key) -> Option<Seed> {
        self.users.look(&key.subject).await.map(|record| seed(&record, key))
    }

    async fn send(&self, endpoint: &Endpoint, spent: &Secret) -> Result<Granted, Failure> {
        let answer = endpoint.client.renew(spent).await;
        let class = answer.as_ref().map_or_else(|failure| failure.class.name(), |_| "ok");
        self.metrics.renewal(&endpoint.provider, class);
        if let Err(failure) = &answer {
            let is_ambiguous = failure.is_ambiguous;
            tracing::warn!(provider = %endpoint.provider, class, is_ambiguous, "a renewal failed");
        }
        answer
    }
}

impl Source for Driver {
    /// What the tenant was last seen to hold.
    type Errand = Seed;

    const OUTCOME: Outcome = Outcome::Renewed;

    fn lineage(seed: &Seed) -> Option<Lineage> {
        Some(seed.lineage)
    }

    fn too_slow(&self, connection: &Arc<str>) -> TokenError {
        if self.stuck.load(Ordering::Relaxed) > 0 {
            return TokenError::Store(Arc::new(StoreError::Unavailable(Outage::Silent)));
        }
        TokenError::RenewalTooSlow { connection: Arc::clone(connection) }
    }

    async fn fetch(&self, key: &Key, seed: Seed, demand: Demand) -> Result<Held, TokenError> {
        let lineage = seed.lineage;
        let connection = || Arc::clone(&key.connection);
        let Drive { end, has_renewed } = self.drive_or_look(key, seed, demand).await?;
        let grant = match &end {
            End::Use(grant) | End::UseInDoubt(grant) | End::ServeOn(grant, _) => grant,
            // What cannot be renewed any more serves to its own end.
            End::Reconnect(grant, _) if grant.living(self.clock.now(), demand.refused).is_some() => grant,
            End::Reconnect(grant, Some(Death::Disconnected)) => {
                self.users.disconnects().note(Arc::new(key.clone()), grant.lineage());
                return Err(TokenError::Disconnected { connection: connection() });
            }
            End::Reconnect(_, death) => return Err(ended(*death, demand, key)),
            End::Nothing => return Err(nothing(demand, key)),
            End::Failed(Failure { class, retry_after, .. }) => {
                return Err(TokenError::Renewal { connection: connection(), class: *class, retry_after: *retry_after });
            }
            End::Unsure => return Err(TokenError::Tenant(Arc::new(TenantError::TooSlow))),
        };
        if grant.access.as_ref().is_some_and(|access| demand.refused == Some(access.fingerprint())) {
            return Err(TokenError::Rejected { connection: connection() });
        }
        let spends = self.endpoint(key).map_or(Spends::RefreshToken, |endpoint| endpoint.terms.spends);
        let held = Held::of_grant(grant, spends, lineage);
        let mut held = held.ok_or_else(|| TokenError::Unusable { connection: connection() })?;
        let now = self.clock.now();
        if has_renewed && demand.refused.is_some() {
            held.comes_of_refusal();
        }
        if matches!(end, End::UseInDoubt(_)) {
            held.look_again_soon(now);
        }
        if let End::ServeOn(_, failure) = &end {
            held.rest(failure.retry_after, now);
        }
        Ok(held)
    }
}

/// What a user's record shows to begin the grant at `key` with.
fn seed(record: &Record, key: &Key) -> Seed {
    record.origin_of(key).map_or_else(|| Seed::new(None, None, None), |origin| origin.seed.clone())
}

/// Why a grant serves no more.
fn ended(death: Option<Death>, demand: Demand, key: &Key) -> TokenError {
    let connection = Arc::clone(&key.connection);
    match death {
        Some(Death::Disconnected) => TokenError::Disconnected { connection },
        _ if demand.refused.is_some() => TokenError::Rejected { connection },
        Some(death) => TokenError::Dead { connection, reason: reason(death, key) },
        None => TokenError::Expired { connection },
    }
}

/// Why there is no grant.
fn nothing(demand: Demand, key: &Key) -> TokenError {
    let connection = Arc::clone(&key.connection);
    match demand.refused {
        Some(_) => TokenError::Rejected { connection },
        None if key.audience.is_empty() => TokenError::NoToken { connection },
        None => TokenError::NoOfflineAccess { connection },
    }
}

/// What has become of the grant at `key`. One for an audience of its own may lack no more than the user's consent.
fn reason(death: Death, key: &Key) -> &'static str {
    match death {
        Death::Refused if !key.audience.is_empty() => {
            "the provider does not accept its refresh token for this audience, or wants the user's consent to it"
        }
        Death::Refused | Death::AnswersLost | Death::Disconnected => death.reason(),
    }
}
