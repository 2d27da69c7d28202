//! An issuer's signing keys: fetched, kept through outages, fetched anew for a key that is not held, but seldom.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use jsonwebtoken::jwk::Jwk;
use tokio::sync::{Mutex, Notify};

use super::CallerError;
use super::signature::VerificationKey;
use crate::auth0::{Tenant, TenantError};
use crate::clock::{Clock, Timestamp};

/// The keys are looked at again at least this often, so that a revoked key does not stay trusted; also when the
/// tenant's `max-age` would allow longer.
const AGE_MAX: Duration = Duration::from_secs(600);
/// And at most this often, whatever `max-age` says.
const AGE_MIN: Duration = Duration::from_secs(60);
/// The first pause after a fetch that failed; it doubles up to [`RETRY_MAX`], which leaves a fetch its `tenant_timeout`
/// (10 s by default) in the 15 s within which callers are to be served again once the tenant is back.
const RETRY_MIN: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// The keys of one issuer.
pub(super) struct KeySet(Arc<Inner>);

struct Inner {
    issuer: String,
    tenant: Arc<Tenant>,
    clock: Clock,
    cooldown: Duration,
    held: ArcSwapOption<Set>,
    /// Counts how often a key left the set.
    revision: AtomicU32,
    /// Told when somebody finds the set older than it may grow.
    aged: Notify,
    /// Held during a fetch, so that there is one at a time.
    last: Mutex<Last>,
}

struct Set {
    keys: HashMap<String, Held>,
    looked_at: Timestamp,
    /// For how long it may be used without another look.
    age_max: Duration,
}

struct Held {
    jwk: Jwk,
    key: Arc<VerificationKey>,
}

/// The last fetch on behalf of an unknown key.
#[derive(Default)]
struct Last {
    began: Option<Instant>,
    failure: Option<Arc<TenantError>>,
}

impl KeySet {
    pub(super) fn new(issuer: &str, tenant: Arc<Tenant>, clock: Clock, cooldown: Duration) -> Self {
        Self(Arc::new(Inner {
            issuer: issuer.to_owned(),
            tenant,
            clock,
            cooldown,
            held: ArcSwapOption::empty(),
            revision: AtomicU32::new(0),
            aged: Notify::new(),
            last: Mutex::default(),
        }))
    }

    /// Whether any key is held.
    pub(super) fn is_held(&self) -> bool {
        self.0.held.load().is_some()
    }

    /// Changes whenever a key left the set: what was verified before may have been signed with that key.
    pub(super) fn revision(&self) -> u32 {
        self.0.revision.load(Ordering::Acquire)
    }

    /// The key of that id. A known key never waits; an unknown one causes at most one fetch per cooldown.
    pub(super) async fn find(&self, key_id: &str) -> Result<Arc<VerificationKey>, CallerError> {
        if let Some(key) = self.0.held_key(key_id) {
            return Ok(key);
        }
        // A task of its own: the cooldown has begun, so a caller that leaves must not take the fetch along.
        let (inner, unknown) = (Arc::clone(&self.0), key_id.to_owned());
        let failure = tokio::spawn(async move { inner.fetch_for(&unknown).await }).await.ok().flatten();
        if let Some(key) = self.0.held_key(key_id) {
            return Ok(key);
        }
        if failure.is_some() || !self.is_held() {
            return Err(CallerError::NoKeys(failure));
        }
        Err(CallerError::Invalid("its key is not one of the tenant's"))
    }

    /// Fetches the keys now and again whenever they have aged. Never ends.
    pub(super) async fn keep_fresh(&self) {
        let mut retry = RETRY_MIN;
        loop {
            match self.0.refresh().await {
                Ok(fresh_for) => {
                    retry = RETRY_MIN;
                    // The runtime's timers stand still while the machine sleeps, the keys' age does not.
                    let _ = tokio::time::timeout(fresh_for, self.0.aged.notified()).await;
                }
                Err(error) => {
                    tracing::warn!(issuer = self.0.issuer, error = %crate::telemetry::chain(&error), "key set not fetched");
                    tokio::time::sleep(retry).await;
                    retry = (retry * 2).min(RETRY_MAX);
                }
            }
        }
    }
}

impl Inner {
    fn held_key(&self, key_id: &str) -> Option<Arc<VerificationKey>> {
        let set = self.held.load();
        let set = set.as_ref()?;
        if self.clock.now().since(set.looked_at) >= AGE_MAX {
            // Nobody waits for it: in an outage the keys that are held are all there is.
            self.aged.notify_waiters();
        }
        set.keys.get(key_id).map(|held| Arc::clone(&held.key))
    }

    /// Fetches unless what is held is fresh, which it may have become while this waited for its turn; tells for how long it
    /// will be.
    async fn refresh(&self) -> Result<Duration, TenantError> {
        let mut last = self.last.lock().await;
        if let Some(fresh_for) = self.fresh_for() {
            return Ok(fresh_for);
        }
        self.fetch().await?;
        // The tenant is back: a failure of before says nothing any more.
        last.failure = None;
        Ok(self.fresh_for().unwrap_or_default())
    }

    fn fresh_for(&self) -> Option<Duration> {
        let set = self.held.load();
        let set = set.as_ref()?;
        set.age_max.checked_sub(self.clock.now().since(set.looked_at)).filter(|left| !left.is_zero())
    }

    /// Fetches unless somebody else has found that key meanwhile, or the cooldown since the last such fetch is still running, and tells how that last fetch failed.
    ///
    /// The cooldown begins before the fetch and does not depend on its outcome: a stranger who makes up key ids cannot
    /// make us poll the tenant (go-oidc and jose do the same).
    async fn fetch_for(&self, unknown: &str) -> Option<Arc<TenantError>> {
        let mut last = self.last.lock().await;
        if self.held_key(unknown).is_some() {
            return None;
        }
        let now = self.clock.instant();
        if last.began.is_none_or(|began| now.duration_since(began) >= self.cooldown) {
            last.began = Some(now);
            last.failure = self.fetch().await.err().map(Arc::new);
        }
        last.failure.clone()
    }

    /// Fetches the key set and puts it in the place of the one that is held.
    async fn fetch(&self) -> Result<(), TenantError> {
        let looked_at = self.clock.now();
        let (jwks, max_age) = self.tenant.key_set(&self.issuer).await?;
        let keys: HashMap<String, Held> = jwks
            .into_iter()
            .filter_map(|jwk| {
                let key = Arc::new(VerificationKey::of(&jwk)?);
                Some((jwk.common.key_id.clone()?, Held { jwk, key }))
            })
            .collect();
        if keys.is_empty() {
            return Err(TenantError::nonsense("key set without a usable key"));
        }
        let age_max = max_age.unwrap_or(AGE_MAX).clamp(AGE_MIN, AGE_MAX);
        let set = Arc::new(Set { keys, looked_at, age_max });
        let before = self.held.swap(Some(Arc::clone(&set)));
        let has_left = |(id, old): (&String, &Held)| set.keys.get(id).is_none_or(|current| current.jwk != old.jwk);
        if before.is_some_and(|before| before.keys.iter().any(has_left)) {
            self.revision.fetch_add(1, Ordering::Release);
        }
        Ok(())
    }
}
