//! The hand-over from a running process to its successor, over a Unix socket in the data directory.
//!
//! ```text
//! successor                           predecessor
//!   loads and compiles                  serves
//!   connects ────────────────────────►  same user? else hangs up
//!   ◄──────────── GREETING + descriptors: lock, data address, admin address
//!   serves on the same sockets          serves
//!   READY ───────────────────────────►  stops accepting
//!   ◄──────────────────────────── DONE
//!   serves                              answers what it has accepted, exits
//!   ◄─────────────────── end of stream
//! ```
//!
//! A successor that goes away before READY has changed nothing.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream as StdStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

use super::ServeError;
use super::lock::Lock;
use crate::settings::Settings;

/// Socket below the data directory.
const FILE: &str = "upgrade.sock";
/// Says which protocol is spoken; comes with the descriptors.
const GREETING: &[u8] = b"tidegate hand-over 1\n";
/// The successor serves.
const READY: u8 = b'R';
/// The predecessor has stopped accepting.
const DONE: u8 = b'D';
/// Descriptors of one hand-over: lock, data address, admin address.
const DESCRIPTORS: usize = 3;
/// Longest wait for what the other side does at once.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time from the descriptors to READY: opening the store, perhaps with a change of its schema.
const READY_TIMEOUT: Duration = Duration::from_mins(1);
/// Pause after a failure of the socket itself, such as too many open files.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// What one process at a time holds.
#[derive(Debug)]
pub struct Holdings {
    pub lock: Lock,
    pub data: TcpListener,
    pub admin: TcpListener,
}

/// Why nothing was taken over.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    #[error("nothing to upgrade: no process answers at `{path}` ({error})")]
    Nobody { path: String, error: io::Error },
    #[error("the running process hands nothing over: {0}")]
    Refused(String),
    #[error("the running process does not answer: {0}")]
    Silent(io::Error),
}

impl Holdings {
    /// Takes the addresses of the settings beside the lock.
    pub fn open(lock: Lock, settings: &Settings) -> Result<Self, ServeError> {
        let (data, admin) = (listen(settings.listen)?, listen(settings.admin_listen)?);
        Ok(Self { lock, data, admin })
    }

    fn descriptors(&self) -> [std::os::fd::BorrowedFd<'_>; DESCRIPTORS] {
        [self.lock.as_fd(), self.data.as_fd(), self.admin.as_fd()]
    }
}

fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    let listener = TcpListener::bind(address);
    listener.map_err(|error| ServeError::Listen { address, error })
}

/// The process that served before this one, until it has ended.
#[derive(Debug)]
pub struct Predecessor(StdStream);

impl Predecessor {
    /// Asks the process that serves a data directory for what it holds. An address that the settings have changed is
    /// taken afresh.
    pub fn ask(settings: &Settings) -> Result<(Holdings, Self), ServeError> {
        let (stream, descriptors) = receive(&settings.data_dir)?;
        let [lock, data, admin] = descriptors;
        let or_fresh = |received: OwnedFd, address| {
            let received = TcpListener::from(received);
            if received.local_addr()? == address { Ok(received) } else { listen(address) }
        };
        let holdings = Holdings {
            lock: lock.into(),
            data: or_fresh(data, settings.listen)?,
            admin: or_fresh(admin, settings.admin_listen)?,
        };
        Ok((holdings, Self(stream)))
    }

    /// Says that this process serves. Returns when the other accepts no more; one that has died meanwhile does not
    /// either.
    pub fn relieve(&mut self) -> Result<(), HandoverError> {
        // What cannot be sent to a process that is gone need not be.
        let _ = self.0.write_all(&[READY]);
        let mut answer = [0];
        match self.0.read(&mut answer) {
            Ok(0) => Ok(()),
            Ok(_) if answer == [DONE] => Ok(()),
            Ok(_) => Err(HandoverError::Refused("it waited too long".to_owned())),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(()),
            Err(error) => Err(HandoverError::Silent(error)),
        }
    }

    /// Returns when the process has ended.
    pub async fn ended(self) -> io::Result<()> {
        self.0.set_nonblocking(true)?;
        let mut stream = UnixStream::from_std(self.0)?;
        while stream.read(&mut [0]).await? > 0 {}
        Ok(())
    }
}

