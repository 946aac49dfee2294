//! The audit trail: one task writes it, so that many callers share each commit.
//!
//! ```text
//! strict   ─► queue ─┐                         ┌─ ok    ─► answer the strict callers
//!                    ├─► batch ─► transaction ─┤
//! buffered ─► queue ─┘     ▲                   └─ error ─► strict callers get it
//!                          └──────── backlog ◄──────────── buffered ones are tried again
//! ```

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

mod checkpoint;
mod insert;
mod record;
mod table;
mod writer;

pub use record::{
    AuditEntry, AuditRecord, ExecuteKind, MAX_PARAMS_BYTES, MAX_TEXT_BYTES, PrincipalKind,
};
pub use table::{AuditFilter, MAX_RECENT};

use self::insert::Inserter;
use super::Store;
use crate::observe::metrics::AuditStats;
use writer::{Writer, expire_forever};

/// Longest time a strict caller waits to know.
pub const STRICT_TIMEOUT: Duration = Duration::from_secs(5);
/// Strict records that may wait beside the buffered ones; further callers wait outside, within their time.
const STRICT_QUEUE: usize = 8192;
/// Most records of one transaction.
pub const BATCH_RECORDS: usize = 1024;
/// Pause before buffered records are tried again.
const RETRY_DELAY: Duration = Duration::from_millis(250);
/// Longest pause after a transaction while another process writes as well: it waits for the lock by looking now and then,
/// and a process that takes it again at once could keep it out for seconds.
const MAX_SHARED_PAUSE: Duration = Duration::from_millis(20);
/// Records deleted at a time by retention, and the pause that leaves the disk to the calls.
const EXPIRE_BATCH: u32 = 500;
const EXPIRE_PAUSE: Duration = Duration::from_millis(20);
/// How often retention looks for old records.
const EXPIRE_INTERVAL: Duration = Duration::from_hours(1);

/// What an acknowledged record survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The end of this process, also by a kill: the system has it. The disk follows within seconds.
    #[default]
    Process,
    /// A power cut too: the disk has it. Callers wait for that.
    Power,
}

/// How the audit log behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditSettings {
    /// Days a record is kept; 0 keeps it for ever.
    pub retention_days: u32,
    /// Buffered records that may wait; more are dropped and counted.
    pub buffer_records: usize,
    pub durability: Durability,
}

impl Default for AuditSettings {
    fn default() -> Self {
        Self { retention_days: 180, buffer_records: 16_384, durability: Durability::default() }
    }
}

/// Why a strict record is not known to be stored.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AuditError {
    /// The store did not answer in time; the record may still be written later.
    #[error("the audit store did not answer in time")]
    Timeout,
    /// The log has been shut down.
    #[error("the audit log is closed")]
    Closed,
    /// The store refused; internal text.
    #[error("{0}")]
    Store(Arc<str>),
}

/// Accepts audit records. Cloning shares the queue; the writer ends, after writing what it accepted, when the last
/// clone is gone.
#[derive(Clone)]
pub struct AuditLog {
    queue: mpsc::Sender<Item>,
    counters: Arc<Counters>,
    buffer_records: usize,
}

/// What goes to the writer.
enum Item {
    Strict(Box<AuditRecord>, oneshot::Sender<Result<(), AuditError>>),
    Buffered(Box<AuditRecord>),
    /// Answered once everything before it is committed.
    Flush(oneshot::Sender<()>),
}

#[derive(Default)]
struct Counters {
    /// Buffered records accepted and not yet committed: in the queue or in the writer's backlog.
    buffered: AtomicUsize,
    /// Those of them in the backlog.
    backlog: AtomicUsize,
    written: AtomicU64,
    transactions: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
    expired: AtomicU64,
}

impl AuditLog {
    /// Starts the writer on a thread of its own, and the retention on `runtime`, where it ends with the writer.
    ///
    /// # Errors
    /// Where no thread is to be had.
    pub fn start(store: Store, settings: AuditSettings, runtime: &Handle) -> io::Result<Self> {
        let AuditSettings { retention_days, buffer_records, durability } = settings;
        let (queue, items) = mpsc::channel(STRICT_QUEUE + buffer_records);
        let counters = Arc::new(Counters::default());
        let inserter = Inserter::new(store.file.clone(), durability);
        let writer = Writer::new(store.clone(), inserter, items, counters.clone());
        let expiry = runtime.spawn(expire_forever(store, retention_days, counters.clone()));
        let own = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        thread::Builder::new().name("audit".to_owned()).spawn(move || {
            own.block_on(writer.run());
            expiry.abort();
        })?;
        Ok(Self { queue, counters, buffer_records })
    }

    /// Stores a record; returns when it is committed and survives what [`Durability`] says. An error comes within
    /// [`STRICT_TIMEOUT`]. A caller that goes away meanwhile leaves its record in the queue.
    pub async fn strict(&self, record: AuditRecord) -> Result<(), AuditError> {
        let (answer, committed) = oneshot::channel();
        let item = Item::Strict(Box::new(record.bounded()), answer);
        let stored = async {
            self.queue.send(item).await.map_err(|_| AuditError::Closed)?;
            committed.await.unwrap_or(Err(AuditError::Closed))
        };
        let outcome = timeout(STRICT_TIMEOUT, stored).await.unwrap_or(Err(AuditError::Timeout));
        if outcome.is_err() {
            self.counters.failed.fetch_add(1, Relaxed);
        }
        outcome
    }

    /// Queues a record without waiting. `false`: the queue was full (or the log closed); the record is dropped and
    /// counted.
    pub fn buffered(&self, record: AuditRecord) -> bool {
        let room = |waiting| (waiting < self.buffer_records).then_some(waiting + 1);
        if self.counters.buffered.try_update(Relaxed, Relaxed, room).is_err() {
            self.counters.dropped.fetch_add(1, Relaxed);
            return false;
        }
        match self.queue.try_send(Item::Buffered(Box::new(record.bounded()))) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => {
                self.counters.buffered.fetch_sub(1, Relaxed);
                self.counters.dropped.fetch_add(1, Relaxed);
                false
            }
        }
    }

    /// Returns when everything accepted before is committed, or with an error after `deadline`. For the shutdown.
    pub async fn flush(&self, deadline: Duration) -> Result<(), AuditError> {
        let (answer, flushed) = oneshot::channel();
        let flush = async {
            self.queue.send(Item::Flush(answer)).await.map_err(|_| AuditError::Closed)?;
            flushed.await.map_err(|_| AuditError::Closed)
        };
        timeout(deadline, flush).await.unwrap_or(Err(AuditError::Timeout))
    }

    /// What the log did so far, for the metrics.
    pub fn stats(&self) -> AuditStats {
        let in_queue = self.queue.max_capacity() - self.queue.capacity();
        let queued = in_queue + self.counters.backlog.load(Relaxed);
        AuditStats {
            queued: queued as u64,
            queue_limit: self.queue.max_capacity() as u64,
            written: self.counters.written.load(Relaxed),
            transactions: self.counters.transactions.load(Relaxed),
            dropped: self.counters.dropped.load(Relaxed),
            failed: self.counters.failed.load(Relaxed),
            expired: self.counters.expired.load(Relaxed),
        }
    }
}

#[cfg(test)]
mod tests;
