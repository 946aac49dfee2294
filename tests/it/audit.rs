//! The audit trail, read from the store itself: what is recorded, when, and what survives.

mod record;
mod store;
mod when;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Map, Value};

use crate::support::{KEY, Tidegate, Tree, eventually};

/// A tree with an interface `n` for each way to audit: `strict`, `buffered`, `off`.
fn tree() -> Tree {
    let tree = Tree::new();
    tree.sqlite(
        "CREATE TABLE t (n INTEGER, name TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c');",
    );
    for (code, audit) in [("strict", "true"), ("buffered", "buffered"), ("off", "false")] {
        tree.interface(&format!(
            "code: {code}\ndatasource_id: lite\naudit: {audit}\nparameters: [{{name: n, type: integer, default: 2}}]\n\
             query_template: SELECT n, name FROM t WHERE n <= :n\n"
        ));
    }
    tree
}

/// The store, for reading.
fn open(tree: &Tree) -> Connection {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let store = Connection::open_with_flags(tree.root().join("data/tidegate.db"), flags).unwrap();
    store.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    store
}

/// Records in the order of their arrival, as objects.
fn records(store: &Connection, condition: &str) -> Vec<Map<String, Value>> {
    let mut statement =
        store.prepare(&format!("SELECT * FROM audit WHERE {condition} ORDER BY id")).unwrap();
    let names: Vec<String> = statement.column_names().iter().map(ToString::to_string).collect();
    let row = |row: &rusqlite::Row<'_>| {
        let value = |i: usize| match row.get_ref(i).unwrap() {
            ValueRef::Integer(n) => Value::from(n),
            ValueRef::Text(text) => Value::from(String::from_utf8_lossy(text).into_owned()),
            _ => Value::Null,
        };
        Ok(names.iter().enumerate().map(|(i, name)| (name.clone(), value(i))).collect())
    };
    statement.query_map([], row).unwrap().map(Result::unwrap).collect()
}

fn count(store: &Connection, condition: &str) -> i64 {
    store
        .query_row(&format!("SELECT count(*) FROM audit WHERE {condition}"), [], |row| row.get(0))
        .unwrap()
}

/// A call with a request id, which finds its record again.
fn call(gateway: &Tidegate, path: &str, id: &str) -> u16 {
    gateway.get_with(path, &[("x-api-key", KEY), ("x-request-id", id)]).status
}

/// The record of a request, once it is there.
fn record_of(store: &Connection, id: &str) -> Map<String, Value> {
    let condition = format!("request_id = '{id}'");
    eventually("the record is there", || count(store, &condition) == 1);
    records(store, &condition).remove(0)
}
