//! The gate before a datasource: who runs now, who waits and for how long, and who is sent away.
//!
//! ```text
//! a query that shares a connection ──────────────────────► slots ──► engine
//! one that needs its own ──► connections (one of the pool) ──┘
//! ```
//! It is the only queue: the engine has a place for whoever is let in, but for SQLite, whose few threads share a queue of at
//! most as many as there are slots. Who waits for a connection holds no slot, so slow
//! queries do not keep fast ones out.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::EngineError;

/// A queue that has not been empty for so long, or for twice the usual time of a query where that is longer, is no burst
/// but overload.
const STANDING_AFTER: Duration = Duration::from_millis(100);
const STANDING_AFTER_AT_MOST: Duration = Duration::from_secs(10);
/// Bounds of how long a query waits under overload; between them it is the usual time of a query and a quarter, so that
/// places that become free together still find somebody waiting. Fast queries may stand in a longer queue: the last of it
/// is soon done, and refusing callers that come back at once would cost as much as answering them.
const LEAST_PATIENCE: Duration = Duration::from_millis(50);
const MOST_PATIENCE: Duration = Duration::from_secs(5);
/// How often one who waits looks around.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The usual time of a query moves towards that of each by one part in so many.
const SMOOTHING: u64 = 16;
/// Bounds of what is said of when to come back.
const LEAST_RETRY_AFTER: Duration = Duration::from_secs(1);
const MOST_RETRY_AFTER: Duration = Duration::from_secs(30);

/// Limits of a gate.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Queries at once.
    pub max_in_flight: usize,
    /// Those of them that have a connection of their own.
    pub max_alone: usize,
    /// Queries that wait for either.
    pub max_queue: usize,
}

/// The gate of one datasource.
#[derive(Debug)]
pub struct Gate {
    slots: Lane,
    connections: Lane,
}

/// Leave to run a query, until it is dropped.
#[derive(Debug)]
pub struct Pass<'a> {
    gate: &'a Gate,
    _slot: SemaphorePermit<'a>,
    connection: Option<SemaphorePermit<'a>>,
}

impl Gate {
    /// An open gate.
    pub fn new(limits: Limits) -> Self {
        let now = Instant::now();
        Self {
            slots: Lane::new(limits.max_in_flight, limits.max_queue, now),
            connections: Lane::new(limits.max_alone, limits.max_queue, now),
        }
    }

    /// Lets a query in, at once or after waiting. `is_alone`: it needs a connection of its own. `shut` says when to come
    /// back, once there is nothing to wait for.
    ///
    /// # Errors
    /// `Busy` where the queue is full, too slow, or the datasource shut; `Timeout` at `deadline`.
    pub async fn enter(
        &self,
        is_alone: bool,
        deadline: Instant,
        shut: impl Fn() -> Option<Duration>,
    ) -> Result<Pass<'_>, EngineError> {
        // Always in this order, and whoever has a slot waits for nothing: no two can wait for each other.
        let mut connection = None;
        if is_alone {
            connection = Some(self.connections.enter(deadline, &shut).await?);
        }
        let slot = self.slots.enter(deadline, &shut).await?;
        Ok(Pass { gate: self, _slot: slot, connection })
    }

    /// What it was made for.
    pub fn limits(&self) -> Limits {
        Limits {
            max_in_flight: self.slots.size,
            max_alone: self.connections.size,
            max_queue: self.slots.max_queue,
        }
    }

    /// Queries that have been let in.
    pub fn in_flight(&self) -> usize {
        self.slots.taken()
    }

    /// Queries that wait.
    pub fn queued(&self) -> usize {
        self.slots.waiting.load(Relaxed) + self.connections.waiting.load(Relaxed)
    }
}

impl Pass<'_> {
    /// Notes how long the query took, for the patience of others.
    pub fn took(&self, time: Duration) {
        self.gate.slots.note(time);
        if self.connection.is_some() {
            self.gate.connections.note(time);
        }
    }
}

/// Places of one kind, and the queue for them: first come, first served.
#[derive(Debug)]
struct Lane {
    places: Semaphore,
    size: usize,
    max_queue: usize,
    waiting: AtomicUsize,
    /// When the queue was empty the last time, and what times are counted from.
    empty_us: AtomicU64,
    origin: Instant,
    /// The usual time of a query; 0: not known yet.
    typical_us: AtomicU64,
}

