//! Every path to a governed datasource: pages, counts, totals, exports, option lists, test runs, functions, tables that change.

use serde_json::json;

use super::{Policy, get_as, governed};
use crate::support::databases::{Kind, on_each};
use crate::support::run;

const SQL: &str = "
    CREATE TABLE sale (id INTEGER PRIMARY KEY, region VARCHAR(10), amount INTEGER);
    INSERT INTO sale VALUES (1, 'east', 10), (2, 'west', 20), (3, 'east', 30), (4, 'north', 40);";
const EAST: &str = "table: sale, rows: \"region = $principal.claims.region\"";

#[test]
fn counts_totals_and_option_lists_see_the_same() {
    on_each(|bench| {
        bench.sql(SQL);
        bench.datasource("governed: true");
        Policy { claims: "region: east", roles: &[EAST] }.write(bench);
        bench.interface(
            "code: sales\npagination: {enabled: true, max_page_size: 1}\nquery_template: SELECT id FROM sale ORDER BY id\n\
             total: {query_template: SELECT SUM(amount) AS amount FROM sale}",
        );
        bench.interface(
            "code: own_page\nparameters: [{name: page, type: integer, default: 1}, {name: pageSize, type: integer, default: 1}]\n\
             query_template: SELECT id FROM sale WHERE id > 0 ORDER BY id LIMIT :pageSize OFFSET (:page - 1) * :pageSize",
        );
        bench.interface(
            "code: regions\nquery_template: SELECT DISTINCT region AS value FROM sale LIMIT 10",
        );
        bench.interface(
            "code: by_region\nparameters: [{name: region, options: {interface: regions, value_column: value}}]\n\
             query_template: SELECT id FROM sale WHERE region = :region",
        );
        let gateway = bench.serve();
        let answer = gateway.get("/data-api/sales").json();
        assert_eq!(answer["data"], json!([{"id": 1}]));
        assert_eq!(answer["meta"]["total"], 2);
        assert_eq!(answer["meta"]["totals"]["amount"].as_f64(), Some(40.0), "{answer}");
        let second = gateway.get("/data-api/own_page?page=2").json();
        assert_eq!((&second["data"], &second["meta"]["total"]), (&json!([{"id": 3}]), &json!(2)));
        assert_eq!(gateway.get("/data-api/regions").data(), json!([{"value": "east"}]));
        assert_eq!(gateway.get("/data-api/by_region?region=west").data(), json!([]));
        for format in ["csv", "ndjson"] {
            let text = gateway.get(&format!("/data-api/regions?format={format}")).text();
            assert!(text.contains("east") && !text.contains("west"), "{text}");
        }
    });
}

/// Test runs of the operator have every role; those as somebody have what that caller has.
#[test]
fn test_runs_see_what_their_caller_sees() {
    let bench = governed(Kind::Sqlite, SQL);
    Policy { claims: "region: east", roles: &[EAST] }.write(&bench);
    bench.interface("code: sales\nquery_template: SELECT id FROM sale ORDER BY id LIMIT 10");
    let gateway = bench.serve();
    let test = |body: &str| gateway.admin_post("/api/dataservice/interfaces/sales/test", body);
    // The operator has no claims, and there is no role without a condition on them.
    assert_eq!(test("").status, 403);
    assert_eq!(test("{\"as\": \"tester\"}").data(), json!([{"id": 1}, {"id": 3}]));
    assert_eq!(
        test("{\"as\": \"tester_0\", \"claims\": {\"region\": \"west\"}}").data(),
        json!([{"id": 2}])
    );
    let token = "{\"as\": {\"roles\": [\"tester_0\"], \"claims\": {\"region\": \"north\"}}}";
    assert_eq!(test(token).data(), json!([{"id": 4}]));
    assert_eq!(test("{\"as\": \"nobody\"}").status, 400);
}

