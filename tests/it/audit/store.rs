//! The store: private, swept by retention, and what happens while it cannot be written.

use std::os::unix::fs::PermissionsExt;

use rusqlite::Connection;

use super::{call, count, open, record_of, tree};
use crate::support::{KEY, eventually};

#[test]
fn it_is_for_its_owner_alone() {
    let tree = tree();
    let gateway = tree.serve();
    assert_eq!(gateway.get("/data-api/strict").status, 200);
    for file in ["tidegate.db", "tidegate.db-wal"] {
        let mode =
            std::fs::metadata(tree.root().join("data").join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[test]
fn old_records_go() {
    let tree = tree();
    let mut gateway = tree.serve();
    for id in ["old", "older", "young"] {
        assert_eq!(call(&gateway, "/data-api/strict", id), 200);
    }
    gateway.stop();
    let store = Connection::open(tree.root().join("data/tidegate.db")).unwrap();
    let day = 86_400_000_000_i64;
    for (id, days) in [("old", 31), ("older", 400), ("young", 29)] {
        store
            .execute("UPDATE audit SET at = at - ?1 WHERE request_id = ?2", (days * day, id))
            .unwrap();
    }
    drop(store);
    let mut gateway = tree.serve_with(&["--audit-retention-days", "30"]);
    let store = open(&tree);
    eventually("old records go", || count(&store, "1 = 1") == 1);
    assert_eq!(record_of(&store, "young")["interface"], "strict");
    assert_eq!(gateway.metric("tidegate_audit_expired_total"), Some(2.0));
    gateway.stop();
}

#[test]
fn what_cannot_be_recorded_is_not_answered() {
    let tree = tree();
    tree.interface(
        "code: many\ndatasource_id: lite\naudit: true\nquery_template: >-\n  WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL \
         SELECT n + 1 FROM c WHERE n < 50000) SELECT n, 'some text to make it long' AS text FROM c WHERE n > 0\n",
    );
    let gateway = tree.serve();
    assert_eq!(call(&gateway, "/data-api/strict", "before"), 200);
    // Another process holds the lock.
    let other = Connection::open(tree.root().join("data/tidegate.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let strict = gateway.get("/data-api/strict");
    assert_eq!((strict.status, strict.code().as_str()), (500, "INTERNAL_ERROR"));
    let text = strict.text().to_lowercase();
    assert!(
        !text.contains("lock") && !text.contains("sqlite") && !text.contains("\"name\""),
        "{text}"
    );
    assert_eq!(call(&gateway, "/data-api/buffered", "waits"), 200);
    assert_eq!(call(&gateway, "/data-api/off", "off"), 200);
    // An answer in parts breaks off before its end, so that nobody takes it for whole.
    let export =
        ureq::get(gateway.data_url("/data-api/many?format=csv")).header("x-api-key", KEY).call();
    let whole =
        export.and_then(|mut answer| answer.body_mut().with_config().limit(1 << 30).read_to_vec());
    assert!(whole.is_err(), "{} bytes", whole.map_or(0, |bytes| bytes.len()));
    assert!(gateway.metric("tidegate_audit_failed_total").unwrap() >= 2.0);
    assert!(gateway.log().contains("audit"), "{}", gateway.log());

    other.execute_batch("ROLLBACK").unwrap();
    let store = open(&tree);
    eventually("strict calls work again", || call(&gateway, "/data-api/strict", "after") == 200);
    assert_eq!(record_of(&store, "waits")["interface"], "buffered");
}
