//! Kinds of statements: procedures, changes, results without rows, large results, descriptions.

use std::time::{Duration, Instant};

use tidegate::engines::mysql::MySql;
use tidegate::engines::{
    Bind, Cell, Column, ColumnKind, Done, Engine, EngineConfig, EngineError, Flow, Row, RowSink,
};

use super::{Out, change, config, engine, one, prepare, query, rows, run, text};

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

#[tokio::test]
async fn a_result_without_rows_has_columns() {
    let (sink, outcome) = run(&engine(), query("SELECT 1 AS a, 'x' AS b LIMIT 0", &[])).await;
    assert_eq!(outcome.unwrap(), Done::default());
    let column = |name: &str, kind| Column { name: name.to_owned(), kind };
    assert_eq!(
        sink.columns.unwrap(),
        [column("a", ColumnKind::Integer), column("b", ColumnKind::Text)]
    );
    assert!(sink.rows.is_empty());
}

#[tokio::test]
async fn changes_tell_how_many_rows() {
    prepare(&["DROP TABLE IF EXISTS s_changes", "CREATE TABLE s_changes (a INT)"]).await;
    let engine = engine();
    for (sql, wanted) in [
        ("INSERT INTO s_changes VALUES (1), (2), (3)", 3),
        ("UPDATE s_changes SET a = 9 WHERE a > 1", 2),
        ("DELETE FROM s_changes", 3),
    ] {
        let (sink, outcome) = run(&engine, change(sql, &[])).await;
        assert_eq!(outcome.unwrap().affected_rows, wanted, "{sql}");
        assert!(sink.columns.is_none(), "{sql}");
    }
}

#[tokio::test]
async fn procedures_give_their_first_result_with_columns() {
    prepare(&[
        "DROP TABLE IF EXISTS s_procedure",
        "CREATE TABLE s_procedure (a INT, j JSON)",
        "INSERT INTO s_procedure VALUES (1, '[1]'), (2, NULL)",
        "DROP PROCEDURE IF EXISTS s_two_results",
        "CREATE PROCEDURE s_two_results(x INT) BEGIN \
         UPDATE s_procedure SET a = a; SELECT a + x AS sum, j FROM s_procedure ORDER BY a; \
         SELECT 'other' AS b, 1 AS c; SELECT 3; END",
        "DROP PROCEDURE IF EXISTS s_no_result",
        "CREATE PROCEDURE s_no_result(x INT) UPDATE s_procedure SET a = a + x",
        "DROP PROCEDURE IF EXISTS s_fails_late",
        "CREATE PROCEDURE s_fails_late() BEGIN SELECT 1; SIGNAL SQLSTATE '45000'; END",
        "DROP FUNCTION IF EXISTS s_double",
        "CREATE FUNCTION s_double(x INT) RETURNS INT DETERMINISTIC RETURN x * 2",
    ])
    .await;
    let engine = engine();
    for _ in 0..3 {
        let found = rows(&engine, "CALL s_two_results(?)", &[Bind::Int(10)]).await;
        let wanted = [[Out::Int(11), Out::Json("[1]".to_owned())], [Out::Int(12), Out::Null]];
        assert_eq!(found, wanted);
    }
    let (sink, outcome) = run(&engine, change("CALL s_no_result(?)", &[Bind::Int(1)])).await;
    assert_eq!(outcome.unwrap().affected_rows, 2);
    assert!(sink.columns.is_none());
    let (_, outcome) = run(&engine, query("CALL s_fails_late()", &[])).await;
    assert!(matches!(outcome, Err(EngineError::Statement { .. })), "{outcome:?}");
    assert_eq!(one(&engine, "SELECT s_double(?)", &[Bind::Int(21)]).await, Out::Int(42));
    assert_eq!(engine.stats().open, 1, "all on one connection");
}

