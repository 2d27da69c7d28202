//! What requests add up to, a few seconds at a time, for a quarter of an hour.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::telemetry::access::Record;

/// What one sample is about.
pub const TICK: Duration = Duration::from_secs(5);
/// Samples that are kept: a quarter of an hour.
const SAMPLES_MAX: usize = 180;

/// Whose fault failures are, and `relayed` for those that a provider answered with an error of its own.
pub const FAULTS: [&str; 5] = ["caller", "proxy", "tenant", "provider", "relayed"];

/// Steps within a power of two: a duration is told to a quarter of itself.
const STEPS: usize = 4;
/// Up to over an hour.
const BUCKETS: usize = 32 * STEPS;

/// What the requests that ended within one [`TICK`] add up to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When it began.
    pub at: Timestamp,
    /// How many there were.
    pub requests: u64,
    /// How many of them failed, in the order of [`FAULTS`].
    pub faults: [u64; FAULTS.len()],
    /// What half of them, 95 and 99 of a hundred did not take longer than.
    pub latency: [Duration; 3],
}

/// The samples, the oldest first.
#[derive(Default)]
pub(super) struct History(VecDeque<Counts>);

struct Counts {
    tick: u64,
    requests: u64,
    faults: [u64; FAULTS.len()],
    latency: Box<[u32; BUCKETS]>,
}

impl History {
    /// Counts a request that has ended.
    pub(super) fn add(&mut self, record: &Record) {
        let ended = record.at.plus(record.total).unix_seconds();
        // Requests end in about the order of time; one that is late by a tick counts into the newest.
        let tick = (ended / TICK.as_secs()).max(self.0.back().map_or(0, |last| last.tick));
        if self.0.back().is_none_or(|last| last.tick < tick) {
            if self.0.len() == SAMPLES_MAX {
                self.0.pop_front();
            }
            self.0.push_back(Counts { tick, requests: 0, faults: [0; FAULTS.len()], latency: Box::new([0; BUCKETS]) });
        }
        let Some(counts) = self.0.back_mut() else { return };
        counts.requests += 1;
        let fault = if record.fault.is_empty() && record.status >= 400 { "relayed" } else { record.fault };
        if let Some((_, count)) = FAULTS.iter().zip(&mut counts.faults).find(|(name, _)| **name == fault) {
            *count += 1;
        }
        if let Some(count) = counts.latency.get_mut(bucket(record.total)) {
            *count = count.saturating_add(1);
        }
    }

    /// The samples of the quarter of an hour before `now`.
    pub(super) fn since(&self, now: Timestamp) -> Vec<Sample> {
        let first = (now.unix_seconds() / TICK.as_secs()).saturating_sub(SAMPLES_MAX as u64);
        self.0.iter().filter(|counts| counts.tick > first).map(Counts::sample).collect()
    }
}

impl Counts {
    fn sample(&self) -> Sample {
        Sample {
            at: Timestamp::from_unix_seconds(self.tick * TICK.as_secs()),
            requests: self.requests,
            faults: self.faults,
            latency: [50, 95, 99].map(|percent| self.percentile(percent)),
        }
    }

    /// What so many of a hundred did not take longer than.
    fn percentile(&self, percent: u64) -> Duration {
        let wanted = (self.requests * percent).div_ceil(100);
        let mut seen = 0;
        let found = self.latency.iter().position(|count| {
            seen += u64::from(*count);
            seen >= wanted
        });
        found.map_or(Duration::ZERO, upper_end)
    }
}

/// Where a duration is counted: a power of two of microseconds, and which part of it.
fn bucket(duration: Duration) -> usize {
    let microseconds = u32::try_from(duration.as_micros()).unwrap_or(u32::MAX);
    let Some(power) = microseconds.checked_ilog2().filter(|power| *power >= 2) else { return microseconds as usize };
    let part = (microseconds >> (power - 2)) as usize % STEPS;
    (power as usize - 1) * STEPS + part
}

/// The longest duration of a bucket.
fn upper_end(bucket: usize) -> Duration {
    let (power, part) = (bucket / STEPS + 1, bucket % STEPS);
    if power == 1 {
        return Duration::from_micros(part as u64);
    }
    Duration::from_micros((((STEPS + part + 1) as u64) << (power - 2)) - 1)
}

#[cfg(test)]
mod tests {
    use hyper::http::Method;

    use super::*;
    use crate::clock::Clock;
    use crate::telemetry::access::{Book, RequestId};
    use crate::telemetry::feed::Feed;
    use crate::telemetry::metrics::Metrics;

    fn record(at: u64, status: u16, fault: &'static str, milliseconds: u64) -> Record {
        let book = Book::new(None, Metrics::new(), Clock::system(), Feed::default());
        let entry = book.begin(RequestId([b'a'; 24]), &Method::GET, None);
        let mut record = entry.record().unwrap().clone();
        (record.at, record.status, record.fault) = (Timestamp::from_unix_seconds(at), status, fault);
        record.total = Duration::from_millis(milliseconds);
        record
    }

    #[test]
    fn a_bucket_ends_at_most_a_quarter_above_what_is_counted_there() {
        for microseconds in (0..5_000).chain([1_000_000, 123_456_789, u64::from(u32::MAX)]) {
            let duration = Duration::from_micros(microseconds);
            let told = upper_end(bucket(duration));
            assert!(told >= duration && told <= duration + duration / 4, "{duration:?} is told as {told:?}");
        }
        assert!(bucket(Duration::MAX) < BUCKETS);
    }

    #[test]
    fn requests_are_counted_by_time_fault_and_what_they_took() {
        let mut history = History::default();
        for milliseconds in 1..=100 {
            history.add(&record(1_000, 200, "", milliseconds));
        }
        history.add(&record(1_007, 403, "caller", 1));
        history.add(&record(1_008, 404, "", 1));
        let samples = history.since(Timestamp::from_unix_seconds(1_010));
        let [first, second] = &samples[..] else { panic!("{samples:?}") };
        assert_eq!((first.at, first.requests), (Timestamp::from_unix_seconds(1_000), 100));
        for (told, expected) in first.latency.iter().zip([50, 95, 99]) {
            let expected = Duration::from_millis(expected);
            assert!(*told >= expected && *told <= expected + expected / 4, "{told:?} for {expected:?}");
        }
        assert_eq!((second.requests, second.faults), (2, [1, 0, 0, 0, 1]));
        assert!(history.since(Timestamp::from_unix_seconds(1_010 + 15 * 60)).is_empty());
    }

    #[test]
    fn no_more_than_a_quarter_of_an_hour_is_kept() {
        let mut history = History::default();
        for index in 0..SAMPLES_MAX as u64 + 10 {
            history.add(&record(5 * index, 200, "", 1));
        }
        assert_eq!(history.0.len(), SAMPLES_MAX);
    }
}
