//! A proxy before a server that fails as networks and servers do: refuses, hangs, resets, drips, vanishes and comes back.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often a connection looks whether the fault has changed.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What the proxy does with connections, old and new ones. Bytes are those of the server's answers on one connection, counted
/// from when the fault began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Requests are taken, and nothing comes back.
    Hang,
    /// So many bytes come back, and then nothing.
    HangAfter(usize),
    /// Connections are reset, and new ones too once they have been taken.
    Reset,
    /// So many bytes come back before the connection is reset.
    ResetAfter(usize),
    /// So many bytes at a time, with a pause after each.
    Drip(usize, Duration),
}

/// A proxy on a port of the loopback address. Ends with all its connections when dropped.
pub struct FaultProxy {
    pub port: u16,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    to: (String, u16),
    fault: Mutex<(Fault, u64)>,
    /// Raised to end all connections of before.
    cuts: AtomicUsize,
    is_closed: AtomicBool,
}

impl FaultProxy {
    /// A proxy to `host:port`, on a port of its own.
    pub fn start(host: &str, port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let shared = Arc::new(Shared {
            to: (host.to_owned(), port),
            fault: Mutex::new((Fault::None, 0)),
            cuts: AtomicUsize::new(0),
            is_closed: AtomicBool::new(false),
        });
        let port = listener.local_addr().unwrap().port();
        let acceptor = Some(accept(listener, shared.clone()));
        Self { port, shared, acceptor }
    }

    /// From now on.
    pub fn set(&self, fault: Fault) {
        let mut now = self.shared.fault.lock().unwrap();
        *now = (fault, now.1 + 1);
    }

    /// Ends all connections; new ones are taken.
    pub fn cut(&self) {
        self.shared.cuts.fetch_add(1, SeqCst);
    }

    /// Ends all connections and takes no more: the port is closed.
    pub fn close(&mut self) {
        self.shared.is_closed.store(true, SeqCst);
        self.cut();
        // Wakes the acceptor, so that the port is closed when this returns.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }

    /// Takes connections again, on the same port.
    pub fn open(&mut self) {
        self.shared.is_closed.store(false, SeqCst);
        let mut listener = TcpListener::bind(("127.0.0.1", self.port));
        for _ in 0..100 {
            if listener.is_ok() {
                break;
            }
            std::thread::sleep(LOOK_EVERY);
            listener = TcpListener::bind(("127.0.0.1", self.port));
        }
        self.acceptor = Some(accept(listener.unwrap(), self.shared.clone()));
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.close();
    }
}

fn accept(listener: TcpListener, shared: Arc<Shared>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for near in listener.incoming().map_while(Result::ok) {
            if shared.is_closed.load(SeqCst) {
                return;
            }
            let connection = Connection {
                near,
                shared: shared.clone(),
                cuts: shared.cuts.load(SeqCst),
                is_over: AtomicBool::new(false),
            };
            std::thread::spawn(move || connection.serve());
        }
    })
}

/// One connection, from the side of the client.
struct Connection {
    near: TcpStream,
    shared: Arc<Shared>,
    cuts: usize,
    is_over: AtomicBool,
}

impl Connection {
    fn serve(self) {
        let (host, port) = &self.shared.to;
        let Ok(far) = TcpStream::connect((host.as_str(), *port)) else { return };
        let (near, far, this) = (Arc::new(self.near.try_clone().unwrap()), Arc::new(far), &self);
        near.set_nodelay(true).unwrap();
        far.set_nodelay(true).unwrap();
        near.set_read_timeout(Some(LOOK_EVERY)).unwrap();
        far.set_read_timeout(Some(LOOK_EVERY)).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| this.requests(&near, &far));
            this.answers(&far, &near);
            this.is_over.store(true, SeqCst);
        });
        // Dropped here, the last of them: a connection without linger is reset by that.
    }

    fn is_over(&self) -> bool {
        self.is_over.load(SeqCst) || self.shared.cuts.load(SeqCst) != self.cuts
    }

    fn fault(&self) -> (Fault, u64) {
        *self.shared.fault.lock().unwrap()
    }

    /// The end of a connection as a crash makes it.
    fn reset(&self, far: &TcpStream) {
        let linger = socket2::SockRef::from(&self.near);
        linger.set_linger(Some(Duration::ZERO)).unwrap();
        self.is_over.store(true, SeqCst);
        let _ = far.shutdown(Shutdown::Both);
    }

    fn requests(&self, near: &TcpStream, far: &TcpStream) {
        let mut buffer = [0; 16 << 10];
        let (mut from, mut to) = (near, far);
        loop {
            match from.read(&mut buffer) {
                Ok(read @ 1..) if to.write_all(&buffer[..read]).is_ok() => {}
                Err(error) if is_pause(&error) && !self.is_over() => {}
                _ => break,
            }
        }
        self.is_over.store(true, SeqCst);
        let _ = far.shutdown(Shutdown::Both);
    }

    fn is_hanging(fault: Fault, passed: usize) -> bool {
        fault == Fault::Hang || matches!(fault, Fault::HangAfter(most) if passed >= most)
    }

    fn answers(&self, far: &TcpStream, near: &TcpStream) {
        let mut buffer = [0; 16 << 10];
        let (mut since, mut passed) = (0, 0);
        let mut from = far;
        while !self.is_over() {
            let (fault, number) = self.fault();
            if number != since {
                (since, passed) = (number, 0);
            }
            if fault == Fault::Reset {
                return self.reset(far);
            }
            if Self::is_hanging(fault, passed) {
                std::thread::sleep(LOOK_EVERY);
                continue;
            }
            let most = match fault {
                Fault::HangAfter(most) | Fault::ResetAfter(most) => (most - passed).max(1),
                Fault::Drip(most, _) => most,
                _ => buffer.len(),
            };
            let end = buffer.len().min(most);
            let read = match from.read(&mut buffer[..end]) {
                Ok(read @ 1..) => read,
                Err(error) if is_pause(&error) => continue,
                _ => break,
            };
            // What was read while the fault began is not passed on either.
            while Self::is_hanging(self.fault().0, passed) && !self.is_over() {
                std::thread::sleep(LOOK_EVERY);
            }
            if self.fault().0 == Fault::Reset {
                return self.reset(far);
            }
            let mut to = near;
            if to.write_all(&buffer[..read]).is_err() {
                break;
            }
            passed += read;
            match fault {
                Fault::ResetAfter(most) if passed >= most => return self.reset(far),
                Fault::Drip(_, pause) => std::thread::sleep(pause),
                _ => {}
            }
        }
        let _ = near.shutdown(Shutdown::Both);
        let _ = far.shutdown(Shutdown::Both);
    }
}

/// Nothing to read yet.
fn is_pause(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
