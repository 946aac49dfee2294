//! A new process takes over from the one that runs, and no call is lost; where it cannot, nothing has happened.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use rusqlite::Connection;

use super::load::Load;
use super::{audited, runs_a_query, slow};
use crate::support::raw::Raw;
use crate::support::{KEY, PATIENCE, Tidegate, Tree, eventually, signal, tidegate};

/// Idle connections of test helpers must not keep a relieved process for long.
const DRAIN: [&str; 2] = ["--drain-timeout-ms", "10000"];

/// Records in the store of a tree.
pub fn records(tree: &Tree) -> u64 {
    let store = Connection::open(tree.root().join("data/tidegate.db")).unwrap();
    store
        .query_row("SELECT count(*) FROM audit", [], |row| row.get::<_, i64>(0))
        .unwrap()
        .unsigned_abs()
}

/// The process that the lock names.
fn holder(tree: &Tree) -> u32 {
    fs::read_to_string(tree.root().join("data/lock")).unwrap().trim().parse().unwrap_or(0)
}

/// Waits until a process has ended by itself, well.
fn has_ended(gateway: &mut Tidegate) {
    eventually("the relieved process ends", || gateway.child.try_wait().unwrap().is_some());
    let code = gateway.child.wait().unwrap().code();
    assert_eq!(code, Some(0), "{}", gateway.log());
}

/// Waits for the end of a successor that did not become one; its log.
fn refusal(mut successor: Tidegate) -> String {
    eventually("the successor gives up", || successor.child.try_wait().unwrap().is_some());
    assert_eq!(successor.child.wait().unwrap().code(), Some(2));
    eventually("it says why", || !successor.log().is_empty());
    successor.log()
}

fn takes_over(gateway: &mut Tidegate, tree: &Tree) -> Tidegate {
    let successor = gateway.successor(tree.root(), &DRAIN);
    has_ended(gateway);
    successor
}

#[test]
fn no_call_and_no_record_is_lost_under_load() {
    let tree = audited();
    let mut gateway = tree.serve_with(&DRAIN);
    let load = Load::start(gateway.data_port, 8, "/data-api/strict");
    for _ in 0..4 {
        let before = load.answered();
        eventually("calls are answered", || load.answered() > before + 100);
        let successor = takes_over(&mut gateway, &tree);
        gateway = successor;
        assert_eq!(holder(&tree), gateway.child.id());
    }
    let before = load.answered();
    eventually("the last one answers", || load.answered() > before + 100);
    let (answered, failures) = load.end();
    assert!(failures.is_empty(), "{failures:#?}\n{}", gateway.log());
    assert_eq!(gateway.stop().code(), Some(0), "{}", gateway.log());
    assert_eq!(records(&tree), answered);
}

#[test]
fn a_call_under_way_is_answered_by_the_one_that_began_it() {
    let tree = slow(3.0);
    let mut gateway = tree.serve_with(&DRAIN);
    let mut call = Raw::connect(&gateway);
    call.request("GET /data-api/slow", "");
    eventually("the query runs", || runs_a_query(&gateway));
    let successor = gateway.successor(tree.root(), &DRAIN);
    eventually("the successor serves", || holder(&tree) == successor.child.id());
    let answer = call.answer().expect("the call was lost");
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    has_ended(&mut gateway);
    assert_eq!(successor.admin_get_with("/readyz", &[]).status, 200);
}

#[test]
fn whoever_is_idle_is_told_with_the_next_call() {
    let tree = audited();
    let mut gateway = tree.serve();
    let mut idle = Raw::connect(&gateway);
    idle.request("GET /data-api/strict", "");
    assert_eq!(idle.answer().unwrap().header("connection"), None);
    let successor = gateway.successor(tree.root(), &[]);
    eventually("the successor serves", || {
        gateway.log().contains("answering what is under way")
            && holder(&tree) == successor.child.id()
    });
    idle.request("GET /data-api/strict", "");
    let answer = idle.answer().expect("an idle connection was closed under its caller's hands");
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    drop(idle);
    has_ended(&mut gateway);
    assert_eq!(successor.get("/data-api/strict").status, 200);
}

