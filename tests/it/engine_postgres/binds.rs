//! Bound values of all kinds, to targets of all kinds.

use tidegate::engines::{Bind, EngineError};

use super::support::{admin, engine, error, one, query, rows, with, writing};

fn text(value: &str) -> Bind {
    Bind::Text(value.into())
}

const HOSTILE: [&str; 14] = [
    "",
    " ",
    "NULL",
    "null",
    "a,b",
    "{}",
    "{a}",
    "\"",
    "\\",
    "\\\"",
    "'; DROP TABLE x; --",
    "潮闸😀",
    "a\nb\tc",
    "}",
];

#[tokio::test]
async fn scalars_become_what_the_placeholder_is() {
    let e = engine(|_| {});
    let date = jiff::civil::date(2025, 1, 31);
    let at = date.at(10, 0, 0, 500_000_000);
    let east = jiff::tz::offset(8);
    let cases = [
        ("$1::int", Bind::Int(-5), "-5"),
        ("$1::int8", Bind::Int(i64::MIN), "-9223372036854775808"),
        ("$1::numeric", Bind::Number("12.50".into()), "12.50"),
        ("$1::numeric", Bind::Number("1e20".into()), "100000000000000000000"),
        ("$1::float8", Bind::Int(3), "3.0"),
        ("$1::bool", Bind::Bool(true), "true"),
        ("$1::bool", Bind::Int(0), "false"),
        ("$1::text", Bind::Int(7), "\"7\""),
        ("$1::text", Bind::Bool(false), "\"false\""),
        ("$1::date", Bind::Date(date), "\"2025-01-31\""),
        ("$1::date", Bind::DateTime(at, None), "\"2025-01-31\""),
        ("$1::time", Bind::DateTime(at, None), "\"10:00:00.5\""),
        ("$1::timestamp", Bind::Date(date), "\"2025-01-31T00:00:00\""),
        ("$1::timestamp", Bind::DateTime(at, None), "\"2025-01-31T10:00:00.5\""),
        ("$1::timestamptz", Bind::DateTime(at, None), "\"2025-01-31T10:00:00.5Z\""),
        ("$1::timestamptz", Bind::DateTime(at, Some(east)), "\"2025-01-31T02:00:00.5Z\""),
        ("$1::date", Bind::Date(jiff::civil::date(-43, 3, 15)), "\"-000043-03-15\""),
        (
            "$1::timestamp",
            Bind::DateTime(jiff::civil::date(0, 1, 2).at(3, 4, 5, 0), None),
            "\"0000-01-02T03:04:05\"",
        ),
        ("$1::jsonb", Bind::Json("{\"a\":[1]}".into()), "{\"a\": [1]}"),
        ("$1::jsonb", text("[1]"), "[1]"),
        ("$1::jsonb", Bind::Int(5), "5"),
        ("$1::jsonb", Bind::Date(date), "\"2025-01-31\""),
        (
            "$1::json",
            Bind::Array(vec![Bind::Int(1), text("x\"y"), Bind::Null]),
            "[1,\"x\\\"y\",null]",
        ),
        ("$1::text", Bind::Json("{}".into()), "\"{}\""),
        ("$1::text", Bind::Array(vec![Bind::Int(1)]), "\"[1]\""),
        (
            "$1::uuid",
            text("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"),
            "\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\"",
        ),
        ("$1::interval", text("1 day"), "\"P1D\""),
        ("$1::bytea", text("\\x00ff"), "\"AP8=\""),
        ("$1::inet", text("10.0.0.1"), "\"10.0.0.1\""),
        ("$1::int4range", text("[1,5)"), "\"[1,5)\""),
        ("$1 IS NULL", Bind::Null, "true"),
        ("$1 IS NULL", text("x"), "false"),
        ("coalesce($1, $1)", text("x"), "\"x\""),
        ("1 + $1", Bind::Int(1), "2"),
        ("$1::int", Bind::Null, "null"),
        ("$1::int[]", Bind::Null, "null"),
    ];
    for (expression, bind, expected) in cases {
        let got = one(&e, with(&format!("SELECT {expression}"), vec![bind.clone()])).await;
        assert_eq!(got, expected, "{expression} {bind:?}");
    }
    for hostile in HOSTILE {
        let got = one(&e, with("SELECT $1::text", vec![text(hostile)])).await;
        assert_eq!(got, serde_json::Value::from(hostile).to_string());
    }
    let both = rows(
        &e,
        with(
            "SELECT 1 WHERE $1 IS NULL OR $2 = 'x' OR $3 > 2",
            vec![Bind::Null, text("y"), Bind::Int(1)],
        ),
    )
    .await;
    assert_eq!(both.len(), 1);
}