impl Lane {
    fn new(size: usize, max_queue: usize, origin: Instant) -> Self {
        let size = size.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            places: Semaphore::new(size),
            size,
            max_queue,
            waiting: AtomicUsize::new(0),
            empty_us: AtomicU64::new(0),
            origin,
            typical_us: AtomicU64::new(0),
        }
    }

    async fn enter(
        &self,
        deadline: Instant,
        shut: impl Fn() -> Option<Duration>,
    ) -> Result<SemaphorePermit<'_>, EngineError> {
        match self.places.try_acquire() {
            Ok(place) => Ok(place),
            Err(_) => self.wait(deadline, shut).await,
        }
    }

    async fn wait(
        &self,
        deadline: Instant,
        shut: impl Fn() -> Option<Duration>,
    ) -> Result<SemaphorePermit<'_>, EngineError> {
        let entered = Instant::now();
        let _waiting = self.queue(entered)?;
        let mut turn = pin!(self.places.acquire());
        let mut look_at = entered + self.patience();
        loop {
            let turn = tokio::time::timeout_at(look_at.min(deadline).into(), turn.as_mut()).await;
            let now = Instant::now();
            match turn {
                Ok(Ok(place)) => {
                    return match shut() {
                        Some(retry_after) => Err(EngineError::Busy { retry_after }),
                        None => Ok(place),
                    };
                }
                Ok(Err(_)) => {
                    return Err(EngineError::Unavailable("the datasource is closed".into()));
                }
                Err(_) if now >= deadline => return Err(EngineError::Timeout),
                Err(_) => {}
            }
            if let Some(retry_after) = shut() {
                return Err(EngineError::Busy { retry_after });
            }
            if now - entered >= self.patience() && self.is_standing(now) {
                return Err(self.busy());
            }
            look_at = now + LOOK_EVERY;
        }
    }

    /// Joins the queue, where that makes sense.
    fn queue(&self, now: Instant) -> Result<Waiting<'_>, EngineError> {
        let joins = |waiting: usize| {
            // Under overload the last of a long queue would wait in vain.
            let in_vain = waiting > 0
                && self.is_standing(now)
                && self.expected_wait(waiting + 1) > self.patience();
            (waiting < self.max_queue && !in_vain).then_some(waiting + 1)
        };
        let before = self.waiting.fetch_update(Relaxed, Relaxed, joins).map_err(|_| self.busy())?;
        if before == 0 {
            self.was_empty(now);
        }
        Ok(Waiting(self))
    }

    fn busy(&self) -> EngineError {
        let expected = self.expected_wait(self.waiting.load(Relaxed));
        EngineError::Busy { retry_after: expected.clamp(LEAST_RETRY_AFTER, MOST_RETRY_AFTER) }
    }

    /// How long it takes until so many have been let in.
    fn expected_wait(&self, waiting: usize) -> Duration {
        let all_us = self.typical_us.load(Relaxed).saturating_mul(waiting as u64);
        Duration::from_micros(all_us / self.size as u64)
    }

    fn taken(&self) -> usize {
        self.size - self.places.available_permits()
    }

    fn note(&self, time: Duration) {
        let us = u64::try_from(time.min(MOST_PATIENCE).as_micros()).unwrap_or(u64::MAX).max(1);
        let typical = self.typical_us.load(Relaxed);
        let moved = if typical == 0 { us } else { (typical * (SMOOTHING - 1) + us) / SMOOTHING };
        // One of two at once may get lost: it is an estimate.
        self.typical_us.store(moved, Relaxed);
    }

    /// How long a query waits under overload.
    fn patience(&self) -> Duration {
        match self.typical_us.load(Relaxed) {
            0 => MOST_PATIENCE,
            us => Duration::from_micros(us + us / 4).clamp(LEAST_PATIENCE, MOST_PATIENCE),
        }
    }

    /// Whether more comes than can be done.
    fn is_standing(&self, now: Instant) -> bool {
        let usual = Duration::from_micros(self.typical_us.load(Relaxed));
        let after = (usual * 2).clamp(STANDING_AFTER, STANDING_AFTER_AT_MOST);
        let empty_at = self.origin + Duration::from_micros(self.empty_us.load(Relaxed));
        now.saturating_duration_since(empty_at) > after
    }

    fn was_empty(&self, now: Instant) {
        let us = now.saturating_duration_since(self.origin).as_micros();
        self.empty_us.store(u64::try_from(us).unwrap_or(u64::MAX), Relaxed);
    }
}