/// `tests` of an interface run as a consumer, a role or claims.
#[test]
fn policies_are_tested_in_the_same_repository() {
    let bench = governed(Kind::Sqlite, SQL);
    Policy { claims: "region: east", roles: &[EAST] }.write(&bench);
    bench.interface(
        "code: sales\nquery_template: SELECT id FROM sale ORDER BY id LIMIT 10\ntests:\n\
         \x20 - {name: consumer, as: tester, expect: {rows: 2}}\n\
         \x20 - {name: role, as: tester_0, claims: {region: west}, expect: {data: [{id: 2}]}}\n\
         \x20 - {name: role without claims, as: tester_0, expect: {status: 403, code: FORBIDDEN}}\n\
         \x20 - {name: token, as: {roles: [tester_0], claims: {region: north}}, expect: {data: [{id: 4}]}}\n\
         \x20 - {name: claims alone, claims: {region: north}, expect: {status: 403}}\n\
         \x20 - {name: nobody, expect: {status: 401}}",
    );
    let root = bench.tree.root().to_str().unwrap();
    let (code, out, _) = run(&["test", "--root", root]);
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("6 passed, 0 failed"), "{out}");
}

#[test]
fn functions_of_the_database_need_a_grant() {
    on_each(|bench| {
        let (function, table) = match bench.kind {
            Kind::Sqlite => return,
            Kind::Postgres => (
                "CREATE FUNCTION twice(i int) RETURNS int LANGUAGE sql AS 'SELECT 2 * i';",
                "CREATE FUNCTION all_sales() RETURNS SETOF sale LANGUAGE sql AS 'SELECT * FROM sale';",
            ),
            Kind::MariaDb => {
                ("CREATE FUNCTION twice(i INT) RETURNS INT DETERMINISTIC RETURN 2 * i;", "")
            }
        };
        bench.sql(SQL);
        bench.sql(function);
        bench.sql(table);
        bench.datasource("governed: true");
        Policy { claims: "", roles: &["table: sale"] }.write(bench);
        let granted = "table: sale\nfunctions: [twice, \"all_*\"]";
        Policy { claims: "", roles: &[granted] }.write_for(bench, "other", "other-key");
        bench.interface(
            "code: doubled\nquery_template: SELECT twice(amount) AS a FROM sale WHERE id = 1",
        );
        if bench.kind == Kind::Postgres {
            bench.interface(
                "code: every\nquery_template: SELECT id FROM all_sales() AS s WHERE id = 2",
            );
            bench.interface("code: called\nquery_type: stored_proc\nquery_template: all_sales()");
        }
        let gateway = bench.serve();
        assert_eq!(gateway.get("/data-api/doubled").status, 403);
        assert_eq!(get_as(&gateway, "other-key", "doubled").data()[0]["a"], 20);
        // A procedure's arguments are values: nothing else is looked at.
        let (code, out) = {
            let call = "code: calls\nquery_type: stored_proc\nquery_template: CALL twice((SELECT MAX(amount) FROM sale))";
            bench.interface(call);
            let (code, out, _) = run(&["validate", "--root", bench.tree.root().to_str().unwrap()]);
            (code, out)
        };
        assert!(code == 1 && out.contains("a procedure takes only values"), "{out}");
        if bench.kind == Kind::Postgres {
            assert_eq!(gateway.get("/data-api/every").status, 403);
            assert_eq!(get_as(&gateway, "other-key", "every").data(), json!([{"id": 2}]));
            assert_eq!(gateway.get("/data-api/called").status, 403);
            assert_eq!(get_as(&gateway, "other-key", "called").data().as_array().unwrap().len(), 4);
        }
    });
}

