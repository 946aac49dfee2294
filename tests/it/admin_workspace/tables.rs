//! What a datasource has: databases, tables, columns, names to complete; and names that would be more than names.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::support::databases::{Bench, Kind, on_each};

fn schema(bench: &Bench) {
    bench.sql(bench.pick(
        "CREATE TABLE ws_order (id INTEGER PRIMARY KEY, region VARCHAR(20) NOT NULL DEFAULT 'east', amount NUMERIC, at TIMESTAMP);
         CREATE VIEW ws_view AS SELECT id FROM ws_order;
         CREATE TABLE \"ws_it's \"\"odd\"\"\" (\"a b\" INTEGER);",
        "CREATE TABLE ws_order (id integer PRIMARY KEY, region varchar(20) NOT NULL DEFAULT 'east', amount numeric(12,2), at timestamptz);
         COMMENT ON TABLE ws_order IS 'Orders, 订单'; COMMENT ON COLUMN ws_order.region IS 'Where';
         INSERT INTO ws_order SELECT n FROM generate_series(1, 100) AS n; ANALYZE ws_order;
         CREATE VIEW ws_view AS SELECT id FROM ws_order;
         CREATE TABLE \"ws_it's \"\"odd\"\"\" (\"a b\" integer);
         CREATE SCHEMA ws_other; CREATE TABLE ws_other.ws_order (other text);",
        "CREATE TABLE ws_order (id INT PRIMARY KEY, region VARCHAR(20) NOT NULL DEFAULT 'east' COMMENT 'Where',
         amount DECIMAL(12,2), at TIMESTAMP NULL) COMMENT 'Orders, 订单';
         INSERT INTO ws_order (id) VALUES (1), (2), (3);
         CREATE VIEW ws_view AS SELECT id FROM ws_order;
         CREATE TABLE `ws_it's \"odd\"` (`a b` INT);",
    ));
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn names(rows: &Value) -> Vec<&str> {
    rows.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect()
}

#[test]
fn tables_and_columns_are_listed() {
    on_each(|bench| {
        schema(bench);
        let gateway = bench.serve();
        let get = |path: &str| gateway.admin_get(&format!("/api/datasources/db/{path}"));
        let databases = get("databases").data();
        let own = if bench.kind == Kind::Sqlite {
            "main".to_owned()
        } else {
            bench.url().rsplit('/').next().unwrap().to_owned()
        };
        assert!(databases.as_array().unwrap().contains(&json!(own)), "{databases}");

        let answer = get("tables?q=WS_").json();
        let all = &answer["data"];
        let odd = "ws_it's \"odd\"";
        let mut found = names(all);
        found.retain(|name| *name != "ws_order" || bench.kind != Kind::Postgres);
        let mut expected = vec![odd, "ws_order", "ws_view"];
        expected.retain(|name| *name != "ws_order" || bench.kind != Kind::Postgres);
        found.sort_unstable();
        assert_eq!(found, expected, "{all}");
        let schema = bench.pick("main", "public", &own);
        let row = |name: &str| {
            let rows = all.as_array().unwrap().iter();
            rows.clone().find(|row| row["name"] == name && row["schema"] == schema).unwrap().clone()
        };
        assert_eq!(row("ws_view")["kind"], "view");
        let order = row("ws_order");
        assert_eq!(order["kind"], "table");
        if bench.kind != Kind::Sqlite {
            assert_eq!(order["comment"], "Orders, 订单");
            assert_eq!(names(&get("tables?q=%E8%AE%A2%E5%8D%95").data()), ["ws_order"]);
        }
        if bench.kind == Kind::Postgres {
            assert_eq!(
                (&order["rows_estimate"], &order["created_at"]),
                (&json!(100), &Value::Null)
            );
        }
        if bench.kind == Kind::MariaDb {
            let at: jiff::Timestamp = order["created_at"].as_str().unwrap().parse().unwrap();
            assert!(jiff::Timestamp::now().duration_since(at).as_secs().abs() < 300, "{at}");
            assert!(order["rows_estimate"].as_u64().is_some(), "{order}");
        }
        let page = get("tables?q=ws_&pageSize=1&page=2&sort=-name").json();
        assert_eq!((&page["meta"]["page"], &page["meta"]["hasNext"]), (&json!(2), &json!(true)));
        assert_eq!(page["data"].as_array().unwrap().len(), 1);
        assert_eq!(get(&format!("tables?database={own}&q=ws_view")).data()[0]["name"], "ws_view");
        assert_eq!(get("tables?database=nowhere").data(), json!([]));

        let columns = get("tables/ws_order").data()["columns"].clone();
        assert_eq!(names(&columns), ["id", "region", "amount", "at"]);
        let region = &columns[1];
        assert_eq!(columns[0]["primary_key"], true);
        assert_eq!(
            (&region["position"], &region["primary_key"], &region["not_null"]),
            (&json!(2), &json!(false), &json!(true))
        );
        assert!(region["default"].as_str().unwrap().contains("'east'"), "{region}");
        assert_eq!(columns[2]["default"], Value::Null);
        let kind = bench.pick("VARCHAR(20)", "character varying(20)", "varchar(20)");
        assert_eq!(region["type"], kind);
        if bench.kind != Kind::Sqlite {
            assert_eq!(region["comment"], "Where");
        }
        assert_eq!(get(&format!("tables/ws_order?schema={schema}")).data()["columns"], columns);
        if bench.kind == Kind::Postgres {
            let other = get("tables/ws_order?schema=ws_other").data();
            assert_eq!(names(&other["columns"]), ["other"]);
        }
        assert_eq!(get("tables/ws_nothing").code(), "NOT_FOUND");
        assert_eq!(gateway.admin_get("/api/datasources/none/tables").code(), "NOT_FOUND");

        let completion = get("completion").data();
        let tables = completion["tables"].as_array().unwrap();
        let order = tables.iter().find(|table| table["name"] == "ws_order").unwrap();
        assert_eq!(order["columns"], json!(["id", "region", "amount", "at"]));
        if bench.kind == Kind::Postgres {
            assert!(tables.iter().any(|table| table["name"] == "ws_other.ws_order"));
        }
    });
}

