//! What a run does before its first row: the statement, the wait for its place in the pipeline, the meaning of errors.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::Sleep;
use tokio_postgres::Error;

use super::error::{self, Trouble};
use super::lease::Lease;
use super::pool::Pool;
use super::slots::{Need, STUCK, Share};
use super::statements::{self, Prepared};
use crate::engines::{EngineError, Query};

/// A connection that has been quiet is asked for a sign of life before it is trusted with a statement that writes.
const TRUSTED: Duration = Duration::from_millis(500);

/// A query and where it runs.
pub(super) struct Job<'p> {
    pub(super) pool: &'p Arc<Pool>,
    pub(super) query: Query,
    /// How often it may still move away from slow ones. The last move is to a connection of its own, where none can be.
    pub(super) moves_left: u8,
}

/// How an attempt ended that may be followed by another one.
pub(super) enum Setback {
    Final(EngineError),
    /// The connection broke. `ran`: the statement may have been run.
    Broken {
        error: EngineError,
        ran: bool,
    },
    /// A cancel meant for another query hit this one, or may do so.
    Stray {
        error: EngineError,
        /// The cancel was meant for a query of this engine; otherwise somebody else sent it.
        ours: bool,
    },
    /// The prepared statement was out of date; nothing has been run.
    Stale(EngineError),
    /// It waited behind a slow query, and has a place elsewhere now.
    Moved(Lease),
}

/// The stages of a statement, as far as its errors mean different things.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Preparing,
    Binding,
    Running,
}

impl From<EngineError> for Setback {
    fn from(error: EngineError) -> Self {
        Self::Final(error)
    }
}

impl Job<'_> {
    /// When to look at the clock again: at the deadline, or when the query may be stuck.
    pub(super) fn tick(&self) -> tokio::time::Instant {
        self.query.deadline.min(Instant::now() + STUCK).into()
    }

    /// The prepared statement, from the connection's cache or made now.
    pub(super) async fn prepared(
        &self,
        lease: &mut Lease,
        mut clock: Pin<&mut Sleep>,
    ) -> Result<Arc<Prepared>, Setback> {
        let connection = lease.connection.clone();
        let Query { sql, read_only, .. } = &self.query;
        if !read_only && lease.quiet > TRUSTED {
            let alive = pin!(connection.client.check_connection());
            let answer = self.first_answer(alive, Stage::Preparing, lease, clock.as_mut());
            if let Err(failure) = answer.await? {
                return Err(self.failed(&failure, Stage::Preparing, lease));
            }
        }
        let cached = connection.statements.lock().get(sql);
        let prepared = if let Some(prepared) = cached {
            prepared
        } else {
            let prepare = pin!(statements::prepare(&connection.client, sql, *read_only));
            match self.first_answer(prepare, Stage::Preparing, lease, clock).await? {
                Ok(prepared) => {
                    let prepared = Arc::new(prepared);
                    connection.keep(sql.clone(), prepared.clone());
                    prepared
                }
                Err(failure) => return Err(self.failed(&failure, Stage::Preparing, lease)),
            }
        };
        let (wanted, given) = (prepared.statement.params().len(), self.query.binds.len());
        if wanted != given {
            lease.finish();
            return Err(protocol(format!("{wanted} placeholders, {given} values")).into());
        }
        Ok(prepared)
    }

    /// Sends a request and waits for its answer, until the deadline; looks for another place when it is stuck.
    pub(super) async fn first_answer<F: Future>(
        &self,
        mut answer: Pin<&mut F>,
        stage: Stage,
        lease: &mut Lease,
        mut clock: Pin<&mut Sleep>,
    ) -> Result<F::Output, Setback> {
        // The driver sends when it is first asked for the answer.
        let sent = poll_fn(|context| Poll::Ready(lease.in_turn(|| answer.as_mut().poll(context))));
        if let Poll::Ready(answer) = sent.await {
            return Ok(answer);
        }
        loop {
            if let Some(answer) = before(answer.as_mut(), clock.as_mut()).await {
                return Ok(answer);
            }
            if Instant::now() >= self.query.deadline {
                return Err(EngineError::Timeout.into());
            }
            if self.moves_left > 0 && self.query.read_only && lease.is_stuck(stage) {
                let share = if self.moves_left == 1 { Share::Never } else { Share::IfFull };
                let elsewhere = Need { share, newer_than: None };
                if let Some(place) = self.pool.try_acquire(elsewhere) {
                    return Err(Setback::Moved(place));
                }
            }
            clock.as_mut().reset(self.tick());
        }
    }

    /// What a driver's error means for this attempt; ends the lease.
    pub(super) fn failed(&self, failure: &Error, stage: Stage, lease: &mut Lease) -> Setback {
        let trouble = error::trouble(failure);
        match trouble {
            Trouble::Broken | Trouble::Garbled => lease.discard(),
            _ => drop(lease.finish()),
        }
        match trouble {
            Trouble::Broken => Setback::Broken {
                error: error::unavailable(failure),
                ran: stage != Stage::Preparing,
            },
            Trouble::Garbled => protocol(failure.to_string()).into(),
            Trouble::Cancelled if self.is_over(failure) => EngineError::Timeout.into(),
            Trouble::Cancelled => {
                Setback::Stray { error: error::statement(failure), ours: lease.is_endangered() }
            }
            Trouble::Stale if stage == Stage::Binding => {
                lease.connection.forget(&self.query.sql);
                Setback::Stale(error::statement(failure))
            }
            _ if stage == Stage::Binding => {
                let names_parameters = lease.connection.names_parameters;
                error::binding(failure, self.query.binds.len(), names_parameters).into()
            }
            _ => error::running(failure, self.query.binds.len()).into(),
        }
    }

    fn is_over(&self, failure: &Error) -> bool {
        error::is_statement_timeout(failure) || Instant::now() >= self.query.deadline
    }
}

/// An error of the protocol between the gateway and the server.
pub(super) fn protocol(message: String) -> EngineError {
    EngineError::Statement { code: "08P01".into(), message }
}

/// Fires at the deadline of a query. The clock is set when there is something to wait for: most answers come in one piece.
pub(super) struct Deadline<'c> {
    clock: Pin<&'c mut Sleep>,
    at: Option<Instant>,
}

impl<'c> Deadline<'c> {
    /// A deadline that `clock` is to be set to.
    pub(super) fn new(clock: Pin<&'c mut Sleep>, at: Instant) -> Self {
        Self { clock, at: Some(at) }
    }
}

impl Future for Deadline<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if let Some(at) = self.at.take() {
            self.clock.as_mut().reset(at.into());
        }
        self.clock.as_mut().poll(context)
    }
}

/// Polls `future` until it is ready, or `None` when `clock` fires. Time is looked at only when there is nothing to do.
pub(super) async fn before<F: Future, C: Future<Output = ()>>(
    mut future: Pin<&mut F>,
    mut clock: Pin<&mut C>,
) -> Option<F::Output> {
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => clock.as_mut().poll(context).map(|()| None),
    })
    .await
}
