//! Concurrent misses run one query, whoever of the callers goes away.

use std::collections::HashSet;
use std::io::Write;
use std::net::TcpStream;

use super::{queries, state};
use crate::support::{KEY, Tidegate, Tree, eventually};

const CALLERS: usize = 100;

/// An interface `slow` that takes its time and answers differently each run.
fn slow(seconds: f64) -> Tree {
    let tree = Tree::new();
    tree.postgres();
    tree.interface(&format!(
        "code: slow\ndatasource_id: pg\nsafe_mode: false\ncache: {{ttl_seconds: 3600}}\n\
         parameters: [{{name: n, type: integer, default: 0}}]\n\
         query_template: \"SELECT random() AS r, CAST(:n AS integer) AS n FROM pg_sleep({seconds})\"\n"
    ));
    tree
}

fn in_flight(gateway: &Tidegate) -> f64 {
    gateway.metric("tidegate_datasource_in_flight{datasource=\"pg\"}").unwrap()
}

#[test]
fn a_hundred_misses_are_one_query() {
    let tree = slow(0.5);
    let gateway = tree.serve();
    let answers: Vec<_> = std::thread::scope(|scope| {
        let calls: Vec<_> =
            (0..CALLERS).map(|_| scope.spawn(|| gateway.get("/data-api/slow"))).collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    let values: HashSet<String> = answers.iter().map(|answer| answer.data().to_string()).collect();
    assert_eq!(values.len(), 1);
    assert_eq!(queries(&gateway, "pg", "ok"), 1.0);
    assert!(answers.iter().filter(|answer| state(answer) == "MISS").count() >= 1);
}

#[test]
fn another_question_is_another_query() {
    let tree = slow(0.2);
    let gateway = tree.serve();
    std::thread::scope(|scope| {
        let call = |i: usize| gateway.get(&format!("/data-api/slow?n={}", i % 4));
        let calls: Vec<_> = (0..40).map(|i| (i, scope.spawn(move || call(i)))).collect();
        for (i, call) in calls {
            assert_eq!(call.join().unwrap().data()[0]["n"], i % 4);
        }
    });
    assert_eq!(queries(&gateway, "pg", "ok"), 4.0);
}

#[test]
fn the_first_caller_goes_away() {
    let tree = slow(1.0);
    let gateway = tree.serve();
    let mut first = TcpStream::connect(("127.0.0.1", gateway.data_port)).unwrap();
    write!(first, "GET /data-api/slow HTTP/1.1\r\nhost: t\r\nx-api-key: {KEY}\r\n\r\n").unwrap();
    eventually("the query runs", || in_flight(&gateway) == 1.0);
    let answers: Vec<_> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..5).map(|_| scope.spawn(|| gateway.get("/data-api/slow"))).collect();
        drop(first);
        calls.into_iter().map(|call| call.join().unwrap().data().to_string()).collect()
    });
    assert_eq!(answers.iter().collect::<HashSet<_>>().len(), 1);
    assert_eq!(queries(&gateway, "pg", "ok"), 1.0, "the others ran it again");
    assert_eq!(queries(&gateway, "pg", "cancelled"), 0.0);
}

#[test]
fn everybody_goes_away_and_the_answer_stays() {
    let tree = slow(0.6);
    let gateway = tree.serve();
    let mut only = TcpStream::connect(("127.0.0.1", gateway.data_port)).unwrap();
    write!(only, "GET /data-api/slow HTTP/1.1\r\nhost: t\r\nx-api-key: {KEY}\r\n\r\n").unwrap();
    eventually("the query runs", || in_flight(&gateway) == 1.0);
    drop(only);
    eventually("the query ends", || in_flight(&gateway) == 0.0);
    let answer = gateway.get("/data-api/slow");
    assert_eq!((answer.status, state(&answer)), (200, "HIT"));
}

#[test]
fn a_failure_is_told_to_all_and_not_kept() {
    let tree = Tree::new();
    tree.postgres();
    tree.interface(
        "code: fails\ndatasource_id: pg\nsafe_mode: false\ncache: {ttl_seconds: 3600}\ntimeout_ms: 400\n\
         query_template: SELECT 1 AS n FROM pg_sleep(30)\n",
    );
    let gateway = tree.serve();
    std::thread::scope(|scope| {
        let calls: Vec<_> =
            (0..20).map(|_| scope.spawn(|| gateway.get("/data-api/fails"))).collect();
        for call in calls {
            let answer = call.join().unwrap();
            assert_eq!((answer.status, answer.code().as_str()), (504, "TIMEOUT"));
        }
    });
    assert_eq!(gateway.metric("tidegate_cache_entries"), Some(0.0));
}
