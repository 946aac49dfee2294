//! The engine interface: what a database kind must do, and the values that cross it.

use std::future::Future;
use std::time::{Duration, Instant};

pub use crate::sql::bind::{Bind, offset_text};
pub use crate::sql::dialect::Dialect;

mod any;
pub mod breaker;
pub mod catalog;
pub mod gate;
mod health;
mod leftovers;
pub mod mysql;
pub mod postgres;
pub mod reach;
pub mod registry;
pub mod sqlite;
mod turn;

/// One statement to run.
#[derive(Clone, Debug)]
pub struct Query {
    /// Statement text with the dialect's own placeholders: `$1` (PostgreSQL), `?` (MySQL), `?1` (SQLite).
    pub sql: std::sync::Arc<str>,
    /// Values in placeholder order.
    pub binds: Vec<Bind>,
    /// When it passes, the query is cancelled in the database and the run ends in [`EngineError::Timeout`].
    pub deadline: Instant,
    /// The statement was parsed as read-only, so it may share a connection and may be run again once.
    pub read_only: bool,
}

/// What a column holds, as far as the engine knows it before the first row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    Boolean,
    Integer,
    Number,
    Text,
    Date,
    DateTime,
    Binary,
    Json,
    /// Only the value tells (SQLite expressions).
    Any,
}

impl ColumnKind {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Text => "text",
            Self::Date => "date",
            Self::DateTime => "datetime",
            Self::Binary => "binary",
            Self::Json => "json",
            Self::Any => "any",
        }
    }
}

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub kind: ColumnKind,
}

