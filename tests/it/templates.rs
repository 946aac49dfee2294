//! Templates at work: Jinja, identifiers, bindings of the caller and the request, query files, procedures.

use serde_json::{Value, json};

use crate::support::databases::{Kind, on_each};
use crate::support::{KEY, Tree, sha256};

const SALES: &str = "CREATE TABLE sales (id INTEGER PRIMARY KEY, region VARCHAR(20), store VARCHAR(20), amount DECIMAL(10,2));
    INSERT INTO sales VALUES (1, 'east', 'a', 10.50), (2, 'east', 'b', 20.25), (3, 'west', 'a', 5.00), (4, NULL, 'c', 1.00);";

#[test]
fn branches_and_loops_bind_values() {
    on_each(|bench| {
        bench.sql(SALES);
        bench.interface(
            "code: search\nparameters:\n  - {name: region, type: string}\n  - {name: words, type: array}\n\
             \x20 - {name: least, type: number, default: 0}\n\
             query_template: |\n  SELECT id, {{ least }} AS least FROM sales WHERE amount >= {{ least }}\n\
             \x20 {% if region %} AND region = {{ region }} {% elif region == '' %} AND region IS NULL {% endif %}\n\
             \x20 {% for word in words or [] %} AND store LIKE {{ '%' ~ word ~ '%' }} {% endfor %}\n\
             \x20 ORDER BY id LIMIT 10\n",
        );
        let gateway = bench.serve();
        let ids = |query: &str| -> Vec<i64> {
            let data = gateway.get(&format!("/data-api/search?{query}")).data();
            data.as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect()
        };
        assert_eq!(ids(""), [1, 2, 3, 4]);
        assert_eq!(ids("region=east"), [1, 2]);
        assert_eq!(ids("region="), [4]);
        assert_eq!(ids("region=east&words=a"), [1]);
        assert_eq!(ids("words=a,b"), [] as [i64; 0]);
        assert_eq!(ids("least=10.50"), [1, 2]);
        assert_eq!(ids("region=x%27%20OR%201%3D1%20--"), [] as [i64; 0], "a value stays a value");
        assert_eq!(ids("words=%27%29%3B%20DROP%20TABLE%20sales%3B--"), [] as [i64; 0]);
        assert_eq!(ids(""), [1, 2, 3, 4]);
    });
}

#[test]
fn identifiers_come_from_closed_lists() {
    on_each(|bench| {
        bench.sql(SALES);
        bench.interface(
            "code: sorted\nparameters:\n  - {name: by, type: string, enum: [id, amount, store], default: id}\n\
             \x20 - {name: dir, type: string, enum: [asc, desc], default: asc}\n\
             query_template: SELECT id, {{ by | ident }} AS k FROM sales ORDER BY {{ by | ident }} {% if dir == 'desc' %} DESC {% endif %}, id LIMIT 10\n",
        );
        let gateway = bench.serve();
        let first =
            |query: &str| gateway.get(&format!("/data-api/sorted?{query}")).data()[0]["id"].clone();
        assert_eq!(first(""), 1);
        assert_eq!(first("dir=desc"), 4);
        assert_eq!(first("by=amount"), 4);
        assert_eq!(first("by=amount&dir=desc"), 2);
        assert_eq!(first("by=store&dir=desc"), 4);
        for by in ["region", "id%20DESC", "id%22", "1", "ID"] {
            let refusal = gateway.get(&format!("/data-api/sorted?by={by}")).refusal();
            assert_eq!(refusal.2, [("by".to_owned(), "enum".to_owned())]);
        }
    });
}

