//! What a record holds.

use serde_json::{Value, json};

use super::{call, count, open, record_of, records, tree};
use crate::support::{KEY, Tree, eventually};

#[test]
fn every_field() {
    let tree = Tree::new();
    tree.sqlite("CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (1), (2), (3);");
    tree.interface(
        "code: full\nversion: 2.1.0\ndatasource_id: lite\naudit: true\npath: /data-api/full/{kind}\n\
         cache: {ttl_seconds: 600}\nparameters:\n  - {name: kind, in: path}\n  - {name: n, type: integer}\n\
         \x20 - {name: absent, type: string}\n  - {name: list, type: array, items: {type: integer}}\n\
         query_template: SELECT n FROM t WHERE n <= :n AND :kind <> '' AND :absent IS NULL AND n IN (:list)\n",
    );
    let gateway = tree.serve();
    let before = jiff::Timestamp::now().as_microsecond();
    let path = "/data-api/full/a%20b?n=2&list=1,2,3";
    let headers = [("x-api-key", KEY), ("x-request-id", "call-1")];
    let answer = gateway.get_with(path, &headers);
    assert_eq!(answer.data().as_array().unwrap().len(), 2);
    let store = open(&tree);
    let mut found = records(&store, "request_id = 'call-1'");
    assert_eq!(found.len(), 1);
    let record = found.remove(0);
    let at = record["at"].as_i64().unwrap();
    assert!((before..=jiff::Timestamp::now().as_microsecond()).contains(&at));
    assert!(record["duration_us"].as_i64().unwrap() > 0);
    let params: Value = serde_json::from_str(record["params"].as_str().unwrap()).unwrap();
    assert_eq!(params, json!({"kind": "a b", "n": 2, "list": [1, 2, 3]}));
    let revision = answer.header("x-definitions-revision").unwrap();
    for (column, expected) in [
        ("request_id", json!("call-1")),
        ("interface", json!("full")),
        ("version", json!("2.1.0")),
        ("principal_kind", json!("consumer")),
        ("principal", json!("tester")),
        ("issuer", json!(null)),
        ("roles", json!("[\"all\"]")),
        ("ip", json!("127.0.0.1")),
        ("method", json!("GET")),
        ("path", json!("/data-api/full/a%20b")),
        ("code", json!("OK")),
        ("status", json!(200)),
        ("row_count", json!(2)),
        ("byte_count", json!(answer.body.len())),
        ("cache", json!("MISS")),
        ("revision", json!(revision)),
        ("kind", json!("query")),
        ("error", json!(null)),
    ] {
        assert_eq!(record[column], expected, "{column}");
    }
    // From the cache it is a call like any other.
    assert_eq!(call(&gateway, path, "call-2"), 200);
    let again = record_of(&store, "call-2");
    assert_eq!((&again["cache"], &again["row_count"]), (&json!("HIT"), &json!(2)));
}

#[test]
fn what_is_sensitive_stands_nowhere() {
    let secret = "6222-0000-1234-5678";
    let tree = Tree::new();
    tree.sqlite("SELECT 1");
    tree.interface(
        "code: card\ndatasource_id: lite\nmethod: POST\naudit: true\n\
         parameters: [{name: card, sensitive: true}, {name: cards, type: array, sensitive: true}, {name: n}]\n\
         query_template: \"SELECT length(:card) AS n, :cards IS NULL AS b, :n AS c\"\n",
    );
    let gateway = tree.serve_with(&["--log", "trace"]);
    let body = json!({"card": secret, "cards": [secret], "n": "shown"});
    assert_eq!(gateway.post("/data-api/card", &body.to_string()).data()[0]["n"], secret.len());
    let store = open(&tree);
    let record = records(&store, "interface = 'card'").remove(0);
    assert_eq!(record["params"], "{\"card\":\"***\",\"cards\":\"***\",\"n\":\"shown\"}");
    // A refused value is as secret as a good one.
    let refused = gateway.post("/data-api/card", &json!({"card": 7, "x": secret}).to_string());
    assert_eq!(refused.status, 400);
    eventually("both are recorded", || count(&store, "interface = 'card'") == 2);
    let all = format!("{:?}", records(&store, "1 = 1"));
    assert!(!all.contains(secret), "{all}");
    assert!(!gateway.log().contains(secret), "{}", gateway.log());
}

