//! The worker threads and the queue before them.
//!
//! Fast statements are limited by the processor, so as many run at once as there are processors. A statement that takes
//! long no longer counts against that: others start beside it, up to the limit of connections.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::inline::Inline;
use super::session::Session;
use crate::engines::{EngineConfig, EngineError, PoolStats};

/// A statement that has run for longer is slow, and a task that has waited for longer asks who is.
pub const SLOW_AFTER: Duration = Duration::from_millis(5);
/// Most tasks that wait for a worker.
const MAX_QUEUED: usize = 16_384;
/// When to try again, if the queue is full.
const RETRY_AFTER: Duration = Duration::from_millis(200);
/// How often a worker that finds nothing to do lets others run and looks again before it sleeps. Under load the next statement
/// is there by then, and to sleep and be woken costs more than to run it.
const LOOKS: usize = 16;
/// A worker beyond the number of processors ends after having had nothing to do for so long.
const SURPLUS_IDLE: Duration = Duration::from_secs(10);

/// Work for a worker.
pub trait Job: Send + Sync {
    /// Does it with the worker's session. Must not panic.
    fn run(&self, session: &mut Session);
}

/// The workers of one database.
pub struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    config: Arc<EngineConfig>,
    /// Most workers.
    max: usize,
    /// Most workers that run what is not slow.
    base: usize,
    /// Open connections.
    open: Arc<AtomicUsize>,
    /// Whose unused connections a worker closes that has nothing to do.
    inline: Arc<Inline>,
    state: Mutex<State>,
    /// Idle workers wait here for the queue.
    wake: Condvar,
    /// Length of the queue, for those who look without the lock.
    queued: AtomicUsize,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Arc<dyn Job>>,
    running: Vec<Running>,
    threads: usize,
    /// Threads that were started and do not look for work yet.
    starting: usize,
    /// Idle workers that shall end, as somebody wants to borrow their connections.
    unwanted: usize,
    /// Connections that are lent to whoever runs short statements without a worker.
    lent: usize,
    idle: usize,
    /// Workers that have nothing to do and do not sleep yet.
    looking: usize,
    last_worker: usize,
    closed: bool,
}

struct Running {
    worker: usize,
    since: Instant,
    slow: bool,
}

impl State {
    fn may_start(&self, base: usize) -> bool {
        self.running.iter().filter(|running| !running.slow).count() < base
    }

    /// Connections that workers have, or are about to open, and those that are lent.
    fn taken(&self) -> usize {
        self.threads + self.lent
    }
}

