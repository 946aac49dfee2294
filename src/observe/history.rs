//! The last hour of each interface, in steps: differences of the counters that are there anyway, taken now and then, so that a
//! request pays nothing for them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::time::{MissedTickBehavior, interval};

use super::code::Code;
use super::event::CacheState;
use super::metrics::Metrics;
use super::series::{FINE_BUCKETS_US, InterfaceMetrics};

/// Seconds of a step, and steps that are kept.
pub const STEP_SECONDS: i64 = 15;
pub const MAX_STEPS: i64 = 240;
/// Interface versions whose steps are kept, of those called within the hour; others are only part of the sum. One with
/// answers of all speeds takes some 85 KB, a usual one a third of that.
pub const MAX_INTERFACES: usize = 500;

const BUCKETS: usize = FINE_BUCKETS_US.len() + 1;
/// Counts beside those of the durations.
const FIGURES: usize = 6;

/// What was counted in a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    pub requests: u64,
    /// Requests whose outcome was counted, as an interface may have it, and those of them that did not end in `OK`.
    pub outcomes: u64,
    pub errors: u64,
    /// Errors that are ours and not the caller's: those that HTTP has from 500 on.
    pub failures: u64,
    /// Requests that met the cache, and those that found their answer there.
    pub cache_asked: u64,
    pub cache_hits: u64,
    durations: [u64; BUCKETS],
}

impl Default for Counts {
    fn default() -> Self {
        Self::from([0; FIGURES], &[0; BUCKETS])
    }
}

impl Counts {
    /// The share of requests that failed; `None` where outcomes are not counted.
    pub fn error_ratio(&self) -> Option<f64> {
        (self.outcomes > 0).then(|| ratio(self.errors, self.outcomes))
    }

    /// The share of requests that failed through no fault of the caller; `None` where outcomes are not counted.
    pub fn failure_ratio(&self) -> Option<f64> {
        (self.outcomes > 0).then(|| ratio(self.failures, self.outcomes))
    }

    /// The share of hits among those that met the cache; `None` where nobody did.
    pub fn cache_ratio(&self) -> Option<f64> {
        (self.cache_asked > 0).then(|| ratio(self.cache_hits, self.cache_asked))
    }

    /// The duration in milliseconds that a share of the requests does not exceed, as near as buckets tell; `None` where none was
    /// measured.
    pub fn quantile_ms(&self, share: f64) -> Option<f64> {
        let all: u64 = self.durations.iter().sum();
        let rank = share * all as f64;
        let (mut before, mut lower_us) = (0.0, 0.0);
        for (at, count) in self.durations.iter().enumerate().filter(|_| all > 0) {
            // What is slower than the last bound is as slow as that.
            let upper_us = FINE_BUCKETS_US.get(at).map_or(lower_us, |bound| *bound as f64);
            let count = *count as f64;
            if count > 0.0 && before + count >= rank {
                let within = (rank - before) / count;
                return Some((lower_us + (upper_us - lower_us) * within) / 1e3);
            }
            (before, lower_us) = (before + count, upper_us);
        }
        None
    }

    fn of(interface: &InterfaceMetrics) -> Self {
        let reading = interface.read();
        let durations = interface.duration.fine();
        let counted: u64 = reading.requests.iter().sum();
        let cache = |state: CacheState| reading.cache[state.index()];
        Self {
            // An interface may have only one of the two measured.
            requests: counted.max(durations.iter().sum()),
            outcomes: counted,
            errors: counted - reading.requests[Code::Ok.index()],
            failures: Code::ALL
                .iter()
                .filter(|code| code.http_status() >= 500)
                .map(|code| reading.requests[code.index()])
                .sum(),
            cache_asked: reading.cache.iter().sum::<u64>() - cache(CacheState::Bypass),
            cache_hits: cache(CacheState::Hit) + cache(CacheState::Stale),
            durations,
        }
    }

    fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// All but the durations.
    fn figures(&self) -> [u64; FIGURES] {
        let Self { requests, outcomes, errors, failures, cache_asked, cache_hits, .. } = *self;
        [requests, outcomes, errors, failures, cache_asked, cache_hits]
    }

    fn from(figures: [u64; FIGURES], durations: &[u64; BUCKETS]) -> Self {
        let [requests, outcomes, errors, failures, cache_asked, cache_hits] = figures;
        let durations = *durations;
        Self { requests, outcomes, errors, failures, cache_asked, cache_hits, durations }
    }

    fn zip(&self, other: &Self, with: impl Fn(u64, u64) -> u64) -> Self {
        let (own, theirs) = (self.figures(), other.figures());
        Self::from(
            std::array::from_fn(|i| with(own[i], theirs[i])),
            &std::array::from_fn(|i| with(self.durations[i], other.durations[i])),
        )
    }

    fn add(&mut self, other: &Self) {
        *self = self.zip(other, u64::saturating_add);
    }

    /// What came since `earlier`; all of it where the counters have begun anew.
    fn since(&self, earlier: &Self) -> Self {
        self.zip(earlier, |now, then| now.checked_sub(then).unwrap_or(now))
    }
}

