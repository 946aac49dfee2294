//! `tidegate explain` and its admin route: the decision, where it comes from, and the SQL that would run.

use serde_json::Value;

use super::Policy;
use crate::support::databases::{Bench, Kind, on_each};
use crate::support::run;

const SQL: &str =
    "CREATE TABLE sale (id INTEGER PRIMARY KEY, region VARCHAR(10), phone VARCHAR(20));";

fn bench(bench: &Bench) {
    bench.sql(SQL);
    bench.datasource("governed: true");
    Policy {
        claims: "region: east",
        roles: &[
            "table: sale, columns: {deny: [phone]}, rows: \"region = $principal.claims.region\"",
        ],
    }
    .write(bench);
    bench.interface(
        "code: sales\nparameters: [{name: least, type: integer, required: true}]\npagination: {enabled: true}\n\
         query_template: SELECT * FROM sale WHERE id >= :least",
    );
    bench.interface("code: phones\nquery_template: SELECT phone FROM sale WHERE id = 1");
    bench.interface("code: totals\nquery_template: SELECT id FROM sale WHERE id = 1\ntotal: {query_template: SELECT COUNT(phone) AS n FROM sale}");
    bench.interface("code: open\nvisibility: public\nquery_template: SELECT 1 AS one");
}

fn explain(bench: &Bench, args: &[&str]) -> (i32, String, Value) {
    let root = bench.tree.root().to_str().unwrap();
    let text = run(&[&["explain", "--root", root], args].concat());
    let json = run(&[&["explain", "--root", root, "--format", "json"], args].concat());
    assert_eq!(text.0, json.0, "{text:?} {json:?}");
    (text.0, text.1, serde_json::from_str(&json.1).unwrap_or(Value::Null))
}

#[test]
fn a_call_that_passes_is_explained() {
    on_each(|on| {
        bench(on);
        let (code, text, json) = explain(on, &["--as", "tester", "sales"]);
        assert_eq!(code, 0, "{text}");
        assert!(text.starts_with("allowed  sales@1.0.0 for consumer tester\n"), "{text}");
        assert!(text.contains("tester_0  policies/base.yaml:3  interfaces: *"), "{text}");
        assert!(
            text.contains("tester_0  policies/base.yaml:5  table: \"sale\", deny: [\"phone\"]"),
            "{text}"
        );
        let sql = json["sql"].as_str().unwrap();
        let place = on.pick("?1", "$1", "?");
        assert!(sql.contains(place) && !sql.contains("east") && !sql.contains("phone"), "{sql}");
        assert!(json["count_sql"].as_str().unwrap().contains("COUNT(*)"), "{json:#}");
        assert_eq!(json["tables"][0]["grants"][0]["line"], 5);
        // The database takes it as it is printed.
        let values = sql.replace("?1", "'east'").replace("$1", "'east'");
        if on.kind == Kind::Postgres {
            on.sql(&values.replace("$2", "1").replace("$3", "1").replace("$4", "0"));
        }
    });
}

#[test]
fn a_call_that_is_refused_says_why() {
    on_each(|on| {
        bench(on);
        let (code, text, _) = explain(on, &["--as", "tester_0", "sales"]);
        assert_eq!(code, 1);
        assert!(text.contains("refused") && text.contains("no claim `region`"), "{text}");
        let (code, text, _) =
            explain(on, &["--as", "tester_0", "--claims", "{\"region\": \"west\"}", "sales"]);
        assert_eq!(code, 0, "{text}");
        // A column that is hidden is known to be missing only by the database.
        let (code, text, json) = explain(on, &["--as", "tester", "phones"]);
        assert_eq!((code, &json["code"]), (1, &"FORBIDDEN".into()), "{text}");
        let (code, text, json) = explain(on, &["--as", "tester", "totals"]);
        assert_eq!((code, &json["code"]), (1, &"FORBIDDEN".into()), "{text}");
        // What falls short is shown where a claim is missing.
        let (_, text, _) = explain(on, &["--as", "tester_0", "sales"]);
        assert!(text.contains("policies/base.yaml:5"), "{text}");
        let (code, _, json) = explain(on, &["sales"]);
        assert_eq!((code, &json["code"]), (1, &"UNAUTHORIZED".into()));
        let (code, text, json) =
            explain(on, &["--as", "tester", "--parameters", "{\"least\": \"x\"}", "sales"]);
        assert_eq!((code, &json["code"]), (1, &"INVALID_PARAM".into()), "{text}");
    });
}

#[test]
fn what_does_not_exist_is_said() {
    let on = Bench::new(Kind::Sqlite);
    bench(&on);
    let root = on.tree.root().to_str().unwrap();
    for (args, said) in [
        (["--as", "tester", "sale"], "did you mean `sales`?"),
        (["--as", "testr", "sales"], "did you mean `tester"),
    ] {
        let (code, _, err) = run(&[&["explain", "--root", root], &args[..]].concat());
        assert_eq!(code, 2, "{err}");
        assert!(err.contains(said), "{err}");
    }
}

#[test]
fn the_admin_address_explains_too() {
    let on = Bench::new(Kind::Sqlite);
    bench(&on);
    let gateway = on.serve();
    let ask = |body: &str| gateway.admin_post("/api/dataservice/interfaces/sales/explain", body);
    let told = ask("{\"as\": \"tester\", \"parameters\": {\"least\": 2}}").data();
    assert_eq!(told["allowed"], true, "{told:#}");
    assert_eq!(told["tables"][0]["grants"][0]["role"], "tester_0");
    assert!(told["sql"].as_str().unwrap().contains("\"main\".\"sale\""), "{told:#}");
    assert_eq!(ask("{\"as\": \"nobody\"}").status, 400);
    assert_eq!(ask("{\"claims\": {\"region\": \"east\"}}").data()["code"], "FORBIDDEN");
    let other = gateway.admin_post("/api/dataservice/interfaces/nothing/explain", "");
    assert_eq!(other.status, 404);
    let wrong = gateway.admin_post("/api/dataservice/interfaces/sales/explain", "[]");
    assert_eq!(wrong.status, 400);
}