/// One value of a row, borrowed from the driver's buffer or the scratch buffer it was formatted into.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    /// Printed as the shortest digits that read back the same; not finite: as the texts `NaN`, `Infinity`, `-Infinity`.
    Float(f64),
    Float32(f32),
    /// A JSON number in exactly the digits of the database, such as `-12.50`.
    Decimal(&'a str),
    /// Text, and everything that is text in JSON: ISO dates, RFC 3339 timestamps, UUIDs, addresses, intervals.
    Text(&'a str),
    /// Base64 in every output form.
    Bytes(&'a [u8]),
    /// Valid JSON text, passed on as it is.
    Json(&'a str),
}

/// A row while it is being read. `scratch` is space for values that must be formatted; one call per cell may use it.
pub trait Row {
    /// The cell at `index` (0-based, below the number of columns).
    ///
    /// # Errors
    /// Where the driver's bytes are not what the column's type says.
    fn cell<'a>(&'a self, index: usize, scratch: &'a mut String) -> Result<Cell<'a>, EngineError>;
}

/// What a sink wants after a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// The next row.
    Continue,
    /// Call [`RowSink::flush`] before the next row: the buffer is full.
    Flush,
    /// No more rows: a cap is reached or the reader is gone. The engine cancels what still runs.
    Stop,
}

/// Where rows go. Engines call `columns` once, also for a result of no rows, then `row` for each row.
pub trait RowSink: Send + 'static {
    /// Whether it can [`rewind`](Self::rewind), so that a query may be tried in a place where it cannot take its time.
    const REWINDS: bool = false;

    /// Forgets all it took, which was nothing that had to be flushed: the query begins anew.
    fn rewind(&mut self) {}

    /// The result's columns, in query order.
    ///
    /// # Errors
    /// Where the columns do not fit what the sink was made for.
    fn columns(&mut self, columns: &[Column]) -> Result<(), EngineError>;

    /// Takes one row.
    ///
    /// # Errors
    /// Passes on the errors of [`Row::cell`].
    fn row<R: Row>(&mut self, row: &R) -> Result<Flow, EngineError>;

    /// Rows taken so far, for the metrics.
    fn rows(&self) -> u64 {
        0
    }

    /// Waits until the reader has taken what is buffered. Engines on a thread block on it.
    fn flush(&mut self) -> impl Future<Output = Flow> + Send;
}

/// A sink that is large travels boxed: runs pass theirs on by value.
impl<S: RowSink> RowSink for Box<S> {
    const REWINDS: bool = S::REWINDS;

    fn rewind(&mut self) {
        (**self).rewind();
    }

    fn columns(&mut self, columns: &[Column]) -> Result<(), EngineError> {
        (**self).columns(columns)
    }

    fn row<R: Row>(&mut self, row: &R) -> Result<Flow, EngineError> {
        (**self).row(row)
    }

    fn rows(&self) -> u64 {
        (**self).rows()
    }

    fn flush(&mut self) -> impl Future<Output = Flow> + Send {
        (**self).flush()
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Rows changed, for a statement that returns no columns.
    pub affected_rows: u64,
}

/// Why a run failed. Texts are for logs and operators, never for callers.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EngineError {
    /// Could not connect, or the connection broke.
    #[error("datasource unavailable: {0}")]
    Unavailable(String),
    /// In-flight and queue limits are reached.
    #[error("datasource busy, retry after {} ms", .retry_after.as_millis())]
    Busy { retry_after: Duration },
    /// The breaker is open, because of `cause`.
    #[error("the breaker is open: {cause}; next try in {} s", .retry_after.as_millis().div_ceil(1_000))]
    Shut { retry_after: Duration, cause: String },
    /// The deadline passed; the query was cancelled in the database.
    #[error("deadline passed")]
    Timeout,
    /// A bound value does not fit the type the statement gives its placeholder (0-based position where known).
    #[error("bound value does not fit: {message}")]
    BadValue { position: Option<usize>, message: String },
    /// The database refused the statement or failed while running it. `code`: SQLSTATE or error number.
    #[error("statement failed ({code}): {message}")]
    Statement { code: String, message: String },
    /// The driver's bytes are not what their type says, or the sink could not take them.
    #[error("unreadable value: {0}")]
    Value(String),
}

impl EngineError {
    /// Whether this says that the datasource itself is ill (what a breaker counts).
    pub fn is_ill_health(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// Connections of one datasource at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolStats {
    pub open: usize,
    pub busy: usize,
    pub max: usize,
}

/// A step of making a connection, after that to its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginStep {
    Tls,
    Login,
}

/// A database kind. Connects lazily, recovers by itself, holds no more than its pool allows. Dropping the future of
/// `run` cancels the query in the database.
pub trait Engine: Send + Sync + 'static {
    /// Runs `query` and feeds `sink`, which comes back with the result.
    fn run<S: RowSink>(
        &self,
        query: Query,
        sink: S,
    ) -> impl Future<Output = (S, Result<Done, EngineError>)> + Send;

    /// Prepares `sql` without running it: the columns it would return.
    fn describe(
        &self,
        sql: &str,
        deadline: Instant,
    ) -> impl Future<Output = Result<Vec<Column>, EngineError>> + Send;

    /// Whether the database answers: connects where needed and asks for nothing.
    fn ping(&self, deadline: Instant) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// Whether the database gives a sign of life on a connection of its own beside the pool, whose connections may all be
    /// at work; else how far that came. Bounded by its caller.
    fn log_in(&self) -> impl Future<Output = Result<(), (LoginStep, EngineError)>> + Send;

    /// Whether `query` would run beside others on one connection.
    fn shares(&self, _query: &Query) -> bool {
        false
    }

    /// How many queries that do not share can run at once.
    fn max_alone(&self) -> usize {
        self.stats().max
    }

    /// The state of its connections.
    fn stats(&self) -> PoolStats;
}

/// What an engine is built from: a datasource with its secret read and its paths made absolute.
#[derive(Clone, Debug, Default)]
pub struct EngineConfig {
    /// Datasource id, for log lines.
    pub id: String,
    /// SQLite: database file.
    pub path: std::path::PathBuf,
    /// SQLite: SQL run once, when the file is created.
    pub init: Option<std::path::PathBuf>,
    pub host: String,
    /// `None`: the engine's usual port.
    pub port: Option<u16>,
    pub database: Option<String>,
    pub username: Option<String>,
    pub password: Option<crate::definitions::secret::SecretText>,
    /// `None`: no TLS.
    pub tls: Option<crate::definitions::spec::datasource::Tls>,
    /// Sessions are made read-only where the engine can do so.
    pub read_only: bool,
    pub pool: crate::definitions::spec::datasource::Pool,
    /// Longest query, in milliseconds: set in the session as well, where the engine can, as a second line of defence.
    pub timeout_ms: u64,
    /// Where connection tasks run: the runtime that serves the requests. `None`: the runtime of the caller.
    pub runtime: Option<tokio::runtime::Handle>,
}