#[tokio::test]
async fn arrays_keep_hostile_texts() {
    let e = engine(|_| {});
    let items: Vec<Bind> = HOSTILE.iter().map(|t| text(t)).chain([Bind::Null]).collect();
    let got = one(&e, with("SELECT to_json($1::text[])", vec![Bind::Array(items.clone())])).await;
    let got: serde_json::Value = serde_json::from_str(&got).unwrap();
    let mut expected: Vec<serde_json::Value> = HOSTILE.iter().map(|t| (*t).into()).collect();
    expected.push(serde_json::Value::Null);
    assert_eq!(got, serde_json::Value::Array(expected));
    let cell = one(&e, with("SELECT $1::varchar[]", vec![Bind::Array(items)])).await;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&cell).unwrap(), got);

    let ints = Bind::Array(vec![Bind::Int(1), Bind::Null, Bind::Number("3".into()), text("4")]);
    assert_eq!(one(&e, with("SELECT $1::int[]", vec![ints.clone()])).await, "[1,null,3,4]");
    assert_eq!(one(&e, with("SELECT 4 = ANY($1)", vec![ints])).await, "true");
    assert_eq!(one(&e, with("SELECT $1::int[]", vec![Bind::Array(vec![])])).await, "[]");
    let nested =
        Bind::Array(vec![Bind::Array(vec![Bind::Int(1)]), Bind::Array(vec![Bind::Int(2)])]);
    assert_eq!(one(&e, with("SELECT $1::int[]", vec![nested.clone()])).await, "[[1],[2]]");
    assert_eq!(one(&e, with("SELECT $1::jsonb[]", vec![nested])).await, "[[1],[2]]");
    let dates = Bind::Array(vec![Bind::Date(jiff::civil::date(2025, 1, 31))]);
    assert_eq!(one(&e, with("SELECT $1::date[]", vec![dates])).await, "[\"2025-01-31\"]");
    let bools = Bind::Array(vec![Bind::Bool(true), Bind::Bool(false)]);
    assert_eq!(one(&e, with("SELECT $1::bool[]", vec![bools])).await, "[true,false]");
    let boxes = Bind::Array(vec![text("(3,4),(1,2)"), text("(1,1),(0,0)")]);
    assert_eq!(
        one(&e, with("SELECT $1::box[]", vec![boxes])).await,
        "[\"(3,4),(1,2)\",\"(1,1),(0,0)\"]"
    );
    let vector = Bind::Array(vec![Bind::Int(1), Bind::Int(2)]);
    assert_eq!(one(&e, with("SELECT $1::int2vector", vec![vector])).await, "[1,2]");
}

