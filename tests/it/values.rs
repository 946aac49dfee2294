//! Values of every usual type, from the table to the answer: equal to what the database's own client prints.

use base64::Engine as _;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::support::databases::{Bench, Kind, on_each};
use crate::support::{Tidegate, tables};

/// How the answer says what the client prints.
#[derive(Clone, Copy)]
enum As {
    /// The same digits.
    Digits,
    /// The nearest double.
    Float,
    Text,
    Bool,
    /// The client prints hexadecimal digits.
    Binary,
    Json,
}

struct Column {
    kind: &'static str,
    values: [&'static str; 3],
    form: As,
    /// What the client is asked for, with `$` for the column.
    print: &'static str,
}

const fn column(kind: &'static str, values: [&'static str; 3], form: As) -> Column {
    Column { kind, values, form, print: "$" }
}

const fn shown(
    kind: &'static str,
    values: [&'static str; 3],
    form: As,
    print: &'static str,
) -> Column {
    Column { kind, values, form, print }
}

const TEXTS: [&str; 3] = ["''", "'潮闸 😀 \"x\" <&> {}'", "'it''s'"];
const DATES: [&str; 3] = ["'2024-02-29'", "'1970-01-01'", "'9999-12-31'"];

const SQLITE: &[Column] = &[
    column("BIGINT", ["9223372036854775807", "-9223372036854775808", "0"], As::Digits),
    shown("DOUBLE", ["0.1", "-1.7976931348623157e308", "5e-324"], As::Float, "printf('%!.17g', $)"),
    column("DECIMAL(20,2)", ["12", "9007199254740993", "-1"], As::Digits),
    column("TEXT", TEXTS, As::Text),
    column("DATE", DATES, As::Text),
    column("BOOLEAN", ["1", "0", "1"], As::Bool),
    shown("BLOB", ["x'00ff10'", "x''", "x'414243'"], As::Binary, "hex($)"),
    column("JSON", ["'{\"a\":[1,2.50]}'", "'[]'", "'null'"], As::Json),
];

const POSTGRES: &[Column] = &[
    column("smallint", ["32767", "-32768", "0"], As::Digits),
    column("integer", ["2147483647", "-2147483648", "0"], As::Digits),
    column("bigint", ["9223372036854775807", "-9223372036854775808", "0"], As::Digits),
    column(
        "numeric(38,10)",
        ["9999999999999999999999999999.9999999999", "-0.0000000001", "1"],
        As::Digits,
    ),
    column("numeric", ["12.50", "123456789012345678901234567890.0100", "0.00"], As::Digits),
    column("real", ["0.1", "3.4028235e38", "-1e-37"], As::Float),
    column("double precision", ["0.1", "1.7976931348623157e308", "-5e-324"], As::Float),
    column("text", TEXTS, As::Text),
    column("varchar(20)", ["'a'", "'潮'", "''"], As::Text),
    column(
        "uuid",
        [
            "'00000000-0000-0000-0000-000000000000'",
            "'f47ac10b-58cc-4372-a567-0e02b2c3d479'",
            "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
        ],
        As::Text,
    ),
    column("boolean", ["true", "false", "true"], As::Bool),
    column("date", DATES, As::Text),
    column("time", ["'00:00:00'", "'23:59:59.999999'", "'12:30'"], As::Text),
    shown(
        "timestamp",
        ["'2025-01-31 10:00:00.5'", "'1970-01-01'", "'2024-02-29 23:59:59'"],
        As::Text,
        "to_json($)#>>'{}'",
    ),
    shown(
        "timestamptz",
        ["'2025-01-31 10:00:00+08'", "'1970-01-01Z'", "'2024-02-29 23:59:59.25-05'"],
        As::Text,
        "replace(to_json($ AT TIME ZONE 'UTC')#>>'{}' || 'Z', '+00:00', '')",
    ),
    shown("bytea", ["'\\x00ff10'", "'\\x'", "'\\x414243'"], As::Binary, "encode($, 'hex')"),
    column("json", ["'{\"a\": [1, 2.50]}'", "'[]'", "'null'"], As::Json),
    column("jsonb", ["'{\"a\": [1, 2.50]}'", "'\"x\"'", "'9007199254740993'"], As::Json),
    shown("integer[]", ["'{1,2,3}'", "'{}'", "'{null}'"], As::Json, "to_json($)"),
    shown("text[]", ["'{a,\"b c\"}'", "'{}'", "'{null,\"\"}'"], As::Json, "to_json($)"),
    column("inet", ["'10.0.0.0/8'", "'::1'", "'127.0.0.1'"], As::Text),
];

const MARIADB: &[Column] = &[
    column("TINYINT", ["127", "-128", "0"], As::Digits),
    column("INT UNSIGNED", ["4294967295", "0", "1"], As::Digits),
    column("BIGINT", ["9223372036854775807", "-9223372036854775808", "0"], As::Digits),
    column("BIGINT UNSIGNED", ["18446744073709551615", "0", "1"], As::Digits),
    column(
        "DECIMAL(65,30)",
        [
            "99999999999999999999999999999999999.999999999999999999999999999999",
            "-0.000000000000000000000000000001",
            "0",
        ],
        As::Digits,
    ),
    column("DECIMAL(10,2)", ["12.50", "-99999999.99", "0"], As::Digits),
    column("FLOAT", ["0.1", "3.4028e38", "-1e-37"], As::Float),
    column("DOUBLE", ["0.1", "1.7976931348623157e308", "-2.2250738585072014e-308"], As::Float),
    column("VARCHAR(60)", TEXTS, As::Text),
    column("LONGTEXT", TEXTS, As::Text),
    column("DATE", DATES, As::Text),
    column("TIME(6)", ["'00:00:00'", "'838:59:59.999999'", "'-01:30:00.5'"], As::Text),
    shown(
        "DATETIME",
        ["'2025-01-31 10:00:00'", "'1000-01-01 00:00:00'", "'9999-12-31 23:59:59'"],
        As::Text,
        "replace($, ' ', 'T')",
    ),
    shown("VARBINARY(8)", ["x'00ff10'", "x''", "x'414243'"], As::Binary, "hex($)"),
    shown("BLOB", ["x'00ff10'", "x''", "x'414243'"], As::Binary, "hex($)"),
    column("ENUM('a','潮')", ["'a'", "'潮'", "'a'"], As::Text),
    column("SET('a','b')", ["'a,b'", "''", "'b'"], As::Text),
    column("YEAR", ["2025", "1901", "2155"], As::Digits),
    column("JSON", ["'{\"a\": [1, 2.50]}'", "'[]'", "'null'"], As::Json),
];

fn columns(kind: Kind) -> &'static [Column] {
    match kind {
        Kind::Sqlite => SQLITE,
        Kind::Postgres => POSTGRES,
        Kind::MariaDb => MARIADB,
    }
}

