//! The MySQL and MariaDB engine.
//!
//! ```text
//! run: lease a connection ─ prepare (kept per connection) ─ execute ─ rows to the sink ─ give it back
//!        │ dead before the first row, read-only: once more, on a new one
//!        └ deadline, dropped future, Stop: KILL QUERY from beside the pool, and the connection is thrown away
//! ```

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable as _;
use mysql_async::{BinaryProtocol, QueryResult};
use tokio::time::{timeout, timeout_at};

use super::{
    Column, Done, Engine, EngineConfig, EngineError, Flow, LoginStep, PoolStats, Query, RowSink,
    leftovers,
};
use decode::{DecodedRow, Shape};
use error::{After, Failure};
use json::JsonColumns;
use pool::{Lease, Pool};
use session::Session;

mod bind;
mod decode;
mod error;
mod json;
mod pool;
mod session;

pub(super) use session::DEFAULT_PORT;

/// Rows that are read and thrown away after a stop, for the connection to be used again.
const REST_ROWS_MAX: usize = 64;
/// Longest time spent on them.
const REST_TIMEOUT: Duration = Duration::from_millis(5);

/// A MySQL or MariaDB datasource.
pub struct MySql {
    pool: Arc<Pool>,
    json: JsonColumns,
}

impl MySql {
    /// Of the server that `config` names. Connects when first asked.
    pub fn new(config: EngineConfig) -> Self {
        Self {
            json: JsonColumns::new(config.database.as_deref()),
            pool: Arc::new(Pool::new(config)),
        }
    }

    async fn run_query<S: RowSink>(
        &self,
        query: &Query,
        sink: &mut S,
    ) -> Result<Done, EngineError> {
        let mut feed = Feed { sink, columns: None, rows: 0 };
        let mut lease = self.pool.lease(query.deadline).await?;
        // A change is not run twice, so it is not sent where nobody may be listening any more.
        if !query.read_only && lease.reused && lease.session().conn.ping().await.is_err() {
            lease.renew().await?;
        }
        let mut again = query.read_only;
        loop {
            let failure = match self.execute(&mut lease, query, &mut feed).await {
                Ok(done) => {
                    let is_spoilt = !query.read_only && leftovers::may_leave_some(&query.sql);
                    if !lease.running && !is_spoilt {
                        lease.give_back();
                    }
                    return Ok(done);
                }
                Err(failure) => failure,
            };
            lease.running = failure.after == After::Running;
            match failure.after {
                After::Dead if again && feed.rows == 0 => {
                    again = false;
                    lease.renew().await?;
                    continue;
                }
                After::Usable => lease.give_back(),
                After::Dead | After::Spoilt | After::Running => drop(lease),
            }
            return Err(failure.error);
        }
    }

    /// One attempt. Leaves `lease.running` set where the rest of the result was not taken.
    async fn execute<S: RowSink>(
        &self,
        lease: &mut Lease,
        query: &Query,
        feed: &mut Feed<'_, S>,
    ) -> Result<Done, Failure> {
        let params = bind::params(&query.binds).map_err(Failure::refused)?;
        let session = lease.session();
        fits_packet(session, query, bind::size(&params))?;
        let (statement, shape) = self.prepare(session, &query.sql).await?;
        check_count(statement.num_params(), query.binds.len())?;
        lease.running = true;
        let Session { conn, statements, is_mariadb, .. } = lease.session();
        let failed = |error| Failure::of(&error, !query.binds.is_empty());

        let mut result = conn.exec_iter(&statement, params).await.map_err(failed)?;
        let mut done = Done::default();
        // The first result with columns; a procedure may have changed something before.
        let columns = loop {
            match result.columns() {
                Some(columns) if columns.is_empty() => {
                    done.affected_rows = result.affected_rows();
                    result.next().await.map_err(failed)?;
                }
                columns => break columns,
            }
        };
        if let Some(columns) = columns {
            let shape = match shape {
                Some(shape) if shape.fits(&columns) => shape,
                _ => {
                    let shape = self.shape_of_result(columns, *is_mariadb).await?;
                    statements.remember(&query.sql, &shape);
                    shape
                }
            };
            done = Done::default();
            feed.columns(&shape).map_err(Failure::abandoned)?;
            let all = feed.rows(&mut result, &shape, failed).await?;
            if !all && !read_rest(&mut result).await {
                return Ok(done);
            }
        }
        result.drop_result().await.map_err(failed)?;
        lease.running = false;
        Ok(done)
    }