/// One in the queue, until it goes.
struct Waiting<'a>(&'a Lane);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.0.waiting.fetch_sub(1, Relaxed) == 1 {
            self.0.was_empty(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: fn() -> Option<Duration> = || None;

    fn gate(max_in_flight: usize, max_alone: usize, max_queue: usize) -> Gate {
        Gate::new(Limits { max_in_flight, max_alone, max_queue })
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_mins(1)
    }

    /// Polls an entry once; who must wait stays in the queue until the future is dropped.
    fn poll<F: Future>(entry: std::pin::Pin<&mut F>) -> Option<F::Output> {
        futures::FutureExt::now_or_never(entry)
    }

    #[tokio::test]
    async fn the_queue_is_full_at_its_limit_and_forgets_who_goes_away() {
        let gate = gate(1, 1, 1);
        let pass = gate.enter(false, soon(), OPEN).await.unwrap();
        {
            let mut waiting = pin!(gate.enter(false, soon(), OPEN));
            assert!(poll(waiting.as_mut()).is_none());
            assert_eq!((gate.in_flight(), gate.queued()), (1, 1));
            let refused = gate.enter(false, soon(), OPEN).await.unwrap_err();
            assert!(
                matches!(refused, EngineError::Busy { retry_after } if retry_after >= LEAST_RETRY_AFTER)
            );
        }
        assert_eq!(gate.queued(), 0);
        drop(pass);
        assert_eq!(gate.in_flight(), 0);
        gate.enter(true, soon(), OPEN).await.unwrap();
        assert_eq!((gate.in_flight(), gate.connections.taken()), (0, 0));
    }

    #[tokio::test]
    async fn who_waits_for_a_connection_holds_no_slot() {
        let gate = gate(3, 1, 10);
        let alone = gate.enter(true, soon(), OPEN).await.unwrap();
        let mut waiting: Vec<_> =
            (0..5).map(|_| Box::pin(gate.enter(true, soon(), OPEN))).collect();
        for entry in &mut waiting {
            assert!(poll(entry.as_mut()).is_none());
        }
        assert_eq!((gate.in_flight(), gate.queued()), (1, 5));
        let sharing =
            [gate.enter(false, soon(), OPEN).await, gate.enter(false, soon(), OPEN).await];
        assert!(sharing.iter().all(Result::is_ok));
        assert_eq!(gate.in_flight(), 3);
        drop(sharing);
        drop(alone);
        let second = poll(waiting[0].as_mut()).expect("the first in the queue is the next");
        assert!(poll(waiting[1].as_mut()).is_none());
        drop(second);
        assert!(poll(waiting[1].as_mut()).is_some());
    }

    #[tokio::test]
    async fn a_queue_that_stands_is_short_and_one_that_was_empty_is_not() {
        let gate = gate(1, 1, 100);
        gate.slots.note(Duration::from_millis(30));
        let _pass = gate.enter(false, soon(), OPEN).await.unwrap();
        let mut first = Box::pin(gate.enter(false, soon(), OPEN));
        assert!(poll(first.as_mut()).is_none());
        let mut burst: Vec<_> =
            (0..20).map(|_| Box::pin(gate.enter(false, soon(), OPEN))).collect();
        assert!(burst.iter_mut().all(|entry| poll(entry.as_mut()).is_none()), "a burst may wait");
        // Beyond their patience they go once the queue has stood for a while, and the last comers at once.
        for entry in burst {
            assert!(matches!(entry.await, Err(EngineError::Busy { .. })));
        }
        assert!(gate.slots.is_standing(Instant::now()));
        let refused = gate.enter(false, soon(), OPEN);
        assert!(matches!(poll(pin!(refused)), Some(Err(EngineError::Busy { .. }))));
        drop(first);
        assert_eq!(gate.queued(), 0);
        assert!(poll(pin!(gate.enter(false, soon(), OPEN))).is_none(), "the queue was empty");
    }

    #[tokio::test]
    async fn deadlines_and_a_shut_datasource_end_the_wait() {
        let gate = gate(1, 1, 100);
        let _pass = gate.enter(false, soon(), OPEN).await.unwrap();
        let hasty = gate.enter(false, Instant::now() + Duration::from_millis(1), OPEN).await;
        assert!(matches!(hasty, Err(EngineError::Timeout)));
        gate.slots.note(LEAST_PATIENCE);
        let shut = gate.enter(false, soon(), || Some(Duration::from_secs(7))).await;
        assert!(
            matches!(shut, Err(EngineError::Busy { retry_after }) if retry_after.as_secs() == 7)
        );
    }

    #[test]
    fn patience_follows_the_usual_time() {
        let lane = Lane::new(4, 100, Instant::now());
        assert_eq!(lane.patience(), MOST_PATIENCE);
        (0..200).for_each(|_| lane.note(Duration::from_millis(50)));
        assert!((60..=63).contains(&lane.patience().as_millis()));
        assert!((98..=100).contains(&lane.expected_wait(8).as_millis()));
        (0..200).for_each(|_| lane.note(Duration::from_micros(10)));
        assert_eq!(lane.patience(), LEAST_PATIENCE);
        lane.note(Duration::from_hours(1));
        assert!(lane.patience() < MOST_PATIENCE / 10, "one slow query changes little");
    }
}
