//! Deadlines of connections: heads, bodies and answers that do not come to an end, peers that do nothing, and too many of them.

use std::time::{Duration, Instant};

use crate::support::raw::Raw;
use crate::support::{KEY, PATIENCE, Tidegate, Tree, eventually, memory_kb};

fn serve(flags: &[&str]) -> (Tree, Tidegate) {
    let tree = Tree::new();
    tree.sqlite("CREATE TABLE t (id INTEGER);");
    tree.interface("code: get\ndatasource_id: lite\nquery_template: SELECT 1 AS n\n");
    tree.interface("code: post\ndatasource_id: lite\nmethod: POST\nparameters: [{name: x, type: integer}]\nquery_template: 'SELECT :x AS x'\n");
    let gateway = tree.serve_with(flags);
    (tree, gateway)
}

fn overdue(gateway: &Tidegate, reason: &str) -> f64 {
    let series = format!("tidegate_connections_overdue_total{{reason=\"{reason}\"}}");
    gateway.metric(&series).unwrap()
}

#[test]
fn a_head_that_does_not_end() {
    let (_tree, gateway) = serve(&["--header-timeout-ms", "400"]);
    let mut raw = Raw::connect(&gateway);
    raw.request("GET /data-api/get", "");
    assert_eq!(raw.answer().unwrap().status, 200);
    // One byte after the other helps nobody: the time is that of the whole head.
    let started = Instant::now();
    let head = format!("GET /data-api/get HTTP/1.1\r\nHost: t\r\nX-API-Key: {KEY}\r\nX-Slow: ");
    raw.send(head);
    raw.give_up_after(Duration::from_millis(20));
    let answer = loop {
        raw.send("a");
        if let Some(answer) = raw.head() {
            break answer;
        }
        assert!(started.elapsed() < PATIENCE, "the head may go on for ever");
    };
    assert_eq!(answer.status, 408);
    assert!(started.elapsed() >= Duration::from_millis(400));
    raw.give_up_after(PATIENCE);
    assert!(raw.answer().is_none(), "closed");
    assert!((overdue(&gateway, "head") - 1.0).abs() < 0.5);
}

#[test]
fn half_a_head_behind_a_whole_request_has_no_more_time() {
    let (_tree, gateway) = serve(&["--header-timeout-ms", "300"]);
    let mut raw = Raw::connect(&gateway);
    raw.send(format!(
        "GET /data-api/get HTTP/1.1\r\nHost: t\r\nX-API-Key: {KEY}\r\n\r\nGET /data-api/get HT"
    ));
    assert_eq!(raw.answer().unwrap().status, 200);
    assert_eq!(raw.answer().unwrap().status, 408);
    assert!(raw.answer().is_none());
}

