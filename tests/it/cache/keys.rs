//! What an answer depends on keeps it apart; what it does not depend on is shared.

use serde_json::Value;

use super::{call, consumers, hit, random_tree, state};
use crate::support::{KEY, Tidegate, Tree};

/// Data and state of a call with a key and other headers.
fn call_with(gateway: &Tidegate, path: &str, headers: &[(&str, &str)]) -> (Value, String) {
    let answer = gateway.get_with(path, headers);
    (answer.data(), state(&answer).to_owned())
}

#[test]
fn callers_are_apart_where_the_answer_depends_on_them() {
    let tree = random_tree("{ttl_seconds: 3600}");
    consumers(&tree, &[("one", "east"), ("two", "east"), ("three", "west")]);
    for (code, name, source) in [
        ("by_name", "me", "$.principal.name"),
        ("by_region", "region", "$.principal.claims.region"),
        ("by_ip", "ip", "$.request.ip"),
        ("by_time", "now", "$.now"),
    ] {
        tree.interface(&format!(
            "code: {code}\ndatasource_id: lite\ncache: {{ttl_seconds: 3600}}\nparam_binding: {{{name}: {source}}}\n\
             query_template: \"SELECT :{name} AS {name}, random() AS r\"\n"
        ));
    }
    let gateway = tree.serve_with(&["--trusted-proxies", "127.0.0.1"]);
    let by = |code: &str, key: &str, ip: &str| {
        call_with(
            &gateway,
            &format!("/data-api/{code}"),
            &[("x-api-key", key), ("x-forwarded-for", ip)],
        )
    };
    // Shared by all.
    let shared = by("r", "one", "192.0.2.1").0;
    assert_eq!(by("r", "three", "192.0.2.2"), hit(&shared));
    // By name: nobody gets the answer of another.
    let own = by("by_name", "one", "192.0.2.1");
    assert_eq!((own.0[0]["me"].as_str(), own.1.as_str()), (Some("one"), "MISS"));
    let other = by("by_name", "two", "192.0.2.1");
    assert_eq!((other.0[0]["me"].as_str(), other.1.as_str()), (Some("two"), "MISS"));
    assert_eq!(by("by_name", "one", "192.0.2.2"), hit(&own.0));
    // By region: one answer for all of a region.
    let east = by("by_region", "one", "192.0.2.1").0;
    assert_eq!(by("by_region", "two", "192.0.2.1"), hit(&east));
    let west = by("by_region", "three", "192.0.2.1");
    assert_eq!((west.0[0]["region"].as_str(), west.1.as_str()), (Some("west"), "MISS"));
    // By address.
    let here = by("by_ip", "one", "192.0.2.1").0;
    assert_eq!(by("by_ip", "two", "192.0.2.1"), hit(&here));
    assert_eq!(by("by_ip", "one", "192.0.2.2").1, "MISS");
    // A cached answer is of an earlier time in any case.
    let then = by("by_time", "one", "192.0.2.1").0;
    assert_eq!(by("by_time", "one", "192.0.2.1"), hit(&then));
    // What is cached is still not for everybody.
    assert_eq!(gateway.get_with("/data-api/r", &[]).status, 401);
    assert_eq!(gateway.get_with("/data-api/r", &[("x-api-key", "wrong")]).status, 401);
}

