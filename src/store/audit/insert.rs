//! Writes audit records on a connection of its own: many calls wait for it, and a statement prepared once costs a fraction of
//! one that is built for each batch.

use std::path::PathBuf;
#[cfg(test)]
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use rusqlite::{Connection, OpenFlags, Statement, ToSql};

use super::Durability;
use super::checkpoint::Checkpointer;
use super::record::{AuditRecord, COLUMNS, signed};
use crate::observe::event::CacheState;
use crate::store::{StoreError, backend};

/// Pages of write-ahead log after which this connection makes a checkpoint itself (64 MB). Only then, when nobody inserts,
/// can the log begin anew; most of it is in the database by then.
const LATE_CHECKPOINT_PAGES: u32 = 2 * backend::CHECKPOINT_PAGES;
/// A place for each of [`COLUMNS`].
const PLACES: &str = "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?";
const COLUMN_COUNT: usize = 24;

/// The connection that inserts; opened when needed, and anew after a failure, which ends a transaction in ways of its own.
pub(super) struct Inserter {
    file: PathBuf,
    durability: Durability,
    connection: Option<Connection>,
    checkpointer: Checkpointer,
}

impl Inserter {
    /// Opens nothing yet.
    pub(super) fn new(file: PathBuf, durability: Durability) -> Self {
        let checkpointer = Checkpointer::new(file.clone());
        Self { file, durability, connection: None, checkpointer }
    }

    /// Writes all records in one transaction. On an error none of them is stored, or whether they are is unknown. Blocks.
    ///
    /// # Errors
    /// What the database says.
    pub(super) fn insert(&mut self, records: &[AuditRecord]) -> Result<(), StoreError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.open().map_err(failed)?,
        };
        insert_on(&connection, records).map_err(failed)?;
        self.connection = Some(connection);
        self.checkpointer.wrote(records.len());
        Ok(())
    }

    fn open(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.file, flags)?;
        connection.busy_timeout(backend::BUSY_TIMEOUT)?;
        let synchronous = match self.durability {
            Durability::Process => "NORMAL",
            Durability::Power => "FULL",
        };
        connection.execute_batch(&format!(
            "PRAGMA synchronous = {synchronous}; PRAGMA wal_autocheckpoint = {}; PRAGMA journal_size_limit = {};",
            LATE_CHECKPOINT_PAGES,
            backend::WAL_SIZE_LIMIT_BYTES,
        ))?;
        #[cfg(test)]
        connection.pragma_update(None, "max_page_count", MAX_PAGES.load(Relaxed))?;
        Ok(connection)
    }
}

/// How far connections opened from now on may grow the file, in pages: only a look inside can arrange that it is full.
#[cfg(test)]
pub(super) static MAX_PAGES: AtomicU32 = AtomicU32::new(u32::MAX >> 1);

fn failed(error: rusqlite::Error) -> StoreError {
    StoreError::Insert(error.to_string())
}

/// A connection that is dropped in a transaction rolls it back.
fn insert_on(connection: &Connection, records: &[AuditRecord]) -> rusqlite::Result<()> {
    // At once for writing: a lock that is only taken with the first row may be refused without waiting for it.
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let sql = format!("INSERT INTO audit ({COLUMNS}) VALUES ({PLACES})");
    let mut statement = connection.prepare_cached(&sql)?;
    for record in records {
        bind(record, &mut statement)?;
        statement.raw_execute()?;
    }
    connection.prepare_cached("COMMIT")?.execute([])?;
    Ok(())
}

/// Binds every column of [`COLUMNS`] to the places of an INSERT.
fn bind(record: &AuditRecord, row: &mut Statement<'_>) -> rusqlite::Result<()> {
    let roles = serde_json::to_string(&record.roles).unwrap_or_default();
    let ip = record.ip.map(|ip| ip.to_string());
    let values: [&dyn ToSql; COLUMN_COUNT] = [
        &record.at.as_microsecond(),
        &record.request_id,
        &&*record.interface,
        &&*record.version,
        &record.principal_kind.as_str(),
        &&*record.principal,
        &record.issuer.as_deref(),
        &roles,
        &ip,
        &record.method,
        &record.path,
        &record.params,
        &record.code.as_str(),
        &record.status,
        &signed(record.rows),
        &signed(record.bytes),
        &signed(record.duration_us),
        &record.queue_us.map(signed),
        &record.database_us.map(signed),
        &record.cache.map(CacheState::as_str),
        &&*record.revision,
        &record.kind.as_str(),
        &record.error,
        &record.sql_fingerprint,
    ];
    for (at, value) in values.into_iter().enumerate() {
        row.raw_bind_parameter(at + 1, value)?;
    }
    Ok(())
}
