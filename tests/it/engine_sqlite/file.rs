//! The file itself: created once and wholly, missing, broken, locked, read-only.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use tidegate::engines::{Engine, EngineError};

use super::support::{Database, LONG, Value, eventually, outcome, value};

/// Takes a moment, and makes another content each time it is run.
const INIT: &str = "CREATE TABLE t (x);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
    INSERT INTO t SELECT hex(randomblob(8)) FROM n;";

const FIRST: &str = "SELECT x FROM t WHERE rowid = 1";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn init_runs_once_whoever_comes() {
    let mut database = Database::with_init(INIT);
    database.config.path = database.folder.path().join("new/folder/test.db");
    let engines: Vec<_> = (0..4).map(|_| Arc::new(database.engine())).collect();
    let callers = (0..40).map(|caller| {
        let engine = Arc::clone(&engines[caller % engines.len()]);
        tokio::spawn(async move {
            if caller % 8 == 0 {
                engine.prepare().unwrap();
            }
            value(&engine, FIRST, &[]).await
        })
    });
    let values: Vec<_> = join_all(callers).await.into_iter().map(Result::unwrap).collect();
    assert!(values.iter().all(|value| *value == values[0]), "{values:?}");
    let folder = std::fs::read_dir(database.folder.path().join("new/folder")).unwrap();
    assert_eq!(folder.count(), 1, "only the database is left");
}

#[tokio::test]
async fn init_outlives_a_short_deadline() {
    let database = Database::with_init(&format!(
        "{INIT} CREATE TABLE big AS SELECT count(*) AS n FROM t a, t b WHERE a.rowid < 500;"
    ));
    let engine = database.engine();
    let mut tries = 0;
    while let Err(error) = outcome(&engine, FIRST, Duration::from_millis(20)).await {
        assert!(matches!(error, EngineError::Timeout), "{error}");
        tries += 1;
        assert!(tries < 500, "init never ends");
    }
    assert!(tries > 0, "init was too quick to show anything");
    assert_eq!(database.files(), ["init.sql", "test.db"]);
}

#[tokio::test]
async fn what_an_interrupted_init_left_is_overwritten() {
    let database = Database::with_init("CREATE TABLE t (x); INSERT INTO t VALUES (1)");
    let aside = database.folder.path().join("test.db.init");
    let half = rusqlite::Connection::open(&aside).unwrap();
    half.execute_batch("CREATE TABLE t (other)").unwrap();
    drop(half);
    database.write("test.db.init-journal", "left behind");
    let engine = database.engine();
    assert_eq!(value(&engine, "SELECT x FROM t", &[]).await, Value::Int(1));
    assert_eq!(database.files(), ["init.sql", "test.db"]);
}

#[tokio::test]
async fn an_init_that_fails_leaves_nothing_and_can_be_mended() {
    for wrong in
        ["CREATE TABLE t (x); SELEC", "CREATE TABLE t (x); BEGIN; INSERT INTO t VALUES (1)"]
    {
        let database = Database::with_init(wrong);
        let engine = database.engine();
        assert!(matches!(engine.prepare(), Err(EngineError::Unavailable(_))));
        let result = outcome(&engine, "SELECT 1", LONG).await;
        assert!(matches!(result, Err(EngineError::Unavailable(_))), "{result:?}");
        assert_eq!(database.files(), ["init.sql"]);
        database.write("init.sql", "CREATE TABLE t (x); INSERT INTO t VALUES (2)");
        assert_eq!(value(&engine, "SELECT x FROM t", &[]).await, Value::Int(2));
    }
}

#[tokio::test]
async fn an_existing_file_is_left_alone() {
    let mut database = Database::with("CREATE TABLE t (x); INSERT INTO t VALUES (3)");
    database.config.init = Some(database.write("init.sql", "SELEC"));
    let engine = database.engine();
    engine.prepare().unwrap();
    assert_eq!(value(&engine, "SELECT x FROM t", &[]).await, Value::Int(3));
}

#[tokio::test]
async fn a_missing_file_is_unavailable_until_it_is_there() {
    let database = Database::missing();
    let engine = database.engine();
    for result in [outcome(&engine, "SELECT 1", LONG).await.map(drop), engine.prepare()] {
        assert!(matches!(result, Err(EngineError::Unavailable(_))), "{result:?}");
    }
    assert_eq!(engine.stats().open, 0);
    assert!(database.files().is_empty(), "nothing was created");
    rusqlite::Connection::open(&database.config.path).unwrap().execute_batch("VACUUM").unwrap();
    assert_eq!(value(&engine, "SELECT 1", &[]).await, Value::Int(1));
}

