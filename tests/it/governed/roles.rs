//! Several roles: what they grant adds up cell by cell, and never further.

use serde_json::{Value, json};

use super::{Policy, get_as, governed};
use crate::support::databases::{Bench, KINDS, Kind, on_each};

const SQL: &str = "
    CREATE TABLE person (id INTEGER PRIMARY KEY, region VARCHAR(10), phone VARCHAR(20), salary INTEGER);
    INSERT INTO person VALUES (1, 'east', '13800001111', 10), (2, 'west', '13800002222', 20), (3, NULL, '13800003333', 30);";

fn people(bench: &Bench, claims: &str, roles: &[&str]) -> Value {
    Policy { claims, roles }.write(bench);
    bench.interface("code: people\nquery_template: SELECT * FROM person ORDER BY id LIMIT 10");
    let gateway = bench.serve();
    let answer = gateway.get("/data-api/people");
    if answer.status == 200 { answer.data() } else { json!(answer.status) }
}

#[test]
fn a_mask_falls_only_in_rows_that_a_role_shows_plainly() {
    for kind in KINDS {
        let bench = governed(kind, SQL);
        let masked = "table: person, columns: {mask: {phone: last4, salary: last4}}";
        let east = "table: person, rows: \"region = 'east'\"";
        assert_eq!(
            people(&bench, "", &[masked, east]),
            json!([
                {"id": 1, "region": "east", "phone": "13800001111", "salary": "10"},
                {"id": 2, "region": "west", "phone": "****2222", "salary": "****"},
                {"id": 3, "region": null, "phone": "****3333", "salary": "****"},
            ]),
            "{kind:?}"
        );
    }
}

#[test]
fn rows_of_several_roles_add_up() {
    on_each(|bench| {
        bench.sql(SQL);
        bench.datasource("governed: true");
        let (east, west) = (
            "table: person, rows: \"region = 'east'\"",
            "table: person, rows: \"region = $principal.claims.r\"",
        );
        let data = people(bench, "r: west", &[east, west]);
        let ids: Vec<&Value> = data.as_array().unwrap().iter().map(|row| &row["id"]).collect();
        assert_eq!(ids, [1, 2]);
        // Two grants of one role are no different.
        let data = people(bench, "r: west", &[&format!("{east}\n{west}")]);
        assert_eq!(data.as_array().unwrap().len(), 2);
    });
}

#[test]
fn a_column_of_one_role_does_not_reach_the_rows_of_another() {
    for kind in KINDS {
        let bench = governed(kind, SQL);
        let narrow = "table: person, columns: {allow: [id, region]}";
        let east = "table: person, columns: {allow: [id, salary]}, rows: \"region = 'east'\"";
        assert_eq!(
            people(&bench, "", &[narrow, east]),
            json!([
                {"id": 1, "region": "east", "salary": 10},
                {"id": 2, "region": "west", "salary": null},
                {"id": 3, "region": null, "salary": null},
            ]),
            "{kind:?}"
        );
    }
}

#[test]
fn one_plain_grant_shows_all() {
    let bench = governed(Kind::Sqlite, SQL);
    let masked =
        "table: person, columns: {deny: [phone]}, rows: \"region = $principal.claims.region\"";
    let data = people(&bench, "", &[masked, "table: \"per*\""]);
    assert_eq!(data[1], json!({"id": 2, "region": "west", "phone": "13800002222", "salary": 20}));
}

#[test]
fn a_claim_that_is_missing_or_of_another_form_grants_nothing() {
    on_each(|bench| {
        bench.sql(SQL);
        bench.datasource("governed: true");
        let by_claim = "table: person, rows: \"region = $principal.claims.region\"";
        for claims in ["", "region: null", "region: [east, west]", "region: {a: b}"] {
            assert_eq!(people(bench, claims, &[by_claim]), json!(403), "{claims}");
        }
        // An open condition on it does not run either.
        let open = "table: person, rows: \"region <> $principal.claims.region OR $principal.claims.region IS NULL\"";
        assert_eq!(people(bench, "", &[open]), json!(403));
        // What another role grants stays.
        let other = "table: person, rows: \"salary > 25\"";
        let data = people(bench, "", &[by_claim, other]);
        assert_eq!(data.as_array().unwrap().len(), 1);
    });
}