/// Three rows of values and one of NULLs in `v`, served as `values`.
fn fill(bench: &Bench) -> Tidegate {
    let columns = columns(bench.kind);
    let kinds: Vec<_> =
        columns.iter().enumerate().map(|(i, c)| format!("c{i} {} NULL", c.kind)).collect();
    let mut sql = format!("CREATE TABLE v (id INTEGER PRIMARY KEY, {});\n", kinds.join(", "));
    for row in 0..3 {
        let values: Vec<_> = columns.iter().map(|column| column.values[row]).collect();
        sql += &format!("INSERT INTO v VALUES ({}, {});\n", row + 1, values.join(", "));
    }
    sql += "INSERT INTO v (id) VALUES (4);\n";
    bench.sql(&sql);
    bench.interface("code: values\nquery_template: SELECT * FROM v ORDER BY id LIMIT 10\n");
    bench.serve()
}

/// What the client prints, by row and column; `None` for NULL.
fn printed(bench: &Bench) -> Vec<Vec<Option<String>>> {
    let columns = columns(bench.kind).iter().enumerate();
    let asked: Vec<String> = columns
        .flat_map(|(i, column)| {
            let name = format!("c{i}");
            [
                format!("CASE WHEN {name} IS NULL THEN 1 ELSE 0 END"),
                column.print.replace('$', &name),
            ]
        })
        .collect();
    let out = bench.sql(&format!("SELECT {} FROM v ORDER BY id;\n", asked.join(", ")));
    let row = |line: &str| {
        let cells: Vec<_> = line.split('\t').collect();
        cells.chunks(2).map(|c| (c[0] == "0").then(|| c[1].to_owned())).collect()
    };
    out.lines().map(row).collect()
}

