//! The appliance's own state, in a database of its own: the audit trail, when keys were last used, people, what they did and the
//! queries that they ran.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

mod accounts;
pub mod audit;
mod backend;
mod journal;
mod key_use;
mod queries;
mod role;
mod sessions;

pub use accounts::{Account, AccountChange, Changed};
pub use audit::{AuditEntry, AuditFilter, AuditLog, AuditRecord};
pub use journal::{JournalFilter, Login, MAX_PAGE, Operation};
pub use key_use::KeyUse;
pub use queries::{QueryFilter, QueryRun, QueryState};
pub use role::Role;
pub use sessions::{ApiToken, NewSession, Session};

/// An open store. Cloning shares the connections.
#[derive(Clone, Debug)]
pub struct Store {
    file: PathBuf,
    write: backend::Pool,
    read: backend::Pool,
    /// Another process writes as well.
    is_shared: Arc<AtomicBool>,
}

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Not a store this build can open.
    #[error("store `{0}` is not supported: give a file path or `sqlite:///path`")]
    Unsupported(String),
    #[error("store file {path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    /// The schema could not be brought up to date, or a newer version wrote it.
    #[error("store schema: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The database refused: locked, full, broken.
    #[error("store: {0}")]
    Database(#[from] sqlx::Error),
    /// The same, of audit records.
    #[error("store: {0}")]
    Insert(String),
}

impl Store {
    /// Opens the store at `url` (`sqlite:///path/to/file` or a plain path), creating the directory, the file (mode
    /// 0600) and the schema where they are missing.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let (file, write, read) = backend::open(url).await?;
        Ok(Self { file, write, read, is_shared: Arc::default() })
    }

    /// Says whether another process writes as well, as during an upgrade: the audit log then leaves it room.
    pub fn share(&self, is_shared: bool) {
        self.is_shared.store(is_shared, Relaxed);
    }

    fn is_shared(&self) -> bool {
        self.is_shared.load(Relaxed)
    }

    /// Closes all connections; what was committed is then in the database file itself.
    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
}