#[tokio::test]
async fn read_only_sessions_refuse_changes() {
    prepare(&[
        "DROP TABLE IF EXISTS s_read_only",
        "CREATE TABLE s_read_only (a INT)",
        "DROP PROCEDURE IF EXISTS s_writes",
        "CREATE PROCEDURE s_writes() INSERT INTO s_read_only VALUES (1)",
    ])
    .await;
    let engine = MySql::new(EngineConfig { read_only: true, ..config() });
    for sql in [
        "INSERT INTO s_read_only VALUES (1)",
        "DELETE FROM s_read_only",
        "DROP TABLE s_read_only",
        "CREATE TABLE s_other (a INT)",
        "CALL s_writes()",
    ] {
        let (_, outcome) = run(&engine, change(sql, &[])).await;
        let refused =
            matches!(&outcome, Err(EngineError::Statement { code, .. }) if code == "1792");
        assert!(refused, "{sql}: {outcome:?}");
    }
    // A session that was told otherwise serves nobody else.
    for sql in ["SET SESSION TRANSACTION READ WRITE", "START TRANSACTION READ WRITE"] {
        run(&engine, change(sql, &[])).await.1.unwrap();
        let insert = change("INSERT INTO s_read_only VALUES (1)", &[]);
        let (_, outcome) = run(&engine, insert).await;
        assert!(
            matches!(&outcome, Err(EngineError::Statement { code, .. }) if code == "1792"),
            "{sql}: {outcome:?}"
        );
    }
    assert_eq!(one(&engine, "SELECT COUNT(*) FROM s_read_only", &[]).await, Out::Int(0));
}

