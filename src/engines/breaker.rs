//! A breaker for one datasource: after some failures in a row it refuses at once, then lets one probe through at a time.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Failures in a row that open it.
const OPEN_AFTER: u32 = 5;
/// How long it stays open the first time; doubled while it opens again before a query has succeeded.
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

/// How one may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    Free,
    /// As the probe, whose end must be told with [`Breaker::probed`].
    Probe,
}

/// Counts failures and decides who may pass.
#[derive(Debug, Default)]
pub struct Breaker {
    /// Whether there is anything to look at: while all is well, passing takes no lock.
    is_troubled: AtomicBool,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    failures: u32,
    /// How long it was opened for the last time, since a query has succeeded.
    pause: Duration,
    /// While open: until when nobody passes.
    open_until: Option<Instant>,
    /// While a probe is under way: when it is given up.
    probing_until: Option<Instant>,
}

impl Inner {
    fn state(&self, now: Instant) -> State {
        match (self.open_until, self.probing_until) {
            (None, _) => State::Closed,
            (Some(_), Some(until)) if now < until => State::HalfOpen,
            (Some(_), _) => State::Open,
        }
    }

    fn open(&mut self, now: Instant) {
        self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        self.open_until = Some(now + self.pause);
    }

    /// How long nobody passes.
    fn refusal(&self, now: Instant) -> Option<Duration> {
        let until = self.open_until?;
        if now < until {
            return Some(until - now);
        }
        (self.state(now) == State::HalfOpen).then_some(FIRST_PAUSE)
    }
}

impl Breaker {
    /// Asks to pass at `now`. A probe that has not ended after `probe_limit` is taken for lost.
    ///
    /// # Errors
    /// How long to wait, while it is open or a probe is under way.
    pub fn admit(&self, now: Instant, probe_limit: Duration) -> Result<Passage, Duration> {
        if !self.is_troubled.load(Relaxed) {
            return Ok(Passage::Free);
        }
        let mut inner = self.inner.lock();
        if let Some(wait) = inner.refusal(now) {
            return Err(wait);
        }
        if inner.open_until.is_none() {
            return Ok(Passage::Free);
        }
        inner.probing_until = Some(now + probe_limit);
        Ok(Passage::Probe)
    }

    /// How long nobody passes; `None` where somebody may.
    pub fn refusal(&self, now: Instant) -> Option<Duration> {
        if !self.is_troubled.load(Relaxed) {
            return None;
        }
        self.inner.lock().refusal(now)
    }

    /// Says how a query ended that tells of the datasource's health. Gives back the new state where it has changed.
    pub fn report(&self, is_well: bool, now: Instant) -> Option<State> {
        if is_well && !self.is_troubled.load(Relaxed) {
            return None;
        }
        self.change(now, |inner| {
            if is_well {
                *inner = Inner::default();
                return;
            }
            inner.failures = inner.failures.saturating_add(1);
            // What was under way when it opened says nothing new.
            if inner.open_until.is_none() && inner.failures >= OPEN_AFTER {
                inner.open(now);
            }
        })
    }

    /// Opens it, whatever was counted. Gives back the new state where it has changed.
    pub fn trip(&self, now: Instant) -> Option<State> {
        self.change(now, |inner| {
            if inner.open_until.is_none() {
                inner.open(now);
            }
        })
    }

    /// Says how the probe ended. After a good one everybody passes, and the next failure opens it again for longer.
    /// Gives back the new state where it has changed.
    pub fn probed(&self, is_well: bool, now: Instant) -> Option<State> {
        self.change(now, |inner| {
            inner.probing_until = None;
            if inner.open_until.is_none() {
                return;
            }
            if is_well {
                inner.open_until = None;
                inner.failures = OPEN_AFTER - 1;
            } else {
                inner.open(now);
            }
        })
    }

    /// What it does now.
    pub fn state(&self) -> State {
        self.inner.lock().state(Instant::now())
    }

    fn change(&self, now: Instant, change: impl FnOnce(&mut Inner)) -> Option<State> {
        let mut inner = self.inner.lock();
        let was_open = inner.open_until;
        change(&mut inner);
        self.is_troubled.store(inner.failures > 0 || inner.open_until.is_some(), Relaxed);
        (was_open != inner.open_until).then(|| inner.state(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(3);

    fn failed(times: u32, at: Instant) -> Breaker {
        let breaker = Breaker::default();
        for _ in 0..times {
            breaker.report(false, at);
        }
        breaker
    }

    #[test]
    fn it_opens_probes_and_closes() {
        let start = Instant::now();
        let breaker = failed(OPEN_AFTER - 1, start);
        assert_eq!(breaker.admit(start, LIMIT), Ok(Passage::Free));
        assert_eq!(breaker.report(false, start), Some(State::Open));
        assert_eq!(breaker.admit(start, LIMIT), Err(FIRST_PAUSE));
        assert_eq!(breaker.refusal(start), Some(FIRST_PAUSE));
        let later = start + FIRST_PAUSE;
        assert_eq!(breaker.admit(later, LIMIT), Ok(Passage::Probe));
        assert!(breaker.admit(later, LIMIT).is_err(), "one probe at a time");
        assert!(breaker.refusal(later).is_some());
        breaker.probed(false, later);
        assert_eq!(breaker.admit(later, LIMIT), Err(FIRST_PAUSE * 2));
        let again = later + FIRST_PAUSE * 2;
        assert_eq!(breaker.admit(again, LIMIT), Ok(Passage::Probe));
        assert_eq!(breaker.probed(true, again), Some(State::Closed));
        assert_eq!(breaker.admit(again, LIMIT), Ok(Passage::Free));
    }

    #[test]
    fn it_trusts_a_good_probe_until_the_first_failure() {
        let start = Instant::now();
        let breaker = failed(OPEN_AFTER, start);
        let later = start + FIRST_PAUSE;
        assert_eq!(breaker.admit(later, LIMIT), Ok(Passage::Probe));
        breaker.probed(true, later);
        assert_eq!(breaker.report(false, later), Some(State::Open));
        assert_eq!(breaker.admit(later, LIMIT), Err(FIRST_PAUSE * 2), "and longer than before");
        breaker.report(true, later);
        assert_eq!(failed(OPEN_AFTER, later).admit(later, LIMIT), Err(FIRST_PAUSE));
        for _ in 0..OPEN_AFTER {
            breaker.report(false, later);
        }
        assert_eq!(breaker.admit(later, LIMIT), Err(FIRST_PAUSE), "a success starts anew");
    }

    #[test]
    fn failures_that_come_together_count_once() {
        let start = Instant::now();
        let breaker = failed(OPEN_AFTER * 10, start);
        assert_eq!(breaker.admit(start, LIMIT), Err(FIRST_PAUSE));
        breaker.trip(start);
        assert_eq!(breaker.admit(start + FIRST_PAUSE, LIMIT), Ok(Passage::Probe));
    }

    #[test]
    fn a_probe_that_vanishes_does_not_block() {
        let start = Instant::now();
        let breaker = Breaker::default();
        assert_eq!(breaker.trip(start), Some(State::Open));
        let later = start + FIRST_PAUSE;
        assert_eq!(breaker.admit(later, LIMIT), Ok(Passage::Probe));
        assert!(breaker.admit(later, LIMIT).is_err());
        assert_eq!(breaker.admit(later + LIMIT, LIMIT), Ok(Passage::Probe));
    }
}
