//! Calls that found no interface: recorded, so that their callers can be helped, but only so many of them a second.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use jiff::Timestamp;

/// Misses recorded within a second; whoever tries addresses at random must not fill the store.
pub const MAX_MISSES_PER_SECOND: u64 = 20;

/// How many misses were recorded in this second.
#[derive(Debug, Default)]
pub struct Misses {
    /// The second, times 2^16, plus the count.
    state: AtomicU64,
}

impl Misses {
    /// Whether one more at `at` is to be recorded.
    pub fn take(&self, at: Timestamp) -> bool {
        let second = at.as_second().unsigned_abs() << 16;
        let next = |state: u64| {
            let count = if state & !0xFFFF == second { state & 0xFFFF } else { 0 };
            (count < MAX_MISSES_PER_SECOND).then_some(second | (count + 1))
        };
        self.state.fetch_update(Relaxed, Relaxed, next).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_second_has_its_own() {
        let (misses, at) = (Misses::default(), Timestamp::from_second(1_800_000_000).unwrap());
        let taken = (0..100).filter(|_| misses.take(at)).count();
        assert_eq!(taken as u64, MAX_MISSES_PER_SECOND);
        assert!(misses.take(at + jiff::Span::new().seconds(1)));
    }
}
