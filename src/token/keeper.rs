//! The keeper of grants: fresh access tokens in memory, the records in the store, and the hands that carry a
//! [`Renewal`] out.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hyper::http::HeaderValue;

use super::TokenError;
use super::endpoint::{Failure, TokenEndpoint};
use super::flight::{Flights, Landing};
use super::grant::{Demand, Grant, Lineage, Seed, Terms};
use super::record::{Origin, bearer};
use super::renewal::{Act, End, Heard, Renewal};
use super::users::{REFUSAL_LIFE, Users};
use crate::auth0::TenantError;
use crate::bounded::Bounded;
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::store::{Key, Store, StoreError};
use crate::telemetry::metrics::{Metrics, Outcome};

/// Between two looks at a record that somebody else renews, if no news comes.
const WAIT: Duration = Duration::from_millis(250);
/// Between two tries to write an answer down that nobody else has.
const PERSIST_PAUSE: Duration = Duration::from_millis(200);
/// What reading and marking a record may take under a lease.
const STORE_TIME: Duration = Duration::from_secs(5);
/// After a renewal ahead of need that brought nothing, the next waits this long, or a quarter of the life that is left.
const BEHIND_REST: Duration = Duration::from_secs(10);
/// How far a provider's clock may be ahead of ours, and a request be on its way.
const SKEW: Duration = Duration::from_secs(1);
/// Between two looks whether renewals are under way, at the end.
const SETTLE: Duration = Duration::from_millis(20);
/// Callers within this time after a failed renewal share the failure.
const FAILURE_REST: Duration = Duration::from_secs(1);

/// Keeps grants.
pub(super) struct Keeper(Arc<Inner>);