#[tokio::test]
async fn statements_are_read_alike_whatever_the_servers_mode() {
    let user = "s_modes";
    prepare(&[
        "DROP USER IF EXISTS s_modes",
        "CREATE USER s_modes IDENTIFIED BY 'modes'",
        "GRANT SELECT ON *.* TO s_modes",
    ])
    .await;
    let all = "ANSI_QUOTES,NO_BACKSLASH_ESCAPES,HIGH_NOT_PRECEDENCE";
    for mode in [all, "ANSI", "ORACLE"] {
        // The server runs it for users without privileges; the other tests' user has them all.
        prepare(&[&format!("SET GLOBAL init_connect = \"SET sql_mode = '{mode}'\"")]).await;
        let password = Some(super::SecretText::new("modes"));
        let engine = MySql::new(EngineConfig { username: Some(user.into()), password, ..config() });
        for (sql, wanted) in [(r#"SELECT "it's""#, "it's"), (r"SELECT 'it\'s'", "it's")] {
            assert_eq!(one(&engine, sql, &[]).await, text(wanted), "{mode}: {sql}");
        }
        assert_eq!(one(&engine, "SELECT NOT 1 BETWEEN -5 AND 0", &[]).await, Out::Int(1), "{mode}");
    }
    prepare(&["SET GLOBAL init_connect = ''", "DROP USER s_modes"]).await;
}

#[tokio::test]
async fn sessions_are_set_up() {
    let engine = MySql::new(EngineConfig { timeout_ms: 2_500, ..config() });
    for (sql, wanted) in [
        ("SELECT @@time_zone", "+00:00"),
        ("SELECT @@character_set_client", "utf8mb4"),
        ("SELECT @@character_set_results", "utf8mb4"),
        ("SELECT @@sql_mode LIKE '%ANSI%'", "0"),
        ("SELECT @@autocommit", "1"),
    ] {
        let found = match one(&engine, sql, &[]).await {
            Out::Text(text) => text,
            Out::Int(n) => n.to_string(),
            other => panic!("{sql}: {other:?}"),
        };
        assert_eq!(found, wanted, "{sql}");
    }
    let Out::Text(version) = one(&engine, "SELECT VERSION()", &[]).await else { panic!() };
    if version.contains("MariaDB") {
        let limit = one(&engine, "SELECT @@max_statement_time", &[]).await;
        assert_eq!(limit, Out::Float(2.5), "in seconds");
    } else {
        let limit = one(&engine, "SELECT @@max_execution_time", &[]).await;
        assert_eq!(limit, Out::Int(2_500), "in milliseconds");
    }
}

#[tokio::test]
async fn describing_gives_columns_and_runs_nothing() {
    prepare(&[
        "DROP TABLE IF EXISTS s_describe",
        "CREATE TABLE s_describe (a INT, d DATE, b BLOB)",
    ])
    .await;
    let engine = engine();
    let told = engine.describe("SELECT * FROM s_describe WHERE a = ?", soon()).await.unwrap();
    let kinds: Vec<_> = told.iter().map(|column| (column.name.as_str(), column.kind)).collect();
    let wanted = [("a", ColumnKind::Integer), ("d", ColumnKind::Date), ("b", ColumnKind::Binary)];
    assert_eq!(kinds, wanted);
    let none = engine.describe("INSERT INTO s_describe (a) VALUES (?)", soon()).await.unwrap();
    assert!(none.is_empty());
    assert_eq!(one(&engine, "SELECT COUNT(*) FROM s_describe", &[]).await, Out::Int(0));
    let refused = engine.describe("SELECT nonsense FROM s_describe", soon()).await;
    assert!(matches!(&refused, Err(EngineError::Statement { code, .. }) if code == "1054"));
    engine.ping(soon()).await.unwrap();
}

#[tokio::test]
async fn a_table_that_changes_is_read_as_it_is() {
    prepare(&["DROP TABLE IF EXISTS s_alter", "CREATE TABLE s_alter (a INT)"]).await;
    prepare(&["INSERT INTO s_alter VALUES (1)"]).await;
    let engine = engine();
    assert_eq!(one(&engine, "SELECT * FROM s_alter", &[]).await, Out::Int(1));
    prepare(&["ALTER TABLE s_alter MODIFY a VARCHAR(10), ADD b DATE DEFAULT '2025-01-31'"]).await;
    let found = rows(&engine, "SELECT * FROM s_alter", &[]).await;
    assert_eq!(found, [[text("1"), text("2025-01-31")]]);
}

#[tokio::test]
async fn more_statements_than_are_kept_prepared() {
    let engine = engine();
    for round in 0..2 {
        for n in 0..100 {
            let found = one(&engine, &format!("SELECT {n} + ?"), &[Bind::Int(round)]).await;
            assert_eq!(found, Out::Int(n + round));
        }
    }
    let Out::Text(kept) =
        rows(&engine, "SHOW SESSION STATUS LIKE 'Com_stmt_close'", &[]).await[0][1].clone()
    else {
        panic!()
    };
    assert!(kept.parse::<u32>().unwrap() >= 100, "the rest are closed on the server: {kept}");
}

/// Counts, keeps nothing, and flushes now and then.
#[derive(Default)]
struct Counter {
    rows: u64,
    bytes: u64,
    flushes: u64,
    scratch: String,
}

impl RowSink for Counter {
    fn columns(&mut self, _: &[Column]) -> Result<(), EngineError> {
        Ok(())
    }

    fn row<R: Row>(&mut self, row: &R) -> Result<Flow, EngineError> {
        if let Cell::Text(text) = row.cell(1, &mut self.scratch)? {
            self.bytes += text.len() as u64;
        }
        self.rows += 1;
        Ok(if self.rows.is_multiple_of(1_000) { Flow::Flush } else { Flow::Continue })
    }

    async fn flush(&mut self) -> Flow {
        self.flushes += 1;
        tokio::task::yield_now().await;
        Flow::Continue
    }
}

/// Resident memory of this process, in bytes.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[tokio::test]
async fn large_results_stream() {
    const ROWS: u64 = 200_000;
    const WIDTH: u64 = 1_000;
    prepare(&[
        "CREATE TABLE IF NOT EXISTS s_digits (d INT PRIMARY KEY)",
        "INSERT IGNORE INTO s_digits VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)",
    ])
    .await;
    let sql = "SELECT a.d, REPEAT('x', 1000) FROM s_digits a, s_digits b, s_digits c, s_digits d, \
               s_digits e, s_digits f WHERE f.d < 2";
    let before = resident_bytes();
    let (sink, outcome) = engine().run(query(sql, &[]), Counter::default()).await;
    outcome.unwrap();
    assert_eq!((sink.rows, sink.bytes, sink.flushes), (ROWS, ROWS * WIDTH, ROWS / 1_000));
    let grown = resident_bytes() - before;
    assert!(grown < ROWS * WIDTH / 2, "{grown} more bytes of memory for {ROWS} rows");
}
