//! What the service manager is told, in systemd's protocol: `NAME=value` lines to the socket in `NOTIFY_SOCKET`.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Longest status, in bytes: it is one line for a human.
const MAX_STATUS_BYTES: usize = 400;

/// Tells the service manager. Without one, nobody.
#[derive(Clone, Debug, Default)]
pub struct Notify(Option<Arc<(UnixDatagram, SocketAddr)>>);

impl Notify {
    /// Finds the service manager by the environment.
    pub fn from_env() -> Self {
        let Some(name) = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Self(None);
        };
        match open(&name) {
            Ok(open) => Self(Some(Arc::new(open))),
            Err(error) => {
                tracing::warn!(%error, socket = %name.display(), "the service manager is not told anything");
                Self(None)
            }
        }
    }

    /// Whether there is a service manager.
    pub fn is_heard(&self) -> bool {
        self.0.is_some()
    }

    /// This process serves, and is the one to watch.
    pub fn ready(&self, status: &str) {
        let pid = std::process::id();
        self.send(&format!("READY=1\nMAINPID={pid}\nSTATUS={}", one_line(status)));
    }

    /// The definitions are being looked at; `ready` ends it.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let now_us = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={now_us}"));
    }

    /// What the process is doing.
    pub fn status(&self, status: &str) {
        self.send(&format!("STATUS={}", one_line(status)));
    }

    /// The process is alive.
    pub fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    /// The process is stopping.
    pub fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=stopping: waiting for the calls under way");
    }

    fn send(&self, text: &str) {
        let Some(open) = &self.0 else { return };
        if let Err(error) = open.0.send_to_addr(text.as_bytes(), &open.1) {
            tracing::debug!(%error, "the service manager does not listen");
        }
    }
}

fn open(name: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    // A manager that does not read must not stop this process.
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

fn one_line(status: &str) -> String {
    let end = status.floor_char_boundary(MAX_STATUS_BYTES);
    status[..end].replace('\n', " ")
}

/// How often the service manager wants to hear that this process is alive, where it does.
pub fn watchdog() -> Option<Duration> {
    let text = |name| std::env::var(name).ok();
    watchdog_of(text("WATCHDOG_USEC"), text("WATCHDOG_PID"), std::process::id())
}

fn watchdog_of(period_us: Option<String>, pid: Option<String>, own: u32) -> Option<Duration> {
    let is_ours = pid.is_none_or(|pid| pid.parse() == Ok(own));
    let period_us = period_us?.parse().ok().filter(|us| *us > 0 && is_ours)?;
    Some(Duration::from_micros(period_us))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_is_for_the_process_it_names() {
        let of = |period: &str, pid: Option<&str>| {
            watchdog_of(Some(period.to_owned()), pid.map(str::to_owned), 7)
        };
        let second = Some(Duration::from_secs(1));
        assert_eq!(of("1000000", None), second);
        assert_eq!(of("1000000", Some("7")), second);
        assert_eq!(of("1000000", Some("8")), None);
        assert_eq!(of("0", None), None);
        assert_eq!(of("soon", None), None);
        assert_eq!(watchdog_of(None, Some("7".to_owned()), 7), None);
    }

    #[test]
    fn a_status_is_one_line_of_bounded_length() {
        assert_eq!(one_line("a\nb"), "a b");
        let long = one_line(&"潮".repeat(1_000));
        assert!(long.len() <= MAX_STATUS_BYTES && long.chars().all(|c| c == '潮'), "{long}");
    }

    #[test]
    fn both_kinds_of_names_reach_their_socket() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let by_path = UnixDatagram::bind(&path).unwrap();
        let name = format!("tidegate-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let by_name = UnixDatagram::bind_addr(&address).unwrap();
        for (socket, name) in
            [(by_path, path.into_os_string()), (by_name, format!("@{name}").into())]
        {
            let notify = Notify(Some(Arc::new(open(&name).unwrap())));
            notify.alive();
            let mut bytes = [0; 64];
            let length = socket.recv(&mut bytes).unwrap();
            assert_eq!(&bytes[..length], b"WATCHDOG=1");
        }
    }
}
