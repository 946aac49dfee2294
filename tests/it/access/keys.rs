//! API keys, roles by code and by tag, visibility.

use super::{me, whoami, with_key};
use crate::support::{KEY, Tidegate, Tree, sha256};

/// A consumer with keys: (key, `expires_at` or nothing).
fn consumer(name: &str, roles: &str, keys: &[(&str, &str)]) -> String {
    let mut yaml = format!("---\nkind: consumer\nname: {name}\nroles: [{roles}]\napi_keys:\n");
    for (i, (key, expires)) in keys.iter().enumerate() {
        let expires =
            if expires.is_empty() { String::new() } else { format!(", expires_at: \"{expires}\"") };
        yaml += &format!("  - {{id: k{i}, sha256: \"{}\"{expires}}}\n", sha256(key));
    }
    yaml
}

fn served(policies: &str, interfaces: &[(&str, &str)]) -> (Tree, Tidegate) {
    let tree = Tree::new();
    tree.sqlite("SELECT 1");
    tree.write("policies/more.yaml", policies);
    for (code, more) in interfaces {
        whoami(&tree, code, more);
    }
    let gateway = tree.serve();
    (tree, gateway)
}

#[test]
fn keys_work_until_they_expire() {
    let tomorrow = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
    let today = jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC).date().to_string();
    let policies = consumer(
        "shop",
        "all",
        &[
            ("first", ""),
            ("second", &tomorrow.to_string()),
            ("old", "2020-01-01"),
            ("just-over", "2020-01-01T00:00:00Z"),
            ("last-day", &today),
        ],
    );
    let (_tree, gateway) = served(&policies, &[("who", "")]);
    for key in ["first", "second", "last-day"] {
        let answer = gateway.get_with("/data-api/who", &[("x-api-key", key)]);
        assert_eq!(me(&answer), "shop", "{key}");
    }
    let hash = sha256("first");
    for key in ["old", "just-over", "wrong", "", "FIRST", "first ", &hash] {
        // A trailing space does not survive the wire.
        let expected = if key.trim() == "first" && key != "first" { 200 } else { 401 };
        let answer = gateway.get_with("/data-api/who", &[("x-api-key", key)]);
        assert_eq!(answer.status, expected, "{key:?}");
        if expected == 401 {
            assert_eq!(answer.code(), "UNAUTHORIZED");
            assert!(answer.header("www-authenticate").is_some());
            // Which of the reasons it was is for the operator alone.
            assert_eq!(answer.json()["details"], serde_json::json!([]));
        }
    }
    assert_eq!(gateway.get_with("/data-api/who", &[]).status, 401);
    assert!(gateway.metric("tidegate_auth_failures_total{reason=\"expired_key\"}").unwrap() >= 2.0);
    assert!(gateway.metric("tidegate_auth_failures_total{reason=\"unknown_key\"}").unwrap() >= 4.0);
    assert!(
        gateway.metric("tidegate_auth_failures_total{reason=\"missing_credentials\"}").unwrap()
            >= 1.0
    );
}

#[test]
fn a_key_that_is_taken_away_ends_at_the_reload() {
    let policies = consumer("shop", "all", &[("first", ""), ("second", "")]);
    let (tree, gateway) = served(&policies, &[("who", "")]);
    assert_eq!(with_key(&gateway, "who", "first"), 200);
    tree.write("policies/more.yaml", &consumer("shop", "all", &[("second", "")]));
    gateway.reload();
    assert_eq!(with_key(&gateway, "who", "first"), 401);
    assert_eq!(with_key(&gateway, "who", "second"), 200);
}

#[test]
fn visibility_decides_who_may_call() {
    let policies = consumer("stranger", "", &[("stranger", "")]);
    let interfaces = [
        ("open", "visibility: public\nauth_required: false"),
        ("known", "visibility: public"),
        ("partner", "visibility: partner"),
        ("internal", "visibility: internal"),
        ("usual", ""),
    ];
    let (_tree, gateway) = served(&policies, &interfaces);
    // Without credentials; with those of nobody; of a consumer without a role; of one that is granted all.
    let table = [
        ("open", [200, 401, 200, 200]),
        ("known", [401, 401, 200, 200]),
        ("partner", [401, 401, 403, 200]),
        ("internal", [401, 401, 403, 200]),
        ("usual", [401, 401, 403, 200]),
    ];
    for (code, expected) in table {
        let path = format!("/data-api/{code}");
        let found = [
            gateway.get_with(&path, &[]).status,
            with_key(&gateway, code, "nobody"),
            with_key(&gateway, code, "stranger"),
            with_key(&gateway, code, KEY),
        ];
        assert_eq!(found, expected, "{code}");
    }
    assert_eq!(me(&gateway.get_with("/data-api/open", &[])), "");
    assert_eq!(me(&gateway.get("/data-api/open")), "tester");
}

