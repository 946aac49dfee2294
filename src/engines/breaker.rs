//! A breaker for one datasource: after some failures in a row it refuses at once, then lets one probe through.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Failures in a row that open it.
const OPEN_AFTER: u32 = 5;
/// How long it stays open the first time; doubled while probes fail.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What the breaker does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Closed,
    Open,
    /// A probe is under way.
    HalfOpen,
}

/// Counts failures and decides who may pass.
#[derive(Debug, Default)]
pub struct Breaker {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    failures: u32,
    /// While open: until when, and how long it was opened for.
    open: Option<(Instant, Duration)>,
    probing: bool,
}

impl Breaker {
    /// Asks to pass at `now`.
    ///
    /// # Errors
    /// How long to wait, while it is open or a probe is under way.
    pub fn admit(&self, now: Instant) -> Result<(), Duration> {
        let mut inner = self.inner.lock();
        let Some((until, pause)) = inner.open else { return Ok(()) };
        if now < until {
            return Err(until - now);
        }
        if inner.probing {
            return Err(pause.min(FIRST_PAUSE));
        }
        inner.probing = true;
        Ok(())
    }

    /// Says how an admitted query ended: `ill` where the datasource itself failed.
    pub fn report(&self, ill: bool, now: Instant) {
        let mut inner = self.inner.lock();
        inner.probing = false;
        if !ill {
            inner.failures = 0;
            inner.open = None;
            return;
        }
        inner.failures = inner.failures.saturating_add(1);
        let pause = match inner.open {
            // What was under way when it opened says nothing new.
            Some((until, _)) if now < until => return,
            Some((_, pause)) => Some((pause * 2).min(LONGEST_PAUSE)),
            None if inner.failures >= OPEN_AFTER => Some(FIRST_PAUSE),
            None => None,
        };
        inner.open = pause.map(|pause| (now + pause, pause));
    }

    /// Takes back an admission whose query never ended: its caller went away.
    pub fn abandon(&self) {
        self.inner.lock().probing = false;
    }

    /// What it does now.
    pub fn state(&self) -> State {
        let inner = self.inner.lock();
        match (inner.open, inner.probing) {
            (None, _) => State::Closed,
            (Some(_), true) => State::HalfOpen,
            (Some(_), false) => State::Open,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_probes_and_closes() {
        let breaker = Breaker::default();
        let start = Instant::now();
        for _ in 0..OPEN_AFTER {
            assert_eq!(breaker.admit(start), Ok(()));
            breaker.report(true, start);
        }
        assert_eq!(breaker.admit(start), Err(FIRST_PAUSE));
        let later = start + FIRST_PAUSE;
        assert_eq!(breaker.admit(later), Ok(()));
        assert!(breaker.admit(later).is_err(), "one probe at a time");
        breaker.report(true, later);
        assert_eq!(breaker.admit(later), Err(FIRST_PAUSE * 2));
        let again = later + FIRST_PAUSE * 2;
        assert_eq!(breaker.admit(again), Ok(()));
        breaker.report(false, again);
        assert_eq!(breaker.state(), State::Closed);
        assert_eq!(breaker.admit(again), Ok(()));
    }

    #[test]
    fn failures_that_come_together_count_once() {
        let breaker = Breaker::default();
        let start = Instant::now();
        (0..OPEN_AFTER * 10).for_each(|_| breaker.report(true, start));
        assert_eq!(breaker.admit(start), Err(FIRST_PAUSE));
        assert_eq!(breaker.admit(start + FIRST_PAUSE), Ok(()));
    }

    #[test]
    fn a_probe_that_vanishes_does_not_block() {
        let breaker = Breaker::default();
        let start = Instant::now();
        (0..OPEN_AFTER).for_each(|_| breaker.report(true, start));
        assert_eq!(breaker.admit(start + FIRST_PAUSE), Ok(()));
        breaker.abandon();
        assert_eq!(breaker.admit(start + FIRST_PAUSE), Ok(()));
    }
}