/// A hidden row must not make a query fail: its failure would tell of the row.
#[test]
fn hidden_rows_do_not_fail_a_query() {
    on_each(|bench| {
        bench.sql(SQL);
        bench.datasource("governed: true");
        // A filter that costs more than the conditions of the queries, so that a planner would rather look at those first.
        let costly = "table: sale, rows: \"region = $principal.claims.region OR region = 'a' OR region = 'b' OR region = 'c' OR region = 'd'\"";
        Policy { claims: "region: east", roles: &[costly] }.write(bench);
        bench.interface(
            "code: divided\nparameters: [{name: x, type: integer}]\n\
             query_template: SELECT id FROM sale WHERE 1000 / (amount - :x) > -100000",
        );
        bench.interface(
            "code: liked\nparameters: [{name: x}]\nquery_template: SELECT id FROM sale WHERE region LIKE :x",
        );
        bench.interface(
            "code: inner_one\nparameters: [{name: x, type: integer}]\n\
             query_template: SELECT d.id FROM (SELECT id, 1000 / (amount - :x) AS q FROM sale) AS d WHERE d.q > -100000",
        );
        let gateway = bench.serve();
        // 20 and 40 are amounts of hidden rows, 25 is none at all.
        for code in ["divided", "inner_one"] {
            for x in [20, 40, 25] {
                let answer = gateway.get(&format!("/data-api/{code}?x={x}"));
                assert_eq!(answer.status, 200, "{code} {x}");
                assert_eq!(answer.data().as_array().unwrap().len(), 2, "{code} {x}");
            }
        }
        // On PostgreSQL a backslash at the end fails where a text matches up to it.
        for x in ["west%5C", "north%5C", "nowhere%5C"] {
            assert_eq!(gateway.get(&format!("/data-api/liked?x={x}")).data(), json!([]), "{x}");
        }
    });
}

/// A column that comes is not shown before it is looked at, one that goes is noticed at once.
#[test]
fn tables_may_change() {
    on_each(|bench| {
        bench.sql(SQL);
        bench.datasource("governed: true");
        let denied = "table: sale, columns: {deny: [region]}";
        Policy { claims: "", roles: &[denied] }.write(bench);
        bench.interface("code: sales\nquery_template: SELECT * FROM sale WHERE id = 1");
        let gateway = bench.serve();
        assert_eq!(gateway.get("/data-api/sales").data(), json!([{"id": 1, "amount": 10}]));
        bench.sql("ALTER TABLE sale ADD COLUMN note VARCHAR(10) DEFAULT 'new';");
        assert_eq!(gateway.get("/data-api/sales").data(), json!([{"id": 1, "amount": 10}]));
        bench.sql("ALTER TABLE sale DROP COLUMN amount;");
        // The statement names a column that has gone: it fails once, and then the table is looked at anew.
        assert_ne!(gateway.get("/data-api/sales").status, 200);
        assert_eq!(gateway.get("/data-api/sales").data(), json!([{"id": 1, "note": "new"}]));
    });
}

/// The description of the API leaves out what its reader may not see, and the record names who let a call pass.
#[test]
fn descriptions_and_records_follow_the_grants() {
    let bench = governed(Kind::Sqlite, SQL);
    Policy { claims: "region: east", roles: &["table: other", EAST] }.write(&bench);
    Policy { claims: "", roles: &["table: other"] }.write_for(&bench, "other", "other-key");
    bench.interface("code: sales\naudit: true\nquery_template: SELECT id FROM sale LIMIT 10");
    let mut gateway = bench.serve();
    let paths = |key: &str| {
        let document = gateway.get_with("/openapi.json", &[("x-api-key", key)]).json();
        document["paths"].as_object().unwrap().len()
    };
    assert_eq!((paths("test-key"), paths("other-key")), (1, 0));
    assert_eq!(gateway.get("/data-api/sales").status, 200);
    assert_eq!(get_as(&gateway, "other-key", "sales").refusal().1, "FORBIDDEN");
    let log = gateway.log();
    gateway.stop();
    let store = bench.tree.root().join("data/tidegate.db");
    let out = std::process::Command::new("sqlite3")
        .arg(store)
        .arg("SELECT status, roles, error FROM audit ORDER BY status")
        .output()
        .unwrap();
    let out = String::from_utf8(out.stdout).unwrap();
    assert!(out.contains("200|[\"tester_0\",\"tester_1\"]|"), "{out}");
    assert!(out.contains("403|") && out.contains("`sale`"), "{out}");
    assert!(!log.contains("panicked"), "{log}");
}

