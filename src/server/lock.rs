//! The lock on the data directory: one appliance at a time, and its process id for who comes second.

use std::fs::{File, TryLockError};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// File below the data directory.
const FILE: &str = "lock";
/// Longest process id that is read, in bytes.
const MAX_PID_BYTES: u64 = 20;

/// Why the lock was not got.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error(
        "`{dir}` is in use by {holder}: one data directory serves one instance. \
         Stop that one, or replace it with `tidegate serve --upgrade`"
    )]
    Held { dir: String, holder: String },
    #[error("`{path}` cannot be locked: {error}")]
    File { path: String, error: io::Error },
}

/// The lock, held until it is dropped by all processes that share it.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock and puts the process id in its file.
    ///
    /// # Errors
    /// Where another process holds it, or the file cannot be used.
    pub fn take(data_dir: &Path) -> Result<Self, LockError> {
        let path = data_dir.join(FILE);
        let in_file = |error| LockError::File { path: path.display().to_string(), error };
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).map_err(in_file)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held {
                    dir: data_dir.display().to_string(),
                    holder: holder(&file),
                });
            }
            Err(TryLockError::Error(error)) => return Err(in_file(error)),
        }
        let lock = Self { file };
        lock.sign().map_err(in_file)?;
        Ok(lock)
    }

    /// Puts the id of this process in the file.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn sign(&self) -> io::Result<()> {
        let pid = format!("{}\n", std::process::id());
        self.file.write_all_at(pid.as_bytes(), 0)?;
        self.file.set_len(pid.len() as u64)
    }
}

/// A descriptor of a lock that another process took is the lock: it belongs to the open file, not to a process.
impl From<OwnedFd> for Lock {
    fn from(descriptor: OwnedFd) -> Self {
        Self { file: descriptor.into() }
    }
}

impl AsFd for Lock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Who the file says holds the lock.
fn holder(file: &File) -> String {
    let mut text = String::new();
    let is_read = file.take(MAX_PID_BYTES).read_to_string(&mut text).is_ok();
    match text.trim().parse::<u32>() {
        Ok(pid) if is_read => format!("process {pid}"),
        _ => "another process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_is_first() {
        let dir = tempfile::tempdir().unwrap();
        let first = Lock::take(dir.path()).unwrap();
        let second = Lock::take(dir.path()).unwrap_err().to_string();
        assert!(second.contains(&format!("process {}", std::process::id())), "{second}");
        drop(first);
        Lock::take(dir.path()).unwrap();
    }

    #[test]
    fn a_copy_holds_it_as_well() {
        let dir = tempfile::tempdir().unwrap();
        let first = Lock::take(dir.path()).unwrap();
        let copy = Lock::from(first.as_fd().try_clone_to_owned().unwrap());
        drop(first);
        assert!(matches!(Lock::take(dir.path()), Err(LockError::Held { .. })));
        copy.sign().unwrap();
        drop(copy);
        Lock::take(dir.path()).unwrap();
    }
}
