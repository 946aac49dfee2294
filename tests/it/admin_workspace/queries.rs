//! Queries by hand: templates and parameters, pages, limits, exports, plans, cancels, drafts; and the log of all that.

use std::time::Duration;

use serde_json::{Value, json};

use super::{asked, delete, log, query};
use crate::support::databases::{Bench, Kind, on_each};
use crate::support::{eventually, tables};

const NUMBERS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 25) SELECT i FROM n ORDER BY i";

fn people(bench: &Bench) {
    bench.sql(
        "CREATE TABLE ws_user (id INTEGER PRIMARY KEY, name VARCHAR(20), born DATE);
         INSERT INTO ws_user VALUES (1, 'north', '1990-01-02'), (2, 'south', NULL), (3, 'it''s, \"c\"', '2000-05-06');",
    );
}

#[test]
fn templates_render_text_and_names_are_bound() {
    on_each(|bench| {
        people(bench);
        let gateway = bench.serve();
        let answer = query(&gateway, "select * from {{ table }}", json!({"table": "ws_user"}));
        let data = answer.data();
        assert_eq!(data["rows"][1], json!([2, "south", null]));
        assert_eq!(data["columns"][0], json!({"name": "id", "type": "integer"}));
        let meta = &answer.json()["meta"];
        assert_eq!(meta["sql"], "select * from ws_user");
        assert_eq!(
            (&meta["page"], &meta["pageSize"], &meta["hasNext"], &meta["truncated"]),
            (&json!(1), &json!(50), &json!(false), &json!(false))
        );
        let sql =
            "SELECT name FROM ws_user WHERE name = :name{% if id %} AND id = {{ id }}{% endif %}";
        let found = |params: Value| query(&gateway, sql, params).data()["rows"].clone();
        assert_eq!(found(json!({"name": "north", "id": 1})), json!([["north"]]));
        assert_eq!(found(json!({"name": "north"})), json!([["north"]]));
        assert_eq!(found(json!({"name": "x' OR '1'='1"})), json!([]));
        let list = query(
            &gateway,
            "SELECT id FROM ws_user WHERE id IN (:ids) ORDER BY id",
            json!({"ids": [1, 3]}),
        );
        assert_eq!(list.data()["rows"], json!([[1], [3]]));
        for (sql, params, part) in [
            ("SELECT {{ x }}", json!({}), "`x` has no value"),
            ("SELECT :x", json!({}), "`x`"),
            ("SELECT {{ x", json!({}), "template"),
            ("{% set x = 1 %}SELECT {{ x }}", json!({}), "template"),
            ("SELEC 1", json!({}), "SQL"),
            ("SELECT id FROM ws_nothing", json!({}), "ws_nothing"),
        ] {
            let refused = query(&gateway, sql, params);
            assert_eq!(
                (refused.status, refused.code().as_str()),
                (400, "INVALID_PARAM"),
                "{sql}: {}",
                refused.text()
            );
            let message = refused.json()["message"].as_str().unwrap().to_owned();
            assert!(message.contains(part), "{sql}: {message}");
            assert_eq!(refused.json()["details"][0]["field"], "sql");
        }
    });
}

#[test]
fn only_reading_is_allowed_whatever_a_value_says() {
    on_each(|bench| {
        people(bench);
        bench.datasource("read_only: false");
        let gateway = bench.serve();
        for (sql, params) in [
            ("DELETE FROM ws_user", json!({})),
            ("UPDATE ws_user SET name = 'x'", json!({})),
            ("DROP TABLE ws_user", json!({})),
            ("SELECT 1; DROP TABLE ws_user", json!({})),
            ("SELECT * FROM {{ t }}", json!({"t": "ws_user; DELETE FROM ws_user"})),
            ("{{ all }}", json!({"all": "DELETE FROM ws_user"})),
            ("SELECT * FROM ws_user FOR UPDATE", json!({})),
            ("", json!({})),
        ] {
            let refused = query(&gateway, sql, params);
            assert_eq!((refused.status, refused.code().as_str()), (400, "INVALID_PARAM"), "{sql}");
        }
        let count = query(&gateway, "SELECT COUNT(*) FROM ws_user", json!({}));
        assert_eq!(count.data()["rows"], json!([[3]]));
        assert_eq!(log(&gateway, "?state=failed").len(), 8);
    });
}

