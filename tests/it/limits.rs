//! Rate limits: who is counted together, what a refused caller is told, and that a reload forgives nothing.

use crate::support::{Answer, KEY, Tidegate, Tree, eventually, sha256};

/// A tree with a consumer `other` beside the usual one, and an interface `n` with this limit.
fn limited(rule: &str, more: &str) -> Tree {
    let tree = Tree::new();
    tree.sqlite("SELECT 1");
    tree.write(
        "policies/other.yaml",
        &format!(
            "kind: consumer\nname: other\nroles: [all]\napi_keys: [{{id: a, sha256: \"{}\"}}]\n",
            sha256("other")
        ),
    );
    define(&tree, rule, more);
    tree
}

fn define(tree: &Tree, rule: &str, more: &str) {
    tree.interface(&format!(
        "code: n\ndatasource_id: lite\nrate_limit: {rule}\nquery_template: SELECT 1 AS n\n{more}"
    ));
}

fn call(gateway: &Tidegate, headers: &[(&str, &str)]) -> u16 {
    gateway.get_with("/data-api/n", headers).status
}

fn number(answer: &Answer, header: &str) -> u64 {
    answer.header(header).unwrap_or_else(|| panic!("no {header}")).parse().unwrap()
}

#[test]
fn each_caller_has_its_own_burst() {
    let tree = limited("{rps: 0.01, burst: 3}", "");
    let gateway = tree.serve();
    for left in [2, 1, 0] {
        let answer = gateway.get("/data-api/n");
        assert_eq!(answer.status, 200);
        assert_eq!(number(&answer, "ratelimit-limit"), 3);
        assert_eq!(number(&answer, "ratelimit-remaining"), left);
        assert!(number(&answer, "ratelimit-reset") > 0);
        assert!(answer.header("retry-after").is_none());
    }
    let refused = gateway.get("/data-api/n");
    assert_eq!((refused.status, refused.code().as_str()), (429, "RATE_LIMITED"));
    assert_eq!(number(&refused, "ratelimit-remaining"), 0);
    let after = number(&refused, "retry-after");
    assert!((80..=100).contains(&after), "{after}");
    assert_eq!(number(&refused, "ratelimit-reset"), after);
    // The address is the same, the caller is not.
    assert_eq!(call(&gateway, &[("x-api-key", "other")]), 200);
    let counted = "tidegate_rate_limited_total{interface=\"n\",version=\"1.0.0\"}";
    assert_eq!(gateway.metric(counted), Some(1.0));
    // A test run is not a call.
    assert_eq!(gateway.admin_post("/api/dataservice/interfaces/n/test", "").status, 200);
}

#[test]
fn who_does_not_get_in_uses_nothing_up() {
    let tree = limited("{rps: 0.01, burst: 2}", "");
    let gateway = tree.serve();
    for _ in 0..5 {
        assert_eq!(call(&gateway, &[]), 401);
        assert_eq!(call(&gateway, &[("x-api-key", "wrong")]), 401);
    }
    // A wrong parameter does: the caller is known by then.
    assert_eq!(gateway.get("/data-api/n?x=1").status, 400);
    assert_eq!(call(&gateway, &[("x-api-key", KEY)]), 200);
    assert_eq!(call(&gateway, &[("x-api-key", KEY)]), 429);
    assert_eq!(gateway.get("/data-api/n?x=1").status, 429);
}

#[test]
fn by_address() {
    let tree =
        limited("{rps: 0.01, burst: 1, by: ip}", "visibility: public\nauth_required: false\n");
    let gateway = tree.serve_with(&["--trusted-proxies", "127.0.0.1"]);
    let from = |ip: &str, key: &str| {
        let headers = [("x-forwarded-for", ip), ("x-api-key", key)];
        call(&gateway, if key.is_empty() { &headers[..1] } else { &headers })
    };
    assert_eq!(from("192.0.2.1", KEY), 200);
    assert_eq!(from("192.0.2.1", "other"), 429, "another key from the same address");
    assert_eq!(from("192.0.2.1", ""), 429);
    assert_eq!(from("192.0.2.2", KEY), 200);
    // A subscriber of IPv6 owns a whole /64.
    assert_eq!(from("2001:db8:0:1::1", ""), 200);
    assert_eq!(from("2001:db8:0:1:ffff::2", ""), 429);
    assert_eq!(from("2001:db8:0:2::1", ""), 200);
}

#[test]
fn nobody_is_counted_by_address() {
    let tree = limited("{rps: 0.01, burst: 1}", "visibility: public\nauth_required: false\n");
    let gateway = tree.serve_with(&["--trusted-proxies", "127.0.0.1"]);
    let from = |ip: &str| call(&gateway, &[("x-forwarded-for", ip)]);
    assert_eq!([from("192.0.2.1"), from("192.0.2.1"), from("192.0.2.2")], [200, 429, 200]);
    assert_eq!(call(&gateway, &[("x-forwarded-for", "192.0.2.1"), ("x-api-key", KEY)]), 200);
}

#[test]
fn by_interface_and_version() {
    let tree = limited("{rps: 0.01, burst: 2, by: interface}", "");
    define(&tree, "{rps: 0.01, burst: 1, by: interface}", "version: 2.0.0\n");
    let gateway = tree.serve();
    let one = |key| gateway.get_with("/data-api/n?version=1.0.0", &[("x-api-key", key)]).status;
    assert_eq!([one(KEY), one("other"), one(KEY), one("other")], [200, 200, 429, 429]);
    let two = || gateway.get("/data-api/n?version=2.0.0").status;
    assert_eq!([two(), two()], [200, 429]);
}

#[test]
fn allowance_comes_back_with_time() {
    let tree = limited("{rps: 4, burst: 1}", "");
    let gateway = tree.serve();
    let other = || call(&gateway, &[("x-api-key", "other")]);
    let refused = (0..50).any(|_| other() == 429);
    assert!(refused, "fifty calls in a row were all let through");
    eventually("the caller is let in again", || other() == 200);
}

#[test]
fn a_cached_answer_counts_too() {
    let tree = limited("{rps: 0.01, burst: 2}", "cache: {ttl_seconds: 600}\n");
    let gateway = tree.serve();
    let state = || gateway.get("/data-api/n").header("x-cache").map(str::to_owned);
    assert_eq!(state().as_deref(), Some("MISS"));
    assert_eq!(state().as_deref(), Some("HIT"));
    assert_eq!(gateway.get("/data-api/n").status, 429);
}

#[test]
fn a_reload_keeps_the_count() {
    let rule = "{rps: 0.01, burst: 2}";
    let tree = limited(rule, "");
    let gateway = tree.serve();
    let usual = || call(&gateway, &[("x-api-key", KEY)]);
    assert_eq!([usual(), usual(), usual()], [200, 200, 429]);
    tree.interface("code: more\ndatasource_id: lite\nquery_template: SELECT 1 AS n\n");
    gateway.reload();
    assert_eq!(gateway.get("/data-api/more").status, 200);
    assert_eq!(usual(), 429, "another interface forgave");
    define(&tree, rule, "description: the same rule\n");
    gateway.reload();
    assert_eq!(usual(), 429, "the interface itself forgave");
    define(&tree, "{rps: 0.01, burst: 5}", "");
    gateway.reload();
    assert_eq!(usual(), 200, "a new rule starts anew");
}
