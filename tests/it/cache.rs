//! The answer cache: what it says of itself, whom it keeps apart, and how often it asks the database.

mod flight;
mod keys;
mod stale;

use serde_json::Value;

use crate::support::{Answer, KEY, Tidegate, Tree, eventually, sha256};

/// An interface `r` whose every run answers differently.
fn random(tree: &Tree, cache: &str, more: &str) {
    tree.interface(&format!(
        "code: r\ndatasource_id: lite\ncache: {cache}\nquery_template: SELECT random() AS r\n{more}"
    ));
}

fn random_tree(cache: &str) -> Tree {
    let tree = Tree::new();
    tree.sqlite("SELECT 1");
    random(&tree, cache, "");
    tree
}

fn state(answer: &Answer) -> &str {
    answer.header("x-cache").unwrap_or("none")
}

/// Data and state of a call.
fn call(gateway: &Tidegate, path: &str) -> (Value, String) {
    let answer = gateway.get(path);
    (answer.data(), state(&answer).to_owned())
}

fn hit(value: &Value) -> (Value, String) {
    (value.clone(), "HIT".to_owned())
}

fn queries(gateway: &Tidegate, datasource: &str, outcome: &str) -> f64 {
    let series = "tidegate_datasource_queries_total";
    gateway
        .metric(&format!("{series}{{datasource=\"{datasource}\",outcome=\"{outcome}\"}}"))
        .unwrap_or(0.0)
}

#[test]
fn answers_say_where_they_come_from() {
    let tree = random_tree("{ttl_seconds: 3600}");
    let gateway = tree.serve();
    let first = gateway.get("/data-api/r");
    assert_eq!((state(&first), first.header("age")), ("MISS", Some("0")));
    let etag = first.header("etag").unwrap().to_owned();
    let second = gateway.get("/data-api/r");
    assert_eq!((state(&second), second.header("etag")), ("HIT", Some(etag.as_str())));
    assert_eq!(second.body, first.body);
    assert!(second.header("cache-control").unwrap().starts_with("private, max-age="));
    eventually("the answer ages", || gateway.get("/data-api/r").header("age") != Some("0"));
    let counted = |state: &str| {
        let labels = format!("{{interface=\"r\",state=\"{state}\",version=\"1.0.0\"}}");
        gateway.metric(&format!("tidegate_cache_requests_total{labels}")).unwrap()
    };
    assert_eq!(counted("MISS"), 1.0);
    assert!(counted("HIT") >= 2.0);
    assert_eq!(queries(&gateway, "lite", "ok"), 1.0);
    assert_eq!(gateway.metric("tidegate_cache_entries"), Some(1.0));
}

#[test]
fn without_a_cache_nothing_is_said_or_kept() {
    let tree = random_tree("{enabled: false, ttl_seconds: 3600}");
    let gateway = tree.serve();
    let (first, second) = (gateway.get("/data-api/r"), gateway.get("/data-api/r"));
    assert_ne!(first.data(), second.data());
    for header in ["x-cache", "age", "etag"] {
        assert_eq!(second.header(header), None);
    }
}

#[test]
fn a_caller_that_has_the_answer_gets_304() {
    let tree = random_tree("{ttl_seconds: 3600}");
    let gateway = tree.serve();
    let etag = gateway.get("/data-api/r").header("etag").unwrap().to_owned();
    let strong = etag.trim_start_matches("W/").to_owned();
    let with =
        |tag: &str| gateway.get_with("/data-api/r", &[("x-api-key", KEY), ("if-none-match", tag)]);
    for tag in [etag.as_str(), "*", &strong, &format!("\"other\", {etag}")] {
        let answer = with(tag);
        assert_eq!((answer.status, answer.body.len()), (304, 0), "{tag}");
        assert_eq!(answer.header("etag"), Some(etag.as_str()));
        assert!(answer.header("x-request-id").is_some());
        assert_eq!(state(&answer), "HIT");
    }
    assert_eq!(with("\"other\"").status, 200);
    // Knowing a tag opens no door.
    assert_eq!(gateway.get_with("/data-api/r", &[("if-none-match", "*")]).status, 401);
    random(&tree, "{ttl_seconds: 3600}", "description: changed\n");
    gateway.reload();
    assert_eq!(with(&etag).status, 200, "the definition changed, and with it the answer");
}

