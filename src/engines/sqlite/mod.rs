//! The SQLite engine: a file, read by a few threads with a connection each.

mod bind;
mod cancel;
mod decode;
mod error;
mod guard;
mod hmac;
mod init;
mod inline;
mod pool;
mod session;
mod task;

use std::sync::Arc;
use std::time::Instant;

use self::cancel::Cancel;
use self::inline::Inline;
use self::pool::Pool;
use self::session::Session;
use super::{
    Column, Done, Engine, EngineConfig, EngineError, LoginStep, PoolStats, Query, RowSink,
};

/// A SQLite database. Does nothing until it is used; its threads end when it is dropped.
pub struct Sqlite {
    config: Arc<EngineConfig>,
    inline: Arc<Inline>,
    pool: Pool,
}

impl Sqlite {
    /// An engine over `config.path`, with up to `config.pool.max_connections` threads. Touches neither file nor thread.
    pub fn new(config: EngineConfig) -> Self {
        let config = Arc::new(config);
        let open = Arc::default();
        let inline = Arc::new(Inline::new(&config, &open));
        let pool = Pool::new(config.clone(), open, inline.clone());
        Self { config, inline, pool }
    }

    /// Creates the database from `config.init` where it does not exist, and waits for it. Queries do the same when
    /// they need it; at start-up it keeps the first of them fast.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] where the file is missing and cannot be made.
    pub fn prepare(&self) -> Result<(), EngineError> {
        init::ensure(&self.config, None)
    }
}

impl Engine for Sqlite {
    async fn run<S: RowSink>(&self, query: Query, mut sink: S) -> (S, Result<Done, EngineError>) {
        if let Some(result) = self.inline.run(&self.pool, &query, &mut sink) {
            return (sink, result);
        }
        let deadline = query.deadline;
        let ((_, sink), result) = task::run(&self.pool, (query, sink), deadline, run_query).await;
        (sink, result)
    }

    /// Its threads take fast queries from a queue of their own, in which a place costs less than a turn at the gate.
    fn shares(&self, _query: &Query) -> bool {
        true
    }

    async fn describe(&self, sql: &str, deadline: Instant) -> Result<Vec<Column>, EngineError> {
        task::run(&self.pool, Arc::from(sql), deadline, describe).await.1
    }

    async fn ping(&self, deadline: Instant) -> Result<(), EngineError> {
        task::run(&self.pool, (), deadline, ping).await.1
    }

    /// A file has no life of its own: only a query tells.
    async fn log_in(&self) -> Result<(), (LoginStep, EngineError)> {
        Ok(())
    }

    fn stats(&self) -> PoolStats {
        self.pool.stats()
    }
}

fn run_query<S: RowSink>(
    session: &mut Session,
    (query, sink): &mut (Query, S),
    cancel: &Cancel,
) -> Result<Done, EngineError> {
    session.with_connection(cancel, |connection, known| {
        session::run(connection, query, sink, known, cancel)
    })
}

fn describe(
    session: &mut Session,
    sql: &mut Arc<str>,
    cancel: &Cancel,
) -> Result<Vec<Column>, EngineError> {
    session.with_connection(cancel, |connection, _| session::describe(connection, sql))
}

fn ping(session: &mut Session, (): &mut (), cancel: &Cancel) -> Result<(), EngineError> {
    session.with_connection(cancel, |connection, _| session::ping(connection))
}
