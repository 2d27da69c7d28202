//! How often and how many at a time the tenant is called: our own allowance, and what its answers say of theirs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hyper::http::StatusCode;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

use super::TenantError;
use super::fleet::Fleet;
use super::wire::Answer;
use crate::clock::Clock;
use crate::store::Store;

/// Who is waiting for a call's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// A caller.
    Interactive,
    /// Nobody who could not be served without it: it is done ahead of need, or to look again at what is held. It takes a
    /// turn that nobody waits for; where callers queue for every turn, one in [`SHARE`].
    Background,
}

/// After a 429 the tenant is approached at this pace, which every good answer halves until there is none.
const CAREFUL_PACE: Duration = Duration::from_millis(500);
/// Below this a pace makes no difference any more.
const PACE_MIN: Duration = Duration::from_millis(5);
/// `x-ratelimit-remaining: 0` is a hint, not a refusal: the tenant's bucket refills all the time, so the pause that it
/// causes is short even where `x-ratelimit-reset` is far.
const EMPTY_PAUSE_MAX: Duration = Duration::from_secs(2);

/// Where callers queue, one turn in this many is kept for background reads: without it a stream of new users would keep a
/// blocked one from ever being found out.
pub(super) const SHARE: u32 = 5;

/// The budget of one of the tenant's APIs. Turns are given in the order in which they were asked for.
pub(super) struct Budget {
    /// A std mutex: it is held for a few instructions and never across an await.
    pace: Mutex<Pace>,
    /// Told when all turns that were given and not used are void.
    voided: Notify,
    /// The calls to the tenant at a time, whatever API they are for.
    concurrency: Arc<Semaphore>,
    /// Where replicas share their allowance.
    fleet: Option<Fleet>,
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
    /// Turns that callers had to wait for since the last one that was kept for a background read.
    queued: u32,
}

impl Budget {
    /// `shared`: where replicas share what `management_rps` allows, and the tenant's domain; alone, this process keeps count
    /// by itself.
    pub(super) fn new(
        management_rps: Option<f64>,
        concurrency: &Arc<Semaphore>,
        shared: Option<(&Store, &str)>,
        clock: &Clock,
    ) -> Self {
        let now = clock.instant();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the range of u32")]
        let burst = management_rps.map_or(1, |rps| rps.clamp(1.0, 1e6) as u32);
        let allowed = management_rps.map(|rps| Duration::from_secs_f64(1.0 / rps.clamp(1e-3, 1e6)));
        let fleet = shared.zip(allowed).map(|(shared, interval)| Fleet::new(shared, interval, clock));
        let allowed = allowed.filter(|_| fleet.is_none());
        let pace = Pace { allowed, burst, learned: Duration::ZERO, used_until: now, paused_until: now, queued: 0 };
        let concurrency = Arc::clone(concurrency);
        Self { pace: Mutex::new(pace), voided: Notify::new(), concurrency, fleet, clock: clock.clone() }
    }