#[test]
fn refused_calls_are_recorded() {
    let tree = tree();
    tree.interface(
        "code: once\ndatasource_id: lite\naudit: true\nrate_limit: {rps: 0.001, burst: 1}\nquery_template: SELECT 1 AS n\n",
    );
    tree.interface("code: listed\ndatasource_id: lite\naudit: true\nip_whitelist: [192.0.2.1]\nquery_template: SELECT 1 AS n\n");
    tree.interface("code: broken\ndatasource_id: lite\naudit: true\nquery_template: SELECT no_such FROM t WHERE n = 1\n");
    tree.write(
        "policies/stranger.yaml",
        &format!(
            "kind: consumer\nname: stranger\napi_keys: [{{id: a, sha256: {}}}]\n",
            crate::support::sha256("stranger")
        ),
    );
    let gateway = tree.serve();
    let store = open(&tree);
    let cases: [(&str, &str, &str, u16, &str); 6] = [
        ("bad-key", "/data-api/strict", "wrong", 401, "UNAUTHORIZED"),
        ("no-grant", "/data-api/strict", "stranger", 403, "FORBIDDEN"),
        ("address", "/data-api/listed", KEY, 403, "FORBIDDEN"),
        ("bad-param", "/data-api/strict?n=x", KEY, 400, "INVALID_PARAM"),
        ("broken", "/data-api/broken", KEY, 502, "DATASOURCE_ERROR"),
        ("too-many", "/data-api/once", KEY, 429, "RATE_LIMITED"),
    ];
    assert_eq!(gateway.get("/data-api/once").status, 200);
    for (id, path, key, status, code) in cases {
        let answer = gateway.get_with(path, &[("x-api-key", key), ("x-request-id", id)]);
        assert_eq!(answer.status, status, "{id}");
        let record = record_of(&store, id);
        assert_eq!((&record["status"], &record["code"]), (&json!(status), &json!(code)), "{id}");
        assert_eq!(record["byte_count"], json!(answer.body.len()), "{id}");
    }
    assert_eq!(record_of(&store, "no-grant")["principal"], "stranger");
    assert_eq!(record_of(&store, "bad-key")["principal_kind"], "anonymous");
    // Whoever looks for the reason of a refusal finds it, with what was sent and the roles that did not do.
    let reason = |id: &str| record_of(&store, id)["error"].as_str().unwrap().to_owned();
    assert_eq!(reason("bad-param"), "Parameter n must be a whole number.");
    assert_eq!(record_of(&store, "bad-param")["params"], "{\"n\":\"x\"}");
    assert!(reason("bad-key").starts_with("unknown_key: "), "{}", reason("bad-key"));
    assert_eq!(reason("no-grant"), "the caller has no role, and `strict` needs one that grants it");
    assert!(reason("address").starts_with("address_not_allowed: "));
    assert!(reason("too-many").starts_with("Too many calls"));
    // What the database said is for the operator alone.
    assert!(record_of(&store, "broken")["error"].as_str().unwrap().contains("no_such"));
}

#[test]
fn calls_of_nothing_are_recorded_but_not_without_end() {
    let tree = tree();
    tree.interface(
        "code: off\ndatasource_id: lite\nstatus: disabled\nquery_template: SELECT 1 AS n\n",
    );
    tree.interface(
        "code: new\ndatasource_id: lite\nstatus: draft\nquery_template: SELECT 1 AS n\n",
    );
    let gateway = tree.serve();
    let store = open(&tree);
    for (id, path, code, reason) in [
        ("nowhere", "/data-api/nowhere", "", "no interface has this address"),
        ("off", "/data-api/off", "off", "the interface is disabled"),
        ("new", "/data-api/new", "new", "the interface is a draft"),
        (
            "version",
            "/data-api/strict?version=9.9.9",
            "strict",
            "the interface has no such version",
        ),
        ("off-version", "/data-api/off?version=1.0.0", "off", "the version is disabled"),
    ] {
        assert_eq!(call(&gateway, path, id), 404);
        let record = record_of(&store, id);
        assert_eq!(
            (&record["interface"], &record["error"]),
            (&json!(code), &json!(reason)),
            "{id}"
        );
        assert_eq!(
            (&record["status"], &record["path"]),
            (&json!(404), &json!(path.split('?').next()))
        );
    }
    for _ in 0..500 {
        gateway.get("/data-api/guessed");
    }
    assert_eq!(call(&gateway, "/data-api/strict", "last"), 200);
    record_of(&store, "last");
    let kept = count(&store, "path = '/data-api/guessed'");
    assert!((1..400).contains(&kept), "{kept}");
}

#[test]
fn exports_and_tests_say_so() {
    let tree = tree();
    tree.interface(
        "code: many\ndatasource_id: lite\naudit: true\nquery_template: >-\n  WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL \
         SELECT n + 1 FROM c WHERE n < 50000) SELECT n, 'some text to make it long' AS text FROM c WHERE n > 0\n",
    );
    let gateway = tree.serve();
    let store = open(&tree);
    for (format, kind) in
        [("csv", "export"), ("xlsx", "export"), ("ndjson", "query"), ("json", "query")]
    {
        let path = format!("/data-api/many?format={format}");
        let answer = gateway.get_with(&path, &[("x-api-key", KEY), ("x-request-id", format)]);
        assert_eq!(answer.status, 200);
        // The whole answer is here, so the record is there.
        let found = records(&store, &format!("request_id = '{format}'"));
        assert_eq!(found.len(), 1, "{format}");
        assert_eq!(
            (&found[0]["kind"], &found[0]["row_count"]),
            (&json!(kind), &json!(50_000)),
            "{format}"
        );
        assert_eq!(found[0]["byte_count"], json!(answer.body.len()), "{format}");
    }
    assert_eq!(
        gateway.admin_post("/api/dataservice/interfaces/strict/test", "{\"n\": 1}").status,
        200
    );
    let test = records(&store, "interface = 'strict'").remove(0);
    assert_eq!((&test["kind"], &test["principal_kind"]), (&json!("test"), &json!("admin")));
}

#[test]
fn a_token_names_its_issuer() {
    let tree = tree();
    tree.write("secrets/hs", "a shared secret of forty characters, say");
    tree.write(
        "policies/sso.yaml",
        "kind: jwt_issuer\nname: sso\nissuer: https://sso\naudience: tidegate\nkeys: {hs256: {file: secrets/hs}}\n",
    );
    let gateway = tree.serve();
    let exp = jiff::Timestamp::now().as_second() + 600;
    let claims = json!({"iss": "https://sso", "aud": "tidegate", "sub": "ann", "exp": exp, "roles": ["all"]});
    let key = jsonwebtoken::EncodingKey::from_secret(b"a shared secret of forty characters, say");
    let token = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap();
    let headers = [("authorization", format!("Bearer {token}")), ("x-request-id", "t".to_owned())];
    let headers: Vec<(&str, &str)> =
        headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(gateway.get_with("/data-api/strict", &headers).status, 200);
    let record = record_of(&open(&tree), "t");
    assert_eq!((&record["principal_kind"], &record["principal"]), (&json!("token"), &json!("ann")));
    assert_eq!(record["issuer"], "sso");
}
