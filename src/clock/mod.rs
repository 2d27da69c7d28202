//! The one source of time.
//!
//! Whatever judges an expiry is given a [`Clock`]; nothing else may ask the system (a lint says so), so that a test
//! can move time without sleeping.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

mod timestamp;

pub use timestamp::Timestamp;

/// Tells the time. Clones share one time, so a test that moves it moves it for everything built with it.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// How far ahead of the system this clock runs, in milliseconds; zero outside tests.
    ahead: Arc<AtomicU64>,
}

impl Clock {
    /// The system's time.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// The wall-clock time, for comparison with `exp`, `nbf` and other times made elsewhere.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system")]
    pub fn now(&self) -> Timestamp {
        let system = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_unix_millis(millis(system).saturating_add(self.ahead.load(Ordering::Relaxed)))
    }

    /// The monotonic time, for ages and cooldowns, which a step of the wall clock must not change.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system")]
    pub fn instant(&self) -> Instant {
        Instant::now() + Duration::from_millis(self.ahead.load(Ordering::Relaxed))
    }

    /// Moves this clock and all its clones forward by `duration`. Timers of the runtime do not move.
    pub fn advance(&self, duration: Duration) {
        self.ahead.fetch_add(millis(duration), Ordering::Relaxed);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_one_time() {
        let clock = Clock::system();
        let clone = clock.clone();
        let before = clone.now();
        clock.advance(Duration::from_secs(3600));
        assert!(clone.now().since(before) >= Duration::from_secs(3600));
        assert!(clone.now().since(before) < Duration::from_secs(3610));
    }
}