    /// The statement for `sql`, and how its result is read as far as that is known and still holds. What must be asked
    /// to read its columns is asked here, while the connection has nothing else to do.
    async fn prepare(
        &self,
        session: &mut Session,
        sql: &Arc<str>,
    ) -> Result<(mysql_async::Statement, Option<Arc<Shape>>), Failure> {
        let prepared = session.statements.prepare(&mut session.conn, sql).await?;
        let good = |shape: &Arc<Shape>| shape.good_until.is_none_or(|end| Instant::now() < end);
        let shape = prepared.shape.filter(good);
        if shape.is_none() && session.is_mariadb {
            let unknown = self.json.unknown(&prepared.statement.columns());
            self.json
                .learn(&mut session.conn, unknown)
                .await
                .map_err(|error| Failure::of(&error, false))?;
        }
        Ok((prepared.statement, shape))
    }

    /// How a result is read whose rows are waiting. What preparing did not tell (the columns of a procedure) is asked
    /// on another connection; without an answer they are read as text.
    async fn shape_of_result(
        &self,
        columns: Arc<[mysql_async::Column]>,
        is_mariadb: bool,
    ) -> Result<Arc<Shape>, Failure> {
        if is_mariadb {
            let unknown = self.json.unknown(&columns);
            if !unknown.is_empty()
                && let Ok((mut conn, _place)) = self.pool.side_connection().await
                && self.json.learn(&mut conn, unknown).await.is_ok()
            {
                // Nothing is lost with a goodbye that does not arrive.
                let _ = conn.disconnect().await;
            }
        }
        self.shape(columns, is_mariadb).map(Arc::new).map_err(Failure::abandoned)
    }

    fn shape(
        &self,
        columns: Arc<[mysql_async::Column]>,
        is_mariadb: bool,
    ) -> Result<Shape, EngineError> {
        let good_until = if is_mariadb { JsonColumns::good_until(&columns) } else { None };
        Shape::new(columns, good_until, |column| is_mariadb && self.json.is_json(column))
    }

    /// The columns of `sql`; without one, whether the server answers.
    async fn ask(
        &self,
        session: &mut Session,
        sql: Option<&Arc<str>>,
    ) -> Result<Vec<Column>, Failure> {
        let Some(sql) = sql else {
            let pong = session.conn.ping().await;
            return pong.map(|()| Vec::new()).map_err(|error| Failure::of(&error, false));
        };
        let (statement, _) = self.prepare(session, sql).await?;
        let shape = self.shape(statement.columns(), session.is_mariadb);
        shape.map(|shape| shape.columns).map_err(Failure::refused)
    }

    /// [`Self::ask`] on a connection, and once more where that one turns out to be dead.
    async fn ask_somewhere(
        &self,
        sql: Option<&Arc<str>>,
        deadline: Instant,
    ) -> Result<Vec<Column>, EngineError> {
        let mut lease = self.pool.lease(deadline).await?;
        let mut outcome = self.ask(lease.session(), sql).await;
        if matches!(&outcome, Err(failure) if failure.after == After::Dead) {
            lease.renew().await?;
            outcome = self.ask(lease.session(), sql).await;
        }
        if !matches!(&outcome, Err(failure) if failure.after != After::Usable) {
            lease.give_back();
        }
        outcome.map_err(|failure| failure.error)
    }
}

impl Engine for MySql {
    async fn run<S: RowSink>(&self, query: Query, mut sink: S) -> (S, Result<Done, EngineError>) {
        // Pinned here: it is large, and would be moved with each future around it.
        let outcome = {
            let work = pin!(self.run_query(&query, &mut sink));
            within(query.deadline, work).await
        };
        (sink, outcome)
    }

