//! The successor that a process starts itself: the binary at its own path, with its own arguments and `--upgrade`.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};

/// The flag that makes a successor of a process.
const FLAG: &str = "--upgrade";
/// What the system adds to the path of a binary that has been replaced.
const DELETED: &[u8] = b" (deleted)";

/// Starts successors, one at a time.
#[derive(Debug, Default)]
pub struct Nursery(Option<JoinHandle<()>>);

impl Nursery {
    /// Starts a successor unless one is still on its way. The log tells how it fares.
    pub fn start(&mut self) {
        if self.0.as_ref().is_some_and(|waiting| !waiting.is_finished()) {
            tracing::warn!("a successor has been started already");
            return;
        }
        let started = spawn().and_then(|child| {
            tracing::info!(pid = child.id(), "started a successor");
            thread::Builder::new().name("successor".to_owned()).spawn(move || wait(child))
        });
        match started {
            Ok(waiting) => self.0 = Some(waiting),
            Err(error) => tracing::error!(%error, "a successor cannot be started"),
        }
    }
}

/// Waits for the end of a successor: one that takes over outlives this process.
fn wait(mut child: Child) {
    match child.wait() {
        Ok(status) => tracing::error!(%status, "the successor ended; this process goes on"),
        Err(error) => tracing::error!(%error, "the successor cannot be waited for"),
    }
}

fn spawn() -> io::Result<Child> {
    let mut arguments = std::env::args_os();
    let binary = binary(arguments.next(), std::env::current_exe)?;
    Command::new(binary)
        .args(with_flag(arguments))
        // The supervisor's watchdog was meant for this process; the successor has to answer for itself.
        .env_remove("WATCHDOG_PID")
        .stdin(Stdio::null())
        .spawn()
}

/// Where the binary is: the path that this process was called by, which may be a link that leads to another version by
/// now; where it was found on `PATH`, the file that it runs.
fn binary(
    called: Option<OsString>,
    runs: impl FnOnce() -> io::Result<PathBuf>,
) -> io::Result<PathBuf> {
    if let Some(called) = called.filter(|called| called.as_bytes().contains(&b'/')) {
        return Ok(called.into());
    }
    let runs = runs()?.into_os_string();
    let path = runs.as_bytes().strip_suffix(DELETED).unwrap_or(runs.as_bytes());
    Ok(OsStr::from_bytes(path).into())
}

fn with_flag(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = arguments.collect();
    if !arguments.iter().any(|argument| argument == FLAG) {
        arguments.push(FLAG.into());
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_called_by_comes_first() {
        let runs = || Ok("/opt/1/tidegate".into());
        let found = |called: &str| binary(Some(called.into()), runs).unwrap();
        assert_eq!(found("/usr/bin/tidegate"), PathBuf::from("/usr/bin/tidegate"));
        assert_eq!(found("./tidegate"), PathBuf::from("./tidegate"));
        assert_eq!(found("tidegate"), PathBuf::from("/opt/1/tidegate"));
        let replaced = binary(None, || Ok("/opt/1/tidegate (deleted)".into())).unwrap();
        assert_eq!(replaced, PathBuf::from("/opt/1/tidegate"));
    }

    #[test]
    fn the_flag_is_there_once() {
        let arguments = |given: &[&str]| with_flag(given.iter().map(OsString::from));
        assert_eq!(arguments(&["serve"]), ["serve", FLAG]);
        assert_eq!(arguments(&["serve", FLAG, "--root", "x"]), ["serve", FLAG, "--root", "x"]);
    }
}
