//! How a running statement is stopped: by its deadline or because nobody waits for it any more.

use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rusqlite::Connection;

use crate::engines::EngineError;

/// Steps of SQLite's virtual machine between two looks at the clock: some ten microseconds.
pub const STEPS_BETWEEN_CHECKS: i32 = 2_000;
/// The same where a thread that has other things to do waits for the end.
pub const SHORT_STEPS: i32 = 100;
/// Longest that one piece of work waits for locks that other processes hold on the file.
const LOCK_WAIT: Duration = Duration::from_secs(2);
/// Pause between two tries to get a lock.
const LOCK_PAUSE: Duration = Duration::from_millis(2);

/// The end of one piece of work, seen from both sides.
pub struct Cancel {
    deadline: Instant,
    cancelled: AtomicBool,
    /// For work that may wait for nothing, neither locks nor readers: how often it may still be looked at before it is over.
    looks_left: Option<AtomicU32>,
    /// The worker, while it sleeps until a reader has taken what is buffered.
    sleeper: Mutex<Option<Thread>>,
}

impl Cancel {
    pub fn new(deadline: Instant) -> Self {
        let cancelled = AtomicBool::new(false);
        Self { deadline, cancelled, looks_left: None, sleeper: Mutex::new(None) }
    }

    /// For work that is done at once, within so many looks at it, or not at all.
    pub fn at_once(deadline: Instant, looks: u32) -> Self {
        Self { looks_left: Some(AtomicU32::new(looks)), ..Self::new(deadline) }
    }

    /// Whether it took more than it was given.
    pub fn is_used_up(&self) -> bool {
        self.looks_left.as_ref().is_some_and(|left| left.load(Ordering::Relaxed) == 0)
    }

    fn look(&self) -> bool {
        let less = |left: u32| left.checked_sub(1);
        let is_used_up = self.looks_left.as_ref().is_some_and(|left| {
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_err()
        });
        is_used_up || self.is_over()
    }

    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Ends the work now.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::SeqCst);
        if let Some(thread) = self.sleeper.lock().as_ref() {
            thread.unpark();
        }
    }

    /// Whether the work must end.
    pub fn is_over(&self) -> bool {
        self.cancelled.load(Ordering::SeqCst) || Instant::now() >= self.deadline
    }

    /// Blocks the thread until `future` is ready.
    ///
    /// # Errors
    /// [`EngineError::Timeout`] where the work must end before that, or must not wait.
    pub fn block_on<F: Future>(&self, future: F) -> Result<F::Output, EngineError> {
        if self.looks_left.is_some() {
            return Err(EngineError::Timeout);
        }
        *self.sleeper.lock() = Some(thread::current());
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return Ok(output);
            }
            if self.is_over() {
                return Err(EngineError::Timeout);
            }
            thread::park_timeout(self.deadline.saturating_duration_since(Instant::now()));
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

thread_local! {
    /// What this thread's connection works for, and since when it has had to wait for locks.
    static CURRENT: RefCell<Option<(Arc<Cancel>, Option<Instant>)>> = const { RefCell::new(None) };
}

/// Does `work` on this thread under `cancel`.
pub fn during<T>(cancel: &Arc<Cancel>, work: impl FnOnce() -> T) -> T {
    CURRENT.set(Some((Arc::clone(cancel), None)));
    let output = work();
    CURRENT.set(None);
    output
}

/// Makes `connection` obey the work of its thread, at which it looks every so many `steps`.
///
/// # Errors
/// None that is known of: SQLite takes the handlers of an open connection.
pub fn watch(connection: &Connection, steps: i32) -> rusqlite::Result<()> {
    connection.progress_handler(steps, Some(is_over))?;
    connection.busy_handler(Some(wait_for_lock))
}

fn is_over() -> bool {
    CURRENT.with_borrow(|current| current.as_ref().is_some_and(|(cancel, _)| cancel.look()))
}

/// SQLite calls this again and again until the lock is free or the answer is no; then it may well try from the start, so
/// the wait is counted over the whole work.
fn wait_for_lock(_tries: i32) -> bool {
    let goes_on = CURRENT.with_borrow_mut(|current| match current {
        Some((cancel, since)) => {
            let since = since.get_or_insert_with(Instant::now);
            cancel.looks_left.is_none() && !cancel.is_over() && since.elapsed() < LOCK_WAIT
        }
        None => false,
    });
    if goes_on {
        thread::sleep(LOCK_PAUSE);
    }
    goes_on
}
