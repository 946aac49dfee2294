//! Calls being worked on in the whole process: counted, and no more of them than may be.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// How many calls are being worked on, and may be.
#[derive(Debug)]
pub struct Calls {
    max: usize,
    count: AtomicUsize,
}

impl Calls {
    /// At most `max` at once.
    pub fn new(max: usize) -> Self {
        Self { max, count: AtomicUsize::new(0) }
    }

    /// Counts one more, where there may be one; [`Self::leave`] it at its end.
    pub fn enter(&self) -> bool {
        let fits = self.count.fetch_add(1, Relaxed) < self.max;
        if !fits {
            self.leave();
        }
        fits
    }

    /// One has ended.
    pub fn leave(&self) {
        self.count.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_never_more_than_may_be() {
        let calls = Calls::new(2);
        assert!(calls.enter() && calls.enter());
        assert!(!calls.enter());
        calls.leave();
        assert!(calls.enter());
        assert!(!calls.enter());
    }
}