/// Connections to a process that is relieved.
const KEPT: u64 = 300;

#[test]
fn records_of_the_old_are_written_beside_those_of_the_new() {
    let tree = audited();
    let mut gateway = tree.serve_with(&["--drain-timeout-ms", "30000"]);
    let mut kept: Vec<Raw> = (0..KEPT).map(|_| Raw::connect(&gateway)).collect();
    for line in &mut kept {
        line.request("GET /data-api/strict", "");
        assert_eq!(line.answer().unwrap().status, 200);
    }
    let mut successor = gateway.successor(tree.root(), &DRAIN);
    eventually("the successor serves", || holder(&tree) == successor.child.id());
    // The store takes one writer at a time; the new process alone could keep it busy.
    let load = Load::start(gateway.data_port, 8, "/data-api/strict");
    eventually("the successor is busy", || load.answered() > 100);
    for line in &mut kept {
        line.request("GET /data-api/strict", "");
        let answer = line.answer().expect("a call on an old connection was lost");
        assert_eq!(answer.status, 200, "{}\n{}", answer.text(), gateway.log());
    }
    has_ended(&mut gateway);
    let (answered, failures) = load.end();
    assert!(failures.is_empty(), "{failures:#?}");
    assert_eq!(successor.stop().code(), Some(0), "{}", successor.log());
    assert_eq!(records(&tree), answered + 2 * KEPT);
}

#[test]
fn tls_and_http2_are_handed_over_as_well() {
    let tree = audited();
    let (cert, key) = tree.certificate();
    let flags = ["--tls-cert", &cert, "--tls-key", &key, DRAIN[0], DRAIN[1]];
    let mut gateway = tree.serve_with(&flags);
    let url = format!("https://127.0.0.1:{}/data-api/strict#[1-3000]", gateway.data_port);
    let calls = Command::new("curl")
        .args(["-sk", "--http2", "-o", "/dev/null", "-w", "%{http_code} %{http_version}\n"])
        .args(["-H", &format!("x-api-key: {KEY}"), &url])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let answered = |gateway: &Tidegate| {
        let series = "tidegate_requests_total{code=\"OK\",interface=\"strict\",version=\"1.0.0\"}";
        gateway.metric(series).unwrap_or(0.0) > 10.0
    };
    eventually("calls are answered", || answered(&gateway));
    let mut successor = gateway.successor(tree.root(), &flags);
    has_ended(&mut gateway);
    eventually("the successor answers", || answered(&successor));
    let output = calls.wait_with_output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    assert_eq!(lines.lines().count(), 3000);
    assert!(lines.lines().all(|line| line == "200 2"), "{lines}");
    assert_eq!(successor.stop().code(), Some(0), "{}", successor.log());
    assert_eq!(records(&tree), 3000);
}

#[test]
fn a_broken_tree_leaves_the_one_that_runs() {
    let tree = audited();
    let mut gateway = tree.serve_with(&DRAIN);
    tree.interface("code: b\ndatasource_id: nowhere\nquery_template: SELECT 1\n");
    let problems = refusal(gateway.successor(tree.root(), &DRAIN));
    assert!(problems.contains("DANGLING_REFERENCE"), "{problems}");
    let settings = refusal(gateway.successor(tree.root(), &["--trusted-networks", "here"]));
    assert!(settings.contains("here"), "{settings}");
    assert!(!gateway.log().contains("successor"), "it was disturbed:\n{}", gateway.log());
    assert_eq!(gateway.get("/data-api/strict").status, 200);
    assert_eq!(holder(&tree), gateway.child.id());
    fs::remove_file(tree.root().join("definitions/b-1.0.0.yaml")).unwrap();
    takes_over(&mut gateway, &tree);
}