#[test]
fn rows_come_in_pages_within_the_limits() {
    on_each(|bench| {
        bench.datasource("limits: {max_rows: 10, max_result_bytes: 2000}");
        let gateway = bench.serve();
        let page = |more: Value| {
            let answer = gateway.admin_post("/api/dataservice/query", &asked(NUMBERS, more));
            (answer.data()["rows"].clone(), answer.json()["meta"].clone())
        };
        let (rows, meta) = page(json!({"page": 2, "pageSize": 5}));
        assert_eq!(rows, json!([[6], [7], [8], [9], [10]]));
        assert_eq!((&meta["page"], &meta["hasNext"]), (&json!(2), &json!(true)));
        let (rows, meta) = page(json!({"pageSize": 1000}));
        assert_eq!((rows.as_array().unwrap().len(), &meta["pageSize"]), (10, &json!(10)));
        let (rows, meta) = page(json!({"page": 3}));
        assert_eq!((rows.as_array().unwrap().len(), &meta["hasNext"]), (5, &json!(false)));
        let wide = format!("SELECT '{}' AS text FROM ({NUMBERS}) AS n", "x".repeat(900));
        let cut = query(&gateway, &wide, json!({}));
        assert_eq!(cut.data()["rows"].as_array().unwrap().len(), 3);
        assert_eq!(cut.json()["meta"]["truncated"], true);
        for bad in
            [json!({"page": 0}), json!({"pageSize": 0}), json!({"id": "a b"}), json!({"other": 1})]
        {
            let refused = gateway.admin_post("/api/dataservice/query", &asked(NUMBERS, bad));
            assert_eq!((refused.status, refused.code().as_str()), (400, "INVALID_PARAM"));
        }
        let none = json!({"datasource_id": "none", "sql": "SELECT 1"}).to_string();
        assert_eq!(gateway.admin_post("/api/dataservice/query", &none).status, 404);
        assert_eq!(gateway.admin_post("/api/dataservice/query", "[]").status, 400);
    });
}

#[test]
fn the_first_rows_are_exported() {
    on_each(|bench| {
        people(bench);
        let gateway = bench.serve();
        let export =
            |sql: &str| gateway.admin_post("/api/dataservice/query/export", &asked(sql, json!({})));
        let few = export("SELECT id, name FROM ws_user ORDER BY id");
        assert_eq!(few.header("content-type"), Some("text/csv; charset=utf-8"));
        assert_eq!(few.header("content-disposition"), Some("attachment; filename=\"query.csv\""));
        assert_eq!(few.header("x-truncated"), None);
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            tables::csv(&few.text()),
            [
                [text("id"), text("name")],
                [text("1"), text("north")],
                [text("2"), text("south")],
                [text("3"), text("it's, \"c\"")]
            ]
        );
        let cross = format!("WITH a AS ({NUMBERS}) SELECT x.i FROM a AS x, a AS y, a AS z");
        let many = export(&cross);
        assert_eq!(many.text().lines().count(), 10_001, "15 625 rows");
        assert_eq!(many.header("x-truncated"), Some("true"));
        assert_eq!(log(&gateway, "?state=ok")[0]["rows"], 10_000);
    });
}

#[test]
fn plans_are_shown() {
    on_each(|bench| {
        people(bench);
        let gateway = bench.serve();
        let body = asked(
            "SELECT * FROM {{ t }} WHERE id = :id",
            json!({"params": {"t": "ws_user", "id": 2}}),
        );
        let data = gateway.admin_post("/api/dataservice/query/explain", &body).data();
        assert_eq!(data["sql"], "SELECT * FROM ws_user WHERE id = :id");
        let plan: Vec<&str> =
            data["plan"].as_array().unwrap().iter().map(|l| l.as_str().unwrap()).collect();
        assert!(plan.iter().any(|line| line.contains("ws_user")), "{plan:?}");
        let refused = gateway
            .admin_post("/api/dataservice/query/explain", &asked("DELETE FROM ws_user", json!({})));
        assert_eq!(refused.code(), "INVALID_PARAM");
        let entries = log(&gateway, "");
        assert_eq!((&entries[0]["state"], &entries[1]["state"]), (&json!("failed"), &json!("ok")));
        assert!(entries[1]["sql"].as_str().unwrap().starts_with("EXPLAIN SELECT"));
    });
}

