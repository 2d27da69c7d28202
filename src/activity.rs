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
    /// When the connection must be doing something else, in milliseconds since `born`; counts while nothing runs.
    deadline: AtomicU64,
    /// Whether the bytes of a head are coming in.
    head_begun: AtomicU32,
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
pub enum Finding {
    /// All is well; look again after this long.
    Wait(Duration),
    /// The caller is too slow, or idle for too long: the connection ends.
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
            deadline: AtomicU64::new(0),
            head_begun: AtomicU32::new(1),
            transfers: AtomicU32::new(0),
        };
        activity.expect_within(patience.head);
        activity
    }

    /// Bytes came from the caller.
    pub fn read(&self) {
        self.transfers.fetch_add(1, Ordering::Relaxed);
        if self.running.load(Ordering::Relaxed) == 0 && self.head_begun.swap(1, Ordering::Relaxed) == 0 {
            self.expect_within(self.patience.head);
        }
    }

    /// Bytes went to the caller.
    pub fn wrote(&self) {
        self.transfers.fetch_add(1, Ordering::Relaxed);
    }

    /// A request's head is complete. It runs until what is returned is dropped.
    #[must_use]
    pub fn begin(self: &Arc<Self>) -> Running {
        self.running.fetch_add(1, Ordering::Relaxed);
        self.head_begun.store(0, Ordering::Relaxed);
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
        if transfers != seen.transfers || self.streaming.load(Ordering::Relaxed) == 0 {
            *seen = Seen { transfers, since: now };
        }
        if self.streaming.load(Ordering::Relaxed) > 0 && now.duration_since(seen.since) >= self.patience.idle {
            return Finding::TooSlow;
        }
        let mut wait = self.patience.head.min(self.patience.idle);
        if self.running.load(Ordering::Relaxed) == 0 {
            let deadline = self.born + Duration::from_millis(self.deadline.load(Ordering::Relaxed));
            if deadline <= now {
                return Finding::TooSlow;
            }
            wait = wait.min(deadline - now);
        }
        Finding::Wait(wait)
    }

    fn expect_within(&self, patience: Duration) {
        let deadline = self.clock.instant().saturating_duration_since(self.born) + patience;
        self.deadline.store(u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// A request that is being answered.
pub struct Running {
    activity: Arc<Activity>,
    streaming: bool,
}

impl Running {
    /// The head of the answer is there, and its body is on its way.
    #[must_use]
    pub fn streaming(mut self) -> Self {
        if !std::mem::replace(&mut self.streaming, true) {
            self.activity.streaming.fetch_add(1, Ordering::Relaxed);
            // Silence counts from here, not from the last byte of the request.
            self.activity.wrote();
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
        if activity.running.fetch_sub(1, Ordering::Relaxed) == 1 {
            activity.expect_within(activity.patience.keep_alive);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience =
        Patience { head: Duration::from_secs(10), keep_alive: Duration::from_secs(90), idle: Duration::from_secs(300) };

    fn is_too_slow_after(activity: &Activity, clock: &Clock, seconds: u64) -> bool {
        let mut seen = activity.first_look();
        let _ = activity.look(&mut seen);
        clock.advance(Duration::from_secs(seconds));
        matches!(activity.look(&mut seen), Finding::TooSlow)
    }

    #[test]
    fn a_first_head_must_end_in_time_even_if_bytes_trickle_in() {
        let clock = Clock::system();
        let activity = Activity::new(clock.clone(), PATIENCE);
        activity.read();
        assert!(!is_too_slow_after(&activity, &clock, 9));
        activity.read();
        assert!(is_too_slow_after(&activity, &clock, 2));
    }

    #[test]
    fn between_requests_the_longer_patience_counts_until_a_byte_comes() {
        let clock = Clock::system();
        let activity = Arc::new(Activity::new(clock.clone(), PATIENCE));
        drop(activity.begin());
        assert!(!is_too_slow_after(&activity, &clock, 80));
        activity.read();
        assert!(!is_too_slow_after(&activity, &clock, 9));
        assert!(is_too_slow_after(&activity, &clock, 2));
    }

    #[test]
    fn a_running_request_has_no_deadline_here_but_a_silent_answer_has() {
        let clock = Clock::system();
        let activity = Arc::new(Activity::new(clock.clone(), PATIENCE));
        let running = activity.begin();
        assert!(!is_too_slow_after(&activity, &clock, 10_000));
        let _running = running.streaming();
        assert!(!is_too_slow_after(&activity, &clock, 200));
        activity.wrote();
        assert!(is_too_slow_after(&activity, &clock, 301));
    }
}