#[test]
fn a_fresh_answer_ends() {
    let tree = random_tree("{ttl_seconds: 1}");
    let gateway = tree.serve();
    let first = call(&gateway, "/data-api/r").0;
    eventually("it expires", || {
        let (value, state) = call(&gateway, "/data-api/r");
        assert_eq!(value == first, state == "HIT", "{state}");
        state == "MISS"
    });
}

#[test]
fn failures_are_not_kept() {
    let tree = Tree::new();
    tree.sqlite("CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (1);");
    tree.interface("code: n\ndatasource_id: lite\ncache: {ttl_seconds: 3600}\nquery_template: SELECT m FROM t WHERE n = 1\n");
    let gateway = tree.serve();
    for _ in 0..2 {
        let answer = gateway.get("/data-api/n");
        assert_eq!((answer.status, answer.code().as_str()), (502, "DATASOURCE_ERROR"));
    }
    let database = rusqlite::Connection::open(tree.root().join("data/lite.db")).unwrap();
    database.execute_batch("ALTER TABLE t ADD COLUMN m INTEGER").unwrap();
    eventually("it is well", || gateway.get("/data-api/n").status == 200);
}

#[test]
fn large_answers_are_not_kept() {
    let tree = Tree::new();
    tree.sqlite("SELECT 1");
    tree.interface(
        "code: big\ndatasource_id: lite\ncache: {ttl_seconds: 3600}\nparameters: [{name: size, type: integer}]\n\
         query_template: \"SELECT random() AS r, printf('%.*c', :size, 'x') AS text\"\n",
    );
    let gateway = tree.serve();
    let big = || gateway.get("/data-api/big?size=9000000");
    let first = big();
    assert_eq!(state(&first), "BYPASS");
    assert!(first.body.len() > 9_000_000);
    assert_eq!(first.header("etag"), None);
    assert_ne!(big().data()[0]["r"], first.data()[0]["r"]);
    let small = || call(&gateway, "/data-api/big?size=100000");
    let kept = small().0;
    assert_eq!(small(), hit(&kept));
    assert!(gateway.metric("tidegate_cache_bytes").unwrap() < 1_000_000.0);
}

#[test]
fn memory_is_bounded() {
    let tree = Tree::new();
    tree.sqlite("SELECT 1");
    tree.interface(
        "code: n\ndatasource_id: lite\ncache: {ttl_seconds: 3600}\nparameters: [{name: n, type: integer}]\n\
         query_template: \"SELECT :n AS n, printf('%.*c', 10000, 'x') AS text\"\n",
    );
    let gateway = tree.serve_with(&["--cache-bytes", "200000"]);
    for n in 0..100 {
        assert_eq!(gateway.get(&format!("/data-api/n?n={n}")).data()[0]["n"], n);
    }
    eventually("old answers go", || {
        // Looking is what makes room.
        assert_eq!(gateway.get("/data-api/n?n=1").status, 200);
        gateway.metric("tidegate_cache_bytes").unwrap() <= 200_000.0
    });
}

/// Adds consumers with these names, keys and regions.
fn consumers(tree: &Tree, rows: &[(&str, &str)]) {
    let yaml: String = rows
        .iter()
        .map(|(name, region)| {
            let hash = sha256(name);
            format!(
                "---\nkind: consumer\nname: {name}\nroles: [all]\nclaims: {{region: {region}}}\n\
                 api_keys: [{{id: a, sha256: \"{hash}\"}}]\n"
            )
        })
        .collect();
    tree.write("policies/consumers.yaml", &yaml);
}