/// The raw JSON of each cell, by row and column.
fn raw_rows(body: &str) -> Vec<Vec<String>> {
    #[derive(Deserialize)]
    struct Raw<'a> {
        #[serde(borrow)]
        data: Vec<&'a RawValue>,
    }
    let raw: Raw<'_> = serde_json::from_str(body).unwrap();
    raw.data.iter().map(|row| raw_cells(row.get())).collect()
}

fn raw_cells(row: &str) -> Vec<String> {
    let mut cells = Vec::new();
    let names = serde_json::from_str::<serde_json::Map<String, Value>>(row).unwrap();
    let by_name: std::collections::HashMap<String, Box<RawValue>> =
        serde_json::from_str(row).unwrap();
    for name in names.keys().filter(|name| *name != "id") {
        cells.push(by_name[name].get().to_owned());
    }
    cells
}

#[test]
fn json_says_what_the_client_prints() {
    on_each(|bench| {
        let gateway = fill(bench);
        let answer = gateway.get("/data-api/values");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let text = answer.text();
        let rows = raw_rows(&text);
        let expected = printed(bench);
        assert_eq!((rows.len(), expected.len()), (4, 4), "{text}");
        for (number, (row, expected)) in rows.iter().zip(&expected).enumerate() {
            assert_eq!(row.len(), expected.len());
            for ((column, raw), expected) in columns(bench.kind).iter().zip(row).zip(expected) {
                let what = format!("{} {} in row {number}: {raw}", column.kind, column.print);
                match expected {
                    None => assert_eq!(raw, "null", "{what}"),
                    Some(expected) => same(column.form, raw, expected, &what),
                }
            }
        }
        assert!(rows[3].iter().all(|cell| cell == "null"));
    });
}

fn same(form: As, raw: &str, expected: &str, what: &str) {
    let text = || serde_json::from_str::<String>(raw).expect(what);
    match form {
        As::Digits => assert_eq!(raw, expected, "{what}"),
        As::Float => {
            let number = |text: &str| text.parse::<f64>().unwrap();
            // Four-byte floats print as few digits as tell them from others of four bytes.
            assert!(
                number(raw).to_bits() == number(expected).to_bits()
                    || raw.parse::<f32>().unwrap() == expected.parse::<f32>().unwrap(),
                "{what}: {expected}"
            );
        }
        As::Text => assert_eq!(text(), expected, "{what}"),
        As::Bool => {
            let truth = matches!(expected, "t" | "1");
            assert_eq!(raw, if truth { "true" } else { "false" }, "{what}");
        }
        As::Binary => {
            let bytes = base64::prelude::BASE64_STANDARD.decode(text()).unwrap();
            let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
            assert_eq!(hex, expected.to_uppercase(), "{what}");
        }
        As::Json => {
            assert_eq!(plain_json(raw), plain_json(expected), "{what}");
        }
    }
}

/// JSON text without the spaces that engines put between its values; none of the test's texts hold any but one.
fn plain_json(text: &str) -> String {
    text.replace(": ", ":").replace(", ", ",")
}

