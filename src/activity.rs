//! What a caller's connection is doing, so that one timer can tell idle from slow from stuck.
//!
//! Requests only store numbers here; they never touch a timer. The connection's one timer looks at the numbers when it
//! fires and sets itself anew, so an exchange costs no timer operation however many deadlines it passes through.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::clock::Clock;

/// The timers of a caller's connection.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// From a head's first byte to its end; also from a connection's start to the end of its first head.
    pub head: Duration,
    /// Between requests.
    pub keep_alive: Duration,
    /// Without a byte in either direction while an answer is on its way.
    pub idle: Duration,
}

/// The state of one connection.
pub struct Activity {
    clock: Clock,
    born: Instant,
    patience: Patience,
    /// Requests that are being answered.
    running: AtomicU32,
    /// Answers whose body is on its way.
    streaming: AtomicU32,
    /// Requests whose body is not at its end.
    uploading: AtomicU32,
    /// When the head that is coming in must be complete; 0 while none is. In milliseconds since `born`.
    head_deadline: AtomicU64,
    /// When a request must have begun, while none runs. In milliseconds since `born`.
    idle_deadline: AtomicU64,
    /// Counts reads and writes, so that silence can be told without asking the time on each.
    transfers: AtomicU32,
}

/// What the timer saw last.
#[derive(Clone, Copy)]
pub struct Seen {
    transfers: u32,
    since: Instant,
}

/// The timer's finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// All is well; look again after this long.
    Wait(Duration),
    /// Nobody has asked for anything for too long: the connection may go.
    Idle,
    /// The caller sends or takes too slowly: the connection must go.
    TooSlow,
}

impl Activity {
    /// A connection that was just accepted.
    #[must_use]
    pub fn new(clock: Clock, patience: Patience) -> Self {
        let born = clock.instant();
        let activity = Self {
            clock,
            born,
            patience,
            running: AtomicU32::new(0),
            streaming: AtomicU32::new(0),
            uploading: AtomicU32::new(0),
            head_deadline: AtomicU64::new(0),
            idle_deadline: AtomicU64::new(u64::MAX),
            transfers: AtomicU32::new(0),
        };
        activity.head_begins();
        activity
    }

    /// Bytes came or went.
    pub fn transfer(&self) {
        self.transfers.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether no request runs and nothing is left of one, so that bytes which come are a new one's.
    pub fn is_idle(&self) -> bool {
        self.running.load(Ordering::Relaxed) == 0 && self.uploading.load(Ordering::Relaxed) == 0
    }

    /// Whether somebody must send or take bytes: of an answer, or of a body that outlasts its answer. (While an answer is
    /// waited for, the way to the provider has timers of its own.)
    fn must_move(&self) -> bool {
        let is_left_over = || self.running.load(Ordering::Relaxed) == 0 && self.uploading.load(Ordering::Relaxed) > 0;
        self.streaming.load(Ordering::Relaxed) > 0 || is_left_over()
    }

    /// The time between requests begins, if nothing of one is left.
    fn rest(&self) {
        if self.is_idle() {
            self.idle_deadline.store(self.after(self.patience.keep_alive), Ordering::Relaxed);
        }
    }

    /// The first bytes of a head came in.
    pub fn head_begins(&self) {
        if self.head_deadline.load(Ordering::Relaxed) == 0 {
            self.head_deadline.store(self.after(self.patience.head), Ordering::Relaxed);
        }
    }

    /// A head is complete.
    pub fn head_ends(&self) {
        self.head_deadline.store(0, Ordering::Relaxed);
    }

    /// A request begins to be answered. It runs until what is returned is dropped.
    #[must_use]
    pub fn begin(self: &Arc<Self>) -> Running {
        self.running.fetch_add(1, Ordering::Relaxed);
        Running { activity: Arc::clone(self), streaming: false }
    }

    /// What the timer starts from.
    #[must_use]
    pub fn first_look(&self) -> Seen {
        Seen { transfers: 0, since: self.born }
    }

    /// Looks at the connection, as its timer.
    #[must_use]
    pub fn look(&self, seen: &mut Seen) -> Finding {
        let now = self.clock.instant();
        let transfers = self.transfers.load(Ordering::Relaxed);
        let must_move = self.must_move();
        if transfers != seen.transfers || !must_move {
            *seen = Seen { transfers, since: now };
        }
        let elapsed = millis(now.saturating_duration_since(self.born));
        let head_deadline = self.head_deadline.load(Ordering::Relaxed);
        let is_silent = must_move && now.saturating_duration_since(seen.since) >= self.patience.idle;
        if is_silent || (head_deadline != 0 && head_deadline <= elapsed) {
            return Finding::TooSlow;
        }
        // A deadline can come to be at any moment, but lies at least this far ahead then.
        let mut wait = self.patience.head.min(self.patience.idle).min(self.patience.keep_alive);
        if head_deadline != 0 {
            wait = wait.min(Duration::from_millis(head_deadline - elapsed));
        }
        if self.is_idle() {
            let idle_deadline = self.idle_deadline.load(Ordering::Relaxed);
            if idle_deadline <= elapsed {
                return Finding::Idle;
            }
            wait = wait.min(Duration::from_millis(idle_deadline - elapsed));
        }
        Finding::Wait(wait)
    }

    fn after(&self, patience: Duration) -> u64 {
        millis(self.clock.instant().saturating_duration_since(self.born) + patience)
    }
}

/// A request that is being answered.
pub struct Running {
    activity: Arc<Activity>,
    streaming: bool,
}

impl Running {
    /// The request has a body. It is coming in until what is returned is dropped.
    #[must_use]
    pub fn uploading(&self) -> Uploading {
        self.activity.uploading.fetch_add(1, Ordering::Relaxed);
        Uploading(Arc::clone(&self.activity))
    }