#[test]
fn claims_are_values_and_lists() {
    on_each(|bench| {
        bench.sql(SQL);
        bench.datasource("governed: true");
        let rows = |claims: &str, rows: &str| {
            let grant = format!("table: person, rows: \"{rows}\"");
            let data = people(bench, claims, &[&grant]);
            let rows = data.as_array().unwrap_or_else(|| panic!("{claims} {rows}: {data}"));
            rows.iter().map(|row| row["id"].as_i64().unwrap()).collect::<Vec<_>>()
        };
        let list = "region IN ($principal.claims.regions)";
        assert_eq!(rows("regions: [east, west]", list), [1, 2]);
        assert_eq!(rows("regions: west", list), [2]);
        assert_eq!(rows("regions: []", list), [] as [i64; 0]);
        assert_eq!(
            rows("org: {unit: {region: east}}", "region = $principal.claims.org.unit.region"),
            [1]
        );
        assert_eq!(rows("least: 20", "salary >= $principal.claims.least"), [2, 3]);
        assert_eq!(
            rows("region: \"x' OR '1'='1\"", "region = $principal.claims.region"),
            [] as [i64; 0]
        );
        assert_eq!(rows("", "$principal.name = 'tester' AND id = 3"), [3]);
        assert_eq!(rows("", "id IN (SELECT MAX(id) FROM person)"), [3]);
    });
}

/// What a caller's own query calls things is none of a filter's business.
#[test]
fn a_query_cannot_lend_a_filter_its_names() {
    on_each(|bench| {
        bench.sql(SQL);
        bench.sql("CREATE TABLE staff (name VARCHAR(20), region VARCHAR(10)); INSERT INTO staff VALUES ('tester', 'west');");
        bench.datasource("governed: true");
        let mine = "table: person, rows: \"region IN (SELECT s.region FROM staff s WHERE s.name = $principal.name)\"";
        Policy { claims: "", roles: &[mine] }.write(bench);
        bench.interface(
            "code: people\nquery_template: |\n  WITH person2 AS (SELECT 'east' AS region, 'tester' AS name)\n  \
             SELECT p.id FROM person p JOIN person2 s ON 1 = 1 WHERE p.id > 0",
        );
        // The filter's own table cannot be taken by a common table expression, however it is written.
        for (i, with) in [
            "WITH staff AS (SELECT 'east' AS region, 'tester' AS name) SELECT p.id FROM person p, staff WHERE p.id > 0",
            "WITH STAFF AS (SELECT 'east' AS region, 'tester' AS name) SELECT p.id FROM person p WHERE p.id > 0",
            "WITH x AS (WITH staff AS (SELECT 'east' AS region, 'tester' AS name) SELECT id FROM person WHERE id > 0) SELECT id FROM x",
            "WITH RECURSIVE staff AS (SELECT 'east' AS region, 'tester' AS name, 1 AS n UNION ALL SELECT region, name, n + 1 FROM staff WHERE n < 2) \
             SELECT DISTINCT p.id FROM person p JOIN staff ON staff.n > 0 WHERE p.id > 0",
            "SELECT id FROM person WHERE id IN (WITH staff AS (SELECT 'east' AS region, 'tester' AS name) SELECT p.id FROM person p WHERE p.id > 0)",
        ]
        .iter()
        .enumerate()
        {
            bench.interface(&format!("code: lent_{i}\nquery_template: |\n  {with}"));
        }
        let gateway = bench.serve();
        for code in ["people", "lent_0", "lent_1", "lent_2", "lent_3", "lent_4"] {
            assert_eq!(
                gateway.get(&format!("/data-api/{code}")).data(),
                json!([{"id": 2}]),
                "{code}"
            );
        }
    });
}

#[test]
fn what_no_role_grants_is_closed() {
    on_each(|bench| {
        bench.sql(SQL);
        bench.datasource("governed: true");
        for (roles, status) in [
            (&["table: other"][..], 403),
            (&["table: \"pers?n\""][..], 200),
            (&["table: PERSON2"][..], 403),
            (&["table: \"nowhere.person\""][..], 403),
            (&["table: \"nowhere.*\""][..], 403),
            (&["table: \"*.person\""][..], 200),
            (&["table: person, columns: {allow: []}"][..], 403),
            (&["table: person, rows: \"1 = 0\""][..], 200),
        ] {
            let data = people(bench, "", roles);
            let got = if data.is_array() { 200 } else { data.as_u64().unwrap() };
            assert_eq!(got, status, "{roles:?}: {data}");
        }
    });
}

/// A slip in what hides must not show it.
#[test]
fn a_column_that_is_not_there_closes_the_table() {
    on_each(|bench| {
        bench.sql(SQL);
        bench.datasource("governed: true");
        for grant in [
            "table: person, columns: {deny: [phon]}",
            "table: person, columns: {mask: {phonenumber: last4}}",
            "table: person, rows: \"regio = 'east'\"",
            "table: person, columns: {mask: {phone: {sql: \"UPPER(fone)\"}}}",
        ] {
            assert_eq!(people(bench, "", &[grant]), json!(403), "{grant}");
        }
        // Under a pattern not every table has every column.
        let data = people(bench, "", &["table: \"*\", columns: {deny: [phone, id_card]}"]);
        assert_eq!(data[0].get("phone"), None, "{data}");
        // Whatever the case, what is denied is not shown.
        let data = people(bench, "", &["table: person, columns: {deny: [PHONE]}"]);
        assert_eq!(data[0].get("phone"), None, "{data}");
    });
}

