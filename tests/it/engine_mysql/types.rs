//! Every column type, value by value.

use mysql_async::prelude::Queryable as _;
use tidegate::engines::{ColumnKind, Engine as _};

use super::{Out, admin, decimal, engine, one, prepare, query, rows, run, text};

/// Reads back what `literal` becomes in a column of `kind`.
struct Case {
    kind: &'static str,
    literal: &'static str,
    wanted: Out,
    column: ColumnKind,
}

fn case(kind: &'static str, literal: &'static str, wanted: Out, column: ColumnKind) -> Case {
    Case { kind, literal, wanted, column }
}

/// Puts all cases in one table, beside a row of NULLs, and reads them with the engine. `server_agrees`: they must also
/// be what the server prints for `CAST(… AS CHAR)`.
async fn check(table: &str, cases: Vec<Case>, server_agrees: bool) {
    let columns: Vec<_> =
        cases.iter().enumerate().map(|(i, case)| format!("c{i} {} NULL", case.kind)).collect();
    let values: Vec<_> = cases.iter().map(|case| case.literal).collect();
    prepare(&[&format!("DROP TABLE IF EXISTS {table}")]).await;
    let mut conn = admin().await;
    for statement in [
        "SET SESSION sql_mode = '', time_zone = '+00:00'".to_owned(),
        format!(
            "CREATE TABLE {table} (id INT PRIMARY KEY, {}) DEFAULT CHARACTER SET utf8mb4",
            columns.join(", ")
        ),
        format!("INSERT INTO {table} VALUES (1, {})", values.join(", ")),
        format!("INSERT INTO {table} (id) VALUES (2)"),
    ] {
        conn.query_drop(&statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    let engine = engine();
    let (sink, outcome) =
        run(&engine, query(&format!("SELECT * FROM {table} ORDER BY id"), &[])).await;
    outcome.unwrap();
    let told = sink.columns.unwrap();
    for (i, case) in cases.iter().enumerate() {
        let name = format!("{} {}", case.kind, case.literal);
        assert_eq!(sink.rows[0][i + 1], case.wanted, "{name}");
        assert_eq!(sink.rows[1][i + 1], Out::Null, "{name}: NULL");
        assert_eq!(told[i + 1].kind, case.column, "{name}");
        assert_eq!(told[i + 1].name, format!("c{i}"));
        if server_agrees {
            let sql = format!("SELECT CAST(c{i} AS CHAR) FROM {table} WHERE id = 1");
            let printed: Option<String> = conn.query_first(sql).await.unwrap();
            assert_eq!(plain(&case.wanted), printed.unwrap(), "{name}: as the server prints it");
        }
    }
    conn.disconnect().await.unwrap();
}

/// As the server prints it: without the `T` and `Z` of ISO 8601.
fn plain(out: &Out) -> String {
    match out {
        Out::Int(n) => n.to_string(),
        Out::UInt(n) => n.to_string(),
        Out::Float(n) => n.to_string(),
        Out::Float32(n) => n.to_string(),
        Out::Text(text) if text.as_bytes().get(10) == Some(&b'T') => {
            text.replacen('T', " ", 1).trim_end_matches('Z').to_owned()
        }
        Out::Text(text) | Out::Decimal(text) | Out::Json(text) => text.clone(),
        other => panic!("{other:?} has no plain text"),
    }
}

#[tokio::test]
async fn integers_to_their_extremes() {
    let int = |kind, literal, n| case(kind, literal, Out::Int(n), ColumnKind::Integer);
    let cases = vec![
        int("TINYINT", "-128", -128),
        int("TINYINT", "127", 127),
        int("TINYINT UNSIGNED", "255", 255),
        int("BOOL", "TRUE", 1),
        int("BOOL", "FALSE", 0),
        int("SMALLINT", "-32768", -32_768),
        int("SMALLINT UNSIGNED", "65535", 65_535),
        int("MEDIUMINT", "-8388608", -8_388_608),
        int("MEDIUMINT UNSIGNED", "16777215", 16_777_215),
        int("INT", "-2147483648", -2_147_483_648),
        int("INT UNSIGNED", "4294967295", 4_294_967_295),
        int("BIGINT", "-9223372036854775808", i64::MIN),
        int("BIGINT", "9223372036854775807", i64::MAX),
        int("BIGINT UNSIGNED", "9223372036854775807", i64::MAX),
        case("BIGINT UNSIGNED", "18446744073709551615", Out::UInt(u64::MAX), ColumnKind::Integer),
        int("YEAR", "1901", 1901),
        int("YEAR", "2155", 2155),
    ];
    check("t_integers", cases, true).await;
    // What only pads the print, or prints otherwise, is not in the number.
    let cases = vec![
        int("INT(8) ZEROFILL", "42", 42),
        int("YEAR", "0", 0),
        case("BIT(1)", "b'1'", Out::UInt(1), ColumnKind::Integer),
        case("BIT(9)", "b'100000001'", Out::UInt(257), ColumnKind::Integer),
        case("BIT(64)", "18446744073709551615", Out::UInt(u64::MAX), ColumnKind::Integer),
        case("DECIMAL(10,2) ZEROFILL", "7.5", decimal("7.50"), ColumnKind::Number),
        case("DECIMAL(10,2) ZEROFILL", "0", decimal("0.00"), ColumnKind::Number),
        case("DECIMAL(6) ZEROFILL", "0", decimal("0"), ColumnKind::Number),
    ];
    check("t_padded", cases, false).await;
}

#[tokio::test]
async fn decimals_and_floats_keep_their_digits() {
    let nines = "99999999999999999999999999999999999999999999999999999999999999999";
    assert_eq!(nines.len(), 65);
    let number = |kind, literal, out| case(kind, literal, out, ColumnKind::Number);
    let cases = vec![
        number("DECIMAL(65,0)", nines, decimal(nines)),
        number("DECIMAL(10,2)", "-12.50", decimal("-12.50")),
        number("NUMERIC(10,0)", "0", decimal("0")),
        number("DECIMAL(38,38)", "0.00000000000000000000000000000000000001", {
            decimal("0.00000000000000000000000000000000000001")
        }),
        number("FLOAT", "0.1", Out::Float32(0.1)),
        number("DOUBLE", "0.1", Out::Float(0.1)),
        number("DOUBLE", "123456789.125", Out::Float(123_456_789.125)),
    ];
    check("t_decimals", cases, true).await;
    // Of these the server prints fewer, or other, digits than they have.
    let cases = vec![
        number("DOUBLE", "1.7976931348623157e308", Out::Float(f64::MAX)),
        number("DOUBLE", "-2.2250738585072014e-308", Out::Float(-2.225_073_858_507_201_4e-308)),
        number("FLOAT", "3.402823466e38", Out::Float32(f32::MAX)),
        number("FLOAT", "-16777216", Out::Float32(-16_777_216.0)),
        number("FLOAT(7,2)", "1234.5", Out::Float32(1234.5)),
    ];
    check("t_extreme_floats", cases, false).await;
}

#[tokio::test]
async fn dates_and_times_as_the_server_prints_them() {
    let date = |literal, wanted| case("DATE", literal, text(wanted), ColumnKind::Date);
    let at = |kind, literal, wanted| case(kind, literal, text(wanted), ColumnKind::DateTime);
    let time = |kind, literal, wanted| case(kind, literal, text(wanted), ColumnKind::Text);
    let cases = vec![
        date("'2025-01-31'", "2025-01-31"),
        date("'0001-01-01'", "0001-01-01"),
        date("'9999-12-31'", "9999-12-31"),
        date("'0000-00-00'", "0000-00-00"),
        date("'2025-00-00'", "2025-00-00"),
        date("'2025-02-00'", "2025-02-00"),
        at("DATETIME", "'2025-01-31 10:00:00'", "2025-01-31T10:00:00"),
        at("DATETIME", "'0001-01-01 00:00:00'", "0001-01-01T00:00:00"),
        at("DATETIME", "'0000-00-00 00:00:00'", "0000-00-00T00:00:00"),
        at("DATETIME(1)", "'2025-01-31 10:00:00.5'", "2025-01-31T10:00:00.5"),
        at("DATETIME(3)", "'2025-01-31 10:00:00'", "2025-01-31T10:00:00.000"),
        at("DATETIME(6)", "'9999-12-31 23:59:59.999999'", "9999-12-31T23:59:59.999999"),
        at("DATETIME(6)", "'2025-01-31 10:00:00.000001'", "2025-01-31T10:00:00.000001"),
        at("TIMESTAMP", "'2025-01-31 10:00:00'", "2025-01-31T10:00:00Z"),
        at("TIMESTAMP", "'1970-01-01 00:00:01'", "1970-01-01T00:00:01Z"),
        at("TIMESTAMP", "'0000-00-00 00:00:00'", "0000-00-00T00:00:00Z"),
        at("TIMESTAMP(6)", "'2038-01-19 03:14:07.999999'", "2038-01-19T03:14:07.999999Z"),
        time("TIME", "'10:11:12'", "10:11:12"),
        time("TIME", "'00:00:00'", "00:00:00"),
        time("TIME", "'838:59:59'", "838:59:59"),
        time("TIME", "'-838:59:59'", "-838:59:59"),
        time("TIME", "'-00:00:01'", "-00:00:01"),
        time("TIME(6)", "'-00:00:00.000001'", "-00:00:00.000001"),
        time("TIME(2)", "'123:45:06.78'", "123:45:06.78"),
        time("TIME(2)", "'00:00:00'", "00:00:00.00"),
    ];
    check("t_times", cases, true).await;
}

#[tokio::test]
async fn timestamps_are_utc_wherever_the_server_is() {
    prepare(&["DROP TABLE IF EXISTS t_zone", "CREATE TABLE t_zone (at TIMESTAMP NULL)"]).await;
    let mut conn = admin().await;
    conn.query_drop("SET time_zone = '+08:00'").await.unwrap();
    conn.query_drop("INSERT INTO t_zone VALUES ('2025-01-31 10:00:00')").await.unwrap();
    assert_eq!(one(&engine(), "SELECT at FROM t_zone", &[]).await, text("2025-01-31T02:00:00Z"));
}

#[tokio::test]
async fn texts_of_every_character_set() {
    let out = |kind, literal, wanted| case(kind, literal, text(wanted), ColumnKind::Text);
    let cases = vec![
        out("CHAR(10)", "'潮闸 🌊'", "潮闸 🌊"),
        out("VARCHAR(10)", "''", ""),
        out("VARCHAR(20)", r"'a\'b\\c\n\0d'", "a'b\\c\n\0d"),
        out("VARCHAR(10) CHARACTER SET latin1", "'café'", "café"),
        out("VARCHAR(10) CHARACTER SET gbk", "'潮闸'", "潮闸"),
        out("VARCHAR(10) CHARACTER SET ucs2", "'潮闸'", "潮闸"),
        out("VARCHAR(10) COLLATE utf8mb4_bin", "'bin'", "bin"),
        out("TINYTEXT", "'tiny'", "tiny"),
        out("TEXT", "'text'", "text"),
        out("MEDIUMTEXT", "'medium'", "medium"),
        out("LONGTEXT", "'long'", "long"),
        out("LONGTEXT COLLATE utf8mb4_bin", "'{\"not\": \"checked\"}'", "{\"not\": \"checked\"}"),
        out("ENUM('小','large')", "'小'", "小"),
        out("ENUM('a') CHARACTER SET binary", "'a'", "a"),
        out("SET('a','b','c')", "'c,a'", "a,c"),
        out("SET('a')", "''", ""),
    ];
    check("t_texts", cases, true).await;
}

#[tokio::test]
async fn bytes_stay_bytes() {
    let out = |kind, literal, wanted: &[u8]| {
        case(kind, literal, Out::Bytes(wanted.to_vec()), ColumnKind::Binary)
    };
    let cases = vec![
        out("BINARY(4)", "x'00ff'", &[0, 255, 0, 0]),
        out("VARBINARY(4)", "x'00ff'", &[0, 255]),
        out("VARBINARY(4)", "''", &[]),
        out("TINYBLOB", "x'80'", &[0x80]),
        out("BLOB", "x'c328'", &[0xc3, 0x28]),
        out("MEDIUMBLOB", "'abc'", b"abc"),
        out("LONGBLOB", "x'00'", &[0]),
    ];
    check("t_bytes", cases, false).await;
    let point = one(&engine(), "SELECT POINT(1, 2)", &[]).await;
    let Out::Bytes(bytes) = point else { panic!("{point:?}") };
    assert_eq!(bytes.len(), 25, "SRID and well-known binary");
}

#[tokio::test]
async fn json_columns_are_json_and_nothing_else_is() {
    prepare(&[
        "DROP TABLE IF EXISTS t_json",
        "CREATE TABLE t_json (id INT, j JSON, t LONGTEXT COLLATE utf8mb4_bin, `a``b` JSON)",
        r#"INSERT INTO t_json VALUES (1, '{"a": [1, 2.50, null, "潮"]}', '{"a": 1}', '1')"#,
        "INSERT INTO t_json VALUES (2, NULL, NULL, NULL)",
        "INSERT INTO t_json VALUES (3, '\"text\"', 'x', '[]')",
    ])
    .await;
    let json = |json: &str| Out::Json(json.to_owned());
    let engine = engine();
    let select = "SELECT j, t, `a``b` FROM t_json ORDER BY id";
    for attempt in 0..2 {
        let (sink, outcome) = run(&engine, query(select, &[])).await;
        outcome.unwrap();
        let kinds: Vec<_> = sink.columns.unwrap().iter().map(|column| column.kind).collect();
        assert_eq!(kinds, [ColumnKind::Json, ColumnKind::Text, ColumnKind::Json], "{attempt}");
        assert_eq!(
            sink.rows[0],
            [json(r#"{"a": [1, 2.50, null, "潮"]}"#), text(r#"{"a": 1}"#), json("1")]
        );
        assert_eq!(sink.rows[1], [Out::Null, Out::Null, Out::Null]);
        assert_eq!(sink.rows[2], [json("\"text\""), text("x"), json("[]")]);
    }
    let derived = "SELECT x.j FROM (SELECT j FROM t_json WHERE id = ? LIMIT 1) x";
    assert_eq!(
        one(&engine, derived, &[tidegate::engines::Bind::Int(3)]).await,
        json("\"text\""),
        "through a derived table"
    );
    let told = engine
        .describe(select, std::time::Instant::now() + std::time::Duration::from_secs(5))
        .await
        .unwrap();
    assert_eq!(told[0].kind, ColumnKind::Json);
    assert_eq!(told[1].kind, ColumnKind::Text);
}

#[tokio::test]
async fn what_only_mariadb_has() {
    let engine = engine();
    let Out::Text(version) = one(&engine, "SELECT VERSION()", &[]).await else { panic!() };
    if !version.contains("MariaDB") {
        return;
    }
    let out = |kind, literal, wanted| case(kind, literal, text(wanted), ColumnKind::Text);
    let cases = vec![
        out("INET6", "'2001:db8::ff00:42:8329'", "2001:db8::ff00:42:8329"),
        out("INET4", "'192.0.2.1'", "192.0.2.1"),
        out("UUID", "'123e4567-e89b-12d3-a456-426655440000'", {
            "123e4567-e89b-12d3-a456-426655440000"
        }),
    ];
    check("t_mariadb", cases, true).await;
}

#[tokio::test]
async fn generated_and_invisible_columns_expressions_and_unions() {
    prepare(&[
        "DROP TABLE IF EXISTS t_generated",
        "CREATE TABLE t_generated (a INT, twice INT AS (a * 2) STORED, \
         note VARCHAR(10) AS (CONCAT('n', a)) VIRTUAL, hidden INT INVISIBLE DEFAULT 7)",
        "INSERT INTO t_generated (a) VALUES (1), (2)",
    ])
    .await;
    let engine = engine();
    assert_eq!(
        rows(&engine, "SELECT * FROM t_generated WHERE a = 2", &[]).await,
        [[Out::Int(2), Out::Int(4), text("n2")]]
    );
    assert_eq!(one(&engine, "SELECT hidden FROM t_generated WHERE a = 1", &[]).await, Out::Int(7));
    for (sql, wanted) in [
        ("SELECT COUNT(*) FROM t_generated", Out::Int(2)),
        ("SELECT SUM(a) FROM t_generated", decimal("3")),
        ("SELECT AVG(a) FROM t_generated", decimal("1.5000")),
        ("SELECT SUM(a) FROM t_generated WHERE a > 5", Out::Null),
        ("SELECT 1 / 3", decimal("0.3333")),
        ("SELECT 1 = 1", Out::Int(1)),
        ("SELECT BIT_OR(a) FROM t_generated", Out::Int(3)),
        ("SELECT NULL", Out::Null),
        ("SELECT 0x4142", Out::Bytes(b"AB".to_vec())),
        ("SELECT CONCAT(1, '-', 2)", text("1-2")),
        ("SELECT SQRT(2)", Out::Float(std::f64::consts::SQRT_2)),
        ("SELECT TIMESTAMP'2025-01-31 10:00:00.25'", text("2025-01-31T10:00:00.25")),
        ("SELECT CAST('10:00' AS TIME)", text("10:00:00")),
        ("SELECT MAX(x) FROM (SELECT 1 AS x UNION SELECT 2.5) u", decimal("2.5")),
        ("SELECT GROUP_CONCAT(a ORDER BY a) FROM t_generated", text("1,2")),
    ] {
        assert_eq!(one(&engine, sql, &[]).await, wanted, "{sql}");
    }
    let mixed = rows(&engine, "SELECT 1 UNION ALL SELECT 'b' UNION ALL SELECT NULL", &[]).await;
    assert_eq!(mixed, [[text("1")], [text("b")], [Out::Null]]);
    let twins = rows(&engine, "SELECT 1 AS x, 2 AS x", &[]).await;
    assert_eq!(twins, [[Out::Int(1), Out::Int(2)]]);
}
