//! What goes in as binds and comes out as cells.

use std::time::Instant;

use jiff::civil::{date, datetime};
use jiff::tz::Offset;
use tidegate::engines::ColumnKind::{
    Any, Binary, Boolean, Date, DateTime, Integer, Json, Number, Text,
};
use tidegate::engines::{Bind, Engine, EngineError};

use super::support::{Database, Keeper, LONG, Value, outcome, query, rows, text, value};

#[tokio::test]
async fn every_storage_class_keeps_its_value() {
    let engine = Database::with("CREATE TABLE t (x); INSERT INTO t VALUES ('中文 🌊')").open();
    let got = rows(
        &engine,
        "SELECT NULL, -9223372036854775808, 9223372036854775807, 0.1, -2.5e10, 9e999, -9e999, \
         '', 'a' || char(0) || 'b', CAST(x'61ff62' AS TEXT), x'', x'00ff', (SELECT x FROM t), \
         0.1 + 0.2, true",
        &[],
    )
    .await;
    let expected = vec![
        Value::Null,
        Value::Int(i64::MIN),
        Value::Int(i64::MAX),
        Value::Float(0.1),
        Value::Float(-2.5e10),
        Value::Float(f64::INFINITY),
        Value::Float(f64::NEG_INFINITY),
        text(""),
        text("a\0b"),
        text("a\u{FFFD}b"),
        Value::Bytes(vec![]),
        Value::Bytes(vec![0, 255]),
        text("中文 🌊"),
        Value::Float(0.1 + 0.2),
        Value::Int(1),
    ];
    assert_eq!(got, vec![expected]);
}

#[tokio::test]
async fn long_texts_pass_up_to_the_limit() {
    let engine = Database::with("").open();
    let megabytes = 16 * 1024 * 1024;
    let sql = format!("SELECT replace(hex(zeroblob({})), '00', 'ab')", megabytes / 2);
    assert_eq!(value(&engine, &sql, &[]).await, Value::Text("ab".repeat(megabytes / 2)));
    let refused = outcome(&engine, "SELECT zeroblob(100000000)", LONG).await;
    assert!(matches!(refused, Err(EngineError::Statement { code, .. }) if code == "18"));
}

