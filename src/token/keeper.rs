//! The keeper: fresh access tokens of one source in memory, and one flight for whoever needs another.

use std::collections::hash_map::RandomState;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::TokenError;
use super::flight::{Flights, Landing};
use super::grant::{Demand, Lineage};
use super::held::Held;
use super::source::{Ask, Source};
use super::users::{HANGING_REST, RECHECK_PATIENCE, REFUSAL_LIFE, is_news};
use crate::bounded::Bounded;
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::store::Key;
use crate::telemetry::metrics::Outcome;

/// Callers within this time after a failure that passes by itself share it.
const FAILURE_REST: Duration = Duration::from_secs(1);

/// Keeps access tokens.
pub(super) struct Keeper<S: Source>(Arc<Inner<S>>);

impl<S: Source> Clone for Keeper<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Inner<S> {
    source: S,
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
    /// How long it was waited for. Who would wait longer learns nothing from it.
    patience: Duration,
    /// To whom it speaks: who knows of another sign-in tries again.
    lineage: Option<Lineage>,
    error: TokenError,
}

type Landed = Result<Arc<Held>, Arc<Refusal>>;

impl<S: Source> Keeper<S> {
    /// Nothing held in memory yet.
    pub(super) fn new(config: &Config, source: S, clock: &Clock) -> Self {
        Self(Arc::new(Inner::new(config, source, clock)))
    }

    /// The same for a new configuration. What is held stays held, and what is under way goes on under the old one: who
    /// comes now joins it.
    pub(super) fn succeed(&self, config: &Config, source: S) -> Self {
        let old = &self.0;
        let mut next = Inner::new(config, source, &old.clock);
        next.flights = old.flights.clone();
        if next.held.bound() == old.held.bound() {
            next.held = Arc::clone(&old.held);
        }
        Self(Arc::new(next))
    }

    pub(super) fn source(&self) -> &S {
        &self.0.source
    }

    /// The access token that is asked for: one that is held, or a new one if there must be.
    pub(super) async fn token(&self, ask: &Ask<'_, S::Errand>) -> Result<(Arc<Held>, Outcome), TokenError> {
        let inner = &self.0;
        let now = inner.clock.now();
        let Some(held) = inner.held.get(ask.key) else {
            let demand = Demand { min_validity: ask.min_validity, ..Demand::default() };
            return Ok((Box::pin(inner.fly(ask, demand, inner.token_wait)).await?, S::OUTCOME));
        };
        if held.serves(S::lineage(ask.errand), now, ask.min_validity) {
            if held.is_due(now) && inner.recent_refusal(ask, Duration::ZERO).is_none() {
                drop(inner.join(ask, Demand { is_behind: true, ..Demand::default() }));
            }
            return Ok((held, Outcome::Hit));
        }
        // Boxed, here and above: what is rare must not make every request's future larger.
        Box::pin(inner.replace(ask, held, now)).await
    }

    /// What is held in memory, whether it serves or not.
    pub(super) fn held(&self, key: &Arc<Key>) -> Option<Arc<Held>> {
        self.0.held.get(key)
    }

    /// After the provider refused `held`: a newer token if there is one or can be had.
    pub(super) async fn successor(&self, ask: &Ask<'_, S::Errand>, held: &Held) -> Option<Arc<Held>> {
        let inner = &self.0;
        self.refuse(ask.key, held);
        if let Some(current) = inner.held.get(ask.key)
            && !current.is_same_as(held)
            && current.serves(S::lineage(ask.errand), inner.clock.now(), Duration::ZERO)
        {
            return Some(current);
        }
        let demand = Demand { refused: Some(held.fingerprint()), is_look: held.is_hopeless(), ..Demand::default() };
        let newer = inner.fly(ask, demand, inner.token_wait).await.ok()?;
        (!newer.is_same_as(held)).then_some(newer)
    }

    /// Takes note that the provider refused `held`.
    pub(super) fn refuse(&self, key: &Key, held: &Held) {
        let now = self.0.clock.now();
        held.refuse(now);
        // The same token may have been taken from its record once more meanwhile.
        if let Some(current) = self.0.held.get(key).filter(|current| current.is_same_as(held)) {
            current.refuse(now);
        }
    }

    /// Forgets what is held at `key`, and what is being found there right now. What a renewal brings that was under way is
    /// for nobody.
    pub(super) async fn forget(&self, key: &Arc<Key>) {
        self.0.forget(key);
        for landing in self.0.flights.under_way(|(of, _)| of == key) {
            drop(tokio::time::timeout(self.0.token_wait, landing.outcome()).await);
        }
        self.0.forget(key);
    }

    /// Forgets what is held at `key`.
    pub(super) fn drop_held(&self, key: &Arc<Key>) {
        self.0.forget(key);
    }

    /// Waits until nothing is under way, of earlier configurations either: a renewal that is cut off may lose a refresh
    /// token.
    pub(super) async fn settled(&self) {
        self.0.flights.settled().await;
    }
}

