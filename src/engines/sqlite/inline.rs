//! Short statements run on the thread that asks for them: to hand one to a worker and be woken by it takes several times
//! what a look-up takes. One that proves long is given up and begins anew with a worker.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};

use super::cancel::{self, Cancel};
use super::pool::{Job, Pool};
use super::session::{self, Session};
use crate::engines::{Done, EngineConfig, EngineError, Query, RowSink};

/// Looks at a short statement, each after [`cancel::SHORT_STEPS`], before it is none: about half a millisecond. A clock would
/// also count the time in which the thread did not run.
const SHORT_LOOKS: u32 = 100;
/// The longest that a statement holds up the thread that asks for it, where it waits for the disk.
const LONGEST: Duration = Duration::from_millis(10);
/// How long a statement that was not short is left to the workers.
const LONG_FOR: Duration = Duration::from_mins(1);
/// So often in a row something may come between, such as a lock, or other processes that had the processor, before that counts
/// as well.
const MAX_MISHAPS: u8 = 3;
/// Statements of which that is known; beyond it they are tried again.
const MAX_GIVEN_UP: usize = 256;
/// Longest time to open a connection.
const OPENING: Duration = Duration::from_secs(10);
/// File systems behind a network, by the numbers that the kernel gives them (NFS, CIFS, SMB 2, SMB, 9p, Ceph, Lustre, FUSE): there a
/// read may never return, which must hold up nobody but a worker.
const FAR_FILE_SYSTEMS: [u32; 8] =
    [0x6969, 0xff53_4d42, 0xfe53_4d42, 0x517b, 0x0102_1997, 0x00c3_6400, 0x0bd0_0bd0, 0x6573_5546];

/// The connections on which short statements run.
pub struct Inline {
    seats: Vec<Arc<Seat>>,
    idle_timeout: Duration,
}

/// A connection for whoever comes first.
struct Seat {
    config: Arc<EngineConfig>,
    state: Mutex<State>,
}

struct State {
    session: Session,
    /// One of the pool's connections is lent to it.
    has_place: bool,
    /// When a connection may be opened; nothing while one is, or where there shall be none.
    open_from: Option<Instant>,
    used: Instant,
    /// Statements that were given up the last time.
    given_up: HashMap<Arc<str>, GivenUp, ahash::RandomState>,
}

struct GivenUp {
    /// How often in a row.
    mishaps: u8,
    at: Instant,
}

impl Inline {
    /// As many seats as there are processors, and one worker at least beside them. Opens nothing.
    pub fn new(config: &Arc<EngineConfig>, open: &Arc<AtomicUsize>) -> Self {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let most = usize::try_from(config.pool.max_connections).unwrap_or(usize::MAX);
        let seats = processors.min(most.saturating_sub(1));
        let seat = || {
            Arc::new(Seat {
                config: config.clone(),
                state: Mutex::new(State {
                    session: Session::new(config.clone(), open.clone()),
                    has_place: false,
                    open_from: Some(Instant::now()),
                    used: Instant::now(),
                    given_up: HashMap::default(),
                }),
            })
        };
        Self {
            seats: (0..seats).map(|_| seat()).collect(),
            idle_timeout: Duration::from_millis(config.pool.idle_timeout_ms),
        }
    }