impl Pool {
    /// A pool without threads; they start with the work. `open` counts its connections and those of `inline`.
    pub fn new(config: Arc<EngineConfig>, open: Arc<AtomicUsize>, inline: Arc<Inline>) -> Self {
        let max = usize::try_from(config.pool.max_connections).unwrap_or(usize::MAX).max(1);
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let shared = Shared {
            config,
            max,
            base: processors.min(max),
            open,
            inline,
            state: Mutex::default(),
            wake: Condvar::new(),
            queued: AtomicUsize::new(0),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Queues a job.
    ///
    /// # Errors
    /// `Busy` where the queue is full, `Unavailable` where there is no thread to be had.
    pub fn submit(&self, job: &Arc<dyn Job>) -> Result<(), EngineError> {
        let mut state = self.shared.state.lock();
        if state.queue.len() >= MAX_QUEUED {
            return Err(EngineError::Busy { retry_after: RETRY_AFTER });
        }
        state.queue.push_back(Arc::clone(job));
        self.shared.count(&state);
        self.shared.staff(&mut state);
        if state.threads == 0 {
            state.queue.clear();
            self.shared.count(&state);
            return Err(EngineError::Unavailable("no thread can be started".to_owned()));
        }
        Ok(())
    }

    /// Lends one of the connections, if no worker has it. Where only an idle one has, it gives it up, for the next time.
    pub fn lend(&self) -> bool {
        let mut state = self.shared.state.lock();
        let is_there = state.taken() < self.shared.max;
        state.lent += usize::from(is_there);
        if !is_there && state.idle > 0 && state.unwanted == 0 && state.threads > 1 {
            state.unwanted += 1;
            self.shared.wake.notify_one();
        }
        is_there
    }

    /// Takes a job back out of the queue.
    pub fn forget(&self, job: &Arc<dyn Job>) {
        let mut state = self.shared.state.lock();
        state.queue.retain(|queued| !Arc::ptr_eq(queued, job));
        self.shared.count(&state);
    }

    /// Finds out what is slow, and starts a worker beside it if somebody waits.
    pub fn relieve(&self) {
        let mut state = self.shared.state.lock();
        for running in &mut state.running {
            running.slow = running.slow || running.since.elapsed() >= SLOW_AFTER;
        }
        if !state.queue.is_empty() {
            self.shared.staff(&mut state);
        }
    }

    pub fn stats(&self) -> PoolStats {
        PoolStats {
            open: self.shared.open.load(Ordering::Relaxed),
            busy: self.shared.state.lock().running.len(),
            max: self.shared.max,
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.state.lock().closed = true;
        self.shared.wake.notify_all();
    }
}

impl Shared {
    /// Sees to it that somebody takes the head of the queue, if it may start now. A worker who takes a job calls this for
    /// the next one, so one call gets as many to work as may.
    fn staff(self: &Arc<Self>, state: &mut State) {
        // Whoever is about to look, looks for the head of the queue: a burst does not start a thread a task.
        if !state.may_start(self.base) || state.looking + state.starting > 0 {
            return;
        }
        if state.idle > 0 {
            self.wake.notify_one();
            return;
        }
        if state.taken() >= self.max && self.inline.give_way() {
            state.lent -= 1;
        }
        if state.taken() < self.max {
            state.last_worker = state.last_worker.wrapping_add(1);
            let worker = state.last_worker;
            let shared = Arc::clone(self);
            let thread = thread::Builder::new().name(format!("sqlite-{}", self.config.id));
            if let Err(error) = thread.spawn(move || shared.work(worker)) {
                tracing::warn!(datasource = self.config.id, %error, "no thread for a connection");
            } else {
                state.threads += 1;
                state.starting += 1;
            }
        }
    }

    fn count(&self, state: &State) {
        self.queued.store(state.queue.len(), Ordering::Relaxed);
    }

    /// Lets others run until there is something in the queue, for a while.
    fn look(&self) {
        for _ in 0..LOOKS {
            if self.queued.load(Ordering::Relaxed) > 0 {
                return;
            }
            thread::yield_now();
        }
    }

    fn work(self: Arc<Self>, worker: usize) {
        let mut session = Session::new(Arc::clone(&self.config), Arc::clone(&self.open));
        self.state.lock().starting -= 1;
        while let Some(job) = self.next(worker) {
            job.run(&mut session);
        }
    }

    /// The worker's next job; `None` when it shall end.
    fn next(self: &Arc<Self>, worker: usize) -> Option<Arc<dyn Job>> {
        let mut state = self.state.lock();
        state.running.retain(|running| running.worker != worker);
        let (mut has_looked, mut bored) = (false, false);
        while !state.closed {
            if state.may_start(self.base)
                && let Some(job) = state.queue.pop_front()
            {
                self.count(&state);
                state.running.push(Running { worker, since: Instant::now(), slow: false });
                if !state.queue.is_empty() {
                    self.staff(&mut state);
                }
                return Some(job);
            }
            if state.unwanted > 0 && state.threads > 1 {
                state.unwanted -= 1;
                break;
            }
            if bored {
                let (closed, is_lent) = self.inline.close_idle();
                state.lent -= closed;
                // The last worker stays for as long as there are lent connections to look after.
                if state.threads > 1 || !is_lent {
                    break;
                }
                bored = false;
            }
            if !has_looked {
                has_looked = true;
                state.looking += 1;
                MutexGuard::unlocked(&mut state, || self.look());
                state.looking -= 1;
                continue;
            }
            let mut patience = Duration::from_millis(self.config.pool.idle_timeout_ms);
            if state.threads > self.base {
                patience = patience.min(SURPLUS_IDLE);
            }
            state.idle += 1;
            bored = self.wake.wait_for(&mut state, patience).timed_out();
            state.idle -= 1;
        }
        state.threads -= 1;
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;
    use crate::definitions::spec::datasource::Pool as Connections;

    /// Ends when all of its kind have begun.
    struct Meeting(Arc<Barrier>);

    impl Job for Meeting {
        fn run(&self, _: &mut Session) {
            self.0.wait();
        }
    }

    fn pool(max_connections: u32) -> Pool {
        let config = Arc::new(EngineConfig {
            id: "test".into(),
            path: "nowhere.db".into(),
            read_only: true,
            pool: Connections { max_connections, ..Connections::default() },
            timeout_ms: 1_000,
            ..EngineConfig::default()
        });
        let open = Arc::default();
        Pool::new(config.clone(), open, Arc::new(Inline::new(&config, &Arc::default())))
    }

    #[test]
    fn an_idle_worker_gives_its_connection_to_whoever_borrows() {
        let processors = thread::available_parallelism().map_or(1, usize::from).max(2);
        let pool = pool(u32::try_from(processors).unwrap());
        let meeting = Arc::new(Barrier::new(processors));
        for _ in 0..processors {
            let job: Arc<dyn Job> = Arc::new(Meeting(meeting.clone()));
            pool.submit(&job).unwrap();
        }
        let limit = Instant::now() + Duration::from_secs(10);
        while !pool.lend() {
            assert!(Instant::now() < limit, "{:?}", pool.stats());
            thread::sleep(Duration::from_millis(1));
        }
        let state = pool.shared.state.lock();
        assert_eq!((state.threads, state.lent, state.unwanted), (processors - 1, 1, 0));
    }
}
