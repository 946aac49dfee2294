//! A worker's connection: opened when needed, closed when ill, and what is done with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};

use super::cancel::{self, Cancel};
use super::decode::{KnownColumns, ReadRow, columns_of};
use super::{bind, error, guard, hmac, init};
use crate::engines::{Column, Done, EngineConfig, EngineError, Flow, Query, RowSink};

/// Prepared statements that a connection keeps.
const MAX_STATEMENTS: usize = 128;
/// Longest text, binary value or row, in bytes.
const MAX_VALUE_BYTES: i32 = 64 * 1024 * 1024;
/// Longest statement, in bytes.
const MAX_SQL_BYTES: i32 = 1024 * 1024;
/// Longest pattern of LIKE and GLOB, whose time can grow with its square.
const MAX_PATTERN_BYTES: i32 = 1_000;

/// Pages are read through a cache of 8 MiB a connection, not through a memory map: a file that is cut short would end
/// the whole process with a bus error.
const SETTINGS: &str = "PRAGMA temp_store=MEMORY; PRAGMA cache_size=-8192; PRAGMA mmap_size=0;";

/// A worker's session with the database.
pub struct Session {
    config: Arc<EngineConfig>,
    /// Open connections of the pool.
    open: Arc<AtomicUsize>,
    connection: Option<Connection>,
    known: KnownColumns,
}

impl Session {
    pub fn new(config: Arc<EngineConfig>, open: Arc<AtomicUsize>) -> Self {
        Self { config, open, connection: None, known: KnownColumns::default() }
    }

    /// Does `work` with the connection. It is opened first where needed, and closed where it proves unusable, so that the
    /// next work starts afresh.
    ///
    /// # Errors
    /// Those of opening and of `work`.
    pub fn with_connection<T>(
        &mut self,
        cancel: &Cancel,
        work: impl FnOnce(&Connection, &mut KnownColumns) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect(cancel, cancel::STEPS_BETWEEN_CHECKS)?,
        };
        let connection = self.connection.insert(connection);
        let result = work(connection, &mut self.known);
        let ill = result.as_ref().is_err_and(EngineError::is_ill_health);
        let tidy = connection.is_autocommit() || connection.execute_batch("ROLLBACK").is_ok();
        if ill || !tidy {
            self.close();
        }
        result
    }

    /// Closes the connection.
    pub fn close(&mut self) {
        if self.connection.take().is_some() {
            self.open.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Opens the connection, which looks every so many `steps` whether its work must end.
    ///
    /// # Errors
    /// Where that fails.
    pub fn open(&mut self, cancel: &Cancel, steps: i32) -> Result<(), EngineError> {
        self.connection = Some(self.connect(cancel, steps)?);
        Ok(())
    }

    /// Whether there is a connection.
    pub fn is_open(&self) -> bool {
        self.connection.is_some()
    }

    /// What counts the open connections.
    pub fn counter(&self) -> Arc<AtomicUsize> {
        self.open.clone()
    }

    fn connect(&self, cancel: &Cancel, steps: i32) -> Result<Connection, EngineError> {
        init::ensure(&self.config, Some(cancel.deadline()))?;
        let connection = connect(&self.config, steps).map_err(error::of)?;
        self.open.fetch_add(1, Ordering::Relaxed);
        Ok(connection)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.close();
    }
}

/// Opens the file, which must exist, with everything off that a query has no use for.
fn connect(config: &EngineConfig, steps: i32) -> rusqlite::Result<Connection> {
    let access = if config.read_only {
        OpenFlags::SQLITE_OPEN_READ_ONLY
    } else {
        OpenFlags::SQLITE_OPEN_READ_WRITE
    };
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let connection = Connection::open_with_flags(&config.path, flags)?;
    // First of all, because even a setting may have to wait for a lock.
    cancel::watch(&connection, steps)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    // "misspelt" is an unknown column, not a text.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    connection.set_limit(Limit::SQLITE_LIMIT_WORKER_THREADS, 0)?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)?;
    connection.set_limit(Limit::SQLITE_LIMIT_SQL_LENGTH, MAX_SQL_BYTES)?;
    connection.set_limit(Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, MAX_PATTERN_BYTES)?;
    connection.set_prepared_statement_cache_capacity(MAX_STATEMENTS);
    hmac::register(&connection)?;
    connection.execute_batch(SETTINGS)?;
    if config.read_only {
        connection.execute_batch("PRAGMA query_only=ON;")?;
    }
    // Last, since the settings above would be refused.
    guard::watch(&connection, config.read_only)?;
    Ok(connection)
}

/// Runs a query and feeds its rows to `sink`.
///
/// # Errors
/// `Timeout` where `cancel` ends it; else what SQLite, a bind or the sink says.
pub fn run<S: RowSink>(
    connection: &Connection,
    query: &Query,
    sink: &mut S,
    known: &mut KnownColumns,
    cancel: &Cancel,
) -> Result<Done, EngineError> {
    let changes_before = connection.total_changes();
    let mut statement = connection.prepare_cached(&query.sql).map_err(error::of)?;
    bind::all(&mut statement, &query.binds)?;
    let mut rows = statement.raw_query();
    let mut columns: Option<&[Column]> = None;
    while let Some(row) = rows.next().map_err(error::of)? {
        // Only now, because the first step prepares a statement again whose tables have changed.
        let columns = if let Some(columns) = columns {
            columns
        } else {
            let now_known = known.of(&query.sql, row.as_ref());
            sink.columns(now_known)?;
            columns = Some(now_known);
            now_known
        };
        let mut flow = sink.row(&ReadRow { row, columns })?;
        if flow == Flow::Flush {
            flow = cancel.block_on(sink.flush())?;
        }
        if flow == Flow::Stop {
            break;
        }
    }
    drop(rows);
    if columns.is_none() {
        sink.columns(&columns_of(&statement))?;
    }
    let changed = connection.total_changes() != changes_before;
    Ok(Done { affected_rows: if changed { connection.changes() } else { 0 } })
}

/// The columns that `sql` would return.
///
/// # Errors
/// Where SQLite does not take the statement.
pub fn describe(connection: &Connection, sql: &str) -> Result<Vec<Column>, EngineError> {
    let statement = connection.prepare(sql).map_err(error::of)?;
    Ok(columns_of(&statement))
}

/// Reads the file's header and schema.
///
/// # Errors
/// Where they cannot be read.
pub fn ping(connection: &Connection) -> Result<(), EngineError> {
    let any = connection
        .prepare_cached("SELECT 1 FROM sqlite_schema LIMIT 1")
        .and_then(|mut statement| statement.exists([]));
    any.map(drop).map_err(error::of)
}
