//! A query's place on a connection. One that is dropped before the query has ended cancels it in the database.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::connection::Connection;
use super::job::Stage;
use super::pool::Pool;
use super::slots::{Cancel, Place};

/// How long a query may take to end by itself before it is cancelled, and how often that is looked at.
const CANCEL_PAUSE: Duration = Duration::from_millis(2);

/// A cancel that has not helped by then is sent again: it may have hit another query nobody waits for.
const CANCEL_AGAIN: Duration = Duration::from_millis(250);

/// A connection whose query has not ended this long after the first cancel is thrown away.
const CANCEL_GRACE: Duration = Duration::from_secs(3);

/// A place on a connection.
pub(super) struct Lease {
    pool: Arc<Pool>,
    pub(super) connection: Arc<Connection>,
    ticket: u64,
    /// How long the connection had been idle.
    pub(super) quiet: Duration,
    /// How many cancels the connection had seen.
    cancels: u32,
    ended: bool,
}

impl Lease {
    pub(super) fn new(pool: Arc<Pool>, place: Place) -> Self {
        let Place { connection, ticket, quiet } = place;
        let cancels = connection.cancels();
        Self { pool, connection, ticket, quiet, cancels, ended: false }
    }

    /// Has `send` put a request on the connection, in the order of the tickets: whoever has been overtaken by a later
    /// ticket stands behind it. Otherwise a query could wait behind a slow one and be taken for the first.
    pub(super) fn in_turn<T>(&mut self, send: impl FnOnce() -> T) -> T {
        let _turn = self.connection.sending.lock();
        if self.connection.last_ticket.load(Ordering::SeqCst) != self.ticket {
            self.ticket = self.pool.state.lock().slots.requeue(&self.connection, self.ticket);
        }
        send()
    }

    /// Notes the first answer.
    pub(super) fn reach(&self) {
        self.connection.reach(self.ticket);
    }

    /// Whether a cancel meant for another query may hit this one, or has done so.
    pub(super) fn is_endangered(&self) -> bool {
        self.connection.cancels() != self.cancels
    }

    /// Whether the query waits behind a slow one. While it is prepared, which takes the server no time, any other on
    /// the connection may be that one: what is sent in several steps has no place of its own.
    pub(super) fn is_stuck(&self, stage: Stage) -> bool {
        let slots = &mut self.pool.state.lock().slots;
        match stage {
            Stage::Preparing => slots.is_crowded(&self.connection),
            Stage::Binding | Stage::Running => slots.is_stuck(&self.connection, self.ticket),
        }
    }

    /// The result is large: no other query shall wait behind it.
    pub(super) fn mark_long(&self) {
        self.pool.state.lock().slots.mark_long(&self.connection);
    }

    /// The query has ended. Gives back how long it ran, where it was the first on its connection.
    pub(super) fn finish(&mut self) -> Option<Duration> {
        self.ended = true;
        let ran = self.pool.state.lock().slots.release(&self.connection, self.ticket);
        self.pool.wake_one();
        ran
    }

    /// The connection is of no more use.
    pub(super) fn discard(&mut self) {
        self.ended = true;
        self.pool.state.lock().slots.remove(&self.connection);
        self.connection.abort();
        self.pool.wake_one();
    }

    /// The query has ended, and its connection goes with it.
    pub(super) fn retire(&mut self) {
        self.ended = true;
        self.pool.state.lock().slots.remove(&self.connection);
        self.pool.wake_one();
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        self.pool.state.lock().slots.doom(&self.connection, self.ticket);
        let clean_up = clean_up(self.pool.clone(), self.connection.clone(), self.ticket);
        self.connection.runtime.spawn(clean_up);
    }
}

/// Sees a query to its end that nobody waits for: lets it end, cancels it, or throws its connection away.
async fn clean_up(pool: Arc<Pool>, connection: Arc<Connection>, ticket: u64) {
    // An empty request behind the query: its answer says that the query has ended.
    let ended = connection.client.check_connection();
    let mut ended = std::pin::pin!(ended);
    let mut first_cancel: Option<Instant> = None;
    let mut last_cancel: Option<Instant> = None;
    let is_alive = loop {
        if let Ok(end) = tokio::time::timeout(CANCEL_PAUSE, ended.as_mut()).await {
            break end.is_ok();
        }
        if first_cancel.is_some_and(|at| at.elapsed() > CANCEL_GRACE) {
            break false;
        }
        if last_cancel.is_some_and(|at| at.elapsed() < CANCEL_AGAIN) {
            continue;
        }
        let may_cancel = pool.state.lock().slots.may_cancel(&connection, ticket);
        if may_cancel == Cancel::Wait
            || (may_cancel == Cancel::IfNotReached && connection.is_past(ticket))
        {
            continue;
        }
        // Announced first and looked at afterwards: a query reached in between sees the announcement.
        connection.begin_cancel();
        let hits_nobody = may_cancel == Cancel::Freely || !connection.is_past(ticket);
        if hits_nobody {
            pool.connector.cancel(&connection).await;
            let now = Instant::now();
            first_cancel.get_or_insert(now);
            last_cancel = Some(now);
        }
    };
    let mut state = pool.state.lock();
    if is_alive {
        state.slots.release(&connection, ticket);
    } else {
        state.slots.remove(&connection);
        connection.abort();
    }
    drop(state);
    pool.wake_one();
}