#[tokio::test]
async fn values_that_do_not_fit_name_their_placeholder() {
    let admin = admin().await;
    admin
        .batch_execute(
            "DROP DOMAIN IF EXISTS tg_positive; CREATE DOMAIN tg_positive AS int CHECK (VALUE > 0)",
        )
        .await
        .unwrap();
    let e = engine(|_| {});
    let cases = [
        ("$1::int", text("abc")),
        ("$1::int", Bind::Int(i64::MAX)),
        ("$1::int2", Bind::Int(40_000)),
        ("$1::int", Bind::Number("1.5".into())),
        ("$1::int", Bind::Bool(true)),
        ("$1::numeric(3,1) + $1::numeric(3,1)", text("x")),
        ("$1::date", text("2025-02-30")),
        ("$1::timestamp", text("yesterdayish")),
        ("$1::uuid", text("x")),
        ("$1::jsonb", text("{")),
        ("$1::inet", text("999.1.1.1")),
        ("$1::int[]", text("{1,")),
        ("$1::int[]", Bind::Array(vec![text("x")])),
        ("$1::bool", text("perhaps")),
        ("$1::tg_positive", Bind::Int(-1)),
        ("$1::text", text("a\0b")),
        ("$1::text[]", Bind::Array(vec![text("a\0b")])),
    ];
    for (expression, bind) in cases {
        // Second, so that a position that is always 0 would show.
        let sql = format!("SELECT $1::text, {}", expression.replace("$1", "$2"));
        let error = error(&e, with(&sql, vec![text("fine"), bind.clone()])).await;
        assert!(
            matches!(error, EngineError::BadValue { position: Some(1), .. }),
            "{expression} {bind:?}: {error}"
        );
    }
    // The statement's own failures are not the value's.
    for sql in [
        "SELECT 1/0, $1::text",
        "SELECT 1/(length($1::text) - 1)",
        "SELECT ($1::text || 'x')::int",
        "SELECT nothing, $1::text",
        "SELECT 'x'::int, $1::text",
    ] {
        let error = error(&e, with(sql, vec![text("a")])).await;
        assert!(matches!(error, EngineError::Statement { .. }), "{sql}: {error}");
    }
    for binds in [vec![], vec![Bind::Int(1), Bind::Int(2)]] {
        let error = error(&e, with("SELECT $1::int", binds)).await;
        assert!(matches!(error, EngineError::Statement { .. }), "{error}");
    }
    assert_eq!(one(&e, query("SELECT 1")).await, "1");
}

#[tokio::test]
async fn writes_count_rows_and_read_only_sessions_refuse_them() {
    let admin = admin().await;
    admin
        .batch_execute(
            "DROP TABLE IF EXISTS tg_writes; CREATE TABLE tg_writes (id int PRIMARY KEY)",
        )
        .await
        .unwrap();
    let refused = engine(|_| {});
    for sql in [
        "INSERT INTO tg_writes VALUES (1)",
        "CREATE TABLE tg_never (a int)",
        "DROP TABLE tg_writes",
    ] {
        let error = error(&refused, writing(sql)).await;
        assert!(
            matches!(&error, EngineError::Statement { code, .. } if code == "25006"),
            "{error}"
        );
    }
    // Nor does a session that was told otherwise serve anybody else.
    let unlock = "SELECT set_config('default_transaction_read_only', 'off', false)";
    for sql in ["SET default_transaction_read_only = off", unlock] {
        super::support::run(&refused, writing(sql)).await.1.unwrap();
        let error = error(&refused, writing("INSERT INTO tg_writes VALUES (1)")).await;
        assert!(
            matches!(&error, EngineError::Statement { code, .. } if code == "25006"),
            "{sql}: {error}"
        );
    }
    let e = engine(|c| c.read_only = false);
    let insert = "INSERT INTO tg_writes SELECT generate_series(1, $1::int)";
    let (collected, done) = super::support::run(
        &e,
        tidegate::engines::Query { read_only: false, ..with(insert, vec![Bind::Int(5)]) },
    )
    .await;
    assert_eq!(done.unwrap().affected_rows, 5);
    assert_eq!((collected.columns.len(), collected.columns_calls), (0, 1));
    let returned = rows(&e, writing("DELETE FROM tg_writes WHERE id > 3 RETURNING id")).await;
    assert_eq!(returned, [["4"], ["5"]]);
    let failed = error(&e, writing("INSERT INTO tg_writes VALUES (1)")).await;
    assert!(matches!(&failed, EngineError::Statement { code, .. } if code == "23505"), "{failed}");
    assert_eq!(one(&e, query("SELECT count(*) FROM tg_writes")).await, "3");
    // What a statement leaves in its session goes with its connection.
    super::support::run(&e, writing("SET default_transaction_read_only = on")).await.1.unwrap();
    super::support::run(&e, writing("BEGIN")).await.1.unwrap();
    super::support::run(&e, writing("INSERT INTO tg_writes VALUES (9)")).await.1.unwrap();
    let count: i64 = admin.query_one("SELECT count(*) FROM tg_writes", &[]).await.unwrap().get(0);
    assert_eq!(count, 4);
    let copied = error(&e, writing("COPY tg_writes TO STDOUT")).await;
    assert!(matches!(copied, EngineError::Statement { .. }), "{copied}");
    let copied = error(&e, query("COPY tg_writes FROM STDIN")).await;
    assert!(matches!(copied, EngineError::Statement { .. }), "{copied}");
}
