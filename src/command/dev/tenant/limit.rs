//! The Management API's rate limit: a bucket that fills continuously, and the headers that tell of it.

use std::time::Instant;

use hyper::http::Response;

use super::settings::RateLimit;
use crate::clock::Clock;
use crate::command::dev::answer::set;
use crate::command::dev::http::Body;

/// What a tenant says that limits nobody.
const GENEROUS: RateLimit = RateLimit { per_second: 100_000.0, burst: 100_000, retry_after: false };

/// The allowance of the tenant, full at first.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    filled: Option<(f64, Instant)>,
}

/// What the bucket had for one call.
#[derive(Debug)]
pub(super) struct Quota {
    pub(super) refused: bool,
    limit: u32,
    remaining: u32,
    /// Seconds, at least one, until one more call is added.
    wait: u64,
    reset: u64,
    retry_after: bool,
}

impl Bucket {
    /// Takes one call out, if there is one.
    pub(super) fn take(&mut self, clock: &Clock, limit: Option<RateLimit>) -> Quota {
        let RateLimit { per_second, burst, retry_after } = limit.unwrap_or(GENEROUS);
        let now = clock.instant();
        let (held, since) = self.filled.unwrap_or_else(|| (f64::from(burst), now));
        let added = now.saturating_duration_since(since).as_secs_f64() * per_second;
        let held = (held + added).min(f64::from(burst));
        let refused = held < 1.0;
        let left = if refused { held } else { held - 1.0 };
        self.filled = Some((left, now));
        // Floating point numbers saturate when they become integers.
        let wait = (((1.0 - left.fract()) / per_second).ceil() as u64).max(1);
        let reset = clock.now().unix_seconds().saturating_add(wait);
        Quota { refused, limit: burst, remaining: left as u32, wait, reset, retry_after }
    }
}

impl Quota {
    /// Puts `x-ratelimit-*` on an answer, and `retry-after` on a refusal where the tenant does so.
    pub(super) fn write(&self, response: &mut Response<Body>) {
        set(response, "x-ratelimit-limit", &self.limit.to_string());
        set(response, "x-ratelimit-remaining", &self.remaining.to_string());
        set(response, "x-ratelimit-reset", &self.reset.to_string());
        if self.refused && self.retry_after {
            set(response, "retry-after", &self.wait.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_is_spent_and_refills_with_time() {
        let clock = Clock::system();
        let mut bucket = Bucket::default();
        let limit = Some(RateLimit { per_second: 0.5, burst: 2, retry_after: true });
        let mut refused = || bucket.take(&clock, limit).refused;
        assert_eq!([refused(), refused(), refused()], [false, false, true]);
        clock.advance(Duration::from_secs(2));
        assert_eq!([refused(), refused()], [false, true]);
        clock.advance(Duration::from_secs(3600));
        assert_eq!([refused(), refused(), refused()], [false, false, true], "no more than the burst is saved up");
    }

    #[test]
    fn the_headers_tell_when_the_next_call_is_added() {
        let clock = Clock::system();
        let mut bucket = Bucket::default();
        let limit = Some(RateLimit { per_second: 0.1, burst: 1, retry_after: true });
        assert_eq!(bucket.take(&clock, limit).remaining, 0);
        let quota = bucket.take(&clock, limit);
        assert!(quota.refused);
        assert_eq!(quota.wait, 10);
        assert!(quota.reset - clock.now().unix_seconds() <= 10);
    }
}
