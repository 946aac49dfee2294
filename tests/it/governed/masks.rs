//! Every mask on every engine, on every type of column that it is for.

use serde_json::{Value, json};

use super::{Policy, governed};
use crate::support::databases::{KINDS, Kind, on_each};

const SQL: &str = "
    CREATE TABLE person (id INTEGER PRIMARY KEY, name VARCHAR(40), phone VARCHAR(20), mail VARCHAR(60), born DATE, seen TIMESTAMP, salary DECIMAL(10, 2), age INTEGER);
    INSERT INTO person VALUES (1, 'Ann Lee', '13812345678', 'ann@example.com', '1990-05-06', '2025-03-04 05:06:07', 1234.56, 37),
      (2, '张三', '5678', 'nobody', '2000-01-01', '2024-12-31 23:59:59', 99.50, 4), (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL);";

/// What the caller sees in a column under a mask, by id.
fn masked(kind: Kind, column: &str, mask: &str) -> Vec<Value> {
    let bench = governed(kind, SQL);
    let grant = format!("table: person, columns: {{mask: {{{column}: {mask}}}}}");
    Policy { claims: "dept: hr", roles: &[&grant] }.write(&bench);
    bench.interface(&format!(
        "code: people\nquery_template: SELECT id, {column} FROM person ORDER BY id LIMIT 10"
    ));
    let data = bench.serve().get("/data-api/people").data();
    data.as_array().unwrap().iter().map(|row| row[column].clone()).collect()
}

#[test]
fn texts_show_an_end_or_nothing() {
    for (mask, seen) in [
        ("last4", json!(["****5678", "****", null])),
        ("first4", json!(["1381****", "****", null])),
        ("partial", json!(["138****5678", "****", null])),
        ("{partial: {prefix: 1, suffix: 1}}", json!(["1****8", "5****8", null])),
        ("{partial: {suffix: 3}}", json!(["****678", "****678", null])),
        ("redact", json!(["****", "****", null])),
        ("null", json!([null, null, null])),
        ("\"null\"", json!([null, null, null])),
        ("{sql: \"CASE WHEN id = 1 THEN 'one' ELSE phone END\"}", json!(["one", "5678", null])),
        ("\"UPPER(name)\"", json!(["ANN LEE", "张三", null])),
        (
            "{sql: \"CASE WHEN $principal.claims.dept = 'hr' THEN phone END\"}",
            json!(["13812345678", "5678", null]),
        ),
    ] {
        for kind in KINDS {
            assert_eq!(json!(masked(kind, "phone", mask)), seen, "{mask} on {kind:?}");
        }
    }
}

#[test]
fn addresses_keep_their_domain() {
    for kind in KINDS {
        let seen = json!(["a****@example.com", "****", null]);
        assert_eq!(json!(masked(kind, "mail", "email")), seen, "{kind:?}");
    }
}

#[test]
fn dates_keep_their_year_and_their_type() {
    for kind in KINDS {
        let seen = json!(["1990-01-01", "2000-01-01", null]);
        assert_eq!(json!(masked(kind, "born", "year")), seen, "{kind:?}");
        let years: Vec<Value> = masked(kind, "seen", "year");
        for (at, year) in [(0, "2025-01-01"), (1, "2024-01-01")] {
            assert!(years[at].as_str().unwrap().starts_with(year), "{kind:?}: {years:?}");
            assert!(!years[at].as_str().unwrap().contains("05:06"), "{kind:?}: {years:?}");
        }
    }
}