/// Columns that `*` does not give are no more to be had than others.
#[test]
fn columns_out_of_sight_are_hidden_too() {
    on_each(|bench| {
        let column = match bench.kind {
            Kind::Sqlite => "rowid",
            Kind::Postgres => "ctid",
            Kind::MariaDb => "word",
        };
        let invisible = bench.pick("", "", ", word VARCHAR(9) INVISIBLE DEFAULT 'S3CRET'");
        bench.sql(&format!("CREATE TABLE t (id INTEGER, a INTEGER{invisible}); INSERT INTO t (id, a) VALUES (1, 2);"));
        bench.datasource("governed: true");
        bench.interface(&format!("code: t\nquery_template: SELECT {column} AS x FROM t LIMIT 1"));
        for grant in [
            "table: t, columns: {allow: [id, a]}",
            "table: \"t*\", columns: {deny: [word, other]}",
            "table: t, columns: {mask: {a: round}}",
        ] {
            Policy { claims: "", roles: &[grant] }.write(bench);
            let answer = bench.serve().get("/data-api/t");
            assert_eq!(
                answer.status,
                if bench.kind == Kind::MariaDb { 502 } else { 403 },
                "{grant}: {}",
                answer.text()
            );
        }
    });
}

/// A chain of operators is as deep as it is long: it is answered or refused, and never ends the process.
#[test]
fn long_statements_are_answered_or_refused() {
    let chain = |count: usize| vec!["id = 1"; count].join(" OR ");
    let unions = |count: usize| vec!["SELECT id FROM sale WHERE id = 1"; count].join(" UNION ");
    let bench = governed(Kind::Sqlite, SQL);
    Policy { claims: "region: east", roles: &[EAST] }.write(&bench);
    bench.interface(&format!(
        "code: long\nquery_template: SELECT id FROM sale WHERE {}",
        chain(900)
    ));
    bench.interface(
        "code: looped\nparameters: [{name: n, type: integer, default: 1}]\nquery_template: |\n  SELECT id FROM sale WHERE id = 0\n  \
         {% for i in range(n) %} OR id = {{ i }}{% endfor %}",
    );
    let gateway = bench.serve();
    assert_eq!(gateway.get("/data-api/long").data(), json!([{"id": 1}]));
    assert_eq!(gateway.get("/data-api/looped?n=4").data().as_array().unwrap().len(), 2);
    for n in [300, 950, 3_000, 9_000] {
        let answer = gateway.get(&format!("/data-api/looped?n={n}"));
        assert!(matches!(answer.status, 200 | 400 | 403 | 500 | 502), "{n}: {}", answer.text());
    }
    assert_eq!(gateway.get("/data-api/looped?n=4").status, 200);
    for sql in [
        format!("SELECT id FROM sale WHERE {}", chain(5_000)),
        format!("SELECT id FROM sale WHERE {}", chain(40_000)),
        format!("SELECT id FROM sale WHERE id = {}1", "1 + ".repeat(10_000)),
        unions(3_000),
    ] {
        bench.interface(&format!("code: deep\nquery_template: {sql}"));
        let (code, out, _) = run(&["validate", "--root", bench.tree.root().to_str().unwrap()]);
        assert_eq!(code, 1, "{out}");
        assert!(out.contains("SQL_SYNTAX") && out.contains("operators"), "{out}");
        let answer = gateway.admin_post("/api/reload", "");
        assert_eq!(answer.status, 422);
    }
    assert_eq!(gateway.get("/data-api/long").status, 200);
}
