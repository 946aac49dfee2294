//! The engine for `postgres`: a pool of pipelined connections, prepared statements, rows decoded from the wire.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio_postgres::{Client, Error};

use self::connection::Connector;
use self::error::Trouble;
use self::pool::Pool;
use self::run::Run;
use self::slots::{Need, STUCK, Share};
use super::{
    Column, Done, Engine, EngineConfig, EngineError, LoginStep, PoolStats, Query, RowSink,
};

mod address;
mod bind;
mod connection;
mod decode;
mod error;
mod job;
mod lease;
mod pool;
mod run;
mod slots;
mod statements;
mod tls;

pub(super) use connection::DEFAULT_PORT;

/// A datasource of the kind `postgres`. Connects with the first query.
pub struct Postgres {
    pool: Arc<Pool>,
    slow: Slow,
}

impl Postgres {
    /// An engine for `config`; does no I/O.
    pub fn new(config: EngineConfig) -> Self {
        Self { pool: Pool::new(Connector::new(config)), slow: Slow::default() }
    }

    fn share(&self, query: &Query) -> Share {
        match query.read_only {
            false => Share::Never,
            true if self.slow.contains(&query.sql) => Share::IfFull,
            true => Share::WithAny,
        }
    }

    /// Prepares `sql`, or exchanges nothing but a sign of life where there is none; once more on a fresh connection if
    /// the first was dead.
    async fn ask(&self, sql: Option<&str>, deadline: Instant) -> Result<Vec<Column>, EngineError> {
        let mut need = Need { share: Share::WithAny, newer_than: None };
        loop {
            let mut lease = self.pool.acquire(need, deadline).await?;
            let answer = ask_server(&lease.connection.client, sql);
            let Ok(answer) = tokio::time::timeout_at(deadline.into(), answer).await else {
                return Err(EngineError::Timeout);
            };
            let failure = match answer {
                Ok(columns) => {
                    lease.finish();
                    return Ok(columns);
                }
                Err(failure) => failure,
            };
            match error::trouble(&failure) {
                Trouble::Broken if need.newer_than.is_none() => {
                    need.newer_than = Some(Instant::now());
                    lease.discard();
                }
                Trouble::Broken | Trouble::Garbled => {
                    lease.discard();
                    return Err(error::unavailable(&failure));
                }
                _ => {
                    lease.finish();
                    return Err(error::statement(&failure));
                }
            }
        }
    }
}

async fn ask_server(client: &Client, sql: Option<&str>) -> Result<Vec<Column>, Error> {
    let Some(sql) = sql else {
        return client.check_connection().await.map(|()| Vec::new());
    };
    statements::prepare(client, sql, false).await.map(|prepared| prepared.columns)
}

impl Engine for Postgres {
    async fn run<S: RowSink>(&self, query: Query, sink: S) -> (S, Result<Done, EngineError>) {
        let share = self.share(&query);
        let sql = query.sql.clone();
        let mut run = Run::new(&self.pool, query, sink);
        let result = run.until_done(share).await;
        if let Some(ran) = run.ran {
            self.slow.note(&sql, ran);
        }
        (run.sink, result)
    }

    async fn describe(&self, sql: &str, deadline: Instant) -> Result<Vec<Column>, EngineError> {
        self.ask(Some(sql), deadline).await
    }

    async fn ping(&self, deadline: Instant) -> Result<(), EngineError> {
        self.ask(None, deadline).await.map(drop)
    }

    async fn log_in(&self) -> Result<(), (LoginStep, EngineError)> {
        let connection = self.pool.connector.log_in().await?;
        let alive = connection.client.check_connection().await;
        alive.map_err(|failure| (LoginStep::Login, error::unavailable(&failure)))
    }

    fn shares(&self, query: &Query) -> bool {
        self.share(query) == Share::WithAny
    }

    /// All but one of the connections, where there are some: what shares always finds one that takes it.
    fn max_alone(&self) -> usize {
        let max = self.pool.stats().max;
        if max >= KEEP_ONE_FROM { max - 1 } else { max }
    }

    fn stats(&self) -> PoolStats {
        self.pool.stats()
    }
}

/// From so many connections on, one is kept for queries that share it.
const KEEP_ONE_FROM: usize = 4;

/// A query that runs for longer than this counts as slow.
const SLOW: Duration = STUCK;

/// A statement is known to be slow from this score on: `SLOW_STEP` for each slow run, one less for each fast one.
const SLOW_FROM: u8 = 4;
const SLOW_STEP: u8 = 3;
const SLOW_MAX: u8 = 12;

/// Most statements remembered as slow; beyond it they are learnt anew.
const MAX_SLOW_STATEMENTS: usize = 1_024;

/// The statements that have been slow of late: they get connections of their own where there is room.
#[derive(Default)]
struct Slow(Mutex<HashMap<Arc<str>, u8, ahash::RandomState>>);

impl Slow {
    fn contains(&self, sql: &str) -> bool {
        let scores = self.0.lock();
        !scores.is_empty() && scores.get(sql).is_some_and(|score| *score >= SLOW_FROM)
    }

    fn note(&self, sql: &Arc<str>, ran: Duration) {
        let mut scores = self.0.lock();
        if ran > SLOW {
            if scores.len() >= MAX_SLOW_STATEMENTS {
                scores.clear();
            }
            let score = scores.entry(sql.clone()).or_default();
            *score = (*score + SLOW_STEP).min(SLOW_MAX);
        } else if let Some(score) = scores.get_mut(sql) {
            *score -= 1;
            if *score == 0 {
                scores.remove(sql);
            }
        }
    }
}