#[tokio::test]
async fn declared_types_help_to_read_values() {
    let engine = Database::with(
        "CREATE TABLE t (b BOOLEAN, j JSON, d DECIMAL(10,2), at DATETIME, day DATE, n INTEGER, \
         s VARCHAR(9), raw BLOB);
         INSERT INTO t VALUES
           (1, '{\"a\": [1, null]}', 12.50, '2025-01-31 08:00:00', '2025-01-31', '7', 7, x'01'),
           (0, 'not json', 12.00, 1738310400, NULL, 'seven', 1.5, 'text'),
           (2, NULL, 99999999.99, '', '31.1.2025', 1.5, x'02', NULL)",
    )
    .open();
    let (keeper, result) =
        engine.run(query("SELECT * FROM t ORDER BY rowid", &[], LONG), Keeper::default()).await;
    result.unwrap();
    let kinds: Vec<_> = keeper.columns.unwrap().iter().map(|column| column.kind).collect();
    assert_eq!(kinds, [Boolean, Json, Number, DateTime, Date, Integer, Text, Binary]);
    let expected = vec![
        vec![
            Value::Bool(true),
            Value::Json(r#"{"a": [1, null]}"#.to_owned()),
            Value::Float(12.5),
            text("2025-01-31 08:00:00"),
            text("2025-01-31"),
            Value::Int(7),
            text("7"),
            Value::Bytes(vec![1]),
        ],
        vec![
            Value::Bool(false),
            text("not json"),
            Value::Int(12),
            Value::Int(1_738_310_400),
            Value::Null,
            text("seven"),
            text("1.5"),
            text("text"),
        ],
        vec![
            Value::Int(2),
            Value::Null,
            Value::Float(99_999_999.99),
            text(""),
            text("31.1.2025"),
            Value::Float(1.5),
            Value::Bytes(vec![2]),
            Value::Null,
        ],
    ];
    assert_eq!(keeper.rows, expected);
}

#[tokio::test]
async fn binds_keep_their_values() {
    let engine = Database::with("").open();
    let zone = Offset::constant(8);
    for (bind, class, expected) in [
        (Bind::Null, "null", Value::Null),
        (Bind::Bool(true), "integer", Value::Int(1)),
        (Bind::Int(i64::MIN), "integer", Value::Int(i64::MIN)),
        (Bind::Number("12.50".into()), "real", Value::Float(12.5)),
        (Bind::Number("18446744073709551615".into()), "text", text("18446744073709551615")),
        (Bind::Number("-1e400".into()), "text", text("-1e400")),
        (Bind::Text("'; DROP TABLE t --\0中".into()), "text", text("'; DROP TABLE t --\0中")),
        (Bind::Date(date(2025, 1, 31)), "text", text("2025-01-31")),
        (
            Bind::DateTime(datetime(2025, 1, 31, 8, 0, 0, 0), None),
            "text",
            text("2025-01-31 08:00:00"),
        ),
        (
            Bind::DateTime(datetime(2025, 1, 1, 7, 0, 0, 5_000), Some(zone)),
            "text",
            text("2024-12-31 23:00:00.000005"),
        ),
        (Bind::Json(r#"{"a":1}"#.into()), "text", text(r#"{"a":1}"#)),
        (Bind::Array(vec![Bind::Int(1), Bind::Text("x".into())]), "text", text(r#"[1,"x"]"#)),
    ] {
        let got = rows(&engine, "SELECT ?1, typeof(?1)", std::slice::from_ref(&bind)).await;
        assert_eq!(got, vec![vec![expected, text(class)]], "{bind:?}");
    }
}

#[tokio::test]
async fn arrays_serve_json_each() {
    let engine = Database::with("").open();
    let list = Bind::Array(vec![Bind::Int(1), Bind::Int(3)]);
    let sql = "SELECT value FROM json_each(?1) ORDER BY value";
    assert_eq!(rows(&engine, sql, &[list]).await, [[Value::Int(1)], [Value::Int(3)]]);
}

#[tokio::test]
async fn placeholders_and_values_must_be_as_many() {
    let engine = Database::with("").open();
    for binds in [vec![], vec![Bind::Int(1), Bind::Int(2)]] {
        let (_, result) = engine.run(query("SELECT ?1", &binds, LONG), Keeper::default()).await;
        assert!(matches!(result, Err(EngineError::BadValue { .. })), "{result:?}");
    }
}

#[tokio::test]
async fn columns_come_without_rows_too() {
    let engine = Database::with("CREATE TABLE t (id INTEGER, name TEXT)").open();
    let (keeper, result) = engine
        .run(query("SELECT id, name, id + 1 AS next FROM t", &[], LONG), Keeper::default())
        .await;
    result.unwrap();
    let described = engine
        .describe("SELECT id, name, id + 1 AS next FROM t", Instant::now() + LONG)
        .await
        .unwrap();
    assert_eq!(keeper.columns.as_deref(), Some(&*described));
    let names: Vec<_> = described.iter().map(|column| (&*column.name, column.kind)).collect();
    assert_eq!(names, [("id", Integer), ("name", Text), ("next", Any)]);
}

#[tokio::test]
async fn a_changed_table_shows_its_new_columns() {
    let database =
        Database::with("CREATE TABLE t (a); INSERT INTO t VALUES (1)").max_connections(1);
    let engine = database.engine();
    assert_eq!(rows(&engine, "SELECT * FROM t", &[]).await, [[Value::Int(1)]]);
    let other = rusqlite::Connection::open(&database.config.path).unwrap();
    other.execute_batch("ALTER TABLE t ADD COLUMN b DEFAULT 2").unwrap();
    assert_eq!(rows(&engine, "SELECT * FROM t", &[]).await, [[Value::Int(1), Value::Int(2)]]);
}

#[tokio::test]
async fn wrong_statements_are_the_statement_s_fault() {
    let engine = Database::with("CREATE TABLE t (a)").open();
    for sql in ["SELEC 1", "SELECT nope FROM t", "SELECT \"nope\" FROM t", "SELECT 1; SELECT 2", ""]
    {
        let result = outcome(&engine, sql, LONG).await;
        assert!(matches!(result, Err(EngineError::Statement { .. })), "{sql}: {result:?}");
    }
    let described = engine.describe("SELECT nope FROM t", Instant::now() + LONG).await;
    assert!(matches!(described, Err(EngineError::Statement { code, .. }) if code == "1"));
}