#[test]
fn parameters_count_by_value() {
    let tree = Tree::new();
    tree.sqlite("SELECT 1");
    tree.interface(
        "code: p\ndatasource_id: lite\ncache: {ttl_seconds: 3600}\nallow_unknown: true\nparameters:\n\
         \x20 - {name: a, type: integer, default: 1}\n  - {name: b, type: string}\n\
         \x20 - {name: c, type: array, items: {type: string}}\n\
         query_template: \"SELECT :a AS a, :b AS b, :c AS c, random() AS r\"\n",
    );
    let gateway = tree.serve();
    let get = |query: &str| call(&gateway, &format!("/data-api/p{query}"));
    let usual = get("").0;
    for same in ["?a=1", "?unknown=7", "?version=1.0.0", "?format=json&a=1"] {
        assert_eq!(get(same), hit(&usual), "{same}");
    }
    let both = get("?a=2&b=x").0;
    assert_eq!(get("?b=x&a=2"), hit(&both));
    assert_eq!(get("?b=%78&a=%32"), hit(&both));
    let list = get("?c=x,y").0;
    assert_eq!(get("?c=x&c=y"), hit(&list));
    // Each of these is a question of its own, however alike they look.
    let mut seen = vec![usual, both, list];
    for own in [
        "?a=2",
        "?b=1",
        "?b=x",
        "?b=",
        "?b=null",
        "?b=%00x",
        "?a=1&b=2",
        "?a=12",
        "?b=%221%22",
        "?c=y,x",
        "?c=x",
        "?c=%5B%22x%22%5D",
        "?b=x,y",
        "?c=xy",
    ] {
        let answer = gateway.get(&format!("/data-api/p{own}"));
        if answer.status == 400 {
            continue; // a text with a NUL
        }
        assert_eq!(state(&answer), "MISS", "{own}");
        assert!(!seen.contains(&answer.data()), "{own}");
        seen.push(answer.data());
    }
}

#[test]
fn forms_and_languages_are_apart() {
    let tree = random_tree("{ttl_seconds: 3600}");
    let gateway = tree.serve();
    let get = |path: &str, language: &str, accept: &str| {
        let headers = [("x-api-key", KEY), ("accept-language", language), ("accept", accept)];
        let answer = gateway.get_with(path, &headers);
        assert_eq!(answer.status, 200);
        (answer.body.clone(), state(&answer).to_owned())
    };
    let english = get("/data-api/r", "en", "*/*");
    let chinese = get("/data-api/r", "zh-CN", "*/*");
    let csv = get("/data-api/r?format=csv", "en", "*/*");
    for made in [&english, &chinese, &csv] {
        assert_eq!(made.1, "MISS");
    }
    assert!(String::from_utf8_lossy(&chinese.0).contains("成功"));
    assert!(String::from_utf8_lossy(&csv.0).contains("r\r\n") || csv.0.starts_with(b"r\n"));
    let is_hit = |made: &(Vec<u8>, String), again: (Vec<u8>, String)| {
        assert_eq!((again.0, again.1.as_str()), (made.0.clone(), "HIT"));
    };
    is_hit(&english, get("/data-api/r", "fr", "application/json"));
    is_hit(&chinese, get("/data-api/r", "zh", "*/*"));
    is_hit(&csv, get("/data-api/r", "en", "text/csv"));
}

#[test]
fn encodings_share_an_answer() {
    let tree = Tree::new();
    tree.sqlite("SELECT 1");
    tree.interface(
        "code: n\ndatasource_id: lite\ncache: {ttl_seconds: 3600}\n\
         query_template: \"SELECT random() AS r, printf('%.*c', 5000, 'x') AS text\"\n",
    );
    let gateway = tree.serve();
    let with = |encoding: &str| {
        gateway.get_with("/data-api/n", &[("x-api-key", KEY), ("accept-encoding", encoding)])
    };
    let plain = with("identity");
    let packed = with("zstd");
    assert_eq!((state(&packed), packed.header("content-encoding")), ("HIT", Some("zstd")));
    assert_eq!(packed.header("etag"), plain.header("etag"));
    assert!(packed.body.len() < plain.body.len());
}

#[test]
fn a_body_is_part_of_the_question() {
    let tree = Tree::new();
    tree.sqlite("SELECT 1");
    tree.interface(
        "code: p\ndatasource_id: lite\nmethod: POST\ncache: {ttl_seconds: 3600}\n\
         parameters: [{name: n, type: number}]\nquery_template: \"SELECT :n AS n, random() AS r\"\n",
    );
    let gateway = tree.serve();
    let post = |body: &str| {
        let answer = gateway.post("/data-api/p", body);
        (answer.data(), state(&answer).to_owned())
    };
    let one = post("{\"n\": 1}").0;
    assert_eq!(post("{ \"n\":1 }"), hit(&one));
    assert_eq!(post("{\"n\": 2}").1, "MISS");
    let none = post("").0;
    assert_eq!(post("{\"n\": null}"), hit(&none));
}