struct Inner {
    store: Store,
    users: Arc<Users>,
    clock: Clock,
    metrics: Metrics,
    endpoints: BTreeMap<String, Endpoint>,
    /// Who this process is to other replicas, in leases.
    owner: String,
    /// Counts flights: two of one process must not share a lease either.
    flown: AtomicU64,
    token_wait: Duration,
    recheck: Duration,
    held: Bounded<Arc<Key>, Arc<Held>, RandomState>,
    refusals: Bounded<Arc<Key>, Arc<Refusal>, RandomState>,
    flights: Flights<(Arc<Key>, Demand), Landed>,
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

/// An access token in use.
pub(super) struct Held {
    value: HeaderValue,
    /// The generation of its birth: what a rejection is keyed by.
    born: u64,
    issued: Timestamp,
    expires: Option<Timestamp>,
    renew_at: Option<Timestamp>,
    /// The sign-in that was known when it was taken from the record.
    lineage: Lineage,
    /// When the provider refused it, in Unix milliseconds; 0 for never.
    refused: AtomicU64,
    /// Whether it came from a renewal that a refusal had caused. If it is refused as well, renewing does not help.
    after_refusal: bool,
}

/// Why there was no token a moment ago.
struct Refusal {
    at: Instant,
    rest: Duration,
    lineage: Lineage,
    cause: Cause,
}

#[derive(Clone)]
enum Cause {
    Dead(&'static str),
    Expired,
    Nothing,
    Unusable,
    Failed(Failure),
    Store(Arc<StoreError>),
    Tenant(Arc<TenantError>),
}

type Landed = Result<Arc<Held>, Arc<Refusal>>;

impl Keeper {
    /// Nothing held in memory yet.
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
                terms: Terms::of(renewal),
                timeout: timeout * renewal.proof.tries(),
            });
        }
        let mut random = [0_u8; 16];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| std::io::Error::other("no randomness"))?;
        Ok(Self(Arc::new(Inner {
            store,
            users,
            clock: clock.clone(),
            metrics: metrics.clone(),
            endpoints,
            owner: format!("{:032x}", u128::from_be_bytes(random)),
            flown: AtomicU64::new(0),
            token_wait: config.limits.token_wait,
            recheck: config.auth0.recheck,
            held: Bounded::new(config.limits.tokens, RandomState::new()),
            refusals: Bounded::new(config.limits.tokens, RandomState::new()),
            flights: Flights::new(),
        })))
    }

    /// The access token of the grant that began at `origin`, renewed first if it must be or less than `min_validity` is
    /// left.
    pub(super) async fn token(
        &self,
        origin: &Origin,
        min_validity: Duration,
    ) -> Result<(Arc<Held>, Outcome), TokenError> {
        let inner = &self.0;
        let now = inner.clock.now();
        let mut demand = Demand { min_validity, ..Demand::default() };
        let held = inner.held.get(&origin.key);
        if let Some(held) = &held {
            if held.serves(origin, now, min_validity) {
                if held.renew_at.is_some_and(|at| at <= now) && inner.recent_refusal(origin).is_none() {
                    drop(inner.join(origin, Demand { is_behind: true, ..Demand::default() }));
                }
                return Ok((Arc::clone(held), Outcome::Hit));
            }
            match held.refused_for(now) {
                // Refused again after a renewal: once more when it has rested, not at each call.
                Some(rested) if held.is_hopeless(now) && rested < inner.recheck => {
                    return Err(TokenError::Rejected { connection: Arc::clone(&origin.key.connection) });
                }
                Some(_) if held.is_hopeless(now) => held.refused.store(0, Ordering::Relaxed),
                Some(_) => demand.refused = Some(held.born),
                None => {}
            }
        }
        // Boxed: what is rare must not make every request's future larger.
        match Box::pin(inner.fly(origin, demand)).await {
            Ok(held) => Ok((held, Outcome::Renewed)),
            // What passes by itself takes nobody a token that still lives.
            Err(error) if error.is_passing() => {
                let held = held.filter(|held| held.is_living(inner.clock.now()));
                held.map(|held| (held, Outcome::ServedOn)).ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    /// After the provider refused `held`: a newer token if there is one or can be had.
    pub(super) async fn successor(&self, origin: &Origin, held: &Held) -> Option<Arc<Held>> {
        let inner = &self.0;
        self.refuse(held);
        if let Some(current) = inner.held.get(&origin.key)
            && current.born != held.born
            && current.serves(origin, inner.clock.now(), Duration::ZERO)
        {
            return Some(current);
        }
        if held.is_hopeless(inner.clock.now()) {
            return None;
        }
        let demand = Demand { refused: Some(held.born), ..Demand::default() };
        inner.fly(origin, demand).await.ok().filter(|newer| newer.born != held.born)
    }

    /// Waits until no renewal is under way: one that is cut off may lose a refresh token.
    pub(super) async fn settled(&self) {
        while !self.0.flights.is_empty() {
            tokio::time::sleep(SETTLE).await;
        }
    }

    /// Takes note that the provider refused `held`.
    pub(super) fn refuse(&self, held: &Held) {
        held.refused.store(self.0.clock.now().unix_millis(), Ordering::Relaxed);
    }
}

impl Held {
    /// The token behind `Bearer `, marked sensitive.
    pub(super) fn value(&self) -> &HeaderValue {
        &self.value
    }

    fn serves(&self, origin: &Origin, now: Timestamp, min_validity: Duration) -> bool {
        let is_long = |expires: Timestamp| {
            let wanted = min_validity.min(expires.since(self.issued) / 2);
            now < expires && expires.since(now) >= wanted
        };
        self.lineage == origin.seed.lineage
            && self.refused.load(Ordering::Relaxed) == 0
            && self.expires.is_none_or(is_long)
    }

    /// Whether a renewal would not help if it is refused: it came from one that a refusal had caused, and has not just
    /// expired on its way.
    fn is_hopeless(&self, now: Timestamp) -> bool {
        self.after_refusal && self.expires.is_none_or(|expires| now.plus(SKEW) < expires)
    }

    fn is_living(&self, now: Timestamp) -> bool {
        self.refused.load(Ordering::Relaxed) == 0 && self.expires.is_none_or(|expires| now < expires)
    }

    fn refused_for(&self, now: Timestamp) -> Option<Duration> {
        let at = self.refused.load(Ordering::Relaxed);
        (at != 0).then(|| now.since(Timestamp::from_unix_millis(at)))
    }
}

impl Inner {
    /// Waits for a flight, but not longer than a caller may.
    async fn fly(self: &Arc<Self>, origin: &Origin, demand: Demand) -> Result<Arc<Held>, TokenError> {
        if let Some(refusal) = self.recent_refusal(origin) {
            return Err(refusal.error(&origin.key));
        }
        let landing = self.join(origin, demand);
        let landed = tokio::time::timeout(self.token_wait, landing.outcome()).await.map_err(|_| TokenError::TooSlow)?;
        landed.ok_or(TokenError::Died)?.map_err(|refusal| refusal.error(&origin.key))
    }

    fn recent_refusal(&self, origin: &Origin) -> Option<Arc<Refusal>> {
        let refusal = self.refusals.get(&origin.key)?;
        let age = self.clock.instant().saturating_duration_since(refusal.at);
        (age < refusal.rest && refusal.lineage == origin.seed.lineage).then_some(refusal)
    }

    fn join(self: &Arc<Self>, origin: &Origin, demand: Demand) -> Landing<Landed> {
        self.flights.join(&(Arc::clone(&origin.key), demand), || {
            let (inner, key, seed) = (Arc::clone(self), Arc::clone(&origin.key), origin.seed.clone());
            async move {
                let lineage = seed.lineage;
                let landed = inner.carry_out(&key, seed, demand).await;
                match landed {
                    Ok(grant) => inner.publish(key, &grant, lineage, demand),
                    Err(cause) => inner.refuse(key, lineage, cause),
                }
            }
        })
    }

    fn publish(&self, key: Arc<Key>, grant: &Grant, lineage: Lineage, demand: Demand) -> Landed {
        let Some(mut held) = Held::new(grant, lineage, demand.refused.is_some()) else {
            return self.refuse(key, lineage, Cause::Unusable);
        };
        if let Some(previous) = self.held.get(&key) {
            if previous.born == held.born && previous.value == held.value {
                held.go_on_from(&previous, self.clock.now());
            }
            // A slower flight has read what a faster one has renewed since.
            let is_newer = previous.born > held.born && previous.lineage == lineage;
            if is_newer && previous.is_living(self.clock.now()) {
                return Ok(previous);
            }
        }
        let held = Arc::new(held);
        self.held.insert(key, Arc::clone(&held));
        Ok(held)
    }

    fn refuse(&self, key: Arc<Key>, lineage: Lineage, cause: Cause) -> Landed {
        let rest = match &cause {
            Cause::Dead(_) | Cause::Expired | Cause::Nothing | Cause::Unusable => REFUSAL_LIFE,
            Cause::Failed(failure) => failure.retry_after.unwrap_or(FAILURE_REST),
            Cause::Store(_) | Cause::Tenant(_) => FAILURE_REST,
        };
        let refusal = Arc::new(Refusal { at: self.clock.instant(), rest, lineage, cause });
        self.refusals.insert(key, Arc::clone(&refusal));
        Err(refusal)
    }

    /// Does what the renewal asks for, until it ends.
    async fn carry_out(&self, key: &Key, seed: Seed, demand: Demand) -> Result<Grant, Cause> {
        let Some(endpoint) = self.endpoints.get(&*key.connection) else { return Err(Cause::Nothing) };
        let mut renewal = Renewal::new(endpoint.terms, demand, Some(seed));
        let mut lease = self.lease(key, endpoint.timeout);
        let mut act = Act::Read;
        loop {
            let heard = match self.act(key, endpoint, &mut lease, act.clone()).await {
                Ok(Done::Heard(heard)) => heard,
                Ok(Done::End(end)) => {
                    self.release(&lease).await;
                    return self.conclude(end, demand);
                }
                Err(error @ StoreError::Unavailable(_)) if renewal.must_persist() => {
                    tracing::warn!(cause = %error, "a renewed token waits for the store");
                    tokio::time::sleep(PERSIST_PAUSE).await;
                    continue;
                }
                Err(error) => {
                    self.release(&lease).await;
                    return Err(Cause::Store(Arc::new(error)));
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
                let record = self.users.look(&key.subject).await.ok();
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
        match Grant::decode(row.generation, &row.content) {
            Ok(grant) => Ok(Some(grant)),
            Err(error) => Err(StoreError::Unreadable(error.to_string())),
        }
    }

    /// A lease to take. It outlives the call that is made under it, and what the store takes before and after.
    fn lease(&self, key: &Key, timeout: Duration) -> Lease {
        let flight = self.flown.fetch_add(1, Ordering::Relaxed);
        Lease {
            name: format!("grant {key}"),
            owner: format!("{}-{flight}", self.owner),
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

    fn conclude(&self, end: End, demand: Demand) -> Result<Grant, Cause> {
        match end {
            End::Use(grant, _) => Ok(grant),
            // What cannot be renewed any more serves to its own end.
            End::Reconnect(grant, _) if grant.living(self.clock.now(), demand.refused).is_some() => Ok(grant),
            End::Reconnect(_, Some(death)) => Err(Cause::Dead(death.reason())),
            End::Reconnect(_, None) => Err(Cause::Expired),
            End::Nothing => Err(Cause::Nothing),
            End::Failed(failure) => Err(Cause::Failed(failure)),
            End::Unsure => Err(Cause::Tenant(Arc::new(TenantError::TooSlow))),
        }
    }
}

enum Done {
    Heard(Heard),
    End(End),
}

/// Our lease on a record.
struct Lease {
    name: String,
    owner: String,
    life: Duration,
    until: Instant,
}

impl Held {
    fn new(grant: &Grant, lineage: Lineage, after_refusal: bool) -> Option<Self> {
        let access = grant.access.as_ref()?;
        Some(Self {
            value: bearer(&access.value)?,
            born: access.born,
            issued: access.issued,
            expires: access.expires,
            renew_at: access.window_opens(),
            lineage,
            refused: AtomicU64::new(0),
            after_refusal,
        })
    }
}

impl Held {
    /// It is the same token still: what is known of it stays known, and a renewal that brought no other is not tried
    /// again at once.
    fn go_on_from(&mut self, previous: &Self, now: Timestamp) {
        self.refused = AtomicU64::new(previous.refused.load(Ordering::Relaxed));
        self.after_refusal |= previous.after_refusal;
        if let (Some(renew_at), Some(expires)) = (self.renew_at, self.expires)
            && renew_at <= now
        {
            self.renew_at = Some(now.plus((expires.since(now) / 4).min(BEHIND_REST)));
        }
    }
}

impl Refusal {
    fn error(&self, key: &Key) -> TokenError {
        let connection = Arc::clone(&key.connection);
        match &self.cause {
            Cause::Dead(reason) => TokenError::Dead { connection, reason },
            Cause::Expired => TokenError::Expired { connection },
            Cause::Nothing => TokenError::NoToken { connection },
            Cause::Unusable => TokenError::Unusable { connection },
            Cause::Failed(failure) => {
                TokenError::Renewal { connection, class: failure.class, retry_after: failure.retry_after }
            }
            Cause::Store(error) => TokenError::Store(Arc::clone(error)),
            Cause::Tenant(error) => TokenError::Tenant(Arc::clone(error)),
        }
    }
}