#[tokio::test]
async fn a_broken_file_is_unavailable_until_it_is_mended() {
    let database = Database::missing();
    database.write("test.db", &"this is not a database\n".repeat(500));
    let engine = database.engine();
    let deadline = Instant::now() + LONG;
    assert!(matches!(engine.ping(deadline).await, Err(EngineError::Unavailable(_))));
    let result = outcome(&engine, "SELECT * FROM t", LONG).await;
    assert!(matches!(result, Err(EngineError::Unavailable(_))), "{result:?}");
    std::fs::remove_file(&database.config.path).unwrap();
    let mended = rusqlite::Connection::open(&database.config.path).unwrap();
    mended.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)").unwrap();
    engine.ping(deadline).await.unwrap();
    assert_eq!(value(&engine, "SELECT x FROM t", &[]).await, Value::Int(1));
}

#[tokio::test]
async fn a_locked_file_waits_for_its_lock_up_to_the_deadline() {
    let database = Database::with("CREATE TABLE t (x); INSERT INTO t VALUES (1)");
    let engine = database.engine();
    let writer = rusqlite::Connection::open(&database.config.path).unwrap();
    writer.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let begin = Instant::now();
    let result = outcome(&engine, "SELECT x FROM t", Duration::from_millis(100)).await;
    assert!(matches!(result, Err(EngineError::Timeout)), "{result:?}");
    assert!(begin.elapsed() < Duration::from_secs(1), "took {:?}", begin.elapsed());
    let result = outcome(&engine, "SELECT x FROM t", LONG).await;
    assert!(matches!(result, Err(EngineError::Unavailable(_))), "{result:?}");
    let waits = value(&engine, "SELECT x FROM t", &[]);
    let releases = async {
        eventually("the query waits", || engine.stats().busy == 1).await;
        writer.execute_batch("COMMIT").unwrap();
    };
    let (got, ()) = futures::join!(waits, releases);
    assert_eq!(got, Value::Int(1));
}

#[tokio::test]
async fn read_only_means_read_only() {
    let database = Database::with("CREATE TABLE t (x); INSERT INTO t VALUES (1)");
    let before = std::fs::read(&database.config.path).unwrap();
    let engine = database.engine();
    for sql in [
        "INSERT INTO t VALUES (2)",
        "DROP TABLE t",
        "CREATE TABLE u (x)",
        "PRAGMA user_version = 5",
        "PRAGMA query_only = OFF",
        "PRAGMA case_sensitive_like = ON",
        "PRAGMA writable_schema = ON",
        "CREATE TEMP TABLE u (x)",
        "ATTACH 'other.db' AS other",
        "ATTACH ':memory:' AS other",
        "DETACH main",
        "VACUUM INTO 'copy.db'",
        "SELECT load_extension('x')",
        "SELECT writefile('x', 'y')",
        "SELECT fts3_tokenizer('simple')",
    ] {
        let result = outcome(&engine, sql, LONG).await;
        assert!(matches!(result, Err(EngineError::Statement { .. })), "{sql}: {result:?}");
    }
    assert_eq!(value(&engine, "SELECT count(*) FROM t", &[]).await, Value::Int(1));
    let columns = value(&engine, "SELECT count(*) FROM pragma_table_info('t')", &[]).await;
    assert_eq!(columns, Value::Int(1), "what only tells is not refused");
    assert_eq!(std::fs::read(&database.config.path).unwrap(), before);
    assert_eq!(database.files(), ["test.db"]);
}

#[tokio::test]
async fn a_writable_database_counts_changed_rows() {
    let database = Database::with("CREATE TABLE t (x)").max_connections(1).writable();
    let engine = database.engine();
    for (sql, expected) in [
        ("INSERT INTO t VALUES (1), (2), (3)", 3),
        ("CREATE TABLE u (x)", 0),
        ("UPDATE t SET x = 0 WHERE x > 1", 2),
        ("SELECT * FROM t", 0),
    ] {
        assert_eq!(outcome(&engine, sql, LONG).await.unwrap().affected_rows, expected, "{sql}");
    }
    outcome(&engine, "BEGIN IMMEDIATE", LONG).await.unwrap();
    let other = rusqlite::Connection::open(&database.config.path).unwrap();
    other.execute_batch("INSERT INTO t VALUES (4)").expect("no transaction is left open");
    assert_eq!(value(&engine, "SELECT count(*) FROM t", &[]).await, Value::Int(4));
}
