//! When a record is there: before the answer, soon, or never.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::{call, count, open, record_of, tree};
use crate::support::{KEY, eventually};

const CALLERS: usize = 4;

#[test]
fn strict_records_come_before_their_answers() {
    let tree = tree();
    let gateway = tree.serve();
    std::thread::scope(|scope| {
        for caller in 0..CALLERS {
            let (tree, gateway) = (&tree, &gateway);
            scope.spawn(move || {
                let store = open(tree);
                for i in 0..50 {
                    let id = format!("{caller}-{i}");
                    assert_eq!(call(gateway, "/data-api/strict", &id), 200);
                    assert_eq!(count(&store, &format!("request_id = '{id}'")), 1, "{id}");
                }
            });
        }
    });
    let written = gateway.metric("tidegate_audit_written_total").unwrap();
    assert!((written - 200.0).abs() < 0.5, "{written}");
}

#[test]
fn buffered_records_come_soon_and_others_never() {
    let tree = tree();
    let gateway = tree.serve();
    for i in 0..20 {
        assert_eq!(call(&gateway, "/data-api/off", &format!("off-{i}")), 200);
    }
    assert_eq!(call(&gateway, "/data-api/buffered", "last"), 200);
    let store = open(&tree);
    assert_eq!(record_of(&store, "last")["interface"], "buffered");
    // What is written comes in order, so what is not there by now never comes.
    assert_eq!(count(&store, "1 = 1"), 1);
}

#[test]
fn a_stop_writes_what_waits() {
    let tree = tree();
    let mut gateway = tree.serve();
    for i in 0..200 {
        assert_eq!(call(&gateway, "/data-api/buffered", &format!("b-{i}")), 200);
    }
    assert_eq!(gateway.stop().code(), Some(0), "{}", gateway.log());
    assert_eq!(count(&open(&tree), "interface = 'buffered'"), 200);
}

#[test]
fn a_caller_that_goes_away_leaves_a_record() {
    let tree = tree();
    tree.interface(
        "code: endless\ndatasource_id: lite\naudit: true\nquery_template: >-\n  WITH RECURSIVE c (n) AS (SELECT 1 UNION \
         ALL SELECT n + 1 FROM c WHERE n < 90000) SELECT n, printf('%.*c', 1000, 'x') AS text FROM c WHERE n > 0\n",
    );
    let gateway = tree.serve();
    let mut caller = TcpStream::connect(("127.0.0.1", gateway.data_port)).unwrap();
    let head = format!("host: t\r\nx-api-key: {KEY}\r\nx-request-id: gone\r\n\r\n");
    write!(caller, "GET /data-api/endless?format=csv HTTP/1.1\r\n{head}").unwrap();
    let mut first = [0; 1024];
    assert!(caller.read(&mut first).unwrap() > 0);
    drop(caller);
    let record = record_of(&open(&tree), "gone");
    assert_eq!(record["status"], 499);
    assert!(record["error"].as_str().unwrap().contains("went away"));
    eventually("the query ends", || {
        gateway.metric("tidegate_datasource_in_flight{datasource=\"lite\"}") == Some(0.0)
    });
}