    /// Runs a query, if it is short; `None`: a worker shall, with `sink` as it was.
    pub fn run<S: RowSink>(
        &self,
        pool: &Pool,
        query: &Query,
        sink: &mut S,
    ) -> Option<Result<Done, EngineError>> {
        if !query.read_only || !S::REWINDS {
            return None;
        }
        let (seat, mut state) = self.take()?;
        let now = Instant::now();
        if now >= query.deadline {
            return None;
        }
        let before = if state.given_up.is_empty() { None } else { state.given_up.get(&query.sql) };
        let mishaps = before.map_or(0, |before| before.mishaps);
        if mishaps >= MAX_MISHAPS && before.is_some_and(|before| now < before.at + LONG_FOR) {
            return None;
        }
        if !state.session.is_open() {
            let may_open = state.open_from.is_some_and(|from| from <= now);
            state.has_place = state.has_place || may_open && pool.lend();
            let opening: Arc<dyn Job> = seat.clone();
            if may_open && state.has_place && pool.submit(&opening).is_ok() {
                state.open_from = None;
            }
            return None;
        }
        state.used = now;
        let cancel = Arc::new(Cancel::at_once(query.deadline.min(now + LONGEST), SHORT_LOOKS));
        let run = || {
            state.session.with_connection(&cancel, |connection, known| {
                session::run(connection, query, sink, known, &cancel)
            })
        };
        let result = cancel::during(&cancel, || catch_unwind(AssertUnwindSafe(run)));
        if let Ok(Ok(done)) = result {
            if mishaps > 0 {
                state.given_up.remove(&query.sql);
            }
            return Some(Ok(done));
        }
        if result.is_err() {
            state.session.close();
        }
        // Whatever went wrong, a worker finds it again or does not, and has the time for it.
        if state.given_up.len() >= MAX_GIVEN_UP {
            state.given_up.clear();
        }
        let mishaps = if cancel.is_used_up() { MAX_MISHAPS } else { mishaps.saturating_add(1) };
        state.given_up.insert(query.sql.clone(), GivenUp { mishaps, at: now });
        sink.rewind();
        None
    }

    /// A seat that nobody sits on. Threads begin to look at different ones.
    fn take(&self) -> Option<(&Arc<Seat>, MutexGuard<'_, State>)> {
        thread_local! {
            static FIRST: usize = {
                static THREADS: AtomicUsize = AtomicUsize::new(0);
                THREADS.fetch_add(1, Ordering::Relaxed)
            };
        }
        let count = self.seats.len();
        let first = FIRST.with(|first| *first);
        (0..count).find_map(|nth| {
            let seat = &self.seats[(first + nth) % count];
            Some((seat, seat.state.try_lock()?))
        })
    }

    /// Closes the connections that were not used for as long as a connection is kept: how many, and whether others stay open.
    pub fn close_idle(&self) -> (usize, bool) {
        let (mut closed, mut is_used) = (0, false);
        for seat in &self.seats {
            // Whoever sits on it uses it, and may be about to ask the pool, which asks here, for something.
            let Some(mut state) = seat.state.try_lock() else {
                is_used = true;
                continue;
            };
            if state.session.is_open() && state.used.elapsed() >= self.idle_timeout {
                state.leave(Instant::now());
                closed += 1;
            }
            is_used |= state.session.is_open();
        }
        (closed, is_used)
    }

    /// Gives a connection back to the workers, who need it more; false where none can be had at the moment.
    pub fn give_way(&self) -> bool {
        let mut open = self.seats.iter().filter_map(|seat| seat.state.try_lock());
        let Some(mut state) = open.find(|state| state.session.is_open()) else { return false };
        state.leave(Instant::now() + LONG_FOR);
        true
    }
}

impl State {
    /// Closes the connection and gives its place back.
    fn leave(&mut self, open_from: Instant) {
        self.session.close();
        (self.has_place, self.open_from) = (false, Some(open_from));
    }
}

/// Opening may take long, or wait for the file to be made, so a worker does it.
impl Job for Seat {
    fn run(&self, _: &mut Session) {
        let cancel = Arc::new(Cancel::new(Instant::now() + OPENING));
        let mut opened = Session::new(self.config.clone(), self.state.lock().session.counter());
        let is_open = cancel::during(&cancel, || opened.open(&cancel, cancel::SHORT_STEPS)).is_ok();
        let is_far = is_far(&self.config.path);
        let (mut state, now) = (self.state.lock(), Instant::now());
        if is_open && !is_far {
            (state.session, state.used) = (opened, now);
        }
        // Why it cannot be opened, a query says that a worker runs meanwhile.
        let pause = if is_open { Duration::ZERO } else { LONG_FOR };
        state.open_from = (!is_far).then(|| now + pause);
    }
}

fn is_far(path: &Path) -> bool {
    let number = |stat: rustix::fs::StatFs| u32::try_from(stat.f_type & 0xffff_ffff).unwrap_or(0);
    rustix::fs::statfs(path).is_ok_and(|stat| FAR_FILE_SYSTEMS.contains(&number(stat)))
}
