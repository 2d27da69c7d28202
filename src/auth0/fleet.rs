//! The budget that all replicas share: turns that are reserved in the store, one by one and in the order in which they
//! were asked for.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::TenantError;
use super::budget::{Priority, SHARE};
use crate::clock::Clock;
use crate::store::Store;

/// What the call itself may take: a turn at the very end of somebody's patience would serve nobody.
const CALL: Duration = Duration::from_millis(500);

/// This replica's part in the shared budget.
pub(super) struct Fleet {
    store: Store,
    /// What the turns are called in the store. A database may serve several deployments, each with a tenant of its own.
    name: String,
    interval: Duration,
    clock: Clock,
    /// Turns that callers here had to wait for since the last one that was kept for a background read.
    queued: AtomicU32,
}

impl Fleet {
    /// A turn each `interval`, for everybody who uses `store` and calls this tenant.
    pub(super) fn new((store, tenant): (&Store, &str), interval: Duration, clock: &Clock) -> Self {
        let name = format!("management of {tenant}");
        Self { store: store.clone(), name, interval, clock: clock.clone(), queued: AtomicU32::new(0) }
    }

    /// Reserves a turn and waits for it; not if it lies behind `deadline`.
    ///
    /// A store that gives no answer is no reason not to call the tenant: its own limits still hold.
    pub(super) async fn turn(&self, priority: Priority, deadline: Instant) -> Result<(), TenantError> {
        let patience = deadline.saturating_duration_since(self.clock.instant());
        let is_share = priority == Priority::Background && self.queued.load(Ordering::Relaxed) >= SHARE - 1;
        // As long as callers wait at the most: what is kept for background reads is never further away.
        let horizon = if is_share { Duration::from_secs(60) } else { patience.saturating_sub(CALL) };
        match self.store.turn(&self.name, self.interval, horizon).await {
            Ok(Some(pause)) if pause.is_zero() => Ok(()),
            Ok(Some(pause)) => {
                match priority {
                    Priority::Background => self.queued.store(0, Ordering::Relaxed),
                    Priority::Interactive => drop(self.queued.fetch_add(1, Ordering::Relaxed)),
                }
                tokio::time::sleep(pause).await;
                Ok(())
            }
            Ok(None) => Err(TenantError::RateLimited { retry_after: patience.max(self.interval) }),
            Err(error) => {
                tracing::debug!(cause = %error, "the tenant is called without the shared budget");
                Ok(())
            }
        }
    }

    /// The tenant wants to be left alone, by all of us.
    pub(super) async fn pause(&self, pause: Duration) {
        if let Err(error) = self.store.pause(&self.name, pause).await {
            tracing::debug!(cause = %error, "other replicas do not hear of the tenant's pause");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn replicas_share_a_budget_and_tenants_do_not() {
        let clock = Clock::system();
        let store = Store::memory(&clock, 10);
        let fleet = |tenant| Fleet::new((&store, tenant), Duration::from_secs(60), &clock);
        let soon = clock.instant() + Duration::from_secs(5);
        assert!(fleet("acme.eu.auth0.com").turn(Priority::Interactive, soon).await.is_ok());
        let second = fleet("acme.eu.auth0.com").turn(Priority::Interactive, soon).await;
        assert!(matches!(second, Err(TenantError::RateLimited { .. })), "{second:?}");
        fleet("acme.eu.auth0.com").pause(Duration::from_secs(600)).await;
        assert!(fleet("other.eu.auth0.com").turn(Priority::Interactive, soon).await.is_ok());
    }
}
