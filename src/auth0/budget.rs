//! How often and how many at a time the tenant is called: our own allowance, and what its answers say of theirs.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::StatusCode;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::TenantError;
use super::wire::Answer;
use crate::clock::Clock;

/// Who is waiting for a call's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// A caller.
    Interactive,
    /// Nobody: it is done ahead of need, and only when nobody else waits.
    Background,
}

/// After a 429 the tenant is approached at this pace, which every good answer halves until there is none.
const CAREFUL_PACE: Duration = Duration::from_millis(500);
/// Below this a pace makes no difference any more.
const PACE_MIN: Duration = Duration::from_millis(5);
/// `x-ratelimit-remaining: 0` is a hint, not a refusal: the tenant's bucket refills all the time, so the pause that it
/// causes is short even where `x-ratelimit-reset` is far.
const EMPTY_PAUSE_MAX: Duration = Duration::from_secs(2);

/// The budget of one tenant. Turns are given in the order in which they were asked for.
pub(super) struct Budget {
    /// A std mutex: it is held for a few instructions and never across an await.
    pace: Mutex<Pace>,
    concurrency: Semaphore,
    clock: Clock,
}

struct Pace {
    /// `1 / management_rps`.
    allowed: Option<Duration>,
    /// How many calls may come at once after a quiet time: one second's worth.
    burst: u32,
    /// Learned from 429s; zero when there were none lately.
    learned: Duration,
    /// The time by which all turns given so far are used up (GCRA's theoretical arrival time).
    used_until: Instant,
    /// No call before this.
    paused_until: Instant,
}

impl Budget {
    pub(super) fn new(management_rps: Option<f64>, concurrency: usize, clock: &Clock) -> Self {
        let now = clock.instant();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the range of u32")]
        let burst = management_rps.map_or(1, |rps| rps.clamp(1.0, 1e6) as u32);
        let allowed = management_rps.map(|rps| Duration::from_secs_f64(1.0 / rps.clamp(1e-3, 1e6)));
        let pace = Pace { allowed, burst, learned: Duration::ZERO, used_until: now, paused_until: now };
        Self { pace: Mutex::new(pace), concurrency: Semaphore::new(concurrency), clock: clock.clone() }
    }

    /// Waits for a turn to make one call, if it comes before `deadline`.
    pub(super) async fn turn(&self, priority: Priority, deadline: Instant) -> Result<(), TenantError> {
        loop {
            let now = self.clock.instant();
            let at = self.pace().take_turn(now, priority, deadline)?;
            if at > now {
                tokio::time::sleep(at - now).await;
            }
            // A 429 may have come for somebody else while this one slept. Its turn is then no turn any more.
            if self.pace().paused_until <= self.clock.instant() {
                return Ok(());
            }
        }
    }

    /// Waits until one of the concurrent calls is free, if that is before `deadline`.
    pub(super) async fn enter(&self, deadline: Instant) -> Result<SemaphorePermit<'_>, TenantError> {
        let patience = deadline.saturating_duration_since(self.clock.instant());
        match tokio::time::timeout(patience, self.concurrency.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(TenantError::TooSlow),
        }
    }

    /// Takes note of what an answer says about the tenant's own limits.
    pub(super) fn learn(&self, answer: &Answer) {
        let now = self.clock.instant();
        let mut pace = self.pace();
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            let pause = answer.retry_after.unwrap_or(CAREFUL_PACE);
            pace.paused_until = pace.paused_until.max(now + pause);
            pace.learned = CAREFUL_PACE;
            return;
        }
        pace.learned /= 2;
        if pace.learned < PACE_MIN {
            pace.learned = Duration::ZERO;
        }
        let remaining = answer.headers.get("x-ratelimit-remaining").and_then(|value| value.to_str().ok());
        if remaining == Some("0")
            && let Some(pause) = answer.retry_after
        {
            pace.paused_until = pace.paused_until.max(now + pause.min(EMPTY_PAUSE_MAX));
        }
    }

    /// Whether the pause that the tenant asked for ends before `deadline`.
    pub(super) fn is_worth_waiting(&self, deadline: Instant) -> bool {
        self.pace().paused_until < deadline
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        // The state is plain numbers: a panic elsewhere cannot have left it half written.
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pace {
    /// Gives the next turn away and tells when it is.
    fn take_turn(&mut self, now: Instant, priority: Priority, deadline: Instant) -> Result<Instant, TenantError> {
        let spacing = self.allowed.unwrap_or_default().max(self.learned);
        let burst = if self.learned > self.allowed.unwrap_or_default() { 1 } else { self.burst };
        let earliest = now.max(self.paused_until);
        let credit = spacing * (burst - 1);
        let at = self.used_until.checked_sub(credit).map_or(earliest, |free| free.max(earliest));
        let patience = match priority {
            Priority::Interactive => deadline,
            Priority::Background => now,
        };
        if at > patience {
            return Err(TenantError::RateLimited { retry_after: at.saturating_duration_since(now) });
        }
        self.used_until = self.used_until.max(at) + spacing;
        Ok(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(rps: Option<f64>) -> (Budget, Clock) {
        let clock = Clock::system();
        (Budget::new(rps, 16, &clock), clock)
    }

    fn turns(budget: &Budget, now: Instant, count: u32, priority: Priority) -> Vec<Option<u128>> {
        let deadline = now + Duration::from_secs(15);
        let turn = |_| budget.pace().take_turn(now, priority, deadline).ok();
        (0..count).map(turn).map(|at| at.map(|at| at.duration_since(now).as_millis())).collect()
    }

    #[test]
    fn two_a_second_are_a_burst_of_two_then_one_every_half_second_in_order() {
        let (budget, clock) = budget(Some(2.0));
        let now = clock.instant() + Duration::from_secs(60);
        let expected = [Some(0), Some(0), Some(500), Some(1000), Some(1500)];
        assert_eq!(turns(&budget, now, 5, Priority::Interactive), expected);
    }

    #[test]
    fn whoever_could_not_be_served_in_time_is_told_when_to_come_back_and_takes_no_turn() {
        let (budget, clock) = budget(Some(2.0));
        let now = clock.instant() + Duration::from_secs(60);
        let served = turns(&budget, now, 500, Priority::Interactive).into_iter().flatten().count();
        assert_eq!(served, 32, "two at once and thirty in fifteen seconds");
        let refused = budget.pace().take_turn(now, Priority::Interactive, now + Duration::from_secs(15));
        assert!(matches!(refused, Err(TenantError::RateLimited { retry_after }) if retry_after.as_millis() == 15_500));
    }

    #[test]
    fn background_calls_take_no_turn_that_a_caller_waits_for() {
        let (budget, clock) = budget(Some(1.0));
        let now = clock.instant() + Duration::from_secs(60);
        assert_eq!(turns(&budget, now, 2, Priority::Interactive), [Some(0), Some(1000)]);
        assert_eq!(turns(&budget, now, 1, Priority::Background), [None]);
        assert_eq!(turns(&budget, now, 1, Priority::Interactive), [Some(2000)]);
    }

    #[test]
    fn without_a_budget_there_is_no_pace() {
        let (budget, clock) = budget(None);
        let now = clock.instant();
        assert!(turns(&budget, now, 1000, Priority::Interactive).iter().all(|at| *at == Some(0)));
    }
}