#[test]
fn grants_are_of_the_caller_alone() {
    on_each(|bench| {
        bench.sql(SQL);
        bench.datasource("governed: true");
        Policy { claims: "", roles: &["table: person, rows: \"region = 'east'\""] }.write(bench);
        let west = "table: person, columns: {deny: [phone]}, rows: \"region = 'west'\"";
        Policy { claims: "", roles: &[west] }.write_for(bench, "other", "other-key");
        Policy { claims: "", roles: &[""] }.write_for(bench, "bare", "bare-key");
        bench.interface(
            "code: people\ncache: {ttl_seconds: 600, stale_seconds: 600}\nquery_template: SELECT * FROM person ORDER BY id LIMIT 10",
        );
        let gateway = bench.serve();
        for _ in 0..2 {
            assert_eq!(gateway.get("/data-api/people").data()[0]["phone"], "13800001111");
            assert_eq!(
                get_as(&gateway, "other-key", "people").data(),
                json!([{"id": 2, "region": "west", "salary": 20}])
            );
            assert_eq!(get_as(&gateway, "bare-key", "people").status, 403);
        }
    });
}

/// Who does not say who it is has no roles, and is asked to.
#[test]
fn nobody_sees_nothing() {
    let bench = governed(Kind::Sqlite, SQL);
    Policy { claims: "", roles: &["table: person"] }.write(&bench);
    bench.interface(
        "code: people\nvisibility: public\nauth_required: false\nquery_template: SELECT id FROM person ORDER BY id LIMIT 1",
    );
    let gateway = bench.serve();
    assert_eq!(gateway.get_with("/data-api/people", &[]).refusal().0, 401);
    assert_eq!(gateway.get("/data-api/people").data(), json!([{"id": 1}]));
}

/// What a claim is compared with decides what it may be: no engine takes `0` for a text, nor a text for 0.
#[test]
fn claims_are_not_taken_for_another_type() {
    on_each(|bench| {
        bench.sql(SQL);
        bench.sql("CREATE TABLE n (id INTEGER, num INTEGER, flag BOOLEAN, name VARCHAR(9)); INSERT INTO n VALUES (1, 0, FALSE, 'x'), (2, 1, TRUE, '');");
        bench.datasource("governed: true");
        bench.interface("code: people\nquery_template: SELECT id FROM person ORDER BY id LIMIT 9");
        bench.interface("code: numbers\nquery_template: SELECT id FROM n ORDER BY id LIMIT 9");
        for (code, claims, table, rows) in [
            ("people", "c: 0", "person", "region = $principal.claims.c"),
            ("people", "c: false", "person", "region = $principal.claims.c"),
            ("people", "c: [0]", "person", "region IN ($principal.claims.c)"),
            ("people", "c: 0", "person", "LOWER(region) = $principal.claims.c"),
            (
                "people",
                "c: 0",
                "person",
                "region BETWEEN $principal.claims.c AND $principal.claims.c",
            ),
            ("numbers", "c: x", "n", "num = $principal.claims.c"),
            ("numbers", "c: 1x", "n", "num = $principal.claims.c"),
            ("numbers", "c: x", "n", "flag = $principal.claims.c"),
        ] {
            let grant = format!("table: {table}, rows: \"{rows}\"");
            Policy { claims, roles: &[&grant] }.write(bench);
            let answer = bench.serve().get(&format!("/data-api/{code}"));
            let is_nothing = matches!(answer.status, 403 | 502) || answer.data() == json!([]);
            assert!(is_nothing, "{claims} {rows}: {}", answer.text());
        }
        for (claims, rows, ids) in [
            ("c: 1", "num = $principal.claims.c", 2),
            ("c: \"1\"", "num = $principal.claims.c", 2),
            ("c: x", "name = $principal.claims.c", 1),
        ] {
            let grant = format!("table: n, rows: \"{rows}\"");
            Policy { claims, roles: &[&grant] }.write(bench);
            assert_eq!(
                bench.serve().get("/data-api/numbers").data(),
                json!([{"id": ids}]),
                "{claims} {rows}"
            );
        }
    });
}

/// A token without a name has none to compare with.
#[test]
fn a_token_without_a_name_has_no_use_of_one() {
    let bench = governed(Kind::Sqlite, SQL);
    Policy { claims: "", roles: &["table: person, rows: \"$principal.name = '' OR id = 1\""] }
        .write(&bench);
    bench.interface("code: people\nquery_template: SELECT id FROM person ORDER BY id LIMIT 9");
    let gateway = bench.serve();
    let test = |body: &str| gateway.admin_post("/api/dataservice/interfaces/people/test", body);
    assert_eq!(test("{\"as\": {\"roles\": [\"tester_0\"]}}").status, 403);
    assert_eq!(
        test("{\"as\": {\"roles\": [\"tester_0\"], \"name\": \"n\"}}").data(),
        json!([{"id": 1}])
    );
}
