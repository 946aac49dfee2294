//! Moves the write-ahead log into the database beside the connection that inserts, whose callers would wait for the disk
//! meanwhile.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use rusqlite::{Connection, OpenFlags};

use crate::store::backend;

/// Records between two checkpoints: enough that the random pages of the indexes are written once for many of them, and so few
/// that a checkpoint is over before the connection that inserts has to make one itself.
const CHECKPOINT_RECORDS: usize = 8_192;

/// Has checkpoints made by a thread of its own, which starts with the first and ends with this.
pub(super) struct Checkpointer {
    file: PathBuf,
    /// One hint says as much as many.
    hints: Option<SyncSender<()>>,
    records: usize,
}

impl Checkpointer {
    /// Starts nothing yet.
    pub(super) fn new(file: PathBuf) -> Self {
        Self { file, hints: None, records: 0 }
    }

    /// Notes that so many records were committed.
    pub(super) fn wrote(&mut self, records: usize) {
        self.records += records;
        if self.records < CHECKPOINT_RECORDS {
            return;
        }
        self.records = 0;
        if self.hints.is_none() {
            self.hints = start(self.file.clone());
        }
        // Without a thread the connection that inserts makes its checkpoints itself, a little later.
        if let Some(hints) = &self.hints {
            let _ = hints.try_send(());
        }
    }
}

fn start(file: PathBuf) -> Option<SyncSender<()>> {
    let (sender, hints) = sync_channel(1);
    let thread = thread::Builder::new().name("checkpoint".to_owned());
    thread.spawn(move || run(&file, &hints)).ok().map(|_| sender)
}

fn run(file: &Path, hints: &Receiver<()>) {
    let mut connection = None;
    while hints.recv().is_ok() {
        connection = connection.take().or_else(|| open(file).ok());
        // Passive: it takes what it can without holding up anybody.
        let checkpoint = |known: &Connection| {
            known.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).is_ok()
        };
        connection = connection.filter(checkpoint);
    }
}

fn open(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(backend::BUSY_TIMEOUT)?;
    Ok(connection)
}