    async fn describe(&self, sql: &str, deadline: Instant) -> Result<Vec<Column>, EngineError> {
        within(deadline, self.ask_somewhere(Some(&sql.into()), deadline)).await
    }

    async fn ping(&self, deadline: Instant) -> Result<(), EngineError> {
        within(deadline, self.ask_somewhere(None, deadline)).await.map(drop)
    }

    async fn log_in(&self) -> Result<(), (LoginStep, EngineError)> {
        self.pool.log_in().await
    }

    fn stats(&self) -> PoolStats {
        self.pool.stats()
    }
}

/// Where the rows of a query go, over its attempts.
struct Feed<'s, S> {
    sink: &'s mut S,
    /// What the sink was told.
    columns: Option<Arc<Shape>>,
    rows: u64,
}

impl<S: RowSink> Feed<'_, S> {
    fn columns(&mut self, shape: &Arc<Shape>) -> Result<(), EngineError> {
        match &self.columns {
            None => self.sink.columns(&shape.columns)?,
            Some(told) if told.columns == shape.columns => {}
            Some(_) => {
                let changed = "the columns changed between two attempts";
                return Err(EngineError::Value(changed.to_owned()));
            }
        }
        self.columns = Some(Arc::clone(shape));
        Ok(())
    }

    /// Feeds the rows of the current result; `false`: the sink wants no more.
    async fn rows(
        &mut self,
        result: &mut QueryResult<'_, '_, BinaryProtocol>,
        shape: &Shape,
        failed: impl Fn(mysql_async::Error) -> Failure,
    ) -> Result<bool, Failure> {
        while let Some(row) = result.next().await.map_err(|error| self.lost(failed(error)))? {
            self.rows += 1;
            let row = DecodedRow { row: &row, shape };
            let flow = match self.sink.row(&row).map_err(Failure::abandoned)? {
                Flow::Flush => self.sink.flush().await,
                flow => flow,
            };
            if flow == Flow::Stop {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// After the first row, whatever broke the connection is that it broke.
    fn lost(&self, failure: Failure) -> Failure {
        match failure {
            Failure { after: After::Dead, error } if self.rows > 0 => Failure {
                error: EngineError::Unavailable(format!("after {} rows: {error}", self.rows)),
                after: After::Dead,
            },
            failure => failure,
        }
    }
}

/// Reads what is left of a result, if it is little: cheaper than a new connection.
async fn read_rest(result: &mut QueryResult<'_, '_, BinaryProtocol>) -> bool {
    let rest = async {
        for _ in 0..REST_ROWS_MAX {
            if !matches!(result.next().await, Ok(Some(_))) {
                return true;
            }
        }
        false
    };
    timeout(REST_TIMEOUT, rest).await.unwrap_or(false)
}

/// A larger packet makes the server hang up, which would look like an outage.
fn fits_packet(session: &Session, query: &Query, binds_bytes: usize) -> Result<(), Failure> {
    if query.sql.len() + binds_bytes < session.packet_bytes_max {
        return Ok(());
    }
    let message = format!(
        "{binds_bytes} bytes of values, and the server takes {} with the statement",
        session.packet_bytes_max
    );
    Err(Failure::refused(EngineError::BadValue { position: None, message }))
}

fn check_count(wanted: u16, given: usize) -> Result<(), Failure> {
    if usize::from(wanted) == given {
        return Ok(());
    }
    let message = format!("the statement has {wanted} placeholders, and {given} values are bound");
    Err(Failure::refused(EngineError::Statement { code: "driver".to_owned(), message }))
}

async fn within<T>(
    deadline: Instant,
    work: impl Future<Output = Result<T, EngineError>>,
) -> Result<T, EngineError> {
    if Instant::now() >= deadline {
        return Err(EngineError::Timeout);
    }
    timeout_at(deadline.into(), work).await.unwrap_or(Err(EngineError::Timeout))
}
