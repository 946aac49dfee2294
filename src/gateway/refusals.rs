//! How fast refusals leave, when callers who are sent away come back at once: refusing must not cost more than serving.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Refusals that leave within a second. So many take a tenth of a processor or so.
const MAX_PER_SECOND: u64 = 5_000;
/// Refusals that leave without a wait after a calm time.
const BURST: u64 = 500;
/// Longest wait, whatever the rate is then. Those who wait have the limits of connections and their streams.
const LONGEST_HOLD_MS: u64 = 250;

const EACH_NS: u64 = 1_000_000_000 / MAX_PER_SECOND;

/// When the next refusal may leave.
#[derive(Debug)]
pub struct Refusals {
    origin: Instant,
    /// In ns since `origin`.
    next_ns: AtomicU64,
}

impl Default for Refusals {
    fn default() -> Self {
        Self { origin: Instant::now(), next_ns: AtomicU64::new(0) }
    }
}

impl Refusals {
    /// Waits until one more may leave.
    pub async fn pace(&self) {
        if let Some(wait) = self.wait(Instant::now()) {
            Box::pin(tokio::time::sleep(wait)).await;
        }
    }

    /// How long one more waits at `now`.
    fn wait(&self, now: Instant) -> Option<Duration> {
        let since = now.saturating_duration_since(self.origin).as_nanos();
        let now_ns = u64::try_from(since).unwrap_or(u64::MAX);
        let longest_ns = BURST * EACH_NS + LONGEST_HOLD_MS * 1_000_000;
        let turn = |next: u64| Some(next.max(now_ns).min(now_ns + longest_ns) + EACH_NS);
        // The update gives up nothing: it always has a turn to give.
        let before = self.next_ns.fetch_update(Relaxed, Relaxed, turn).unwrap_or_default();
        let ahead = before.saturating_sub(now_ns).min(longest_ns);
        let wait = ahead.checked_sub(BURST * EACH_NS).filter(|wait| *wait > 0)?;
        Some(Duration::from_nanos(wait))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_leaves_at_once_and_the_rest_at_the_rate() {
        let refusals = Refusals::default();
        let now = refusals.origin + Duration::from_secs(3);
        assert!((0..=BURST).all(|_| refusals.wait(now).is_none()));
        let each = Duration::from_nanos(EACH_NS);
        assert_eq!(refusals.wait(now), Some(each));
        assert_eq!(refusals.wait(now), Some(each * 2));
        assert_eq!(refusals.wait(now + each), Some(each * 2));
        let last = (0..100_000).map(|_| refusals.wait(now)).max();
        let longest = Duration::from_millis(LONGEST_HOLD_MS);
        assert_eq!(last, Some(Some(longest)));
        let later = now + longest + each * u32::try_from(BURST).unwrap() * 2;
        assert!((0..=BURST).all(|_| refusals.wait(later).is_none()), "the rush is forgotten");
        assert!(refusals.wait(later).is_some());
    }
}
