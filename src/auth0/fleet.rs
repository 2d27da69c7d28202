//! The budget that all replicas share: turns that are reserved in the store, one by one and in the order in which they
//! were asked for.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::TenantError;
use super::budget::{Priority, SHARE};
use crate::clock::Clock;
use crate::store::Store;

/// What the turns are called in the store.
const BUDGET: &str = "management";

/// What the call itself may take: a turn at the very end of somebody's patience would serve nobody.
const CALL: Duration = Duration::from_millis(500);

/// This replica's part in the shared budget.
pub(super) struct Fleet {
    store: Store,
    interval: Duration,
    clock: Clock,
    /// Turns that callers here had to wait for since the last one that was kept for a background read.
    queued: AtomicU32,
}

impl Fleet {
    /// A turn each `interval`, for everybody who uses `store`.
    pub(super) fn new(store: &Store, interval: Duration, clock: &Clock) -> Self {
        Self { store: store.clone(), interval, clock: clock.clone(), queued: AtomicU32::new(0) }
    }

    /// Reserves a turn and waits for it; not if it lies behind `deadline`.
    ///
    /// A store that gives no answer is no reason not to call the tenant: its own limits still hold.
    pub(super) async fn turn(&self, priority: Priority, deadline: Instant) -> Result<(), TenantError> {
        let patience = deadline.saturating_duration_since(self.clock.instant());
        let is_share = priority == Priority::Background && self.queued.load(Ordering::Relaxed) >= SHARE - 1;
        // As long as callers wait at the most: what is kept for background reads is never further away.
        let horizon = if is_share { Duration::from_secs(60) } else { patience.saturating_sub(CALL) };
        match self.store.turn(BUDGET, self.interval, horizon).await {
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
        if let Err(error) = self.store.pause(BUDGET, pause).await {
            tracing::debug!(cause = %error, "other replicas do not hear of the tenant's pause");
        }
    }
}
