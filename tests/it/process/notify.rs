//! What the service manager hears: readiness, status, the watchdog, reloads, successors, the stop.

use std::os::unix::net::UnixDatagram;

use tempfile::TempDir;

use super::audited;
use crate::support::{PATIENCE, Tidegate, Tree, eventually, signal};

/// A service manager: a socket, and what has come in.
struct Manager {
    dir: TempDir,
    socket: UnixDatagram,
}

impl Manager {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(dir.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { dir, socket }
    }

    fn serve(&self, tree: &Tree) -> Tidegate {
        let path = self.dir.path().join("notify");
        let variables = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "2000000")];
        Tidegate::start_in(tree.root(), &["--drain-timeout-ms", "10000"], &variables)
    }

    /// The next message with a variable, and those before it.
    fn until(&self, variable: &str) -> (Message, Vec<Message>) {
        let mut before = Vec::new();
        loop {
            let mut bytes = [0; 4096];
            let length = self.socket.recv(&mut bytes).unwrap_or_else(|error| {
                panic!("no {variable} ({error}) after {before:?}");
            });
            let message = Message(String::from_utf8(bytes[..length].to_vec()).unwrap());
            if message.get(variable).is_some() {
                return (message, before);
            }
            before.push(message);
        }
    }

    /// The next status that says something.
    fn until_status(&self, part: &str) {
        while !self.until("STATUS").0.get("STATUS").unwrap().contains(part) {}
    }
}

#[derive(Debug)]
struct Message(String);

impl Message {
    fn get(&self, variable: &str) -> Option<&str> {
        self.0.lines().find_map(|line| line.strip_prefix(variable)?.strip_prefix('='))
    }
}

#[test]
fn it_tells_that_it_serves_and_lives_and_stops() {
    let (manager, tree) = (Manager::new(), audited());
    let mut gateway = manager.serve(&tree);
    let (ready, before) = manager.until("READY");
    assert!(before.is_empty(), "{before:?}");
    assert_eq!(ready.get("MAINPID"), Some(gateway.child.id().to_string().as_str()));
    assert!(ready.get("STATUS").unwrap().starts_with("serving 1 interfaces"), "{ready:?}");
    for _ in 0..2 {
        manager.until("WATCHDOG");
    }
    gateway.stop();
    let (stopping, before) = manager.until("STOPPING");
    assert!(before.iter().all(|message| message.0 == "WATCHDOG=1"), "{before:?}");
    assert!(stopping.get("STATUS").is_some());
}

#[test]
fn a_hangup_looks_at_the_definitions() {
    let (manager, tree) = (Manager::new(), audited());
    let gateway = manager.serve(&tree);
    manager.until("READY");
    let first = gateway.status()["last_reload"]["at"].clone();
    gateway.signal("HUP");
    let (reloading, _) = manager.until("RELOADING");
    let at: u64 = reloading.get("MONOTONIC_USEC").unwrap().parse().unwrap();
    assert!(at > 0);
    manager.until("READY");
    assert_ne!(gateway.status()["last_reload"]["at"], first, "nothing was looked at");

    tree.interface("code: b\ndatasource_id: nowhere\nquery_template: SELECT 1\n");
    gateway.signal("HUP");
    manager.until_status("last reload failed with 1 problems, the first: definitions/b-1.0.0.yaml");
    eventually("it is logged", || gateway.log().contains("nowhere"));
    assert_eq!(gateway.get("/data-api/strict").status, 200);
    tree.interface("code: b\ndatasource_id: lite\nquery_template: SELECT 1 AS one\n");
    // Without a signal: the status follows whatever is loaded.
    manager.until_status("serving 2 interfaces");
}

#[test]
fn a_successor_becomes_the_main_process() {
    let (manager, tree) = (Manager::new(), audited());
    let mut gateway = manager.serve(&tree);
    manager.until("READY");
    gateway.signal("USR2");
    let (ready, before) = manager.until("READY");
    let successor: u32 = ready.get("MAINPID").unwrap().parse().unwrap();
    assert_ne!(successor, gateway.child.id());
    eventually("the first one ends", || gateway.child.try_wait().unwrap().is_some());
    manager.until("WATCHDOG");
    signal(successor, "TERM");
    let (_, after) = manager.until("STOPPING");
    // A service manager would take the first one's end for the service's.
    let all = before.iter().chain(&after);
    assert!(all.into_iter().all(|message| message.get("STOPPING").is_none()));
    eventually("the second one ends", || {
        std::net::TcpStream::connect(("127.0.0.1", gateway.data_port)).is_err()
    });
}
