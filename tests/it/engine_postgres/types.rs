//! Every type, value by value: against what is expected, and against what the server itself prints.

use std::time::{Duration, Instant};

use tidegate::engines::{ColumnKind, Engine};

use super::compare::{exactly, printed, same_as_text, same_json_text};
use super::support::{engine, one, plain, query, rows, run};

#[tokio::test]
async fn numbers_keep_every_digit() {
    let e = engine(|_| {});
    same_as_text(&e, "int2", &["-32768", "0", "32767"]).await;
    same_as_text(&e, "int4", &["-2147483648", "-1", "0", "2147483647"]).await;
    same_as_text(&e, "int8", &["-9223372036854775808", "0", "9223372036854775807"]).await;
    same_as_text(&e, "oid", &["0", "4294967295"]).await;
    same_as_text(&e, "xid", &["3", "4294967295"]).await;
    same_as_text(&e, "cid", &["0", "4294967295"]).await;
    same_as_text(&e, "xid8", &["0", "18446744073709551615"]).await;
    let long = format!("-{}.{}", "1234567890".repeat(100), "0987654321".repeat(50));
    let zeros = format!("0.{}1", "0".repeat(999));
    let tiny = format!("0.{}", "0".repeat(37));
    let numerics = [
        "0",
        "0.000",
        "12.50",
        "-0.05",
        "0.05",
        "1",
        "10000",
        "100000000",
        "99999999.9999",
        "1e100",
        "-1e-100",
        "0.00010001",
        "10000.0001",
        "123456789.000000001",
        "NaN",
        "Infinity",
        "-Infinity",
        "9999",
        "0.9999",
        "0.0001",
        "1000000000000",
        long.as_str(),
        zeros.as_str(),
        tiny.as_str(),
    ];
    same_as_text(&e, "numeric", &numerics).await;
    exactly(&e, "numeric", &[("12.50", "12.50"), ("NaN", "\"NaN\""), ("-0.05", "-0.05")]).await;
    exactly(&e, "numeric(10,3)", &[("1.5", "1.500"), ("0", "0.000")]).await;
    exactly(
        &e,
        "money",
        &[
            ("-12.34", "-12.34"),
            ("0.05", "0.05"),
            ("92233720368547758.07", "92233720368547758.07"),
            ("-92233720368547758.08", "-92233720368547758.08"),
        ],
    )
    .await;
    exactly(
        &e,
        "float8",
        &[
            ("1.5", "1.5"),
            ("-0", "-0.0"),
            ("1e308", "1e308"),
            ("NaN", "NaN"),
            ("-inf", "-inf"),
            ("0.1", "0.1"),
        ],
    )
    .await;
    exactly(
        &e,
        "float4",
        &[("0.1", "0.1"), ("16777217", "16777216.0"), ("1e-38", "1e-38"), ("inf", "inf")],
    )
    .await;
    exactly(&e, "bool", &[("t", "true"), ("f", "false")]).await;
    exactly(&e, "regclass", &[("pg_class", "1259")]).await;
}

