//! Parameters at the database: each type against its columns, lists, and values that no column takes.

use serde_json::json;

use crate::support::databases::{Kind, on_each};

/// Percent codes for everything but letters and digits.
fn encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[test]
fn typed_values_meet_their_columns() {
    on_each(|bench| {
        let (decimal, time) = (
            bench.pick("TEXT", "numeric(30,10)", "DECIMAL(30,10)"),
            bench.pick("TEXT", "timestamptz", "DATETIME"),
        );
        bench.sql(&format!(
            "CREATE TABLE p (id INTEGER PRIMARY KEY, day DATE, price {decimal}, ok BOOLEAN, seen {time}, name VARCHAR(100));
             INSERT INTO p VALUES (1, '2025-01-31', '12345678901234567890.0000000001', true, '2025-01-31 10:00:00', 'it''s %_ \"潮\"'),
             (2, '2025-02-01', '0.1000000000', false, '2025-02-01 00:00:00', 'b'), (3, NULL, NULL, NULL, NULL, NULL);"
        ));
        let filters = "(:day IS NULL OR day = :day) AND (:ok IS NULL OR ok = :ok) AND \
                       (:name IS NULL OR name = :name) AND (:price IS NULL OR price = :price) AND \
                       (:seen IS NULL OR seen >= :seen)";
        bench.interface(&format!(
            "code: find\nparameters:\n  - {{name: day, type: date}}\n  - {{name: ok, type: boolean}}\n\
             \x20 - {{name: name, type: string}}\n  - {{name: price, type: number}}\n  - {{name: seen, type: datetime}}\n\
             query_template: >-\n  SELECT id FROM p WHERE {filters} ORDER BY id LIMIT 10\n"
        ));
        bench.interface(
            "code: some\nparameters:\n  - {name: ids, type: array, items: {type: integer}}\n\
             \x20 - {name: names, type: array}\n  - {name: days, type: array, items: {type: date}}\n  - {name: no, type: array, items: {type: integer}}\n\
             query_template: |\n  SELECT id FROM p WHERE id > 0\n\
             \x20 {% if ids is not none %} AND id IN (:ids) {% endif %}{% if names is not none %} AND name IN :names {% endif %}\n\
             \x20 {% if days is not none %} AND day IN ({{ days }}) {% endif %}{% if no is not none %} AND id NOT IN (:no) {% endif %}\n\
             \x20 ORDER BY id LIMIT 5000\n",
        );
        let gateway = bench.serve();
        let ids = |path: &str| -> Vec<i64> {
            let data = gateway.get(path).data();
            data.as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect()
        };
        for (query, expected) in [
            ("", vec![1, 2, 3]),
            ("day=2025-01-31", vec![1]),
            ("ok=false", vec![2]),
            ("ok=1", vec![1]),
            ("price=12345678901234567890.0000000001", vec![1]),
            ("price=12345678901234567890.0000000002", vec![]),
            ("seen=2025-01-31T18:00:00%2B08:00", vec![1, 2]),
            ("seen=2025-01-31T10:00:01Z", vec![2]),
            ("day=2025-01-31&ok=false", vec![]),
        ] {
            assert_eq!(ids(&format!("/data-api/find?{query}")), expected, "find {query}");
        }
        assert_eq!(ids(&format!("/data-api/find?name={}", encode("it's %_ \"潮\""))), [1]);
        assert_eq!(ids(&format!("/data-api/find?name={}", encode("' OR '1'='1"))), [] as [i64; 0]);
        let thousand: Vec<_> = (1..=1_000).map(|n| n.to_string()).collect();
        for (query, expected) in [
            ("ids=1,3".to_owned(), vec![1, 3]),
            ("ids=1&ids=2&ids=9".to_owned(), vec![1, 2]),
            (format!("ids={}", thousand.join(",")), vec![1, 2, 3]),
            ("names=b&names=x,y".to_owned(), vec![2]),
            ("days=2025-01-31,2025-02-01".to_owned(), vec![1, 2]),
            ("no=1,2".to_owned(), vec![3]),
        ] {
            assert_eq!(ids(&format!("/data-api/some?{query}")), expected, "some {query}");
        }
        let many = format!("ids={}&ids=1", thousand.join("&ids="));
        let refused = gateway.get(&format!("/data-api/some?{many}")).refusal();
        assert_eq!(refused.2, [("ids".to_owned(), "max_items".to_owned())]);
        // `names=` is a list of one empty text; no number is empty.
        assert_eq!(gateway.get("/data-api/some?ids=").refusal().2[0].1, "type");
        assert_eq!(ids("/data-api/some?names="), [] as [i64; 0]);
    });
}

#[test]
fn lists_of_nothing_match_nothing() {
    on_each(|bench| {
        bench.sql("CREATE TABLE p (id INTEGER PRIMARY KEY); INSERT INTO p VALUES (1), (2);");
        bench.interface(
            "code: some\nmethod: POST\nparameters: [{name: ids, type: array, items: {type: integer}, required: true}]\n\
             query_template: SELECT id FROM p WHERE id IN (:ids) ORDER BY id\n",
        );
        bench.interface(
            "code: others\nmethod: POST\nparameters: [{name: ids, type: array, items: {type: integer}, required: true}]\n\
             query_template: SELECT id FROM p WHERE id NOT IN (:ids) ORDER BY id\n",
        );
        let gateway = bench.serve();
        for (code, body, expected) in [
            ("some", "{\"ids\": []}", json!([])),
            ("some", "{\"ids\": [2]}", json!([{"id": 2}])),
            ("others", "{\"ids\": []}", json!([{"id": 1}, {"id": 2}])),
            ("others", "{\"ids\": [2]}", json!([{"id": 1}])),
        ] {
            assert_eq!(
                gateway.post(&format!("/data-api/{code}"), body).data(),
                expected,
                "{code} {body}"
            );
        }
    });
}

#[test]
fn values_that_the_database_cannot_take_are_the_callers_fault() {
    on_each(|bench| {
        bench.sql("CREATE TABLE p (id INTEGER PRIMARY KEY, day DATE); INSERT INTO p VALUES (1, '2025-01-31');");
        bench.interface("code: one\nparameters: [{name: id, type: integer}]\nquery_template: SELECT id FROM p WHERE id = :id\n");
        bench.interface("code: day\nparameters: [{name: day, type: string}]\nquery_template: SELECT id FROM p WHERE day = :day\n");
        let gateway = bench.serve();
        let huge = gateway.get("/data-api/one?id=99999999999999999999");
        let day = gateway.get("/data-api/day?day=someday");
        // PostgreSQL gives places the types of their columns; the others compare and find nothing.
        for (answer, field) in [(huge, "id"), (day, "day")] {
            if bench.kind == Kind::Postgres {
                let expected = [(field.to_owned(), "value".to_owned())];
                assert_eq!(answer.refusal(), (400, "INVALID_PARAM".into(), expected.to_vec()));
                assert!(!answer.text().contains("integer") && !answer.text().contains("syntax"));
            } else {
                assert_eq!(answer.data(), json!([]), "{field}");
            }
        }
    });
}