#[test]
fn the_caller_and_the_request_are_bound() {
    on_each(|bench| {
        bench.sql(SALES);
        bench.interface(
            "code: mine\nparam_binding: {region: $.principal.claims.region, who: $.principal.name, ip: $.request.ip, at: $.now}\n\
             query_template: 'SELECT id, :who AS who, :ip AS ip, :at AS at FROM sales WHERE region = :region ORDER BY id'\n",
        );
        bench.interface(
            "code: nested\nparam_binding: {stores: $.principal.claims.org.stores}\n\
             query_template: \"SELECT id FROM sales WHERE store = :stores ORDER BY id\"\n",
        );
        bench.tree.write(
            "policies/more.yaml",
            &format!(
                "kind: consumer\nname: branch\nroles: [all]\nclaims: {{region: west, org: {{stores: c}}}}\napi_keys: [{{id: a, sha256: \"{}\"}}]\n",
                sha256("branch-key")
            ),
        );
        let gateway = bench.serve();
        let mine = gateway.get("/data-api/mine").data();
        assert_eq!(mine.as_array().unwrap().len(), 2, "{mine}");
        assert_eq!(
            (mine[0]["who"].as_str(), mine[0]["ip"].as_str()),
            (Some("tester"), Some("127.0.0.1"))
        );
        let at = mine[0]["at"].as_str().unwrap();
        assert!(at.starts_with("20") && at.len() >= 19, "{at}");
        let branch = [("x-api-key", "branch-key")];
        assert_eq!(gateway.get_with("/data-api/mine", &branch).data()[0]["id"], 3);
        assert_eq!(gateway.get_with("/data-api/nested", &branch).data(), json!([{"id": 4}]));
        // No claim, no query.
        let refused = gateway.get("/data-api/nested");
        assert_eq!(refused.refusal(), (403, "FORBIDDEN".into(), vec![]));
        assert!(refused.json()["message"].as_str().unwrap().contains("org.stores"));
        // A caller cannot set what is bound.
        for name in ["region", "who", "ip"] {
            let refusal = gateway.get(&format!("/data-api/mine?{name}=west")).refusal();
            assert_eq!(refusal.2, [(name.to_owned(), "unknown".to_owned())]);
        }
    });
}

#[test]
fn a_query_may_stand_in_a_file() {
    let tree = Tree::new();
    tree.sqlite("CREATE TABLE t (id INTEGER); INSERT INTO t VALUES (1), (2);");
    tree.write(
        "definitions/sql/by_id.sql",
        "-- One row.\nSELECT id\nFROM t\nWHERE id = :id -- the end\n",
    );
    tree.write(
        "definitions/filed.yaml",
        "kind: interface\ncode: filed\ndatasource_id: lite\nparameters: [{name: id, type: integer, required: true}]\nquery_file: sql/by_id.sql\n",
    );
    let gateway = tree.serve();
    assert_eq!(gateway.get("/data-api/filed?id=2").data(), json!([{"id": 2}]));
}

#[test]
fn safe_mode_looks_at_what_a_call_makes() {
    let tree = Tree::new();
    tree.sqlite("CREATE TABLE t (id INTEGER, s TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b');");
    // Each sample that the load tries has a condition; only a value that nobody foresaw has none.
    tree.interface(
        "code: maybe\ndatasource_id: lite\nparameters: [{name: s, type: string, required: true}]\n\
         query_template: SELECT id FROM t {% if s != 'all' %} WHERE s = {{ s }} {% endif %}\n",
    );
    tree.interface(
        "code: unsafe\ndatasource_id: lite\nsafe_mode: false\nparameters: [{name: s, type: string, required: true}]\n\
         query_template: SELECT id FROM t {% if s != 'all' %} WHERE s = {{ s }} {% endif %}\n",
    );
    let gateway = tree.serve();
    assert_eq!(gateway.get("/data-api/maybe?s=b").data(), json!([{"id": 2}]));
    let refused = gateway.get("/data-api/maybe?s=all");
    assert_eq!(refused.refusal(), (400, "INVALID_PARAM".into(), vec![]));
    assert!(
        refused.json()["message"].as_str().unwrap().contains("unbounded"),
        "{}",
        refused.text()
    );
    assert_eq!(gateway.get("/data-api/unsafe?s=all").data(), json!([{"id": 1}, {"id": 2}]));
}

#[test]
fn a_loop_without_end_is_ended() {
    let tree = Tree::new();
    tree.sqlite("CREATE TABLE t (id INTEGER);");
    tree.interface(
        "code: loop\ndatasource_id: lite\nparameters: [{name: n, type: integer, default: 1}]\n\
         query_template: SELECT 1 AS one {% for i in range(n) %}{% for j in range(n) %}{% for k in range(n) %}{% if false %}x{% endif %}{% endfor %}{% endfor %}{% endfor %}\n",
    );
    let gateway = tree.serve();
    assert_eq!(gateway.get("/data-api/loop?n=2").data(), json!([{"one": 1}]));
    let endless = gateway.get("/data-api/loop?n=9999");
    assert_eq!((endless.status, endless.code().as_str()), (500, "INTERNAL_ERROR"));
    assert!(!endless.text().contains("fuel"), "{}", endless.text());
}