#[test]
fn a_connection_that_does_nothing() {
    let (_tree, gateway) = serve(&["--idle-timeout-ms", "500"]);
    let mut silent = Raw::connect(&gateway);
    let mut quiet = Raw::connect(&gateway);
    quiet.request("GET /data-api/get", "");
    assert_eq!(quiet.answer().unwrap().status, 200);
    let answered = Instant::now();
    assert!(quiet.answer().is_none(), "closed without a word");
    assert!(answered.elapsed() >= Duration::from_millis(400));
    assert!(silent.answer().is_none());
    eventually("both are counted", || overdue(&gateway, "idle") >= 2.0);
    // Whoever keeps calling stays.
    let mut busy = Raw::connect(&gateway);
    let until = Instant::now() + Duration::from_millis(1_500);
    while Instant::now() < until {
        busy.request("GET /data-api/get", "");
        assert_eq!(busy.answer().unwrap().status, 200);
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_call_that_lasts_is_not_idle() {
    let tree = Tree::new();
    tree.postgres();
    tree.interface("code: slow\ndatasource_id: pg\nsafe_mode: false\nquery_template: SELECT pg_sleep(2), 1 AS n\n");
    let gateway = tree.serve_with(&["--idle-timeout-ms", "200", "--header-timeout-ms", "200"]);
    let mut raw = Raw::connect(&gateway);
    raw.request("GET /data-api/slow", "");
    assert_eq!(raw.answer().unwrap().status, 200);
}

#[test]
fn a_body_that_does_not_end() {
    let (_tree, gateway) = serve(&["--body-timeout-ms", "400"]);
    let mut raw = Raw::connect(&gateway);
    raw.request("POST /data-api/post", "Content-Length: 100\r\n");
    raw.send("{\"x\":");
    let answer = raw.answer().unwrap();
    assert_eq!((answer.status, answer.code().as_str()), (408, "INVALID_PARAM"));
    assert!(raw.answer().is_none(), "closed");
}

#[test]
fn beyond_the_most_connections_new_ones_are_refused() {
    let (_tree, gateway) = serve(&["--max-connections", "3"]);
    eventually("the tests' own first ones are gone", || {
        gateway.metric("tidegate_connections") == Some(0.0)
    });
    let call = |raw: &mut Raw| {
        raw.request("GET /data-api/get", "");
        raw.answer().map(|answer| answer.status)
    };
    let mut open: Vec<Raw> = (0..3).map(|_| Raw::connect(&gateway)).collect();
    for raw in &mut open {
        assert_eq!(call(raw), Some(200));
    }
    assert_eq!(gateway.metric("tidegate_connections"), Some(3.0));
    let mut refused = Raw::connect(&gateway);
    assert_eq!(call(&mut refused), Some(503));
    assert!(refused.answer().is_none());
    assert!(gateway.metric("tidegate_connections_refused_total").unwrap() >= 1.0);
    // Not all of a crowd hear it: each would hold a file until it has heard.
    let mut crowd: Vec<Raw> = (0..20).map(|_| Raw::connect(&gateway)).collect();
    let told = crowd.iter_mut().filter_map(Raw::answer).filter(|answer| answer.status == 503);
    assert!(told.count() < 20);
    assert_eq!(call(&mut open[0]), Some(200), "those that are in stay in");
    open.pop();
    eventually("there is room again", || call(&mut Raw::connect(&gateway)) == Some(200));
}

#[test]
fn a_crowd_leaves_open_files_for_everything_else() {
    let tree = Tree::new();
    tree.sqlite("CREATE TABLE t (id INTEGER);");
    tree.interface("code: get\ndatasource_id: lite\nquery_template: SELECT 1 AS n\n");
    let gateway = Tidegate::start_in_shell(tree.root(), &[], "ulimit -n 200; SERVE");
    eventually("it is told", || gateway.log().contains("too low for so many connections"));
    assert_eq!(gateway.get("/data-api/get").status, 200);
    let files = format!("/proc/{}/fd", gateway.child.id());
    let (mut crowd, mut most) = (Vec::new(), 0);
    for batch in 1..=20 {
        crowd.extend((0..20).map(|_| Raw::connect(&gateway)));
        eventually("all have been let in or turned away", || {
            let count = |name: &str| gateway.metric(name).unwrap();
            most = most.max(std::fs::read_dir(&files).unwrap().count());
            count("tidegate_connections") + count("tidegate_connections_refused_total")
                >= f64::from(batch * 20)
        });
    }
    // Half of them for connections, an eighth of those for last words, and what the process itself has open.
    assert!(most < 180, "{most}");
    // Files of the definitions and of the admin address are to be had.
    tree.interface("code: more\ndatasource_id: lite\nquery_template: SELECT 2 AS n\n");
    gateway.reload();
    crowd[0].request("GET /data-api/more", "");
    assert_eq!(crowd[0].answer().unwrap().status, 200);
    drop(crowd);
    eventually("there is room again", || {
        let mut raw = Raw::connect(&gateway);
        raw.request("GET /data-api/more", "");
        raw.answer().is_some_and(|answer| answer.status == 200)
    });
    assert!(!gateway.log().contains("Too many open files"), "{}", gateway.log());
}

#[test]
fn many_idle_connections_cost_little_and_harm_nobody() {
    let (_tree, gateway) = serve(&[]);
    assert_eq!(gateway.get("/data-api/get").status, 200);
    let before = memory_kb(&gateway, "VmRSS");
    let mut open: Vec<Raw> = (0..500).map(|_| Raw::connect(&gateway)).collect();
    for raw in &mut open {
        raw.request("GET /data-api/get", "");
        assert_eq!(raw.answer().unwrap().status, 200);
    }
    // Half a request on each, too.
    for raw in &mut open {
        raw.send("GET /data-api/get HTTP/1.1\r\nHost:");
    }
    // Mostly hyper's read buffer of 8 KiB, and the task; more in a build without optimisation.
    let grown = memory_kb(&gateway, "VmRSS").saturating_sub(before);
    assert!(grown < 500 * 64, "{grown} KB for 500 connections");
    for _ in 0..20 {
        assert_eq!(gateway.get("/data-api/get").status, 200);
    }
}
