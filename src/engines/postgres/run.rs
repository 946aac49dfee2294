//! One run of a query: from a place on a connection to the last row, again on another connection where that is safe.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use tokio_postgres::RowStream;

use super::bind;
use super::decode::DecodedRow;
use super::job::{Deadline, Job, Setback, Stage, before, protocol};
use super::lease::Lease;
use super::pool::Pool;
use super::slots::{Need, Share};
use super::statements::Prepared;
use crate::engines::{Done, EngineError, Flow, Query, RowSink, leftovers};

/// A result larger than this keeps its connection from taking other queries.
const LONG_RESULT_BYTES: usize = 64 * 1024;

/// Rows between two looks at the clock while they come without a pause.
const ROWS_PER_LOOK: u32 = 1024;

/// Most moves of one query away from slow ones.
const MAX_MOVES: u8 = 4;

/// Most runs again of one query because cancels of its neighbours could have hit it. The last of them is alone on its
/// connection, where none can.
const MAX_STRAYS: u8 = 4;

/// What the server says of a write in a read-only session.
const READ_ONLY: &str = "25006";

/// A query, its sink, and how far they are.
pub(super) struct Run<'p, S> {
    job: Job<'p>,
    pub(super) sink: S,
    /// The statement whose columns the sink was given.
    given: Option<Arc<Prepared>>,
    /// A row has been given to the sink: the query cannot be run again.
    delivered: bool,
    /// How long it ran in the database, where that is known.
    pub(super) ran: Option<Duration>,
}

impl<'p, S: RowSink> Run<'p, S> {
    pub(super) fn new(pool: &'p Arc<Pool>, query: Query, sink: S) -> Self {
        Self {
            job: Job { pool, query, moves_left: MAX_MOVES },
            sink,
            given: None,
            delivered: false,
            ran: None,
        }
    }

    /// Runs the query to its end.
    pub(super) async fn until_done(&mut self, share: Share) -> Result<Done, EngineError> {
        bind::check(&self.job.query.binds)?;
        let is_read_only = self.job.pool.connector.config().read_only;
        if is_read_only && leftovers::may_be_block(&self.job.query.sql) {
            return Err(EngineError::Statement {
                code: READ_ONLY.to_owned(),
                message: "a DO block could end that the session is read-only".to_owned(),
            });
        }
        let mut need = Need { share, newer_than: None };
        let mut place = None;
        let (mut may_reconnect, mut may_repeat, mut may_reprepare) = (true, true, true);
        let mut strays = 0;
        loop {
            let lease = match place.take() {
                Some(lease) => lease,
                None => self.job.pool.acquire(need, self.job.query.deadline).await?,
            };
            let setback = match self.attempt(lease).await {
                Ok(done) => return Ok(done),
                Err(setback) => setback,
            };
            let again = self.job.query.read_only && !self.delivered;
            match setback {
                Setback::Moved(lease) => {
                    self.job.moves_left -= 1;
                    place = Some(lease);
                }
                Setback::Broken { ran, .. } if may_reconnect && (again || !ran) => {
                    may_reconnect = false;
                    need.newer_than = Some(Instant::now());
                }
                Setback::Stray { ours: true, .. } if strays < MAX_STRAYS && again => {
                    strays += 1;
                    if strays == MAX_STRAYS {
                        need.share = Share::Never;
                    }
                }
                Setback::Stray { ours: false, .. } if may_repeat && again => may_repeat = false,
                Setback::Stale(_) if may_reprepare => may_reprepare = false,
                Setback::Final(error)
                | Setback::Broken { error, .. }
                | Setback::Stray { error, .. }
                | Setback::Stale(error) => return Err(error),
            }
        }
    }

    /// One run. A lease that has not ended by then is dropped, which cancels the query.
    async fn attempt(&mut self, mut lease: Lease) -> Result<Done, Setback> {
        let mut clock = pin!(tokio::time::sleep_until(self.job.tick()));
        let connection = lease.connection.clone();
        let prepared = self.job.prepared(&mut lease, clock.as_mut()).await?;
        let started = {
            let parameters = self.job.query.binds.iter().map(bind::Parameter);
            let start = pin!(connection.client.query_raw(&prepared.statement, parameters));
            self.job.first_answer(start, Stage::Binding, &mut lease, clock.as_mut()).await?
        };
        let rows = match started {
            Ok(rows) => rows,
            Err(failure) => return Err(self.job.failed(&failure, Stage::Binding, &mut lease)),
        };
        lease.reach();
        if self.job.query.read_only && lease.is_endangered() {
            // The cancel of another query could still hit this one in the midst of its rows.
            let error = EngineError::Unavailable("cancelled by accident".into());
            return Err(Setback::Stray { error, ours: true });
        }
        let deadline = Deadline::new(clock, self.job.query.deadline);
        self.rows(pin!(rows), &prepared, &mut lease, pin!(deadline)).await
    }

    /// Feeds the sink.
    async fn rows(
        &mut self,
        mut rows: Pin<&mut RowStream>,
        prepared: &Arc<Prepared>,
        lease: &mut Lease,
        mut deadline: Pin<&mut Deadline<'_>>,
    ) -> Result<Done, Setback> {
        let (mut bytes, mut count) = (0, 0_u32);
        loop {
            let Some(next) = before(pin!(rows.next()), deadline.as_mut()).await else {
                return Err(EngineError::Timeout.into());
            };
            let row = match next {
                Some(Ok(row)) => row,
                Some(Err(failure)) => return Err(self.job.failed(&failure, Stage::Running, lease)),
                None => break,
            };
            self.give_columns(prepared)?;
            self.delivered = true;
            let row = DecodedRow { row: &row, decoders: &prepared.decoders };
            let mut flow = self.sink.row(&row).inspect_err(|_| lease.connection.forget_types())?;
            if flow == Flow::Flush {
                let Some(flushed) = before(pin!(self.sink.flush()), deadline.as_mut()).await else {
                    return Err(EngineError::Timeout.into());
                };
                flow = flushed;
            }
            if flow == Flow::Stop {
                return Ok(Done::default());
            }
            let is_long = bytes > LONG_RESULT_BYTES;
            bytes += row.row.raw_size_bytes();
            if !is_long && bytes > LONG_RESULT_BYTES {
                lease.mark_long();
            }
            count = count.wrapping_add(1);
            if count.is_multiple_of(ROWS_PER_LOOK) {
                if Instant::now() >= self.job.query.deadline {
                    return Err(EngineError::Timeout.into());
                }
                tokio::task::yield_now().await;
            }
        }
        self.give_columns(prepared)?;
        if !self.job.query.read_only && leftovers::may_leave_some(&self.job.query.sql) {
            lease.retire();
        } else {
            self.ran = lease.finish();
        }
        let affected_rows = if prepared.columns.is_empty() { rows.rows_affected() } else { None };
        Ok(Done { affected_rows: affected_rows.unwrap_or(0) })
    }

    /// Gives the sink its columns, once.
    fn give_columns(&mut self, prepared: &Arc<Prepared>) -> Result<(), EngineError> {
        match &self.given {
            None => {
                self.sink.columns(&prepared.columns)?;
                self.given = Some(prepared.clone());
                Ok(())
            }
            Some(given) if Arc::ptr_eq(given, prepared) || given.columns == prepared.columns => {
                Ok(())
            }
            Some(_) => Err(protocol("the columns changed between two runs".into())),
        }
    }
}