#[test]
fn other_forms_hold_the_same_values() {
    on_each(|bench| {
        let gateway = fill(bench);
        let json = gateway.get("/data-api/values").text();
        let rows = raw_rows(&json);

        let ndjson = gateway.get("/data-api/values?format=ndjson");
        assert_eq!(ndjson.header("content-type"), Some("application/x-ndjson"));
        let lines: Vec<_> = ndjson.text().lines().map(raw_cells).collect();
        assert_eq!(lines, rows);

        let csv = gateway.get("/data-api/values?format=csv");
        assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
        let records = tables::csv(&csv.text());
        let names: Vec<_> = records[0].iter().flatten().map(String::as_str).collect();
        assert_eq!((names[0], names[1], names.len()), ("id", "c0", rows[0].len() + 1));
        for (record, row) in records[1..].iter().zip(&rows) {
            for ((field, raw), column) in record[1..].iter().zip(row).zip(columns(bench.kind)) {
                let expected = match (serde_json::from_str(raw).unwrap(), column.form) {
                    (Value::Null, _) if record[0].as_deref() == Some("4") => None,
                    (Value::String(text), form) if !matches!(form, As::Json) => Some(text),
                    _ => Some(raw.clone()),
                };
                assert_eq!(*field, expected, "{} {raw}", column.kind);
            }
        }
        assert_eq!(records.len(), 5);
    });
}

#[test]
fn a_workbook_holds_numbers_days_and_texts() {
    on_each(|bench| {
        let kind = bench.pick("DECIMAL", "numeric(30,2)", "DECIMAL(30,2)");
        bench.sql(&format!(
            "CREATE TABLE w (id INTEGER PRIMARY KEY, n {kind}, big BIGINT, d DATE, t VARCHAR(40), b BOOLEAN);
             INSERT INTO w VALUES (1, 12.5, 9007199254740993, '2025-01-31', '=1+1 & <b>', true);
             INSERT INTO w (id) VALUES (2);"
        ));
        bench.interface("code: book\nquery_template: SELECT * FROM w ORDER BY id LIMIT 10\n");
        let gateway = bench.serve();
        let answer = gateway.get("/data-api/book?format=xlsx");
        let disposition = answer.header("content-disposition").unwrap();
        assert!(disposition.contains("filename=\"book.xlsx\""), "{disposition}");
        let rows = tables::sheet(&answer.body);
        assert_eq!(rows[0], ["id", "n", "big", "d", "t", "b"]);
        assert_eq!(rows[1][0], "1");
        assert_eq!(rows[1][1].parse(), Ok(12.5));
        assert_eq!(rows[1][2], "9007199254740993", "digits that a double cannot hold");
        assert_eq!(rows[1][3].parse(), Ok(45_688.0), "days since 1899-12-30");
        assert_eq!(rows[1][4], "=1+1 & <b>");
        assert_eq!(rows[1][5], "1");
        assert_eq!(rows[2], ["2"], "NULL is an empty cell");
    });
}

#[test]
fn texts_arrive_as_they_are() {
    let text = "tab\t line\nreturn\r quote\" back\\slash \u{1} \u{7f} 潮闸 😀 \u{2028} %s :x {{ x }} é e\u{301}";
    on_each(|bench| {
        bench.interface(
            "code: echo\nmethod: POST\nparameters: [{name: t, type: string}]\n\
             query_template: 'SELECT :t AS t, 1 AS n'\n",
        );
        let gateway = bench.serve();
        let body = json!({ "t": text }).to_string();
        let answer = gateway.post("/data-api/echo", &body);
        assert_eq!(answer.data(), json!([{ "t": text, "n": 1 }]));
        let csv = gateway.post("/data-api/echo?format=csv", &body);
        assert_eq!(tables::csv(&csv.text())[1], [Some(text.to_owned()), Some("1".to_owned())]);
        let lines = gateway.post("/data-api/echo?format=ndjson", &body).text();
        assert_eq!(lines.lines().count(), 1, "a line is a row");
        assert_eq!(serde_json::from_str::<Value>(&lines).unwrap()["t"], text);
    });
}