    /// The head of the answer is there, and its body is on its way.
    #[must_use]
    pub fn streaming(mut self) -> Self {
        if !std::mem::replace(&mut self.streaming, true) {
            self.activity.streaming.fetch_add(1, Ordering::Relaxed);
            // Silence counts from here, not from the last byte of the request.
            self.activity.transfer();
        }
        self
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let activity = &self.activity;
        if self.streaming {
            activity.streaming.fetch_sub(1, Ordering::Relaxed);
        }
        activity.running.fetch_sub(1, Ordering::Relaxed);
        activity.rest();
    }
}

/// A request's body that is coming in. In HTTP/1.1 it may go on doing so when the answer has long been given, and its
/// bytes are no new request's.
pub struct Uploading(Arc<Activity>);

impl Drop for Uploading {
    fn drop(&mut self) {
        self.0.uploading.fetch_sub(1, Ordering::Relaxed);
        self.0.rest();
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience =
        Patience { head: Duration::from_secs(10), keep_alive: Duration::from_secs(90), idle: Duration::from_secs(300) };

    fn connection() -> (Arc<Activity>, Clock) {
        let clock = Clock::system();
        (Arc::new(Activity::new(clock.clone(), PATIENCE)), clock)
    }

    fn after(activity: &Activity, clock: &Clock, seconds: u64) -> Finding {
        let mut seen = activity.first_look();
        let _ = activity.look(&mut seen);
        clock.advance(Duration::from_secs(seconds));
        match activity.look(&mut seen) {
            Finding::Wait(_) => Finding::Wait(Duration::ZERO),
            end @ (Finding::Idle | Finding::TooSlow) => end,
        }
    }

    const FINE: Finding = Finding::Wait(Duration::ZERO);

    #[test]
    fn a_first_head_must_end_in_time_even_if_bytes_trickle_in() {
        let (activity, clock) = connection();
        activity.head_begins();
        assert_eq!(after(&activity, &clock, 9), FINE);
        activity.head_begins();
        assert_eq!(after(&activity, &clock, 2), Finding::TooSlow);
    }

    #[test]
    fn between_requests_the_longer_patience_counts_until_a_head_begins() {
        let (activity, clock) = connection();
        activity.head_ends();
        drop(activity.begin());
        assert_eq!(after(&activity, &clock, 80), FINE);
        activity.transfer();
        assert_eq!(after(&activity, &clock, 9), FINE);
        assert_eq!(after(&activity, &clock, 2), Finding::Idle);
        activity.head_begins();
        drop(activity.begin());
        assert_eq!(after(&activity, &clock, 11), Finding::TooSlow);
    }

    #[test]
    fn a_running_request_has_no_deadline_here_but_a_silent_answer_has() {
        let (activity, clock) = connection();
        activity.head_ends();
        let running = activity.begin();
        assert_eq!(after(&activity, &clock, 10_000), FINE);
        let _running = running.streaming();
        assert_eq!(after(&activity, &clock, 200), FINE);
        activity.transfer();
        assert_eq!(after(&activity, &clock, 301), Finding::TooSlow);
    }

    #[test]
    fn a_body_that_outlasts_its_answer_is_no_new_head_but_must_move() {
        let (activity, clock) = connection();
        activity.head_ends();
        let running = activity.begin();
        let uploading = running.uploading();
        drop(running);
        assert!(!activity.is_idle());
        assert_eq!(after(&activity, &clock, 299), FINE);
        activity.transfer();
        assert_eq!(after(&activity, &clock, 301), Finding::TooSlow);
        drop(uploading);
        assert!(activity.is_idle());
        assert_eq!(after(&activity, &clock, 91), Finding::Idle);
    }
}
