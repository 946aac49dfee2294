//! Cached answers of governed interfaces: kept apart by what they depend on, shared where they are the same.

use serde_json::json;

use super::{Policy, get_as, governed};
use crate::support::databases::{Bench, Kind};

const SQL: &str = "
    CREATE TABLE t (id INTEGER PRIMARY KEY, region TEXT, phone TEXT); CREATE TABLE u (id INTEGER);
    INSERT INTO t VALUES (1, 'east', '13800001111'), (2, 'west', '13800002222');";

/// An interface with a cache, and one more reader: its role's data and claims.
fn bench(template: &str, reader: (&str, &str), other: (&str, &str)) -> Bench {
    let bench = governed(Kind::Sqlite, SQL);
    Policy { claims: reader.1, roles: &[reader.0] }.write(&bench);
    Policy { claims: other.1, roles: &[other.0] }.write_for(&bench, "other", "other-key");
    bench.interface(&format!(
        "code: t\ncache: {{ttl_seconds: 600}}\nparameters: [{{name: all, type: boolean}}]\nquery_template: \"{template}\""
    ));
    bench
}

/// `X-Cache` of a call of the other reader after one of the first.
fn second(bench: &Bench) -> String {
    let gateway = bench.serve();
    assert_eq!(gateway.get("/data-api/t").header("x-cache"), Some("MISS"));
    assert_eq!(gateway.get("/data-api/t").header("x-cache"), Some("HIT"));
    let answer = get_as(&gateway, "other-key", "t");
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.header("x-cache").unwrap().to_owned()
}

const FIXED: &str = "SELECT * FROM t ORDER BY id LIMIT 5";
const BY_REGION: &str = "table: t, rows: \"region = $principal.claims.region\"";

#[test]
fn the_same_grants_and_claims_share() {
    let east = (BY_REGION, "region: east");
    assert_eq!(second(&bench(FIXED, east, east)), "HIT");
    // What the answer does not depend on does not keep it apart.
    assert_eq!(second(&bench(FIXED, east, (BY_REGION, "region: east, unit: 7"))), "HIT");
    let with_more = format!("{BY_REGION}\ntable: u, rows: \"id = $principal.claims.unit\"");
    assert_eq!(second(&bench(FIXED, east, (&with_more, "region: east, unit: 7"))), "HIT");
}

#[test]
fn other_claims_and_other_grants_do_not() {
    let east = (BY_REGION, "region: east");
    for other in [
        (BY_REGION, "region: west"),
        ("table: t", "region: east"),
        ("table: t, columns: {mask: {phone: last4}}", "region: east"),
        ("table: t, columns: {deny: [phone]}", "region: east"),
        ("table: \"*\", rows: \"region = $principal.claims.region\"", "region: east"),
    ] {
        assert_eq!(second(&bench(FIXED, east, other)), "MISS", "{other:?}");
    }
}

#[test]
fn branches_of_a_template_are_kept_apart_too() {
    let template = "SELECT * FROM {% if all %}u{% else %}t{% endif %} ORDER BY id LIMIT 5";
    let east = (BY_REGION, "region: east");
    assert_eq!(second(&bench(template, east, east)), "HIT");
    let bench = bench(template, east, ("table: u", ""));
    let gateway = bench.serve();
    assert_eq!(gateway.get("/data-api/t").data().as_array().unwrap().len(), 1);
    assert_eq!(get_as(&gateway, "other-key", "t").status, 403);
    assert_eq!(get_as(&gateway, "other-key", "t?all=true").data(), json!([]));
    assert_eq!(gateway.get("/data-api/t?all=true").status, 403);
}

#[test]
fn a_policy_that_changes_leaves_old_answers_behind() {
    let bench = bench(FIXED, ("table: t", ""), ("table: t", ""));
    let gateway = bench.serve();
    assert_eq!(gateway.get("/data-api/t").data().as_array().unwrap().len(), 2);
    Policy { claims: "region: west", roles: &[BY_REGION] }.write(&bench);
    gateway.reload();
    let answer = gateway.get("/data-api/t");
    assert_eq!(answer.header("x-cache"), Some("MISS"));
    assert_eq!(answer.data()[0]["id"], 2);
    Policy { claims: "region: west", roles: &["table: u"] }.write(&bench);
    gateway.reload();
    assert_eq!(gateway.get("/data-api/t").status, 403);
}

/// Of two masks the first one counts, so the order of the roles is part of what an answer depends on.
#[test]
fn the_order_of_masks_and_grants_of_functions_keep_answers_apart() {
    let (stars, nothing) = (
        "table: t, columns: {mask: {phone: last4}}",
        "table: t, columns: {mask: {phone: \"null\"}}",
    );
    let bench = governed(Kind::Sqlite, SQL);
    Policy { claims: "", roles: &[stars, nothing] }.write(&bench);
    Policy { claims: "", roles: &[nothing, stars] }.write_for(&bench, "other", "other-key");
    bench.interface(&format!("code: t\ncache: {{ttl_seconds: 600}}\nquery_template: \"{FIXED}\""));
    let gateway = bench.serve();
    let phone = |answer: crate::support::Answer| answer.data()[0]["phone"].clone();
    for _ in 0..2 {
        assert_eq!(phone(gateway.get("/data-api/t")), json!("****1111"));
        assert_eq!(phone(get_as(&gateway, "other-key", "t")), json!(null));
    }
    let bench = governed(Kind::Postgres, SQL);
    bench.sql("CREATE FUNCTION initcap(i int) RETURNS text LANGUAGE sql AS 'SELECT phone FROM t WHERE id = i';");
    Policy { claims: "", roles: &["table: t\nfunctions: [public.initcap]"] }.write(&bench);
    Policy { claims: "", roles: &["table: t"] }.write_for(&bench, "other", "other-key");
    bench.interface("code: f\ncache: {ttl_seconds: 600}\nquery_template: SELECT initcap(id) AS f FROM t WHERE id = 1");
    let gateway = bench.serve();
    assert_eq!(get_as(&gateway, "other-key", "f").status, 403);
    assert_eq!(gateway.get("/data-api/f").data(), json!([{"f": "13800001111"}]));
    assert_eq!(get_as(&gateway, "other-key", "f").status, 403);
}