#[test]
fn procedures_and_functions() {
    on_each(|bench| {
        if bench.kind == Kind::Sqlite {
            return;
        }
        bench.sql(SALES);
        bench.sql(bench.pick(
            "",
            "CREATE FUNCTION of_region(wanted text, lowest numeric) RETURNS TABLE (id int, amount numeric) LANGUAGE sql STABLE AS
             $$ SELECT s.id, s.amount FROM sales s WHERE s.region = wanted AND s.amount >= lowest ORDER BY s.id $$;
             CREATE FUNCTION plus_one(n int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT n + 1 $$;",
            "DELIMITER //\nCREATE PROCEDURE of_region(wanted VARCHAR(20), lowest DECIMAL(10,2)) READS SQL DATA
             BEGIN SELECT s.id, s.amount FROM sales s WHERE s.region = wanted AND s.amount >= lowest ORDER BY s.id; END //
             CREATE FUNCTION plus_one(n INT) RETURNS INT DETERMINISTIC NO SQL RETURN n + 1 //\nDELIMITER ;",
        ));
        let parameters = "parameters: [{name: region, type: string, required: true}, {name: least, type: number, default: 0}]";
        let full = bench.pick(
            "",
            "SELECT * FROM of_region(:region, :least)",
            "CALL of_region(:region, :least)",
        );
        bench.interface(&format!("code: bare\nquery_type: stored_proc\n{parameters}\nquery_template: 'of_region(:region, :least)'\n"));
        bench.interface(&format!(
            "code: full\nquery_type: stored_proc\n{parameters}\nquery_template: '{full}'\n"
        ));
        bench.interface("code: plus\nparameters: [{name: n, type: integer}]\nquery_template: 'SELECT plus_one(:n) AS n'\n");
        let gateway = bench.serve();
        for code in ["bare", "full"] {
            let text = gateway.get(&format!("/data-api/{code}?region=east")).text();
            assert!(
                text.contains(r#""data":[{"id":1,"amount":10.50},{"id":2,"amount":20.25}]"#),
                "{code}: {text}"
            );
            let some = gateway.get(&format!("/data-api/{code}?region=east&least=10.51")).data();
            assert_eq!(some, json!([{"id": 2, "amount": 20.25}]), "{code}");
            let none = gateway.get(&format!("/data-api/{code}?region=%27%29%3B--")).data();
            assert_eq!(none, json!([]), "{code}");
        }
        assert_eq!(gateway.get("/data-api/plus?n=41").data(), json!([{"n": 42}]));
    });
}

#[test]
fn statements_that_write_say_how_many_rows() {
    on_each(|bench| {
        bench.sql(SALES);
        bench.datasource("read_only: false");
        bench.interface(
            "code: raise\nmethod: POST\nsafe_mode: false\nparameters: [{name: region, type: string, required: true}, {name: by, type: number, required: true}]\n\
             query_template: UPDATE sales SET amount = amount + :by WHERE region = :region\n",
        );
        let gateway = bench.serve();
        let answer = gateway.post("/data-api/raise", "{\"region\": \"east\", \"by\": 0.5}");
        assert_eq!(answer.data(), json!({"affected_rows": 2}));
        let total = bench.sql("SELECT SUM(amount) FROM sales WHERE region = 'east';");
        assert_eq!(total.trim().parse(), Ok(31.75));
        let none = gateway.post("/data-api/raise", "{\"region\": \"\", \"by\": 1}");
        assert_eq!(none.data(), json!({"affected_rows": 0}));
    });
}

#[test]
fn a_read_only_datasource_writes_nothing() {
    on_each(|bench| {
        bench.sql(SALES);
        bench.interface(
            "code: wipe\nmethod: POST\nsafe_mode: false\nquery_template: DELETE FROM sales\n",
        );
        let gateway = bench.serve();
        let answer = gateway.post_with("/data-api/wipe", "", &[("x-api-key", KEY)]);
        assert_eq!((answer.status, answer.code().as_str()), (502, "DATASOURCE_ERROR"));
        assert_eq!(answer.json()["details"], Value::Array(vec![]));
        assert_eq!(bench.sql("SELECT COUNT(*) FROM sales;").trim(), "4");
    });
}
