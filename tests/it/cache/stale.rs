//! Old answers serve while one query makes a new one, and while the datasource fails.

use super::{call, queries, random_tree, state};
use crate::support::{Tree, eventually};

#[test]
fn the_old_answer_serves_while_a_new_one_is_made() {
    let tree = random_tree("{ttl_seconds: 1, stale_seconds: 600}");
    let gateway = tree.serve();
    let (first, state) = call(&gateway, "/data-api/r");
    assert_eq!(state, "MISS");
    let mut states = Vec::new();
    eventually("a new answer", || {
        let (value, state) = call(&gateway, "/data-api/r");
        assert_ne!(state, "MISS", "the caller waited");
        states.push(state);
        value != first
    });
    assert!(states.contains(&"STALE".to_owned()), "{states:?}");
    assert!(states.contains(&"HIT".to_owned()), "{states:?}");
}

#[test]
fn callers_do_not_wait_for_the_refresh() {
    let tree = Tree::new();
    tree.postgres();
    tree.interface(
        "code: slow\ndatasource_id: pg\nsafe_mode: false\ncache: {ttl_seconds: 2, stale_seconds: 600}\n\
         query_template: \"SELECT random() AS r FROM pg_sleep(1)\"\n",
    );
    let gateway = tree.serve();
    let first = gateway.get("/data-api/slow").data();
    eventually("it is stale", || state(&gateway.get("/data-api/slow")) == "STALE");
    let running =
        || gateway.metric("tidegate_datasource_in_flight{datasource=\"pg\"}") == Some(1.0);
    eventually("the refresh runs", running);
    let mut during = 0;
    while running() {
        let answer = gateway.get("/data-api/slow");
        if running() {
            during += 1;
            assert_eq!((answer.data(), state(&answer)), (first.clone(), "STALE"));
        }
    }
    assert!(during > 0, "nobody was answered while the query ran");
    assert_eq!(queries(&gateway, "pg", "ok"), 2.0, "one query refreshes for all");
}

#[test]
fn the_old_answer_serves_while_the_datasource_fails() {
    let tree = Tree::new();
    tree.sqlite("CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (1);");
    tree.interface(
        "code: n\ndatasource_id: lite\ncache: {ttl_seconds: 1, stale_seconds: 600}\n\
         query_template: SELECT n FROM t WHERE n > 0\n",
    );
    tree.interface(
        "code: bare\ndatasource_id: lite\nquery_template: SELECT n FROM t WHERE n > 0\n",
    );
    let gateway = tree.serve();
    let first = call(&gateway, "/data-api/n").0;
    let database = rusqlite::Connection::open(tree.root().join("data/lite.db")).unwrap();
    database.execute_batch("ALTER TABLE t RENAME TO away").unwrap();
    eventually("the datasource fails", || gateway.get("/data-api/bare").status == 502);
    eventually("the refresh failed", || {
        let answer = gateway.get("/data-api/n");
        assert_eq!((answer.status, answer.data()), (200, first.clone()));
        state(&answer) == "STALE" && queries(&gateway, "lite", "error") >= 3.0
    });
    let (again, state) = call(&gateway, "/data-api/n");
    assert_eq!((again, state.as_str()), (first, "STALE"));
    database.execute_batch("ALTER TABLE away RENAME TO t; UPDATE t SET n = 2").unwrap();
    eventually("the new answer", || call(&gateway, "/data-api/n").0[0]["n"] == 2);
}
