//! Creating a database that does not exist yet from an SQL file: once, and wholly or not at all.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, mpsc};
use std::thread;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;

use crate::definitions::regular;
use crate::engines::{EngineConfig, EngineError};

/// Largest SQL file that is run.
const MAX_INIT_BYTES: u64 = 256 * 1024 * 1024;
/// Tries to get the lock on a file that other processes create and take away.
const MAX_LOCK_TRIES: usize = 100;

/// Files that this process is creating, and the news that one of them is done.
static IN_WORK: LazyLock<Mutex<HashSet<PathBuf>>> = LazyLock::new(Mutex::default);
static DONE: Condvar = Condvar::new();

/// Makes sure that the database file exists: creates it from `config.init`, or waits for who does. The work goes on when
/// `deadline` ends the wait.
///
/// # Errors
/// `Unavailable` where the file is missing and there is no `init`, or it fails; `Timeout` at `deadline`.
pub fn ensure(config: &EngineConfig, deadline: Option<Instant>) -> Result<(), EngineError> {
    loop {
        if config.path.exists() {
            return Ok(());
        }
        let Some(init) = &config.init else {
            return Err(unavailable(&config.path, "no such file"));
        };
        let mut in_work = IN_WORK.lock();
        if in_work.insert(config.path.clone()) {
            drop(in_work);
            return create_aside(InWork(config.path.clone()), init.clone(), deadline);
        }
        match deadline {
            None => DONE.wait(&mut in_work),
            Some(deadline) if DONE.wait_until(&mut in_work, deadline).timed_out() => {
                return Err(EngineError::Timeout);
            }
            Some(_) => {}
        }
    }
}

fn unavailable(path: &Path, reason: impl std::fmt::Display) -> EngineError {
    EngineError::Unavailable(format!("{}: {reason}", path.display()))
}

/// The right to create a file in this process.
struct InWork(PathBuf);

impl Drop for InWork {
    fn drop(&mut self) {
        IN_WORK.lock().remove(&self.0);
        DONE.notify_all();
    }
}

/// Creates the file on a thread of its own, so that whoever waits can stop waiting.
fn create_aside(
    target: InWork,
    init: PathBuf,
    deadline: Option<Instant>,
) -> Result<(), EngineError> {
    let path = target.0.clone();
    let (done, result) = mpsc::sync_channel(1);
    let work = move || {
        let result = create(&target.0, &init).map_err(|reason| unavailable(&target.0, reason));
        drop(target);
        // Nobody hears it where the deadline was shorter.
        let _ = done.send(result);
    };
    thread::Builder::new()
        .name("sqlite-init".to_owned())
        .spawn(work)
        .map_err(|error| unavailable(&path, error))?;
    match deadline {
        None => result.recv().unwrap_or_else(|_| Err(unavailable(&path, "its creation broke off"))),
        Some(deadline) => match result.recv_timeout(deadline - Instant::now().min(deadline)) {
            Ok(result) => result,
            Err(mpsc::RecvTimeoutError::Timeout) => Err(EngineError::Timeout),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                Err(unavailable(&path, "its creation broke off"))
            }
        },
    }
}

/// Why a database could not be created.
#[derive(Debug, thiserror::Error)]
enum CreateError {
    #[error("cannot be created: {0}")]
    Io(#[from] io::Error),
    #[error("its init file fails: {0}")]
    Sql(#[from] rusqlite::Error),
    #[error("its init file {0}")]
    Init(String),
}

/// Fills a file beside `path` and renames it into place. The lock on that file holds off other processes, and ends with
/// this one however it ends; what an earlier one left half made is overwritten.
fn create(path: &Path, init: &Path) -> Result<(), CreateError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let aside = beside(path, ".init");
    let file = lock(&aside)?;
    let result = if path.exists() { Ok(()) } else { fill(&aside, &file, init) };
    if result.is_ok() && !path.exists() {
        fs::rename(&aside, path)?;
    } else {
        remove(&aside)?;
    }
    result
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// Opens and locks the file; one that was renamed or removed while waiting is not it any more.
fn lock(aside: &Path) -> io::Result<File> {
    for _ in 0..MAX_LOCK_TRIES {
        let file = File::options().create(true).truncate(false).write(true).open(aside)?;
        file.lock()?;
        if fs::metadata(aside).is_ok_and(|there| same_file(&there, &file)) {
            return Ok(file);
        }
    }
    Err(io::Error::other("other processes keep creating it"))
}

fn same_file(there: &fs::Metadata, file: &File) -> bool {
    file.metadata().is_ok_and(|here| here.ino() == there.ino() && here.dev() == there.dev())
}

fn fill(aside: &Path, file: &File, init: &Path) -> Result<(), CreateError> {
    let size = fs::metadata(init).map_err(|error| unreadable(init, &error))?.len();
    if size > MAX_INIT_BYTES {
        return Err(CreateError::Init(format!("is larger than {MAX_INIT_BYTES} bytes")));
    }
    let sql = regular::read_to_string(init).map_err(|error| unreadable(init, &error))?;
    file.set_len(0)?;
    for suffix in ["-journal", "-wal", "-shm"] {
        remove(&beside(aside, suffix))?;
    }
    let connection = Connection::open(aside)?;
    connection.execute_batch("PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF;")?;
    connection.execute_batch(&sql)?;
    if !connection.is_autocommit() {
        return Err(CreateError::Init("leaves a transaction open".to_owned()));
    }
    connection.close().map_err(|(_, error)| error)?;
    file.sync_all()?;
    Ok(())
}

fn unreadable(init: &Path, error: &io::Error) -> CreateError {
    CreateError::Init(format!("{} cannot be read: {error}", init.display()))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