#[test]
fn a_query_is_cancelled_in_the_database() {
    on_each(|bench| {
        let gateway = bench.serve();
        let slow = bench.pick(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) AS ws_slow FROM n",
            "SELECT COUNT(*) AS ws_slow FROM generate_series(1, 100000000000)",
            "SELECT COUNT(*) AS ws_slow FROM information_schema.columns AS a, information_schema.columns AS b, information_schema.columns AS c, information_schema.columns AS d",
        );
        let body = asked(slow, json!({"id": "q-1"}));
        std::thread::scope(|scope| {
            let running = scope.spawn(|| gateway.admin_post("/api/dataservice/query", &body));
            if bench.kind == Kind::Sqlite {
                eventually("it runs", || gateway.status()["datasources"][0]["in_flight"] == 1);
            } else {
                eventually("it runs", || bench.running("ws_slow") == 1);
            }
            let twice = gateway.admin_post("/api/dataservice/query", &body);
            assert_eq!((twice.status, twice.code().as_str()), (409, "CONFLICT"));
            assert_eq!(delete(&gateway, "/api/dataservice/query/q-2").0, 404);
            let (status, answer) = delete(&gateway, "/api/dataservice/query/q-1");
            assert_eq!((status, &answer["data"]["cancelled"]), (200, &json!(true)));
            let cancelled = running.join().unwrap();
            assert_eq!((cancelled.status, cancelled.code().as_str()), (409, "CONFLICT"));
        });
        if bench.kind != Kind::Sqlite {
            eventually("it has ended", || bench.running("ws_slow") == 0);
        }
        eventually("nothing runs", || gateway.status()["datasources"][0]["in_flight"] == 0);
        let entry = &log(&gateway, "?state=cancelled")[0];
        assert_eq!((&entry["sql"], &entry["error"]), (&json!(slow), &Value::Null));
        assert_eq!(delete(&gateway, "/api/dataservice/query/q-1").0, 404);
    });
}

#[test]
fn a_query_ends_with_its_page() {
    let bench = Bench::new(Kind::Postgres);
    let gateway = bench.serve();
    let body = asked(
        "SELECT pg_catalog.count(*) AS ws_slow FROM generate_series(1, 100000000000)",
        json!({}),
    );
    let agent: ureq::Agent =
        ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(2))).build().into();
    let gone = agent
        .post(gateway.admin_url("/api/dataservice/query"))
        .header("authorization", format!("Bearer {}", gateway.token))
        .send(&body);
    assert!(gone.is_err());
    eventually("it has ended", || bench.running("ws_slow") == 0);
    eventually("it is logged", || log(&gateway, "?state=cancelled").len() == 1);
}

#[test]
fn a_query_ends_in_time() {
    let bench = Bench::new(Kind::Postgres);
    bench.datasource("limits: {timeout_ms: 300}");
    let gateway = bench.serve();
    let late = query(&gateway, "SELECT count(*) FROM generate_series(1, 100000000000)", json!({}));
    assert_eq!((late.status, late.code().as_str()), (504, "TIMEOUT"));
    assert_eq!(log(&gateway, "")[0]["state"], "failed");
}

