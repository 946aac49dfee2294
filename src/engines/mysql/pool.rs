//! The connections of a datasource: at most so many, opened when needed, closed when idle, never used again when their
//! state is not certain.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::{timeout, timeout_at};

use super::error::{has_no_connection_left, login_step, unavailable};
use super::session::{self, Open, Session};
use crate::engines::{EngineConfig, EngineError, LoginStep, PoolStats};

/// Most connections beside the pool, for what cannot wait for a place in it: cancelling, asking about a procedure's
/// columns.
const SIDE_CONNECTIONS_MAX: usize = 4;
/// Longest attempt to cancel a query.
const KILL_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a server that refused another connection is asked for one again, while there are others to wait for.
const CROWDED_PAUSE: Duration = Duration::from_millis(250);
/// Longest goodbye.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// The pool of one datasource.
pub(super) struct Pool {
    options: Opts,
    setup: String,
    connect_timeout: Duration,
    idle_timeout: Duration,
    runtime: Option<Handle>,
    max: usize,
    /// One for each connection in use.
    places: Arc<Semaphore>,
    side: Semaphore,
    open: Arc<AtomicUsize>,
    idle: Mutex<Idle>,
    /// A connection has come back, for those that wait because the server gives no more of them.
    returned: Notify,
    waiting: AtomicUsize,
}

#[derive(Default)]
struct Idle {
    /// The longest idle first; the last is the next to be used.
    sessions: Vec<Session>,
    /// A task is there that closes them in time.
    swept: bool,
}

impl Pool {
    pub fn new(config: EngineConfig) -> Self {
        let max = usize::try_from(config.pool.max_connections).unwrap_or(usize::MAX).max(1);
        Self {
            options: session::options(&config),
            setup: session::setup(&config),
            connect_timeout: Duration::from_millis(config.pool.connect_timeout_ms),
            idle_timeout: Duration::from_millis(config.pool.idle_timeout_ms),
            runtime: config.runtime,
            max,
            places: Arc::new(Semaphore::new(max)),
            side: Semaphore::new(SIDE_CONNECTIONS_MAX),
            open: Arc::default(),
            idle: Mutex::default(),
            returned: Notify::new(),
            waiting: AtomicUsize::new(0),
        }
    }

    pub fn stats(&self) -> PoolStats {
        let idle = self.idle.lock();
        let open = self.open.load(Ordering::Relaxed);
        PoolStats { open, busy: open.saturating_sub(idle.sessions.len()), max: self.max }
    }

    /// A connection: an idle one, else a new one, after waiting for a place. Waits for a place without end: callers
    /// bound it.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] where a new one could not be had, also by `deadline`; [`EngineError::Timeout`] where
    /// the server gives no more and none has come back by then.
    pub async fn lease(self: &Arc<Self>, deadline: Instant) -> Result<Lease, EngineError> {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.expect("the semaphore is never closed");
        let (session, open) = self.idle_or_open();
        let reused = session.is_some();
        let mut lease =
            Lease { pool: Arc::clone(self), session, place: Some(place), reused, running: false };
        if let Some(open) = open {
            let late = || EngineError::Unavailable("not connected by the deadline".into());
            let connected = timeout_at(deadline.into(), self.connect(open)).await;
            match connected.map_err(|_| late())? {
                Ok(session) => lease.session = Some(session),
                Err(refused) if refused.crowded => {
                    (lease.session, lease.reused) = self.crowded(refused, deadline).await?;
                }
                Err(refused) => return Err(refused.error),
            }
        }
        Ok(lease)
    }

    /// An idle connection, or leave to open one.
    fn idle_or_open(&self) -> (Option<Session>, Option<Open>) {
        let mut idle = self.idle.lock();
        let session = idle.sessions.pop();
        let session = session.filter(|session| session.idle_since.elapsed() < self.idle_timeout);
        // Counted under the lock, so that `stats` never sees one connection too few.
        let open = session.is_none().then(|| Open::count(&self.open));
        (session, open)
    }

    /// A connection of a server that gives fewer than the pool may have: one that comes back, or a new one after all; and
    /// whether it was idle before. As long as there are others to wait for.
    async fn crowded(
        &self,
        mut refused: Refused,
        deadline: Instant,
    ) -> Result<(Option<Session>, bool), EngineError> {
        let _waiting = Waiting::new(&self.waiting);
        while refused.crowded && self.open.load(Ordering::Relaxed) > 0 {
            let again = deadline.min(Instant::now() + CROWDED_PAUSE);
            let _ = timeout_at(again.into(), self.returned.notified()).await;
            if Instant::now() >= deadline {
                return Err(EngineError::Timeout);
            }
            let (session, open) = self.idle_or_open();
            let Some(open) = open else { return Ok((session, true)) };
            match timeout_at(deadline.into(), self.connect(open)).await {
                Ok(Ok(session)) => return Ok((Some(session), false)),
                Ok(Err(again)) => refused = again,
                Err(_) => return Err(EngineError::Timeout),
            }
        }
        Err(refused.error)
    }

    async fn connect(&self, open: Open) -> Result<Session, Refused> {
        let connecting = Session::open(self.options.clone(), &self.setup, open);
        self.in_time(connecting).await
    }

    /// A connection outside the pool, set up alike: the server's answers depend on it.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] where it could not be had.
    pub async fn side_connection(&self) -> Result<(Conn, SemaphorePermit<'_>), EngineError> {
        let place = self.side.acquire().await.expect("the semaphore is never closed");
        let connecting = async {
            let mut conn = Conn::new(self.options.clone()).await?;
            conn.query_drop(&self.setup).await?;
            Ok(conn)
        };
        Ok((self.in_time(connecting).await.map_err(|refused| refused.error)?, place))
    }