#[tokio::test]
async fn texts_and_bytes() {
    let e = engine(|_| {});
    let texts = ["", "潮闸", "a\"b\\c", "line\nbreak\ttab", "'quoted'", "😀", "\u{1}\u{7f}"];
    for ty in ["text", "varchar", "varchar(40)", "name", "char(12)"] {
        let printed = printed(&e, ty, &texts, "md5(#)").await;
        assert_eq!(printed.len(), texts.len(), "{ty}");
    }
    for ty in ["text", "varchar", "name"] {
        for text in texts {
            exactly(&e, ty, &[(text, &serde_json::Value::from(text).to_string())]).await;
        }
    }
    exactly(&e, "char(5)", &[("ab", "\"ab   \"")]).await;
    exactly(&e, "\"char\"", &[("x", "\"x\""), ("", "\"\"")]).await;
    exactly(&e, "bytea", &[("\\x", "\"\""), ("\\x00ff10", "\"AP8Q\"")]).await;
    same_as_text(&e, "xml", &["<a b=\"1\">x</a>"]).await;
    same_as_text(
        &e,
        "uuid",
        &["00000000-0000-0000-0000-000000000000", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"],
    )
    .await;
    same_json_text(
        &e,
        "json",
        &["{\"a\": [1, 2.50, null],  \"b\":\"x\"}", "1.2300", "\"s\"", "null"],
    )
    .await;
    exactly(&e, "json", &[("{\n\"a\":\r\n1}", "{ \"a\":  1}")]).await;
    same_json_text(
        &e,
        "jsonb",
        &["{\"b\": 1.50, \"a\": [true, null]}", "12345678901234567890.000", "\"\\u00e9\"", "[]"],
    )
    .await;
    same_as_text(&e, "jsonpath", &["$.a[*] ? (@.b > 1)", "strict $"]).await;
}

#[tokio::test]
async fn dates_and_times() {
    let e = engine(|_| {});
    exactly(
        &e,
        "date",
        &[
            ("2025-01-31", "\"2025-01-31\""),
            ("2000-02-29", "\"2000-02-29\""),
            ("0001-01-01", "\"0001-01-01\""),
            ("0001-12-31 BC", "\"0000-12-31\""),
            ("0044-03-15 BC", "\"-000043-03-15\""),
            ("4713-11-24 BC", "\"-004712-11-24\""),
            ("9999-12-31", "\"9999-12-31\""),
            ("10000-01-01", "\"+010000-01-01\""),
            ("5874897-12-31", "\"+5874897-12-31\""),
            ("infinity", "\"infinity\""),
            ("-infinity", "\"-infinity\""),
        ],
    )
    .await;
    // Every day of some centuries, with their leap years, against the server.
    let sql = "SELECT count(*) FROM generate_series('1582-01-01'::date, '2401-01-01', '1 day') d";
    let days = one(&e, query(sql)).await;
    let sql = "SELECT d::date, d::date::text FROM generate_series('1582-01-01'::date, '2401-01-01', '1 day') d";
    let all = rows(&e, query(sql)).await;
    assert_eq!(all.len().to_string(), days);
    assert!(all.iter().all(|row| row[0] == row[1]));
    same_as_text(
        &e,
        "time",
        &["00:00:00", "23:59:59.999999", "24:00:00", "10:00:00.5", "00:00:00.000001"],
    )
    .await;
    exactly(
        &e,
        "timetz",
        &[
            ("10:00:00+08", "\"10:00:00+08:00\""),
            ("10:00:00.25-03:30", "\"10:00:00.25-03:30\""),
            ("10:00:00+00", "\"10:00:00Z\""),
            ("10:00:00+15:59:59", "\"10:00:00+15:59:59\""),
        ],
    )
    .await;
    let stamps = [
        ("2025-01-31 10:00:00.123456", "2025-01-31T10:00:00.123456"),
        ("2025-01-31 10:00:00", "2025-01-31T10:00:00"),
        ("1999-12-31 23:59:59.9", "1999-12-31T23:59:59.9"),
        ("0044-03-15 12:00:00 BC", "-000043-03-15T12:00:00"),
        ("294276-12-31 23:59:59.999999", "+294276-12-31T23:59:59.999999"),
        ("infinity", "infinity"),
        ("-infinity", "-infinity"),
    ];
    for (text, expected) in stamps {
        exactly(&e, "timestamp", &[(text, &format!("\"{expected}\""))]).await;
        let zone = if expected.ends_with("infinity") { "" } else { "Z" };
        exactly(&e, "timestamptz", &[(text, &format!("\"{expected}{zone}\""))]).await;
    }
    exactly(&e, "timestamptz", &[("2025-01-31 10:00:00+08", "\"2025-01-31T02:00:00Z\"")]).await;
    same_as_text(
        &e,
        "interval",
        &[
            "0",
            "1 year 2 months 3 days 4:05:06.5",
            "-1 year +3 days -04:05:06",
            "1 mon",
            "-0.5 second",
            "100 hours",
            "0.000001 second",
            "-1 day +2:00",
            "13 months",
            "-13 months",
            "178000000 years",
            "-00:00:59.999999",
            "1 hour",
            "3 minutes",
        ],
    )
    .await;
}

#[tokio::test]
async fn addresses_shapes_bits_and_search_types() {
    let e = engine(|_| {});
    let addresses = [
        "10.0.0.1",
        "10.0.0.1/8",
        "0.0.0.0/0",
        "::",
        "::1",
        "::2",
        "::1.2.3.4",
        "::ffff:1.2.3.4",
        "fe80::1/64",
        "2001:db8::ff00:42:8329",
        "1:0:0:2:0:0:0:3",
        "2001:db8:0:1:1:1:1:1",
        "::1:0:0",
        "::5:1.2.3.4",
    ];
    same_as_text(&e, "inet", &addresses).await;
    same_as_text(&e, "cidr", &["10.0.0.0/8", "10.1.2.3/32", "2001:db8::/32", "::/0", "::1/128"])
        .await;
    same_as_text(&e, "macaddr", &["08:00:2b:01:02:03", "ff:ff:ff:ff:ff:ff"]).await;
    same_as_text(&e, "macaddr8", &["08:00:2b:01:02:03:04:05"]).await;
    same_as_text(&e, "varbit", &["", "1", "10110", "111111111", "0000000000000001"]).await;
    same_as_text(&e, "bit(5)", &["10101"]).await;
    same_as_text(&e, "pg_lsn", &["16/B374D848", "0/0", "FFFFFFFF/FFFFFFFF"]).await;
    same_as_text(&e, "tid", &["(0,1)", "(4294967295,65535)"]).await;
    same_as_text(
        &e,
        "point",
        &[
            "(1,2)",
            "(-1.5,1e20)",
            "(1e-5,0.0001)",
            "(123456789012345,1234567890123456)",
            "(NaN,Infinity)",
            "(1e14,1e15)",
            "(-0,0.1)",
            "(1.7976931348623157e308,5e-324)",
            "(100,99999.5)",
        ],
    )
    .await;
    same_as_text(&e, "line", &["{1,2,3}", "{-1,0.5,1e-7}"]).await;
    same_as_text(&e, "lseg", &["[(1,2),(3,4)]"]).await;
    same_as_text(&e, "box", &["(3,4),(1,2)"]).await;
    same_as_text(&e, "path", &["((1,2),(3,4))", "[(1,2),(3,4),(5,6)]"]).await;
    same_as_text(&e, "polygon", &["((0,0),(1,1),(1,0))"]).await;
    same_as_text(&e, "circle", &["<(1,2),3.5>"]).await;
    same_as_text(
        &e,
        "tsvector",
        &[
            "",
            "a fat cat",
            "'it''s' 'back\\\\slash' 'sp ace'",
            "a:1A fat:2B,4C cat:5D,16383",
            "x:1 y:2,3",
        ],
    )
    .await;
    same_as_text(
        &e,
        "tsquery",
        &[
            "",
            "fat",
            "fat & cat",
            "fat & (cat | rat)",
            "(fat & cat) | rat",
            "!fat & !(cat | dog)",
            "!!a",
            "a <-> b",
            "a <-> (b <-> c)",
            "(a <-> b) <-> c",
            "a <3> b | c",
            "sup:*AB & x:D & y:*",
            "'it''s' & 'b\\\\s'",
            "a | b & c <-> !d",
            "(a | b) <-> c",
            "!(a <-> b)",
            "a & b & c | d",
        ],
    )
    .await;
}

#[tokio::test]
async fn ranges_as_the_server_prints_them() {
    let e = engine(|_| {});
    same_as_text(&e, "int4range", &["empty", "[1,5]", "(,5)", "[1,)", "(,)"]).await;
    same_as_text(&e, "int8range", &["[1,9223372036854775806)"]).await;
    same_as_text(&e, "numrange", &["[1.50,2.5)", "(0.05,]"]).await;
    same_as_text(
        &e,
        "daterange",
        &["[2025-01-01,2025-02-01)", "[0044-03-15 BC,10000-01-01)", "[-infinity,infinity)"],
    )
    .await;
    same_as_text(
        &e,
        "tsrange",
        &["[2025-01-01 10:00,2025-01-01 11:00:00.5)", "[0044-03-15 10:00 BC,)"],
    )
    .await;
    same_as_text(&e, "tstzrange", &["[2025-01-01 10:00+08,2025-01-01 11:00+08)", "(,infinity)"])
        .await;
    same_as_text(&e, "int4multirange", &["{}", "{[1,3),[5,7)}"]).await;
    same_as_text(&e, "datemultirange", &["{[2025-01-01,2025-02-01),[2025-03-01,)}"]).await;
    same_as_text(&e, "tstzmultirange", &["{[2025-01-01 10:00+08,2025-01-01 11:00+08)}"]).await;
}

#[tokio::test]
async fn null_of_every_type_is_null() {
    let e = engine(|_| {});
    let names = rows(&e, query(
        "SELECT format('NULL::%s', oid::regtype) FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace \
         AND typtype IN ('b','r','m','c','e') AND typrelid = 0",
    )).await;
    let exprs: Vec<String> = names.iter().map(|row| plain(&row[0])).collect();
    assert!(exprs.len() > 100);
    let row = rows(&e, query(&format!("SELECT {}", exprs.join(",")))).await.remove(0);
    assert!(row.iter().all(|cell| cell == "null"));
}

/// Every built-in base type with some value of it comes out as the server prints it, or as documented otherwise.
#[tokio::test]
async fn statistics_of_a_catalogue_come_out() {
    let e = engine(|_| {});
    for table in [
        "pg_class",
        "pg_type",
        "pg_proc",
        "pg_attribute",
        "pg_index",
        "pg_statistic",
        "pg_database",
        "pg_settings",
        "pg_stat_activity",
        "pg_operator",
    ] {
        let all = rows(&e, query(&format!("SELECT * FROM {table}"))).await;
        assert!(!all.is_empty(), "{table}");
    }
    let acls =
        rows(&e, query("SELECT relacl, relacl::text FROM pg_class WHERE relacl IS NOT NULL")).await;
    assert!(acls.iter().all(|row| row[0].starts_with("[\"") && row[1].starts_with("\"{")));
}

#[tokio::test]
async fn columns_are_known_without_rows() {
    let e = engine(|_| {});
    let sql = "SELECT true AS b, 1 AS i, 1.5 AS n, 'x'::text AS t, now()::date AS d, now() AS at, ''::bytea AS y, \
               '{}'::jsonb AS j, '{1}'::int[] AS a, '1 day'::interval AS v WHERE false";
    let (collected, result) = run(&e, query(sql)).await;
    result.unwrap();
    assert_eq!((collected.columns_calls, collected.rows.len()), (1, 0));
    let kinds: Vec<_> = collected.columns.iter().map(|c| (c.name.as_str(), c.kind)).collect();
    let expected = [
        ("b", ColumnKind::Boolean),
        ("i", ColumnKind::Integer),
        ("n", ColumnKind::Number),
        ("t", ColumnKind::Text),
        ("d", ColumnKind::Date),
        ("at", ColumnKind::DateTime),
        ("y", ColumnKind::Binary),
        ("j", ColumnKind::Json),
        ("a", ColumnKind::Json),
        ("v", ColumnKind::Text),
    ];
    assert_eq!(kinds, expected);
    let deadline = Instant::now() + Duration::from_secs(10);
    assert_eq!(e.describe(sql, deadline).await.unwrap(), collected.columns);
    assert!(e.describe("SELECT nothing", deadline).await.is_err());
    assert_eq!(
        e.describe("SELECT $1 IS NULL AS x", deadline).await.unwrap()[0].kind,
        ColumnKind::Boolean
    );
}