#[test]
fn numbers_are_rounded() {
    for kind in KINDS {
        let numbers = |mask: &str, column: &str| -> Vec<Option<f64>> {
            masked(kind, column, mask).iter().map(Value::as_f64).collect()
        };
        assert_eq!(numbers("round", "salary"), [Some(1235.0), Some(100.0), None], "{kind:?}");
        assert_eq!(
            numbers("{round: 100}", "salary"),
            [Some(1200.0), Some(100.0), None],
            "{kind:?}"
        );
        assert_eq!(numbers("round", "age"), [Some(40.0), Some(0.0), None], "{kind:?}");
        // Neither a type of the database's own nor a decimal of whole numbers shows them as they are.
        if kind != Kind::Sqlite {
            let bench = governed(kind, "");
            if kind == Kind::Postgres {
                bench.sql("CREATE DOMAIN pay AS int;");
            }
            let own = if kind == Kind::Postgres { "pay" } else { "DECIMAL(10, 0)" };
            bench.sql(&format!(
                "CREATE TABLE w (a {own}, b NUMERIC(8, 0)); INSERT INTO w VALUES (12344, 77);"
            ));
            Policy { claims: "", roles: &["table: w, columns: {mask: {a: round, b: round}}"] }
                .write(&bench);
            bench.interface("code: w\nquery_template: SELECT a, b FROM w LIMIT 1");
            let row = bench.serve().get("/data-api/w").data()[0].clone();
            assert_eq!(
                (row["a"].as_f64(), row["b"].as_f64()),
                (Some(12340.0), Some(80.0)),
                "{kind:?}"
            );
        }
        // What is no number shows nothing.
        assert_eq!(masked(kind, "name", "round"), [Value::Null, Value::Null, Value::Null]);
        assert_eq!(masked(kind, "salary", "redact"), [Value::Null, Value::Null, Value::Null]);
    }
}

/// The same key makes the same hash, on every engine, of numbers and texts; without the key it is not to be had.
#[test]
fn hashes_are_keyed_and_equal_everywhere() {
    let mut seen = Vec::new();
    for kind in KINDS {
        let bench = governed(kind, SQL);
        let grant = "table: person, columns: {mask: {phone: hash, name: hash}}";
        Policy { claims: "", roles: &[grant] }.write(&bench);
        bench.interface(
            "code: people\nquery_template: SELECT name, phone FROM person ORDER BY id LIMIT 10",
        );
        bench.interface("code: one\nparameters: [{name: phone}]\nquery_template: SELECT id FROM person WHERE phone = :phone");
        bench.tree.write("secrets/mask", "a key of thirty-two characters ok");
        let gateway = bench.tree.serve_with(&["--mask-key-file", "secrets/mask"]);
        let data = gateway.get("/data-api/people").data();
        let hash = data[0]["phone"].as_str().unwrap().to_owned();
        assert_eq!(gateway.get(&format!("/data-api/one?phone={hash}")).data(), json!([{"id": 1}]));
        assert_eq!(gateway.get("/data-api/one?phone=13812345678").data(), json!([]));
        seen.push(data);
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
    // HMAC-SHA-256, as openssl has it: echo -n 13812345678 | openssl dgst -sha256 -hmac KEY
    let phone = seen[0][0]["phone"].as_str().unwrap();
    let mut openssl = std::process::Command::new("openssl")
        .args(["dgst", "-sha256", "-hmac", "a key of thirty-two characters ok"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut openssl.stdin.take().unwrap(), b"13812345678").unwrap();
    let out = String::from_utf8(openssl.wait_with_output().unwrap().stdout).unwrap();
    assert!(out.trim().ends_with(phone), "{out} is not {phone}");
    assert_eq!(seen[0][2], json!({"name": null, "phone": null}));
}

/// Conditions, orders and groups see what the caller sees.
#[test]
fn nobody_probes_what_is_masked() {
    on_each(|bench| {
        bench.sql(SQL);
        bench.datasource("governed: true");
        let grant = "table: person, columns: {mask: {phone: last4}}";
        Policy { claims: "", roles: &[grant] }.write(bench);
        bench.interface(
            "code: find\nparameters: [{name: like}]\npagination: {enabled: true}\n\
             query_template: SELECT id FROM person WHERE phone LIKE :like",
        );
        let gateway = bench.serve();
        let found = |like: &str| {
            let answer = gateway.get(&format!("/data-api/find?like={like}"));
            (answer.data().as_array().unwrap().len(), answer.json()["meta"]["total"].clone())
        };
        assert_eq!(found("138%25"), (0, json!(0)));
        assert_eq!(found("%255678"), (1, json!(1)));
    });
}
