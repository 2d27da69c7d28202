//! The keeper of grants: fresh access tokens in memory, and one flight for whoever needs another.

use std::collections::hash_map::RandomState;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::TokenError;
use super::driver::{Cause, Driver, Found};
use super::flight::{Flights, Landing};
use super::grant::{Demand, Lineage};
use super::held::Held;
use super::record::Origin;
use super::users::{REFUSAL_LIFE, Users};
use crate::bounded::Bounded;
use crate::clock::Clock;
use crate::config::Config;
use crate::store::{Key, Store};
use crate::telemetry::metrics::{Metrics, Outcome};

/// Between two looks whether renewals are under way, at the end.
const SETTLE: Duration = Duration::from_millis(20);
/// Callers within this time after a failed renewal share the failure.
const FAILURE_REST: Duration = Duration::from_secs(1);

/// Keeps grants.
pub(super) struct Keeper(Arc<Inner>);

struct Inner {
    driver: Driver,
    clock: Clock,
    token_wait: Duration,
    recheck: Duration,
    held: Arc<Bounded<Arc<Key>, Arc<Held>, RandomState>>,
    refusals: Bounded<Arc<Key>, Arc<Refusal>, RandomState>,
    flights: Flights<(Arc<Key>, Demand), Landed>,
}

/// Why there was no token a moment ago.
struct Refusal {
    at: Instant,
    rest: Duration,
    lineage: Lineage,
    cause: Cause,
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
        let driver = Driver::new(config, store, users, metrics, clock)?;
        Ok(Self(Arc::new(Inner::new(config, driver, clock))))
    }

    /// The same for a new configuration. What is held stays held, and what is under way goes on under the old one: who
    /// comes now joins it.
    pub(super) fn succeed(&self, config: &Config, users: Arc<Users>) -> std::io::Result<Self> {
        let inner = &self.0;
        let mut next = Inner::new(config, inner.driver.succeed(config, users)?, &inner.clock);
        next.flights = inner.flights.clone();
        if next.held.bound() == inner.held.bound() {
            next.held = Arc::clone(&inner.held);
        }
        Ok(Self(Arc::new(next)))
    }

    /// The access token of the grant that began at `origin`, renewed first if it must be or less than `min_validity` is
    /// left. The caller has waited for a token since `begun`.
    pub(super) async fn token(
        &self,
        origin: &Origin,
        min_validity: Duration,
        begun: Instant,
    ) -> Result<(Arc<Held>, Outcome), TokenError> {
        let inner = &self.0;
        let now = inner.clock.now();
        let mut demand = Demand { min_validity, ..Demand::default() };
        let held = inner.held.get(&origin.key);
        if let Some(held) = &held {
            if held.serves(origin, now, min_validity) {
                if held.is_due(now) && inner.recent_refusal(origin).is_none() {
                    drop(inner.join(origin, Demand { is_behind: true, ..Demand::default() }));
                }
                return Ok((Arc::clone(held), Outcome::Hit));
            }
            match held.refused_for(now) {
                // Refused again after a renewal: once more when it has rested, not at each call.
                Some(rested) if held.is_hopeless(now) && rested < inner.recheck => {
                    return Err(TokenError::Rejected { connection: Arc::clone(&origin.key.connection) });
                }
                Some(_) if held.is_hopeless(now) => held.forgive(),
                Some(_) => demand.refused = Some(held.born()),
                None => {}
            }
        }
        // Boxed: what is rare must not make every request's future larger.
        match Box::pin(inner.fly(origin, demand, begun)).await {
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
            && current.born() != held.born()
            && current.serves(origin, inner.clock.now(), Duration::ZERO)
        {
            return Some(current);
        }
        if held.is_hopeless(inner.clock.now()) {
            return None;
        }
        let demand = Demand { refused: Some(held.born()), ..Demand::default() };
        let newer = inner.fly(origin, demand, inner.clock.instant()).await.ok()?;
        (newer.born() != held.born()).then_some(newer)
    }

    /// Waits until no renewal is under way, of earlier configurations either: one that is cut off may lose a refresh
    /// token.
    pub(super) async fn settled(&self) {
        while !self.0.flights.is_empty() {
            tokio::time::sleep(SETTLE).await;
        }
    }

    /// Takes note that the provider refused `held`.
    pub(super) fn refuse(&self, held: &Held) {
        held.refuse(self.0.clock.now());
    }
}

impl Inner {
    fn new(config: &Config, driver: Driver, clock: &Clock) -> Self {
        let bound = config.limits.tokens;
        Self {
            driver,
            clock: clock.clone(),
            token_wait: config.limits.token_wait,
            recheck: config.auth0.recheck,
            held: Arc::new(Bounded::new(bound, RandomState::new())),
            refusals: Bounded::new(bound, RandomState::new()),
            flights: Flights::new(),
        }
    }

    /// Waits for a flight, but not longer than a caller may who has waited since `begun`.
    async fn fly(self: &Arc<Self>, origin: &Origin, demand: Demand, begun: Instant) -> Result<Arc<Held>, TokenError> {
        if let Some(refusal) = self.recent_refusal(origin) {
            return Err(refusal.error(&origin.key));
        }
        let landing = self.join(origin, demand);
        let left = (begun + self.token_wait).saturating_duration_since(self.clock.instant());
        let landed = tokio::time::timeout(left, landing.outcome()).await;
        let landed =
            landed.map_err(|_| TokenError::RenewalTooSlow { connection: Arc::clone(&origin.key.connection) })?;
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
                match inner.driver.drive(&key, seed, demand).await {
                    Ok(found) => inner.publish(key, &found, lineage, demand),
                    Err(cause) => inner.refuse(key, lineage, cause),
                }
            }
        })
    }

    fn publish(&self, key: Arc<Key>, found: &Found, lineage: Lineage, demand: Demand) -> Landed {
        let now = self.clock.now();
        let Some(mut held) = Held::new(&found.grant, lineage, demand.refused.is_some()) else {
            return self.refuse(key, lineage, Cause::Unusable);
        };
        if found.is_doubtful {
            held.look_again_soon(now);
        }
        if let Some(previous) = self.held.get(&key) {
            held.go_on_from(&previous, now);
            // A slower flight has read what a faster one has renewed since.
            if previous.is_newer_than(&held) && previous.is_living(now) {
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
            Cause::Slow | Cause::Store(_) | Cause::Tenant(_) => FAILURE_REST,
        };
        let refusal = Arc::new(Refusal { at: self.clock.instant(), rest, lineage, cause });
        self.refusals.insert(key, Arc::clone(&refusal));
        Err(refusal)
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
            Cause::Slow => TokenError::RenewalTooSlow { connection },
            Cause::Store(error) => TokenError::Store(Arc::clone(error)),
            Cause::Tenant(error) => TokenError::Tenant(Arc::clone(error)),
        }
    }
}