fn ratio(part: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { part as f64 / all as f64 }
}

/// Code and version of an interface.
type Key = (String, String);

/// The steps of all interfaces.
#[derive(Debug, Default)]
pub struct History {
    recorded: Mutex<Recorded>,
}

#[derive(Debug, Default)]
struct Recorded {
    /// What was last read, of all interfaces that are defined.
    read: BTreeMap<Key, Counts>,
    /// Of those that were called within the last hour, as far as there is room.
    interfaces: BTreeMap<Key, Steps>,
    /// Of all interfaces together.
    sum: Steps,
    first: Option<i64>,
}

/// Steps in which something was counted, by number, the oldest first.
#[derive(Debug, Default)]
struct Steps(VecDeque<(i64, Packed)>);

/// The counts of a step as they are kept: few of the buckets hold anything.
#[derive(Debug)]
struct Packed {
    figures: [u64; FIGURES],
    durations: Box<[(u8, u32)]>,
}

impl Packed {
    fn of(counts: &Counts) -> Self {
        let used = (0_u8..).zip(counts.durations).filter(|(_, count)| *count > 0);
        let small = used.map(|(at, count)| (at, u32::try_from(count).unwrap_or(u32::MAX)));
        Self { figures: counts.figures(), durations: small.collect() }
    }

    fn unpack(&self) -> Counts {
        let mut durations = [0; BUCKETS];
        for (at, count) in &self.durations {
            durations[usize::from(*at)] = u64::from(*count);
        }
        Counts::from(self.figures, &durations)
    }
}

impl Steps {
    fn add(&mut self, step: i64, counts: &Counts) {
        match self.0.back_mut() {
            Some((last, packed)) if *last >= step => {
                let mut sum = packed.unpack();
                sum.add(counts);
                *packed = Packed::of(&sum);
            }
            _ => self.0.push_back((step, Packed::of(counts))),
        }
    }

    fn forget_before(&mut self, step: i64) {
        while self.0.front().is_some_and(|(first, _)| *first < step) {
            self.0.pop_front();
        }
    }

    fn since(&self, oldest: i64) -> Counts {
        let mut sum = Counts::default();
        let own = self.0.iter().filter(|(step, _)| *step >= oldest);
        own.for_each(|(_, packed)| sum.add(&packed.unpack()));
        sum
    }
}

/// A step of the last hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// When it began.
    pub at: Timestamp,
    pub counts: Counts,
}

impl History {
    /// Reads the counters of all interfaces; what came since the last reading belongs to the step of `now`.
    pub fn sample(&self, metrics: &Metrics, now: Timestamp) {
        let step = step_of(now);
        let mut recorded = self.recorded.lock();
        // Under the lock: nothing older is taken for newer, and so for counters that have begun anew.
        let now_read = metrics.read_interfaces(Counts::of);
        let Recorded { read, interfaces, sum, first } = &mut *recorded;
        first.get_or_insert(step);
        for (key, counts) in &now_read {
            let new = counts.since(read.get(key).unwrap_or(&Counts::default()));
            if new.is_none() {
                continue;
            }
            sum.add(step, &new);
            if let Some(steps) = interfaces.get_mut(key) {
                steps.add(step, &new);
            } else if interfaces.len() < MAX_INTERFACES {
                interfaces.entry(key.clone()).or_default().add(step, &new);
            }
        }
        *read = now_read;
        let oldest = step - MAX_STEPS + 1;
        sum.forget_before(oldest);
        interfaces.retain(|key, steps| {
            steps.forget_before(oldest);
            !steps.0.is_empty() && read.contains_key(key)
        });
    }

    /// Every interface version that was called within the last `minutes`, with what was counted, and the seconds that this
    /// covers: up to now, from the first step of that time or of the process.
    pub fn interfaces(&self, minutes: i64, now: Timestamp) -> (Vec<(Key, Counts)>, i64) {
        let recorded = self.recorded.lock();
        let steps = (minutes * 60 / STEP_SECONDS).clamp(1, MAX_STEPS);
        let oldest = (step_of(now) - steps + 1).max(recorded.first.unwrap_or_default());
        let sums = recorded.interfaces.iter().map(|(key, steps)| (key, steps.since(oldest)));
        let rows = sums.filter(|(_, sum)| !sum.is_none()).map(|(key, sum)| (key.clone(), sum));
        (rows.collect(), (now.as_second() - oldest * STEP_SECONDS).max(1))
    }

