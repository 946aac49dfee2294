//! A relay before a server: lets connections through, or takes them and says nothing, and can vanish and come back.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// A relay on a port of the loopback address. Ends with all its connections when dropped.
pub struct Relay {
    pub port: u16,
    state: Arc<Mutex<State>>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    streams: Vec<TcpStream>,
    is_over: bool,
}

impl Relay {
    /// A relay to `host:port`; without one it only listens.
    pub fn start(port: u16, to: Option<(&str, u16)>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State::default()));
        let (shared, to) = (state.clone(), to.map(|(host, port)| (host.to_owned(), port)));
        let acceptor = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let server = to
                    .as_ref()
                    .and_then(|(host, port)| TcpStream::connect((host.as_str(), *port)).ok());
                let mut state = shared.lock().unwrap();
                if state.is_over {
                    return;
                }
                if let Some(server) = server {
                    pump(stream.try_clone().unwrap(), server.try_clone().unwrap());
                    pump(server.try_clone().unwrap(), stream.try_clone().unwrap());
                    state.streams.push(server);
                }
                state.streams.push(stream);
            }
        });
        Self { port, state, acceptor: Some(acceptor) }
    }

    /// Connections so far, both sides counted.
    pub fn connections(&self) -> usize {
        self.state.lock().unwrap().streams.len()
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream) {
    std::thread::spawn(move || {
        let mut buffer = [0; 16 << 10];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            if to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}

impl Drop for Relay {
    fn drop(&mut self) {
        let mut state = self.state.lock().unwrap();
        state.is_over = true;
        for stream in state.streams.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        drop(state);
        // Wakes the acceptor, so that the port is free when this returns.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}
