//! The task that writes, and the one that deletes what is too old.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout_at};

use super::insert::Inserter;
use super::record::AuditRecord;
use super::{
    AuditError, BATCH_RECORDS, Counters, EXPIRE_BATCH, EXPIRE_INTERVAL, EXPIRE_PAUSE, Item,
    MAX_SHARED_PAUSE, RETRY_DELAY,
};
use crate::store::{Store, StoreError};

type StrictAnswer = oneshot::Sender<Result<(), AuditError>>;

/// Turns what waits in the queue into transactions, one at a time: while one commits, the next gathers. It has a thread of its
/// own, which the database may hold up.
pub(super) struct Writer {
    store: Store,
    inserter: Inserter,
    queue: mpsc::Receiver<Item>,
    counters: Arc<Counters>,
    /// Buffered records taken from the queue and not yet committed; bounded by `buffer_records`.
    backlog: VecDeque<AuditRecord>,
    flushes: Vec<oneshot::Sender<()>>,
    /// Set while the store fails: when the backlog is tried again.
    retry_at: Option<Instant>,
}

impl Writer {
    pub(super) fn new(
        store: Store,
        inserter: Inserter,
        queue: mpsc::Receiver<Item>,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            store,
            inserter,
            queue,
            counters,
            backlog: VecDeque::new(),
            flushes: Vec::new(),
            retry_at: None,
        }
    }

    /// Runs until every sender is gone and the backlog is written (or cannot be).
    pub(super) async fn run(mut self) {
        let mut items = Vec::with_capacity(BATCH_RECORDS);
        while self.receive(&mut items).await {
            let (mut records, answers) = self.sort(&mut items);
            if self.retry_at.is_none_or(|at| at <= Instant::now()) {
                let room = BATCH_RECORDS - records.len();
                records.extend(self.backlog.drain(..room.min(self.backlog.len())));
            }
            let began = Instant::now();
            self.write(records, answers);
            if self.store.is_shared() {
                // The lock is then free for as long as it was taken.
                sleep(began.elapsed().min(MAX_SHARED_PAUSE)).await;
            }
        }
        while !self.backlog.is_empty() {
            let records: Vec<_> =
                self.backlog.drain(..BATCH_RECORDS.min(self.backlog.len())).collect();
            self.write(records, Vec::new());
            if self.retry_at.is_some() {
                tracing::error!(records = self.backlog.len(), "audit records lost at shutdown");
                return;
            }
        }
    }

    /// Waits for items, but not longer than the backlog may wait. `false`: there will be no more.
    async fn receive(&mut self, items: &mut Vec<Item>) -> bool {
        let received = self.queue.recv_many(items, BATCH_RECORDS);
        if self.backlog.is_empty() {
            return received.await > 0;
        }
        let until = self.retry_at.unwrap_or_else(Instant::now);
        match timeout_at(until, received).await {
            Ok(count) => count > 0,
            Err(_elapsed) => true,
        }
    }

    /// Strict records, with the callers that wait for them; the rest goes to the backlog.
    fn sort(&mut self, items: &mut Vec<Item>) -> (Vec<AuditRecord>, Vec<StrictAnswer>) {
        let (mut records, mut answers) = (Vec::new(), Vec::new());
        for item in items.drain(..) {
            match item {
                Item::Strict(record, answer) => {
                    records.push(*record);
                    answers.push(answer);
                }
                Item::Buffered(record) => self.backlog.push_back(*record),
                Item::Flush(answer) => self.flushes.push(answer),
            }
        }
        (records, answers)
    }

    /// Commits `records`, of which the first belong to `answers` and the others came from the backlog.
    fn write(&mut self, mut records: Vec<AuditRecord>, answers: Vec<StrictAnswer>) {
        if !records.is_empty() {
            let buffered = records.len() - answers.len();
            let outcome = match self.inserter.insert(&records) {
                Ok(()) => {
                    self.committed(records.len(), buffered);
                    Ok(())
                }
                Err(error) => {
                    for record in records.drain(answers.len()..).rev() {
                        self.backlog.push_front(record);
                    }
                    Err(self.failed(&error))
                }
            };
            for answer in answers {
                // A caller that went away does not want to know.
                let _ = answer.send(outcome.clone());
            }
        }
        self.counters.backlog.store(self.backlog.len(), Relaxed);
        if self.backlog.is_empty() {
            for flushed in self.flushes.drain(..) {
                let _ = flushed.send(());
            }
        }
    }

    fn committed(&mut self, records: usize, buffered: usize) {
        self.counters.written.fetch_add(records as u64, Relaxed);
        self.counters.transactions.fetch_add(1, Relaxed);
        self.counters.buffered.fetch_sub(buffered, Relaxed);
        if self.retry_at.take().is_some() {
            tracing::info!("audit store works again");
        }
    }

    fn failed(&mut self, error: &StoreError) -> AuditError {
        // Logged once for a failure, however long it lasts.
        if self.retry_at.replace(Instant::now() + RETRY_DELAY).is_none() {
            tracing::error!(%error, "audit store fails");
        }
        AuditError::Store(error.to_string().into())
    }
}

/// Deletes records older than `retention_days`, now and every hour. Never ends.
pub(super) async fn expire_forever(store: Store, retention_days: u32, counters: Arc<Counters>) {
    if retention_days == 0 {
        return std::future::pending().await;
    }
    let retention = SignedDuration::from_hours(24 * i64::from(retention_days));
    loop {
        // A retention that reaches back before the calendar expires nothing.
        if let Ok(cutoff) = Timestamp::now().checked_sub(retention)
            && let Err(error) = expire(&store, cutoff, &counters).await
        {
            tracing::warn!(%error, "audit retention failed; trying again in an hour");
        }
        sleep(EXPIRE_INTERVAL).await;
    }
}

async fn expire(store: &Store, cutoff: Timestamp, counters: &Counters) -> Result<(), StoreError> {
    loop {
        let deleted = store.expire_audit(cutoff, EXPIRE_BATCH).await?;
        counters.expired.fetch_add(deleted, Relaxed);
        if deleted < u64::from(EXPIRE_BATCH) {
            return Ok(());
        }
        sleep(EXPIRE_PAUSE).await;
    }
}