    /// Connects beside the pool, and says goodbye. Bounded by the caller alone.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] where that fails, and at which step.
    pub async fn log_in(&self) -> Result<(), (LoginStep, EngineError)> {
        let checking = async {
            let mut conn = Conn::new(self.options.clone()).await?;
            conn.ping().await?;
            conn.disconnect().await
        };
        let checked = on_runtime(self.runtime.as_ref(), checking).await;
        checked.map_err(|error| (login_step(&error), unavailable(&error)))
    }

    async fn in_time<T>(
        &self,
        connecting: impl Future<Output = mysql_async::Result<T>>,
    ) -> Result<T, Refused> {
        let connected =
            timeout(self.connect_timeout, on_runtime(self.runtime.as_ref(), connecting));
        let Ok(connected) = connected.await else {
            let waited_ms = self.connect_timeout.as_millis();
            let error = EngineError::Unavailable(format!("no connection within {waited_ms} ms"));
            return Err(Refused { error, crowded: false });
        };
        connected.map_err(|error| Refused {
            crowded: has_no_connection_left(&error),
            error: unavailable(&error),
        })
    }

    fn handle(&self) -> Option<Handle> {
        self.runtime.clone().or_else(|| Handle::try_current().ok())
    }

    fn put_back(self: &Arc<Self>, mut session: Session) {
        session.idle_since = Instant::now();
        let mut idle = self.idle.lock();
        idle.sessions.push(session);
        if !idle.swept
            && let Some(handle) = self.handle()
        {
            idle.swept = true;
            handle.spawn(sweep(Arc::downgrade(self), self.idle_timeout));
        }
        drop(idle);
        if self.waiting.load(Ordering::Relaxed) > 0 {
            self.returned.notify_one();
        }
    }

    /// Takes out what has been idle for too long, and says when to look again; `None`: nothing is left to look at.
    fn expired(&self) -> (Vec<Session>, Option<Instant>) {
        let mut idle = self.idle.lock();
        let now = Instant::now();
        let count =
            idle.sessions.partition_point(|session| session.idle_since + self.idle_timeout <= now);
        let expired = idle.sessions.drain(..count).collect();
        let next = idle.sessions.first().map(|session| session.idle_since + self.idle_timeout);
        idle.swept = next.is_some();
        (expired, next)
    }

    /// Ends a connection whose state is not certain; `running`: with what may still run on it.
    async fn retire(&self, session: Session, running: bool) {
        if running {
            // Not reaching the server is no reason to keep the place: the session's own limit ends the query.
            let _ = timeout(KILL_TIMEOUT, self.kill(session.conn.id())).await;
        }
        close(session).await;
    }

    async fn kill(&self, id: u32) -> Result<(), EngineError> {
        let (mut conn, _place) = self.side_connection().await?;
        conn.query_drop(format!("KILL QUERY {id}")).await.map_err(|error| unavailable(&error))?;
        conn.disconnect().await.map_err(|error| unavailable(&error))
    }
}

/// Why there is no new connection.
struct Refused {
    error: EngineError,
    /// The server has no more for this account, or for anybody.
    crowded: bool,
}

/// Counts one that waits, until it is dropped.
struct Waiting<'p>(&'p AtomicUsize);

impl<'p> Waiting<'p> {
    fn new(waiting: &'p AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn close(session: Session) {
    let Session { conn, open, .. } = session;
    let _ = timeout(CLOSE_TIMEOUT, conn.disconnect()).await;
    drop(open);
}

async fn sweep(pool: Weak<Pool>, idle_timeout: Duration) {
    let mut next = Instant::now() + idle_timeout;
    loop {
        tokio::time::sleep_until(next.into()).await;
        let Some(pool) = pool.upgrade() else { return };
        let (expired, later) = pool.expired();
        for session in expired {
            close(session).await;
        }
        let Some(later) = later else { return };
        next = later;
    }
}

/// Polls `work` inside `runtime`, so that its sockets and timers belong there.
async fn on_runtime<T>(runtime: Option<&Handle>, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    poll_fn(|context| {
        let _inside = runtime.map(Handle::enter);
        work.as_mut().poll(context)
    })
    .await
}

/// A connection in use. Dropped without [`Lease::give_back`], the connection is ended, and what runs on it cancelled.
pub(super) struct Lease {
    pool: Arc<Pool>,
    session: Option<Session>,
    /// Taken only when the lease ends.
    place: Option<OwnedSemaphorePermit>,
    /// It was idle before: it may have died since.
    pub reused: bool,
    /// A statement was sent and has not ended.
    pub running: bool,
}

impl Lease {
    pub fn session(&mut self) -> &mut Session {
        self.session.as_mut().expect("only a failed `renew` leaves none, and that ends the lease")
    }

    /// Puts another connection, a new one, in the place of this one, which is dead.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] where it could not be had.
    pub async fn renew(&mut self) -> Result<(), EngineError> {
        self.session = None;
        self.running = false;
        self.reused = false;
        let open = Open::count(&self.pool.open);
        self.session = Some(self.pool.connect(open).await.map_err(|refused| refused.error)?);
        Ok(())
    }

    /// Back to the idle ones: nothing runs, nothing is left to read.
    pub fn give_back(mut self) {
        if let Some(session) = self.session.take() {
            self.pool.put_back(session);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else { return };
        // Outside of any runtime there is nothing to cancel with: the socket closes, the session's own limit does the rest.
        let Some(handle) = self.pool.handle() else { return };
        let (pool, place, running) = (Arc::clone(&self.pool), self.place.take(), self.running);
        handle.spawn(async move {
            pool.retire(session, running).await;
            drop(place);
        });
    }
}