    /// The steps of the last hour, the oldest first, of all interfaces or of the versions of one code. The last has just begun.
    pub fn points(&self, code: Option<&str>, now: Timestamp) -> Vec<Point> {
        let recorded = self.recorded.lock();
        let last = step_of(now);
        let mut sums = vec![Counts::default(); usize::try_from(MAX_STEPS).unwrap_or_default()];
        let mut add = |steps: &Steps| {
            for (step, packed) in &steps.0 {
                let at = usize::try_from(step - (last - MAX_STEPS + 1)).ok();
                if let Some(sum) = at.and_then(|at| sums.get_mut(at)) {
                    sum.add(&packed.unpack());
                }
            }
        };
        match code {
            None => add(&recorded.sum),
            Some(code) => {
                let versions = recorded.interfaces.iter().filter(|((own, _), _)| own == code);
                versions.for_each(|(_, steps)| add(steps));
            }
        }
        let at = |step: i64| Timestamp::from_second(step * STEP_SECONDS).unwrap_or_default();
        let steps = (last - MAX_STEPS + 1)..=last;
        steps.zip(sums).map(|(step, counts)| Point { at: at(step), counts }).collect()
    }
}

fn step_of(at: Timestamp) -> i64 {
    at.as_second().div_euclid(STEP_SECONDS)
}

/// Samples once a step. Never ends.
pub async fn run(history: Arc<History>, metrics: Arc<Metrics>) {
    let mut ticks = interval(Duration::from_secs(STEP_SECONDS.unsigned_abs()));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        history.sample(&metrics, Timestamp::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::event::{Event, RequestFinished};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_010 + second).unwrap()
    }

    fn call(metrics: &Arc<Metrics>, code: &str, outcome: Code, duration_ms: u64) {
        let interface = metrics.interface(code, "1.0.0");
        let event = Event::RequestFinished(RequestFinished {
            interface: &interface,
            request_id: "",
            principal: "",
            ip: None,
            method: "GET",
            path: "",
            code: outcome,
            status: outcome.http_status(),
            cache: Some(CacheState::Hit),
            duration: Duration::from_millis(duration_ms),
            rows: 0,
            bytes: 0,
            error: None,
            is_counted: true,
            measures_latency: true,
            measures_codes: true,
        });
        crate::observe::Observer::new(metrics.clone()).report(&event);
    }

    #[test]
    fn differences_fall_into_steps() {
        let metrics = Arc::new(Metrics::new());
        let history = History::default();
        call(&metrics, "a", Code::Ok, 2);
        history.sample(&metrics, at(0));
        call(&metrics, "a", Code::Timeout, 2);
        call(&metrics, "b", Code::Ok, 2);
        history.sample(&metrics, at(1));
        call(&metrics, "a", Code::Ok, 2);
        history.sample(&metrics, at(15));
        let requests = |code| -> Vec<u64> {
            let points = history.points(code, at(15));
            assert_eq!(points.len(), 240);
            points.iter().rev().take(3).map(|point| point.counts.requests).collect()
        };
        assert_eq!(requests(Some("a")), [1, 2, 0]);
        assert_eq!(requests(Some("b")), [0, 1, 0]);
        assert_eq!(requests(None), [1, 3, 0]);
        let (rows, seconds) = history.interfaces(60, at(15));
        assert_eq!((rows.len(), seconds), (2, 15));
        assert_eq!((rows[0].1.requests, rows[0].1.errors), (3, 1));
        assert_eq!(rows[0].1.cache_ratio(), Some(1.0));
        // An hour later nothing is left, and what is gone stays gone.
        history.sample(&metrics, at(3_700));
        assert_eq!(history.interfaces(60, at(3_700)).0.len(), 0);
        assert!(history.points(None, at(3_700)).iter().all(|point| point.counts.requests == 0));
        metrics.retain([], []);
        call(&metrics, "a", Code::Ok, 2);
        history.sample(&metrics, at(3_700));
        assert_eq!(history.interfaces(60, at(3_700)).0[0].1.requests, 1);
    }

    #[test]
    fn beyond_the_limit_only_the_sum_counts() {
        let metrics = Arc::new(Metrics::new());
        let history = History::default();
        for i in 0..MAX_INTERFACES + 5 {
            call(&metrics, &format!("i{i}"), Code::Ok, 1);
        }
        history.sample(&metrics, at(0));
        history.sample(&metrics, at(0));
        assert_eq!(history.interfaces(60, at(0)).0.len(), MAX_INTERFACES);
        let all: u64 = history.points(None, at(0)).iter().map(|point| point.counts.requests).sum();
        assert_eq!(all, MAX_INTERFACES as u64 + 5);
    }

    #[test]
    fn quantiles_lie_within_their_bucket() {
        let metrics = Arc::new(Metrics::new());
        for _ in 0..99 {
            call(&metrics, "a", Code::Ok, 2);
        }
        call(&metrics, "a", Code::Ok, 60_000);
        let counts = Counts::of(&metrics.interface("a", "1.0.0"));
        // Near to what all of them took, though the bucket of Prometheus goes from 1 to 2.5 ms.
        for share in [0.01, 0.5, 0.98] {
            let found = counts.quantile_ms(share).unwrap();
            assert!((1.75..=2.5).contains(&found), "{share}: {found}");
        }
        assert!((counts.quantile_ms(1.0).unwrap() - 30_000.0).abs() < 1e-6);
        assert_eq!(Counts::default().quantile_ms(0.5), None);
    }
}