#[test]
fn a_successor_that_dies_half_way_changes_nothing() {
    let tree = audited();
    let mut gateway = tree.serve_with(&DRAIN);
    let socket = tree.root().join("data/upgrade.sock");
    eventually("successors can ask", || socket.exists());
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    // It has got the descriptors, and dies before it serves.
    let mut dying = UnixStream::connect(&socket).unwrap();
    dying.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(dying.read(&mut [0; 64]).unwrap() > 0, "nothing is handed over");
    drop(dying);
    eventually("it is noticed", || gateway.log().contains("it went away before it served"));
    // Nor can one that has no store.
    let nowhere = tree.root().join("definitions").display().to_string();
    let error = refusal(gateway.successor(tree.root(), &["--store-url", &nowhere]));
    assert!(error.contains("store"), "{error}");
    assert_eq!(gateway.admin_get_with("/readyz", &[]).status, 200);
    assert_eq!(gateway.get("/data-api/strict").status, 200);
    assert_eq!(holder(&tree), gateway.child.id());
    let mut gateway = takes_over(&mut gateway, &tree);
    assert_eq!(gateway.get("/data-api/strict").status, 200);
    assert_eq!(gateway.stop().code(), Some(0), "{}", gateway.log());
    assert_eq!(records(&tree), 2);
}

#[test]
fn without_a_running_process_there_is_nothing_to_upgrade() {
    let tree = audited();
    let mut gateway = tree.serve();
    gateway.stop();
    let error = refusal(gateway.successor(tree.root(), &[]));
    assert!(error.contains("nothing to upgrade"), "{error}");
}

#[test]
fn the_last_use_of_keys_is_handed_on() {
    let tree = audited();
    let mut gateway = tree.serve_with(&DRAIN);
    assert_eq!(gateway.get("/data-api/strict").status, 200);
    let successor = takes_over(&mut gateway, &tree);
    eventually("the successor knows", || {
        successor.admin_get("/api/consumers").text().contains("\"last_used_at\":\"2")
    });
}

#[test]
fn a_signal_starts_the_successor() {
    let tree = audited();
    let mut gateway = tree.serve_with(&DRAIN);
    tree.interface("code: b\ndatasource_id: nowhere\nquery_template: SELECT 1\n");
    gateway.signal("USR2");
    eventually("a successor that fails is logged", || {
        gateway.log().contains("the successor ended; this process goes on")
    });
    assert_eq!(gateway.get("/data-api/strict").status, 200);
    fs::remove_file(tree.root().join("definitions/b-1.0.0.yaml")).unwrap();

    gateway.signal("USR2");
    has_ended(&mut gateway);
    let successor = Orphan(holder(&tree));
    assert_ne!(successor.0, gateway.child.id());
    assert_eq!(gateway.get("/data-api/strict").status, 200);
    assert_eq!(gateway.admin_get_with("/readyz", &[]).status, 200);
    // It can do so as well.
    signal(successor.0, "USR2");
    eventually("the next one serves", || holder(&tree) != successor.0);
    let last = Orphan(holder(&tree));
    assert_eq!(gateway.get("/data-api/strict").status, 200);
    signal(last.0, "TERM");
    eventually("nobody listens", || Raw::to(gateway.data_port).is_none());
}

/// A process that is no child of the test; killed at its end.
struct Orphan(u32);

impl Drop for Orphan {
    fn drop(&mut self) {
        signal(self.0, "KILL");
    }
}

#[test]
fn a_second_instance_is_refused() {
    let tree = audited();
    let gateway = tree.serve();
    let output = tidegate()
        .args(["serve", "--root", tree.root().to_str().unwrap()])
        .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    let holder = format!("in use by process {}", gateway.child.id());
    assert!(error.contains(&holder) && error.contains("data"), "{error}");
    assert_eq!(gateway.get("/data-api/strict").status, 200);
}