#[test]
fn bad_credentials_are_never_taken_for_none() {
    let interfaces = [("open", "visibility: public\nauth_required: false")];
    let (_tree, gateway) = served("", &interfaces);
    let bad: [&[(&str, &str)]; 9] = [
        &[("x-api-key", "wrong")],
        &[("x-api-key", "")],
        &[("authorization", "Bearer nonsense")],
        &[("authorization", "Bearer ")],
        &[("authorization", "Bearer")],
        &[("authorization", "Basic dGVzdDp0ZXN0")],
        &[("authorization", "")],
        &[("authorization", KEY)],
        &[("x-api-key", "wrong"), ("authorization", "Bearer nonsense")],
    ];
    for headers in bad {
        assert_eq!(gateway.get_with("/data-api/open", headers).status, 401, "{headers:?}");
        assert_eq!(gateway.get_with("/openapi.json", headers).status, 401, "{headers:?}");
    }
}

#[test]
fn roles_grant_by_code_and_by_tag() {
    let policies = format!(
        "kind: role\nname: sales\ninterfaces: [\"sales_*\", exact]\n---\nkind: role\nname: tagged\ntags: [report]\n{}{}{}",
        consumer("seller", "sales", &[("seller", "")]),
        consumer("reporter", "tagged", &[("reporter", "")]),
        consumer("both", "\"sales\", tagged", &[("both", "")]),
    );
    let interfaces = [
        ("sales_daily", ""),
        ("sales_", ""),
        ("presales_daily", ""),
        ("exact", ""),
        ("exactly", ""),
        ("stock", "tags: [report, other]"),
        ("other", "tags: [reports]"),
    ];
    let (_tree, gateway) = served(&policies, &interfaces);
    let table = [
        ("sales_daily", [200, 403, 200]),
        ("sales_", [200, 403, 200]),
        ("presales_daily", [403, 403, 403]),
        ("exact", [200, 403, 200]),
        ("exactly", [403, 403, 403]),
        ("stock", [403, 200, 200]),
        ("other", [403, 403, 403]),
    ];
    for (code, expected) in table {
        let found = ["seller", "reporter", "both"].map(|key| with_key(&gateway, code, key));
        assert_eq!(found, expected, "{code}");
    }
    // The description of the API names only what the caller may call.
    let described = |key: &str| {
        let json = gateway.get_with("/openapi.json", &[("x-api-key", key)]).json();
        let mut paths: Vec<_> = json["paths"].as_object().unwrap().keys().cloned().collect();
        paths.sort();
        paths
    };
    assert_eq!(
        described("seller"),
        ["/data-api/exact", "/data-api/sales_", "/data-api/sales_daily"]
    );
    assert_eq!(described("reporter"), ["/data-api/stock"]);
}

#[test]
fn a_query_needs_the_claims_it_reads() {
    let policies = consumer("plain", "all", &[("plain", "")]);
    let tree = Tree::new();
    tree.sqlite(
        "CREATE TABLE t (region TEXT, n INTEGER); INSERT INTO t VALUES ('east', 1), ('west', 2);",
    );
    tree.write("policies/more.yaml", &policies);
    tree.interface(
        "code: mine\ndatasource_id: lite\nvisibility: public\nauth_required: false\n\
         param_binding: {region: $.principal.claims.region}\n\
         query_template: \"SELECT n FROM t WHERE region = :region\"\n",
    );
    let gateway = tree.serve();
    assert_eq!(gateway.get("/data-api/mine").data(), serde_json::json!([{"n": 1}]));
    for headers in [&[("x-api-key", "plain")][..], &[]] {
        let answer = gateway.get_with("/data-api/mine", headers);
        assert_eq!((answer.status, answer.code().as_str()), (403, "FORBIDDEN"));
    }
    // The caller cannot set it.
    let refused = gateway.get("/data-api/mine?region=west").refusal();
    assert_eq!(refused, (400, "INVALID_PARAM".into(), vec![("region".into(), "unknown".into())]));
}
