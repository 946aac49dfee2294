//! Handles on the series of one interface or datasource: plain atomics, found once per generation, so that a
//! request touches no map and hashes no label.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::code::Code;
use super::event::{CacheState, QueryOutcome, RequestFinished};

/// Upper bounds of the latency buckets, in microseconds: 0.1 ms to 30 s.
pub const DURATION_BUCKETS_US: [u64; 17] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000,
];

/// Parts of a bucket that are counted apart, for quantiles that come near to the truth; Prometheus is given whole buckets.
const PARTS: usize = 2;

/// Bounds of the parts, in microseconds.
pub const FINE_BUCKETS_US: [u64; DURATION_BUCKETS_US.len() * PARTS] = {
    let mut bounds = [0; DURATION_BUCKETS_US.len() * PARTS];
    let mut at = 0;
    while at < bounds.len() {
        let bucket = at / PARTS;
        let lower = if bucket == 0 { 0 } else { DURATION_BUCKETS_US[bucket - 1] };
        let width = DURATION_BUCKETS_US[bucket] - lower;
        bounds[at] = lower + width * (at % PARTS + 1) as u64 / PARTS as u64;
        at += 1;
    }
    bounds
};

/// The `interface` and `version` of every call that no interface matched.
pub const UNKNOWN_INTERFACE: &str = "-";

/// A latency histogram.
pub(super) struct DurationHistogram {
    /// One count per fine bound, and one for what is slower than the last.
    buckets: [AtomicU64; FINE_BUCKETS_US.len() + 1],
    sum_us: AtomicU64,
}

impl Default for DurationHistogram {
    fn default() -> Self {
        Self { buckets: std::array::from_fn(|_| AtomicU64::new(0)), sum_us: AtomicU64::new(0) }
    }
}

impl DurationHistogram {
    fn observe(&self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = FINE_BUCKETS_US.partition_point(|bound| *bound < us);
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.sum_us.fetch_add(us, Relaxed);
    }

    pub(super) fn is_used(&self) -> bool {
        self.buckets.iter().any(|count| count.load(Relaxed) > 0)
    }

    /// Counts per bucket (not cumulative) and the sum in seconds.
    pub(super) fn read(&self) -> ([u64; DURATION_BUCKETS_US.len() + 1], f64) {
        let mut counts = [0; DURATION_BUCKETS_US.len() + 1];
        for (at, count) in self.fine().into_iter().enumerate() {
            counts[at / PARTS] += count;
        }
        (counts, self.sum_us.load(Relaxed) as f64 / 1e6)
    }

    /// Counts per part of a bucket (not cumulative).
    pub(super) fn fine(&self) -> [u64; FINE_BUCKETS_US.len() + 1] {
        read(&self.buckets)
    }
}

/// The series of one version of an interface.
pub struct InterfaceMetrics {
    code: String,
    version: String,
    requests: [AtomicU64; Code::COUNT],
    cache: [AtomicU64; CacheState::COUNT],
    rows: AtomicU64,
    bytes: AtomicU64,
    rate_limited: AtomicU64,
    schema_mismatch: AtomicU64,
    pub(super) duration: DurationHistogram,
}

/// A reading of [`InterfaceMetrics`].
pub(super) struct InterfaceReading {
    pub requests: [u64; Code::COUNT],
    pub cache: [u64; CacheState::COUNT],
    pub rows: u64,
    pub bytes: u64,
    pub rate_limited: u64,
    pub schema_mismatch: u64,
}

impl InterfaceMetrics {
    pub(super) fn new(code: &str, version: &str) -> Self {
        Self {
            code: code.into(),
            version: version.into(),
            requests: Default::default(),
            cache: Default::default(),
            rows: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            rate_limited: AtomicU64::new(0),
            schema_mismatch: AtomicU64::new(0),
            duration: DurationHistogram::default(),
        }
    }

    /// The interface's code.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The interface's version.
    pub fn version(&self) -> &str {
        &self.version
    }

    pub(super) fn finished(&self, request: &RequestFinished<'_>) {
        if request.measures_codes {
            self.requests[request.code.index()].fetch_add(1, Relaxed);
        }
        if request.measures_latency {
            self.duration.observe(request.duration);
        }
        self.rows.fetch_add(request.rows, Relaxed);
        self.bytes.fetch_add(request.bytes, Relaxed);
        if let Some(state) = request.cache {
            self.cache[state.index()].fetch_add(1, Relaxed);
        }
    }

    pub(super) fn rate_limited(&self) {
        self.rate_limited.fetch_add(1, Relaxed);
    }

    pub(super) fn schema_mismatch(&self) {
        self.schema_mismatch.fetch_add(1, Relaxed);
    }

    pub(super) fn read(&self) -> InterfaceReading {
        InterfaceReading {
            requests: read(&self.requests),
            cache: read(&self.cache),
            rows: self.rows.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            rate_limited: self.rate_limited.load(Relaxed),
            schema_mismatch: self.schema_mismatch.load(Relaxed),
        }
    }

    /// Whether anything was counted yet: an interface shows no series before its first call.
    pub(super) fn is_used(&self) -> bool {
        let used = |counter: &AtomicU64| counter.load(Relaxed) > 0;
        self.requests.iter().chain([&self.rate_limited, &self.schema_mismatch]).any(used)
            || self.duration.is_used()
    }
}

/// The series of one datasource.
pub struct DatasourceMetrics {
    id: String,
    queries: [AtomicU64; QueryOutcome::COUNT],
    rows: AtomicU64,
    pub(super) duration: DurationHistogram,
}

impl DatasourceMetrics {
    pub(super) fn new(id: &str) -> Self {
        Self {
            id: id.into(),
            queries: Default::default(),
            rows: AtomicU64::new(0),
            duration: DurationHistogram::default(),
        }
    }

    /// The datasource's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// A refused query was never sent: it counts, but has no latency.
    pub(super) fn finished(&self, outcome: QueryOutcome, duration: Duration, rows: u64) {
        self.queries[outcome.index()].fetch_add(1, Relaxed);
        self.rows.fetch_add(rows, Relaxed);
        if outcome != QueryOutcome::Refused {
            self.duration.observe(duration);
        }
    }

    /// Queries by outcome, and rows.
    pub(super) fn read(&self) -> ([u64; QueryOutcome::COUNT], u64) {
        (read(&self.queries), self.rows.load(Relaxed))
    }
}

fn read<const N: usize>(counters: &[AtomicU64; N]) -> [u64; N] {
    std::array::from_fn(|i| counters[i].load(Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_lands_in_the_bucket_whose_bound_it_does_not_exceed() {
        let histogram = DurationHistogram::default();
        for us in [0, 100, 101, 30_000_000, 30_000_001] {
            histogram.observe(Duration::from_micros(us));
        }
        let (counts, sum_seconds) = histogram.read();
        assert_eq!(counts[0], 2);
        assert_eq!(counts[1], 1);
        assert_eq!(counts[16], 1);
        assert_eq!(counts[17], 1);
        assert!((sum_seconds - 60.000_202).abs() < 1e-9);
    }

    #[test]
    fn a_handle_is_small() {
        assert!(size_of::<InterfaceMetrics>() < 512, "{} bytes", size_of::<InterfaceMetrics>());
    }
}
