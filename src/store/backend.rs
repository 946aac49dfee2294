//! The database behind the store: the only file that names it.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, SqlSafeStr};

use super::StoreError;

/// The database kind, and what goes with it.
pub(super) type Db = sqlx::Sqlite;
pub(super) type Pool = sqlx::SqlitePool;
pub(super) type Row = sqlx::sqlite::SqliteRow;

/// Every schema change, in order: version, name, text. A released one never changes.
const MIGRATIONS: [(i64, &str, &str); 4] = [
    (1, "audit", include_str!("migrations/0001_audit.sql")),
    (2, "key_use", include_str!("migrations/0002_key_use.sql")),
    (3, "accounts", include_str!("migrations/0003_accounts.sql")),
    (4, "queries", include_str!("migrations/0004_queries.sql")),
];

/// How long a statement waits for a lock that another process holds.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a caller waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(4);
/// Connections for reading. Writing has one beside that of the audit log: the file takes one writer at a time, and a queue for
/// a connection is fair where a lock on a file is not.
const READ_CONNECTIONS: u32 = 4;
/// Prepared statements kept on a connection.
const CACHED_STATEMENTS: usize = 32;
/// Pages of write-ahead log between checkpoints (32 MB): the random pages of the indexes are then written once for
/// thousands of records.
pub(super) const CHECKPOINT_PAGES: u32 = 8192;
/// The log file shrinks back to this after a checkpoint.
pub(super) const WAL_SIZE_LIMIT_BYTES: u32 = 64 << 20;

/// Opens (or creates) the database and brings its schema up to date. Returns the file, and the pools for writing and
/// reading.
pub(super) async fn open(url: &str) -> Result<(PathBuf, Pool, Pool), StoreError> {
    let options = options(url)?;
    let path = options.get_filename().to_path_buf();
    create_private(&path).map_err(|source| StoreError::File { path: path.clone(), source })?;

    let pool =
        || SqlitePoolOptions::new().acquire_timeout(ACQUIRE_TIMEOUT).test_before_acquire(false);
    let writing = options
        .clone()
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string())
        .pragma("journal_size_limit", WAL_SIZE_LIMIT_BYTES.to_string());
    let write = pool()
        .max_connections(1)
        .max_lifetime(None)
        .idle_timeout(None)
        .connect_with(writing)
        .await?;
    migrator().run(&write).await?;
    let read = pool().max_connections(READ_CONNECTIONS).connect_lazy_with(options.read_only(true));
    Ok((path, write, read))
}

/// `sqlite:…` or a plain path, as connection options.
fn options(url: &str) -> Result<SqliteConnectOptions, StoreError> {
    let unsupported = || StoreError::Unsupported(url.into());
    let options = if url.starts_with("sqlite:") {
        SqliteConnectOptions::from_str(url).map_err(|_| unsupported())?
    } else if url.contains("://") {
        return Err(unsupported());
    } else {
        SqliteConnectOptions::new().filename(url)
    };
    let path = options.get_filename();
    // A database in memory would be another one for each connection, and audit nothing.
    if url.contains(":memory:") || url.contains("mode=memory") || path.as_os_str().is_empty() {
        return Err(unsupported());
    }
    Ok(options
        .read_only(false)
        .immutable(false)
        .shared_cache(false)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .statement_cache_capacity(CACHED_STATEMENTS)
        .disable_statement_logging())
}

/// Creates the file and its directory, for this user only. Files beside the database inherit its mode.
fn create_private(path: &Path) -> std::io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    let file = fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}

fn migrator() -> Migrator {
    let migration = |(version, name, sql): (i64, &'static str, &'static str)| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(MIGRATIONS.into_iter().map(migration).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(url: &str) -> Result<PathBuf, StoreError> {
        Ok(options(url)?.get_filename().to_path_buf())
    }

    #[test]
    fn a_url_and_a_plain_path_name_the_same_file() {
        for url in [
            "/data/t.db",
            "sqlite:/data/t.db",
            "sqlite:///data/t.db",
            "sqlite:///data/t.db?mode=rw",
        ] {
            assert_eq!(file(url).unwrap(), Path::new("/data/t.db"), "{url}");
        }
        assert_eq!(file("sqlite://data/t.db").unwrap(), Path::new("data/t.db"));
    }

    #[test]
    fn what_cannot_keep_an_audit_trail_is_refused() {
        for url in [
            "",
            "postgres://db/t",
            "sqlite::memory:",
            "sqlite://x?mode=memory",
            "sqlite://x?nonsense=1",
        ] {
            assert!(matches!(file(url), Err(StoreError::Unsupported(_))), "{url}");
        }
    }
}