    /// Waits until one call may be made: for its turn, and for one of the concurrent calls to be free, both before
    /// `deadline`. A turn that comes to nothing is given back.
    pub(super) async fn enter(
        &self,
        priority: Priority,
        deadline: Instant,
    ) -> Result<SemaphorePermit<'_>, TenantError> {
        loop {
            self.turn(priority, deadline).await?;
            if let Some(fleet) = &self.fleet {
                fleet.turn(priority, deadline).await?;
            }
            let patience = deadline.saturating_duration_since(self.clock.instant());
            let Ok(Ok(permit)) = tokio::time::timeout(patience, self.concurrency.acquire()).await else {
                self.pace().give_back();
                return Err(TenantError::TooSlow);
            };
            let mut pace = self.pace();
            if pace.paused_until <= self.clock.instant() {
                return Ok(permit);
            }
            // A 429 came for somebody else meanwhile.
            pace.give_back();
        }
    }

    async fn turn(&self, priority: Priority, deadline: Instant) -> Result<(), TenantError> {
        loop {
            let voided = self.voided.notified();
            let now = self.clock.instant();
            let at = self.pace().take_turn(now, priority, deadline)?;
            if at <= now {
                return Ok(());
            }
            tokio::select! {
                biased;
                () = voided => {}
                () = tokio::time::sleep(at - now) => return Ok(()),
            }
        }
    }

    /// Takes note of what an answer says about the tenant's own limits, and has other replicas hear of a refusal.
    pub(super) async fn learn(&self, answer: &Answer) {
        self.take_note(answer);
        if let (Some(fleet), StatusCode::TOO_MANY_REQUESTS) = (&self.fleet, answer.status) {
            fleet.pause(answer.retry_after.unwrap_or(CAREFUL_PACE)).await;
        }
    }

    fn take_note(&self, answer: &Answer) {
        let now = self.clock.instant();
        let mut pace = self.pace();
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            let pause = answer.retry_after.unwrap_or(CAREFUL_PACE);
            self.pause(&mut pace, now, pause);
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
            self.pause(&mut pace, now, pause.min(EMPTY_PAUSE_MAX));
        }
    }

    /// A longer pause makes the turns void that were given and not used: whoever waits for one takes another, in the same
    /// order, from after the pause.
    fn pause(&self, pace: &mut Pace, now: Instant, pause: Duration) {
        if pace.paused_until < now + pause {
            pace.paused_until = now + pause;
            pace.forget_unused(now);
            self.voided.notify_waiters();
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
        let earliest = now.max(self.paused_until);
        let credit = self.spacing() * (self.burst() - 1);
        let at = self.used_until.checked_sub(credit).map_or(earliest, |free| free.max(earliest));
        // A background read may wait for its share however long that takes: it is never further away than callers wait.
        let is_share = priority == Priority::Background && self.queued >= SHARE - 1;
        let patience = match priority {
            Priority::Interactive => deadline,
            // What is free at once needs no patience at all.
            Priority::Background => deadline.max(now),
        };
        if at > patience && !is_share {
            return Err(TenantError::RateLimited { retry_after: at.saturating_duration_since(now) });
        }
        if at > now {
            self.queued = if priority == Priority::Background { 0 } else { self.queued.saturating_add(1) };
        }
        self.used_until = self.used_until.max(at) + self.spacing();
        Ok(at)
    }

    /// A turn was taken and not used.
    fn give_back(&mut self) {
        self.used_until = self.used_until.checked_sub(self.spacing()).unwrap_or(self.used_until);
    }

    /// Forgets the turns that lie ahead. Those that were used reach no further than a burst from now.
    fn forget_unused(&mut self, now: Instant) {
        self.used_until = self.used_until.min(now + self.spacing() * self.burst());
    }

    fn spacing(&self) -> Duration {
        self.allowed.unwrap_or_default().max(self.learned)
    }

    fn burst(&self) -> u32 {
        if self.learned > self.allowed.unwrap_or_default() { 1 } else { self.burst }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(rps: Option<f64>) -> (Budget, Clock) {
        let clock = Clock::system();
        (Budget::new(rps, &Arc::new(Semaphore::new(16)), None, &clock), clock)
    }

    fn turns(budget: &Budget, now: Instant, count: u32, priority: Priority) -> Vec<Option<u128>> {
        let deadline = match priority {
            Priority::Interactive => now + Duration::from_secs(15),
            Priority::Background => now,
        };
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

    #[test]
    fn where_callers_queue_one_turn_in_five_is_for_a_background_read() {
        let (budget, clock) = budget(Some(1.0));
        let now = clock.instant() + Duration::from_secs(60);
        let background = || budget.pace().take_turn(now, Priority::Background, now).ok().map(|at| (at - now).as_secs());
        assert_eq!(background(), Some(0), "nobody waits");
        for (round, kept) in [(0, 5), (1, 10)] {
            for _ in 0..4 {
                assert_eq!(background(), None, "round {round}");
                turns(&budget, now, 1, Priority::Interactive);
            }
            assert_eq!(background(), Some(kept), "round {round}");
        }
    }

    #[tokio::test]
    async fn who_waits_for_a_turn_when_a_pause_begins_takes_one_turn_in_its_place() {
        for pause in [3, 30] {
            let (budget, clock) = budget(Some(1.0));
            let (budget, now) = (Arc::new(budget), clock.instant());
            let deadline = now + Duration::from_secs(60);
            assert!(budget.turn(Priority::Interactive, deadline).await.is_ok());
            let mut waiting = tokio::task::JoinSet::new();
            for _ in 0..4 {
                let budget = Arc::clone(&budget);
                waiting.spawn(async move { budget.turn(Priority::Interactive, deadline).await });
            }
            tokio::task::yield_now().await;
            budget.pause(&mut budget.pace(), now, Duration::from_secs(pause));
            tokio::task::yield_now().await;
            // Four turns from the end of the pause on, and the next one is free behind them.
            let next = budget.pace().take_turn(clock.instant(), Priority::Interactive, deadline).unwrap();
            assert_eq!((next - now).as_secs(), pause + 4);
            waiting.abort_all();
        }
    }

    #[tokio::test]
    async fn a_turn_that_finds_no_free_call_is_given_back() {
        let clock = Clock::system();
        let budget = Budget::new(Some(0.001), &Arc::new(Semaphore::new(1)), None, &clock);
        let soon = || clock.instant() + Duration::from_millis(20);
        let running = budget.concurrency.acquire().await.unwrap();
        assert!(matches!(budget.enter(Priority::Interactive, soon()).await, Err(TenantError::TooSlow)));
        drop(running);
        assert!(budget.enter(Priority::Interactive, soon()).await.is_ok());
    }
}
