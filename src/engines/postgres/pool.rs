//! The pool: gives queries places on connections, opens connections as needed and closes idle ones.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::connection::{Connection, Connector};
use super::lease::Lease;
use super::slots::{Need, Pick, Share, Slots};
use crate::engines::{EngineError, PoolStats};

/// Shortest pause between two looks for idle connections.
const MIN_REAP_PAUSE: Duration = Duration::from_millis(20);

/// How often a waiting query looks for itself: connections that grow slow make room for another one without a word.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The connections of one datasource.
pub(super) struct Pool {
    pub(super) connector: Connector,
    pub(super) state: Mutex<State>,
    /// A place may have become free, or an attempt to connect has failed.
    freed: Notify,
}

pub(super) struct State {
    pub(super) slots: Slots,
    /// Attempts to connect that failed so far, and why the last one did.
    failures: u64,
    last_failure: Option<EngineError>,
    reaping: bool,
}

impl Pool {
    pub(super) fn new(connector: Connector) -> Arc<Self> {
        let max = usize::try_from(connector.config().pool.max_connections).unwrap_or(1).max(1);
        Arc::new(Self {
            connector,
            state: Mutex::new(State {
                slots: Slots::new(max),
                failures: 0,
                last_failure: None,
                reaping: false,
            }),
            freed: Notify::new(),
        })
    }

    pub(super) fn stats(&self) -> PoolStats {
        let slots = &self.state.lock().slots;
        PoolStats { open: slots.open.len(), busy: slots.busy(), max: slots.max }
    }

    /// A place now, or none. Opens another connection in the background where one is wanted.
    pub(super) fn try_acquire(self: &Arc<Self>, need: Need) -> Option<Lease> {
        let Pick { place, open_another } = {
            let mut state = self.state.lock();
            let pick = state.slots.pick(need);
            state.slots.opening += usize::from(pick.open_another);
            pick
        };
        if open_another {
            self.open_connection();
        }
        place.map(|place| Lease::new(self.clone(), place))
    }

    /// A place, waiting for it until `deadline`.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] where no connection can be had at all, [`EngineError::Timeout`] where all are taken.
    pub(super) async fn acquire(
        self: &Arc<Self>,
        need: Need,
        deadline: Instant,
    ) -> Result<Lease, EngineError> {
        if need.share == Share::WithAny
            && let Some(lease) = self.try_acquire(need)
        {
            return Ok(lease);
        }
        let waiting = Waiting::new(self, need);
        let mut hopeless_at = None;
        loop {
            let mut freed = std::pin::pin!(self.freed.notified());
            freed.as_mut().enable();
            // Before anything else: to ask for a place would begin another attempt.
            if let Some(failure) = hopeless_at.and_then(|at| self.failure_at(at, need)) {
                return Err(failure);
            }
            if let Some(lease) = self.try_acquire(need) {
                drop(waiting);
                self.wake_one();
                return Ok(lease);
            }
            hopeless_at = hopeless_at.or_else(|| Some(self.hopeless_at()));
            let look_again = deadline.min(Instant::now() + LOOK_AGAIN);
            let woken = tokio::time::timeout_at(look_again.into(), freed).await.is_ok();
            if !woken && Instant::now() >= deadline {
                let connected = self.state.lock().slots.has_candidate(need);
                return Err(if connected {
                    EngineError::Timeout
                } else {
                    EngineError::Unavailable("not connected by the deadline".into())
                });
            }
        }
    }

    /// How many attempts will have failed when all that are under way have; one more at least. Those of others may bring
    /// a connection as well.
    fn hopeless_at(&self) -> u64 {
        let state = self.state.lock();
        state.failures + state.slots.opening.max(1) as u64
    }

    /// Why there is nothing to wait for: so many attempts have failed, and no connection is left.
    fn failure_at(&self, failures: u64, need: Need) -> Option<EngineError> {
        let state = self.state.lock();
        if state.failures < failures || state.slots.has_candidate(need) {
            return None;
        }
        state.last_failure.clone()
    }

    pub(super) fn wake_one(&self) {
        if self.state.lock().slots.waiting > 0 {
            self.freed.notify_one();
        }
    }

    /// Opens a connection in a task of its own, so that it is not lost if the query that wanted it goes away.
    fn open_connection(self: &Arc<Self>) {
        let opening = Opening { pool: self.clone(), counted: true };
        self.connector.runtime().spawn(async move {
            let result = opening.pool.connector.connect().await;
            opening.finish(result);
        });
    }

    /// Closes connections that have been idle for too long, for as long as there are any.
    fn start_reaper(self: &Arc<Self>) {
        let limit = Duration::from_millis(self.connector.config().pool.idle_timeout_ms);
        let pause = (limit / 4).max(MIN_REAP_PAUSE);
        let pool = Arc::downgrade(self);
        self.connector.runtime().spawn(async move {
            while reap(&pool, limit) {
                tokio::time::sleep(pause).await;
            }
        });
    }
}

fn reap(pool: &Weak<Pool>, limit: Duration) -> bool {
    let Some(pool) = pool.upgrade() else { return false };
    let mut state = pool.state.lock();
    let idle = state.slots.take_idle(limit);
    state.reaping = !state.slots.open.is_empty();
    let more = state.reaping;
    drop(state);
    // Closing says goodbye to the server; not under the lock.
    drop(idle);
    more
}

/// An attempt to connect, counted in the pool until it ends, however it ends.
struct Opening {
    pool: Arc<Pool>,
    counted: bool,
}

impl Opening {
    fn finish(mut self, result: Result<Connection, EngineError>) {
        let mut state = self.pool.state.lock();
        match result {
            Ok(connection) => {
                // From attempt to connection in one step, so that the sum never exceeds the limit.
                self.counted = false;
                state.slots.opening -= 1;
                state.slots.add(Arc::new(connection));
                state.slots.failed_at = None;
                let start_reaper = !std::mem::replace(&mut state.reaping, true);
                drop(state);
                if start_reaper {
                    self.pool.start_reaper();
                }
                self.pool.wake_one();
            }
            Err(failure) => {
                let datasource = &self.pool.connector.config().id;
                tracing::warn!(%datasource, error = %failure, "cannot connect to PostgreSQL");
                state.failures += 1;
                state.last_failure = Some(failure);
                state.slots.failed_at = Some(Instant::now());
            }
        }
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if self.counted {
            self.pool.state.lock().slots.opening -= 1;
            self.pool.freed.notify_waiters();
        }
    }
}

/// A query in the queue for a place.
struct Waiting<'a> {
    pool: &'a Pool,
    alone: bool,
}

impl<'a> Waiting<'a> {
    fn new(pool: &'a Pool, need: Need) -> Self {
        let alone = need.share == Share::Never;
        let mut state = pool.state.lock();
        state.slots.waiting += 1;
        state.slots.waiting_alone += usize::from(alone);
        drop(state);
        Self { pool, alone }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.pool.state.lock();
        state.slots.waiting -= 1;
        state.slots.waiting_alone -= usize::from(self.alone);
        state.slots.unreserve();
    }
}
