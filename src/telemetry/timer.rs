//! Durations, counted by size. prometheus-client's own histogram takes a lock for every value; a request has three.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// The upper ends of the buckets in nanoseconds: from a memory hit (a microsecond) to the longest wait for a token.
const BOUNDS: [u64; 12] = [
    1_000,
    2_000,
    5_000,
    10_000,
    50_000,
    100_000,
    1_000_000,
    10_000_000,
    100_000_000,
    1_000_000_000,
    5_000_000_000,
    15_000_000_000,
];

/// A histogram of durations, in seconds when it is read; clones count into the same one.
#[derive(Clone, Debug, Default)]
pub(super) struct Timer(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// One for each bound and one for what lies beyond the last.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
}

impl Timer {
    /// Counts a duration.
    pub(super) fn observe(&self, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let index = BOUNDS.iter().position(|bound| nanoseconds <= *bound).unwrap_or(BOUNDS.len());
        if let Some(bucket) = self.0.buckets.get(index) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.0.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }
}

impl EncodeMetric for Timer {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let counts = self.0.buckets.each_ref().map(|bucket| bucket.load(Ordering::Relaxed));
        let bounds = BOUNDS.iter().map(|bound| seconds(*bound)).chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let sum = seconds(self.0.nanoseconds.load(Ordering::Relaxed));
        encoder.encode_histogram::<NoLabelSet>(sum, counts.iter().sum(), &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

impl TypedMetric for Timer {
    const TYPE: MetricType = MetricType::Histogram;
}

fn seconds(nanoseconds: u64) -> f64 {
    Duration::from_nanos(nanoseconds).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text;
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn durations_are_counted_below_the_bounds_they_do_not_exceed() {
        let timer = Timer::default();
        for microseconds in [1, 2, 3, 20_000_000] {
            timer.observe(Duration::from_micros(microseconds));
        }
        let mut registry = Registry::default();
        registry.register("cost_seconds", "A cost", timer);
        let mut out = String::new();
        text::encode(&mut out, &registry).unwrap();
        for line in [
            r#"cost_seconds_bucket{le="0.000001"} 1"#,
            r#"cost_seconds_bucket{le="0.000002"} 2"#,
            r#"cost_seconds_bucket{le="0.000005"} 3"#,
            r#"cost_seconds_bucket{le="15.0"} 3"#,
            r#"cost_seconds_bucket{le="+Inf"} 4"#,
            "cost_seconds_count 4",
            "cost_seconds_sum 20.000006",
        ] {
            assert!(out.contains(line), "{line} is missing from:\n{out}");
        }
    }
}
