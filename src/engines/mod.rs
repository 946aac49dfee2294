//! The engine interface: what a database kind must do, and the values that cross it.

use std::future::Future;
use std::time::{Duration, Instant};

use crate::definitions::spec::datasource::EngineKind;

pub mod mysql;
pub mod postgres;
pub mod registry;
pub mod sqlite;

/// The SQL dialect of an engine: decides placeholders, quoting and how a page is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    Sqlite,
    Postgres,
    MySql,
}

impl Dialect {
    /// The dialect an engine kind speaks; `None` for kinds this build has no engine for.
    pub fn of(kind: EngineKind) -> Option<Self> {
        match kind {
            EngineKind::Sqlite => Some(Self::Sqlite),
            EngineKind::Postgres => Some(Self::Postgres),
            EngineKind::Mysql => Some(Self::MySql),
            EngineKind::Presto | EngineKind::Trino | EngineKind::Starrocks | EngineKind::Hive => {
                None
            }
        }
    }

    /// Quotes an identifier so that any text is safe inside it.
    pub fn quote(self, identifier: &str) -> String {
        let quote = if self == Self::MySql { '`' } else { '"' };
        let mut quoted = String::with_capacity(identifier.len() + 2);
        quoted.push(quote);
        for c in identifier.chars() {
            if c == quote {
                quoted.push(quote);
            }
            quoted.push(c);
        }
        quoted.push(quote);
        quoted
    }
}

/// A value bound to a placeholder. Values never become statement text.
#[derive(Clone, Debug, PartialEq)]
pub enum Bind {
    Null,
    Bool(bool),
    Int(i64),
    /// A number as decimal digits, for what `i64` cannot hold: `12.50`, `-1e400`, `18446744073709551615`.
    Number(String),
    Text(String),
    Date(jiff::civil::Date),
    /// A point in civil time; with an offset it is also a point in time.
    DateTime(jiff::civil::DateTime, Option<jiff::tz::Offset>),
    /// JSON text, from a parameter of type `object`.
    Json(String),
    /// From a parameter of type `array`. Engines without arrays bind it as JSON text.
    Array(Vec<Bind>),
}

impl Bind {
    /// The value as JSON text: how an array or object is bound where the engine has no such type.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        self.write_json(&mut out);
        out
    }

    fn write_json(&self, out: &mut String) {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
            Self::Int(n) => out.push_str(&n.to_string()),
            Self::Number(n) => out.push_str(n),
            Self::Json(text) => out.push_str(text),
            Self::Text(text) => out.push_str(&quoted(text)),
            Self::Date(_) | Self::DateTime(..) => out.push_str(&quoted(&self.to_text())),
            Self::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    item.write_json(out);
                }
                out.push(']');
            }
        }
    }

    /// The value as plain text: ISO 8601 for dates and times, digits for numbers.
    pub fn to_text(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Bool(b) => b.to_string(),
            Self::Int(n) => n.to_string(),
            Self::Number(n) | Self::Text(n) | Self::Json(n) => n.clone(),
            Self::Date(date) => date.to_string(),
            Self::DateTime(at, None) => at.to_string(),
            Self::DateTime(at, Some(offset)) => format!("{at}{}", offset_text(*offset)),
            Self::Array(_) => self.to_json(),
        }
    }
}

/// `+08:00`, or `Z` for UTC: the offset part of RFC 3339.
pub fn offset_text(offset: jiff::tz::Offset) -> String {
    let seconds = offset.seconds();
    if seconds == 0 {
        return "Z".to_owned();
    }
    let (sign, minutes) = if seconds < 0 { ('-', -seconds / 60) } else { ('+', seconds / 60) };
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

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

    /// Waits until the reader has taken what is buffered. Engines on a thread block on it.
    fn flush(&mut self) -> impl Future<Output = Flow> + Send;
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
    /// In-flight and queue limits are reached, or the breaker is open.
    #[error("datasource busy, retry after {} ms", .retry_after.as_millis())]
    Busy { retry_after: Duration },
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

    /// The state of its connections.
    fn stats(&self) -> PoolStats;
}

/// What an engine is built from: a datasource with its secret read and its paths made absolute.
#[derive(Clone, Debug)]
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
