//! How many of something are told within a second, and how many were left out.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Of many in one second, only so many are told.
#[derive(Debug)]
pub struct PerSecond {
    most: u32,
    /// The second, times 2^32, plus the count.
    state: AtomicU64,
}

impl PerSecond {
    /// At most so many.
    pub fn new(most: u32) -> Self {
        Self { most, state: AtomicU64::new(0) }
    }

    /// Whether one more in this second (since 1970) is told, and how many were left out before it.
    pub fn take(&self, second: i64) -> Option<u32> {
        let second = second.unsigned_abs() << 32;
        let count = |state: u64| u32::try_from(state & u64::from(u32::MAX)).unwrap_or(u32::MAX);
        let is_in_it = |state: u64| state & !u64::from(u32::MAX) == second;
        let next = |state: u64| {
            let before = if is_in_it(state) { count(state) } else { 0 };
            Some(second | u64::from(before.saturating_add(1)))
        };
        // The update never gives up: there is always a next state.
        let before = self.state.fetch_update(Relaxed, Relaxed, next).unwrap_or_else(|state| state);
        if is_in_it(before) {
            (count(before) < self.most).then_some(0)
        } else {
            Some(count(before).saturating_sub(self.most))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_second_has_its_own_and_says_what_the_last_left_out() {
        let (lines, at) = (PerSecond::new(20), 1_800_000_000);
        let told: Vec<u32> = (0..100).filter_map(|_| lines.take(at)).collect();
        assert_eq!(told, [0; 20]);
        assert_eq!(lines.take(at + 1), Some(80));
        assert_eq!(lines.take(at + 1), Some(0));
        assert_eq!(lines.take(at + 2), Some(0));
    }
}