#[test]
fn every_run_is_in_the_log() {
    let bench = Bench::new(Kind::Sqlite);
    people(&bench);
    let gateway = bench.serve();
    query(&gateway, "SELECT id FROM {{ t }} WHERE id <= :n", json!({"t": "ws_user", "n": 2}))
        .data();
    query(&gateway, "SELECT missing FROM ws_user", json!({}));
    let entries = log(&gateway, "");
    assert_eq!(entries.len(), 2);
    let (failed, ok) = (&entries[0], &entries[1]);
    assert_eq!((&failed["state"], &failed["rows"]), (&json!("failed"), &json!(0)));
    assert!(failed["error"].as_str().unwrap().contains("no such column"), "{failed}");
    assert_eq!((&ok["state"], &ok["error"], &ok["rows"]), (&json!("ok"), &Value::Null, &json!(2)));
    assert_eq!((&ok["username"], &ok["datasource_id"]), (&json!("admin-token"), &json!("db")));
    assert_eq!(ok["sql"], "SELECT id FROM {{ t }} WHERE id <= :n");
    assert_eq!(ok["params"], json!({"t": "ws_user", "n": 2}));
    assert!(ok["duration_ms"].is_u64() && ok["at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(log(&gateway, "?state=ok&username=admin-token&datasource_id=db&q=WS_user").len(), 1);
    assert_eq!(log(&gateway, "?username=somebody").len(), 0);
    assert_eq!(log(&gateway, "?from=2999-01-01T00:00:00Z").len(), 0);
    let page = gateway.admin_get("/api/logs/queries?pageSize=1&page=2").json();
    assert_eq!(page["meta"], json!({"page": 2, "pageSize": 1, "total": 2, "hasNext": false}));
    assert_eq!(page["data"][0]["state"], "ok");
    let csv = gateway.admin_get("/api/logs/queries?format=csv");
    let rows = tables::csv(&csv.text());
    assert_eq!((rows.len(), rows[2][5].as_deref()), (3, Some("ok")));
    let formula = json!({"datasource_id": "db", "sql": "=1+1"}).to_string();
    assert_eq!(gateway.admin_post("/api/dataservice/query", &formula).status, 400);
    let csv = gateway.admin_get("/api/logs/queries?format=csv").text();
    assert!(csv.contains(",'=1+1,"), "a spreadsheet must not take it for a formula: {csv}");
    for bad in ["?from=yesterday", "?state=odd", "?page=0"] {
        assert_eq!(gateway.admin_get(&format!("/api/logs/queries{bad}")).status, 400, "{bad}");
    }
}

#[test]
fn a_draft_can_be_loaded_as_it_is() {
    on_each(|bench| {
        people(bench);
        let gateway = bench.serve();
        let more = json!({
            "code": "ws_people", "name": "People",
            "params": {"table": "ws_user", "name": "north", "ids": [1, 2]},
        });
        let sql = "SELECT id, name, born FROM {{ table }} WHERE name = '{{ name }}' AND id IN (:ids){% if day %} AND born = :day{% endif %}";
        let answer = gateway.admin_post("/api/dataservice/query/draft", &asked(sql, more));
        let draft = answer.data();
        assert_eq!(draft["parameters"].as_array().unwrap().len(), 4, "{draft}");
        let kinds: Vec<&str> = draft["fields"]
            .as_array()
            .unwrap()
            .iter()
            .map(|f| f["type"].as_str().unwrap())
            .collect();
        // SQLite's types are names; `DATE` is one that it has no values of.
        assert_eq!(kinds[0], "integer");
        assert_eq!(kinds.len(), if bench.kind == Kind::Sqlite { kinds.len() } else { 3 });
        assert_eq!(answer.json()["meta"]["problems"], json!([]));
        let mut definition = draft.clone();
        definition["kind"] = json!("interface");
        definition["status"] = json!("active");
        bench.tree.write("definitions/ws_people.yaml", &definition.to_string());
        gateway.reload();
        let rows = gateway.get("/data-api/ws_people?table=ws_user&name=north&ids=1&ids=2").data();
        assert_eq!((rows[0]["id"].as_i64(), rows.as_array().unwrap().len()), (Some(1), 1));
        let no_code = gateway.admin_post("/api/dataservice/query/draft", &asked(sql, json!({})));
        assert_eq!(no_code.code(), "INVALID_PARAM");
    });
}
