//! How the process stops: it says so first, answers what it has accepted, and does not wait for ever.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::load::Load;
use super::{audited, runs_a_query, slow};
use crate::support::raw::Raw;
use crate::support::{KEY, eventually};

/// Well below the drain timeout's default, well above what a loaded machine adds.
const SOON: Duration = Duration::from_secs(15);

#[test]
fn a_stop_waits_for_the_calls_under_way() {
    let tree = slow(2.0);
    let mut gateway = tree.serve();
    let status = std::thread::scope(|scope| {
        let call = scope.spawn(|| gateway.get("/data-api/slow"));
        eventually("the query runs", || runs_a_query(&gateway));
        gateway.terminate();
        eventually("it says that it is stopping", || {
            let ready = gateway.admin_get_with("/readyz", &[]);
            (ready.status, ready.text().as_str()) == (503, "draining\n")
        });
        assert_eq!(gateway.admin_get_with("/livez", &[]).status, 200);
        assert_eq!(gateway.status()["draining"], true);
        call.join().unwrap().status
    });
    assert_eq!(status, 200, "the call was lost");
    assert_eq!(gateway.child.wait().unwrap().code(), Some(0), "{}", gateway.log());
    eventually("it says goodbye", || gateway.log().contains("stopped"));
}

#[test]
fn a_stop_does_not_wait_for_ever() {
    let tree = slow(50.0);
    let mut gateway = tree.serve_with(&["--drain-timeout-ms", "300"]);
    let url = gateway.data_url("/data-api/slow");
    let call = std::thread::spawn(move || ureq::get(url).header("x-api-key", KEY).call().is_ok());
    eventually("the query runs", || runs_a_query(&gateway));
    let started = Instant::now();
    assert_eq!(gateway.stop().code(), Some(0), "{}", gateway.log());
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    assert!(!call.join().unwrap(), "the call was answered");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let tree = slow(50.0);
    let mut gateway = tree.serve();
    let mut call = Raw::connect(&gateway);
    assert!(call.request("GET /data-api/slow", ""));
    eventually("the query runs", || runs_a_query(&gateway));
    gateway.terminate();
    eventually("it is stopping", || gateway.admin_get_with("/readyz", &[]).status == 503);
    let started = Instant::now();
    assert_eq!(gateway.stop().code(), Some(0), "{}", gateway.log());
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
}

#[test]
fn connections_without_a_call_do_not_hold_it_up() {
    let tree = audited();
    let mut gateway = tree.serve();
    let _silent = TcpStream::connect(("127.0.0.1", gateway.data_port)).unwrap();
    let mut idle = Raw::connect(&gateway);
    idle.request("GET /data-api/strict", "");
    assert_eq!(idle.answer().unwrap().status, 200);
    let started = Instant::now();
    assert_eq!(gateway.stop().code(), Some(0), "{}", gateway.log());
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    assert!(idle.answer().is_none(), "the idle connection is still open");
}

#[test]
fn a_delay_gives_load_balancers_time() {
    let tree = audited();
    let mut gateway = tree.serve_with(&["--drain-delay-ms", "3000"]);
    let mut kept = Raw::connect(&gateway);
    kept.request("GET /data-api/strict", "");
    assert_eq!(kept.answer().unwrap().header("connection"), None);
    gateway.terminate();
    eventually("it says that it is stopping", || {
        gateway.admin_get_with("/readyz", &[]).status == 503
    });
    for line in [&mut kept, &mut Raw::connect(&gateway)] {
        line.request("GET /data-api/strict", "");
        let answer = line.answer().expect("calls are answered during the delay");
        assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
        assert!(line.answer().is_none(), "a connection that was said to close stays open");
    }
    assert_eq!(gateway.child.wait().unwrap().code(), Some(0), "{}", gateway.log());
    assert!(Raw::to(gateway.data_port).is_none(), "somebody listens");
}

#[test]
fn no_accepted_call_is_lost_under_load() {
    let tree = audited();
    let mut gateway = tree.serve();
    let load = Load::start(gateway.data_port, 6, "/data-api/strict");
    eventually("calls are answered", || load.answered() > 100);
    assert_eq!(gateway.stop().code(), Some(0), "{}", gateway.log());
    let (answered, failures) = load.end();
    assert!(failures.is_empty(), "{failures:#?}");
    assert_eq!(super::upgrade::records(&tree), answered);
}