impl<S: Source> Inner<S> {
    fn new(config: &Config, source: S, clock: &Clock) -> Self {
        let bound = config.limits.tokens;
        Self {
            source,
            clock: clock.clone(),
            token_wait: config.limits.token_wait,
            recheck: config.auth0.recheck,
            held: Arc::new(Bounded::new(bound, RandomState::new())),
            refusals: Bounded::new(bound, RandomState::new()),
            flights: Flights::new(),
        }
    }

    /// Another token in place of `held`, which does not serve.
    async fn replace(
        self: &Arc<Self>,
        ask: &Ask<'_, S::Errand>,
        held: Arc<Held>,
        now: Timestamp,
    ) -> Result<(Arc<Held>, Outcome), TokenError> {
        let has_rested = held.has_rested(now, self.recheck);
        let demand = Demand { min_validity: ask.min_validity, ..held.demand(now, self.recheck) };
        // Who can be served from memory does not wait long to hear that it may be.
        let can_wait = !(held.is_to_be_confirmed(now) && held.is_living(now));
        let patience = if can_wait { self.token_wait } else { self.token_wait.min(RECHECK_PATIENCE) };
        match self.fly(ask, demand, patience).await {
            Ok(held) => Ok((held, S::OUTCOME)),
            // Tokens are sometimes refused for seconds, so what has rested is tried once more.
            Err(TokenError::Rejected { .. }) if has_rested => {
                held.forgive();
                Ok((held, Outcome::Hit))
            }
            // What passes by itself takes nobody a token that still lives.
            Err(error) if error.is_passing() && held.is_living(self.clock.now()) => Ok((held, Outcome::ServedOn)),
            Err(error) => Err(error),
        }
    }

    /// Waits for a flight, but for no longer than `patience` from when the caller began to wait.
    async fn fly(
        self: &Arc<Self>,
        ask: &Ask<'_, S::Errand>,
        demand: Demand,
        patience: Duration,
    ) -> Result<Arc<Held>, TokenError> {
        if let Some(refusal) = self.recent_refusal(ask, patience) {
            return Err(refusal.error.clone());
        }
        let landing = self.join(ask, demand);
        let left = (ask.begun + patience).saturating_duration_since(self.clock.instant());
        match tokio::time::timeout(left, landing.outcome()).await {
            Ok(landed) => landed.ok_or(TokenError::Died)?.map_err(|refusal| refusal.error.clone()),
            Err(_) => {
                let error = self.source.too_slow(&ask.key.connection);
                // Who is served from memory should not find that out one second each.
                if patience < self.token_wait {
                    let (at, rest) = (self.clock.instant(), HANGING_REST);
                    let refusal = Refusal { at, rest, patience, lineage: S::lineage(ask.errand), error: error.clone() };
                    self.refusals.insert(Arc::clone(ask.key), Arc::new(refusal));
                }
                Err(error)
            }
        }
    }

    fn forget(&self, key: &Arc<Key>) {
        self.held.remove(key);
        self.refusals.remove(key);
    }

    fn recent_refusal(&self, ask: &Ask<'_, S::Errand>, patience: Duration) -> Option<Arc<Refusal>> {
        let refusal = self.refusals.get(ask.key)?;
        let age = self.clock.instant().saturating_duration_since(refusal.at);
        let speaks = age < refusal.rest && refusal.lineage == S::lineage(ask.errand) && refusal.patience >= patience;
        // What passes by itself is not lifted by a sign-in.
        let is_lifted = || !refusal.error.is_passing() && is_news(ask.met, self.clock.now(), age);
        (speaks && !is_lifted()).then_some(refusal)
    }

    fn join(self: &Arc<Self>, ask: &Ask<'_, S::Errand>, demand: Demand) -> Landing<Landed> {
        self.flights.join(&(Arc::clone(ask.key), demand), || {
            let (inner, key, errand) = (Arc::clone(self), Arc::clone(ask.key), ask.errand.clone());
            let lineage = S::lineage(ask.errand);
            async move {
                match inner.source.fetch(&key, errand, demand).await {
                    Ok(held) => Ok(inner.publish(key, held)),
                    Err(error) => Err(inner.refuse(key, lineage, error)),
                }
            }
        })
    }

    fn publish(&self, key: Arc<Key>, mut held: Held) -> Arc<Held> {
        let now = self.clock.now();
        if let Some(previous) = self.held.get(&key) {
            held.go_on_from(&previous, now);
            // A slower flight has read what a faster one has renewed since.
            if previous.is_newer_than(&held) && previous.is_living(now) {
                return previous;
            }
        }
        let held = Arc::new(held);
        self.held.insert(key, Arc::clone(&held));
        held
    }

    fn refuse(&self, key: Arc<Key>, lineage: Option<Lineage>, error: TokenError) -> Arc<Refusal> {
        let rest = if error.is_passing() { error.retry_after().unwrap_or(FAILURE_REST) } else { REFUSAL_LIFE };
        let (at, patience) = (self.clock.instant(), self.token_wait);
        let refusal = Arc::new(Refusal { at, rest, patience, lineage, error });
        self.refusals.insert(key, Arc::clone(&refusal));
        refusal
    }
}
