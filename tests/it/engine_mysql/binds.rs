//! Bound values: of every kind, and of every malice.

use jiff::civil::{date, datetime};
use jiff::tz::Offset;
use tidegate::engines::{Bind, EngineError};

use super::{Out, change, config, decimal, engine, one, prepare, query, rows, run, text};

fn number(digits: &str) -> Bind {
    Bind::Number(digits.to_owned())
}

fn words(text: &str) -> Bind {
    Bind::Text(text.to_owned())
}

#[tokio::test]
async fn every_kind_arrives_as_what_it_is() {
    let engine = engine();
    let morning = datetime(2025, 1, 31, 10, 0, 0, 250_000_999);
    let cases = [
        (Bind::Null, Out::Null),
        (Bind::Bool(true), Out::Int(1)),
        (Bind::Bool(false), Out::Int(0)),
        (Bind::Int(i64::MIN), Out::Int(i64::MIN)),
        (Bind::Int(i64::MAX), Out::Int(i64::MAX)),
        (number("18446744073709551615"), Out::UInt(u64::MAX)),
        (words("潮闸 🌊"), text("潮闸 🌊")),
        (Bind::Date(date(2025, 1, 31)), text("2025-01-31")),
        (Bind::DateTime(morning, None), text("2025-01-31T10:00:00.250000")),
        (Bind::DateTime(morning, Some(Offset::constant(8))), text("2025-01-31T02:00:00.250000")),
        (Bind::Json(r#"{"a":"b\"c"}"#.to_owned()), text(r#"{"a":"b\"c"}"#)),
        (Bind::Array(vec![Bind::Int(1), words("x\"y"), Bind::Null]), text(r#"[1,"x\"y",null]"#)),
    ];
    for (bind, wanted) in cases {
        assert_eq!(one(&engine, "SELECT ?", std::slice::from_ref(&bind)).await, wanted, "{bind:?}");
    }
}

#[tokio::test]
async fn values_compare_with_columns_of_their_kind() {
    prepare(&[
        "DROP TABLE IF EXISTS b_kinds",
        "CREATE TABLE b_kinds (d DATE, day VARCHAR(10), at DATETIME(6), ts TIMESTAMP(3) NULL, \
         n DECIMAL(40,2), u BIGINT UNSIGNED, flag BOOL, t VARCHAR(20))",
        "SET time_zone = '+00:00'",
    ])
    .await;
    let engine = engine();
    let values = [
        Bind::Date(date(2025, 1, 31)),
        Bind::Date(date(2025, 1, 31)),
        Bind::DateTime(datetime(2025, 1, 31, 10, 0, 0, 123_456_000), None),
        Bind::DateTime(datetime(2025, 1, 31, 18, 0, 0, 0), Some(Offset::constant(8))),
        number("12345678901234567890123456789012345678.25"),
        number("18446744073709551615"),
        Bind::Bool(true),
        words("x"),
    ];
    let insert = "INSERT INTO b_kinds VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    let (_, inserted) = run(&engine, change(insert, &values)).await;
    assert_eq!(inserted.unwrap().affected_rows, 1);
    let select = "SELECT * FROM b_kinds WHERE d = ? AND day = ? AND at = ? AND ts = ? \
                  AND n = CAST(? AS DECIMAL(40,2)) AND u = ? AND flag = ? AND t = ?";
    assert_eq!(
        rows(&engine, select, &values).await,
        [[
            text("2025-01-31"),
            text("2025-01-31"),
            text("2025-01-31T10:00:00.123456"),
            text("2025-01-31T10:00:00.000Z"),
            decimal("12345678901234567890123456789012345678.25"),
            Out::UInt(u64::MAX),
            Out::Int(1),
            text("x"),
        ]]
    );
}

#[tokio::test]
async fn limits_take_whole_numbers_of_either_kind() {
    let engine = engine();
    let sql = "SELECT * FROM (SELECT 1 AS x UNION ALL SELECT 2 UNION ALL SELECT 3) t \
               ORDER BY x LIMIT ? OFFSET ?";
    for (limit, offset) in [(Bind::Int(1), Bind::Int(1)), (number("1"), number("1"))] {
        assert_eq!(rows(&engine, sql, &[limit, offset]).await, [[Out::Int(2)]]);
    }
}

#[tokio::test]
async fn hostile_texts_stay_values() {
    let engine = engine();
    let long = "潮".repeat(100_000);
    for hostile in [
        "'; DROP TABLE b_kinds; --",
        "\\'; SELECT 1; #",
        "\" OR \"\"=\"",
        "%_\\",
        ":name ? @x",
        "/* */ -- \n",
        "a\0b\u{1a}\r\n\t",
        "\u{feff}\u{202e}🌊",
        "",
        &long,
    ] {
        assert_eq!(one(&engine, "SELECT ?", &[words(hostile)]).await, text(hostile));
        let binds = [words(hostile), words(hostile)];
        assert_eq!(one(&engine, "SELECT ? = BINARY ?", &binds).await, Out::Int(1));
    }
}

#[tokio::test]
async fn colons_and_marks_in_the_statement_are_left_alone() {
    let engine = engine();
    let sql = "SELECT ':a ?' /* :b ? */, \":c ?\", `x:d` FROM (SELECT ? AS `x:d`) t -- :e ?\n";
    let found = rows(&engine, sql, &[Bind::Int(1)]).await;
    assert_eq!(found, [[text(":a ?"), text(":c ?"), Out::Int(1)]]);
}

#[tokio::test]
async fn values_that_do_not_fit_are_the_callers_fault() {
    prepare(&[
        "DROP TABLE IF EXISTS b_fit",
        "CREATE TABLE b_fit (d DATE, n TINYINT, t VARCHAR(3), g VARCHAR(3) CHARACTER SET latin1)",
    ])
    .await;
    let engine = engine();
    for (sql, bind) in [
        ("INSERT INTO b_fit (d) VALUES (?)", words("2025-02-30")),
        ("INSERT INTO b_fit (n) VALUES (?)", Bind::Int(128)),
        ("INSERT INTO b_fit (n) VALUES (?)", words("many")),
        ("INSERT INTO b_fit (t) VALUES (?)", words("four")),
        ("INSERT INTO b_fit (g) VALUES (?)", words("潮")),
        ("SELECT ? + 9223372036854775807", Bind::Int(1)),
        ("SELECT ?", Bind::Date(date(-44, 3, 15))),
    ] {
        let (_, outcome) = run(&engine, change(sql, std::slice::from_ref(&bind))).await;
        let error = outcome.expect_err(sql);
        assert!(matches!(error, EngineError::BadValue { .. }), "{sql} {bind:?}: {error:?}");
    }
    assert_eq!(engine_open(&engine), 1, "a refused value does not cost the connection");
}

#[tokio::test]
async fn too_many_bytes_are_refused_before_they_are_sent() {
    let engine = engine();
    let Out::Int(most) = one(&engine, "SELECT @@max_allowed_packet", &[]).await else { panic!() };
    let most = usize::try_from(most).unwrap();
    let (_, outcome) = run(&engine, query("SELECT LENGTH(?)", &[words(&"x".repeat(most))])).await;
    assert!(matches!(outcome, Err(EngineError::BadValue { .. })), "{outcome:?}");
    let nearly = most - 1_000;
    let length = one(&engine, "SELECT LENGTH(?)", &[words(&"x".repeat(nearly))]).await;
    assert_eq!(length, Out::Int(i64::try_from(nearly).unwrap()));
    assert_eq!(engine_open(&engine), 1);
}

#[tokio::test]
async fn a_wrong_count_is_the_statements_fault() {
    let engine = tidegate::engines::mysql::MySql::new(config());
    for binds in [&[][..], &[Bind::Int(1), Bind::Int(2)][..]] {
        let (_, outcome) = run(&engine, query("SELECT ?", binds)).await;
        assert!(matches!(outcome, Err(EngineError::Statement { .. })), "{outcome:?}");
    }
    assert_eq!(one(&engine, "SELECT ?", &[Bind::Int(1)]).await, Out::Int(1));
}

fn engine_open(engine: &tidegate::engines::mysql::MySql) -> usize {
    tidegate::engines::Engine::stats(engine).open
}
