//! Calls that found no interface: recorded, so that their callers can be helped, but only so many of them a second.

use jiff::Timestamp;

use crate::observe::per_second::PerSecond;

/// Misses recorded within a second; whoever tries addresses at random must not fill the store.
pub const MAX_MISSES_PER_SECOND: u32 = 20;

/// How many misses were recorded in this second.
#[derive(Debug)]
pub struct Misses(PerSecond);

impl Default for Misses {
    fn default() -> Self {
        Self(PerSecond::new(MAX_MISSES_PER_SECOND))
    }
}

impl Misses {
    /// Whether one more at `at` is to be recorded.
    pub fn take(&self, at: Timestamp) -> bool {
        self.0.take(at.as_second()).is_some()
    }
}