/// What the address names is a value to the database, whatever it holds.
#[test]
fn names_of_the_address_are_values() {
    on_each(|bench| {
        schema(bench);
        let gateway = bench.serve();
        let get = |path: &str| gateway.admin_get(&format!("/api/datasources/db/{path}"));
        let odd = get(&format!("tables/{}", encoded("ws_it's \"odd\""))).data();
        assert_eq!(names(&odd["columns"]), ["a b"]);
        for attack in [
            "ws_order' OR '1'='1",
            "ws_order'; DROP TABLE ws_order; --",
            "ws_order\" OR \"1\"=\"1",
            "ws_order`",
            "ws_order\\",
            "%",
            "ws\\_order",
            "public.ws_order",
        ] {
            let attack = encoded(attack);
            assert_eq!(get(&format!("tables/{attack}")).status, 404, "{attack}");
            assert_eq!(get(&format!("tables/ws_order?schema={attack}")).status, 404, "{attack}");
            assert_eq!(get(&format!("tables?database={attack}")).data(), json!([]), "{attack}");
            assert_eq!(get(&format!("tables?q={attack}")).data(), json!([]), "{attack}");
        }
        let nul = get("tables/ws_order%00");
        assert!([400, 404].contains(&nul.status), "{}", nul.text());
        assert_eq!(get("tables/ws_order").status, 200, "it is still there");
    });
}

#[test]
fn datasources_are_shown_without_their_secrets() {
    let bench = Bench::new(Kind::Postgres);
    bench.datasource("name: Sales\nlimits: {max_in_flight: 3}");
    bench.interface("code: one\nquery_template: SELECT 1 AS n");
    let gateway = bench.serve();
    let list = gateway.admin_get("/api/datasources");
    let row = &list.data()[0];
    assert_eq!(
        (&row["id"], &row["type"], &row["name"]),
        (&json!("db"), &json!("postgres"), &json!("Sales"))
    );
    assert_eq!(
        (&row["interfaces"], &row["up"], &row["breaker"]),
        (&json!(1), &json!(true), &json!("closed"))
    );
    assert_eq!((&row["governed"], &row["read_only"]), (&json!(false), &json!(true)));
    assert_eq!(row["connections"], json!({"idle": 0, "busy": 0, "max": 8}));
    let text = list.text();
    assert!(!text.contains("secrets/") && !text.contains("password"), "{text}");
    assert_eq!(gateway.admin_get("/api/datasources?q=SAL").data().as_array().unwrap().len(), 1);
    assert_eq!(gateway.admin_get("/api/datasources?q=other").data(), json!([]));
}