fn receive(data_dir: &Path) -> Result<(StdStream, [OwnedFd; DESCRIPTORS]), HandoverError> {
    let nobody =
        |error| HandoverError::Nobody { path: data_dir.join(FILE).display().to_string(), error };
    let door = Door::at(data_dir).map_err(nobody)?;
    let stream = StdStream::connect(door.short_path()).map_err(nobody)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT)).map_err(HandoverError::Silent)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = [0; GREETING.len()];
    let received = recvmsg(
        &stream,
        &mut [IoSliceMut::new(&mut bytes)],
        &mut ancillary,
        RecvFlags::CMSG_CLOEXEC,
    );
    let length = received.map_err(|error| HandoverError::Silent(error.into()))?.bytes;
    let mut descriptors = Vec::with_capacity(DESCRIPTORS);
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            descriptors.extend(received);
        }
    }
    if length == 0 {
        return Err(HandoverError::Refused("it is stopping, or runs as another user".to_owned()));
    }
    match descriptors.try_into() {
        Ok(descriptors) if bytes == GREETING => Ok((stream, descriptors)),
        _ => Err(HandoverError::Refused("it speaks another protocol".to_owned())),
    }
}

/// The data directory, as a short way to the socket in it: the name of a socket has room for a hundred bytes.
struct Door(File);

impl Door {
    fn at(data_dir: &Path) -> io::Result<Self> {
        File::open(data_dir).map(Self)
    }

    fn short_path(&self) -> PathBuf {
        format!("/proc/self/fd/{}/{FILE}", self.0.as_raw_fd()).into()
    }
}

/// Waits for a successor. The socket's file stays when the process ends: a successor may have put its own in its place.
#[derive(Debug)]
pub struct Offer(UnixListener);

impl Offer {
    /// Opens the socket, in place of one that an earlier process left. Runs on a runtime.
    pub fn open(data_dir: &Path) -> io::Result<Self> {
        let path = data_dir.join(FILE);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(Door::at(data_dir)?.short_path())?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        Ok(Self(listener))
    }

    /// Hands the holdings to whoever asks, until one of them serves. The stream returned tells it by its end that this
    /// process has ended.
    pub async fn taken(&self, holdings: &Holdings) -> UnixStream {
        loop {
            match self.0.accept().await {
                Ok((stream, _)) => match hand_over(stream, holdings).await {
                    Ok(stream) => return stream,
                    Err(error) => tracing::warn!(%error, "no successor; this process goes on"),
                },
                Err(error) => {
                    tracing::warn!(%error, "successors cannot be let in");
                    tokio::time::sleep(RETRY_DELAY).await;
                }
            }
        }
    }
}

async fn hand_over(mut stream: UnixStream, holdings: &Holdings) -> io::Result<UnixStream> {
    let peer = stream.peer_cred()?;
    if peer.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other(format!("user {} is another one", peer.uid())));
    }
    tracing::info!(pid = peer.pid(), "a successor asks for the addresses");
    stream.writable().await?;
    stream.try_io(Interest::WRITABLE, || send(&stream, holdings))?;
    let mut answer = [0];
    match timeout(READY_TIMEOUT, stream.read_exact(&mut answer)).await {
        Ok(Ok(_)) if answer == [READY] => Ok(stream),
        Ok(Ok(_)) => Err(io::Error::other("it speaks another protocol")),
        Ok(Err(_)) => Err(io::Error::other("it went away before it served")),
        Err(_) => {
            // Whatever is not DONE says no.
            let _ = stream.write_all(&[READY]).await;
            Err(io::Error::other("it took too long"))
        }
    }
}

fn send(stream: &UnixStream, holdings: &Holdings) -> io::Result<()> {
    let descriptors = holdings.descriptors();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::Error::other("no room for the descriptors"));
    }
    let sent = sendmsg(stream, &[IoSlice::new(GREETING)], &mut ancillary, SendFlags::NOSIGNAL)?;
    if sent < GREETING.len() {
        return Err(io::Error::other("it does not read"));
    }
    Ok(())
}

/// Tells the successor that this process accepts no more.
pub async fn confirm(successor: &mut UnixStream) {
    // A successor that has died since is nothing that this process could mend: it has let go.
    let _ = successor.write_all(&[DONE]).await;
}
