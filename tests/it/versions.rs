//! Versions and the life of an interface: which one answers, what the old one says, what is not reached. Languages.

use serde_json::json;

use crate::support::{KEY, Tidegate, Tree};

/// An interface whose versions say who they are.
fn version(tree: &Tree, code: &str, version: &str, more: &str) {
    tree.interface(&format!(
        "code: {code}\nversion: {version}\n{more}\ndatasource_id: lite\nquery_template: \"SELECT '{version}' AS v\"\n"
    ));
}

fn tree() -> Tree {
    let tree = Tree::new();
    tree.sqlite("CREATE TABLE t (id INTEGER);");
    tree
}

fn said(gateway: &Tidegate, path: &str) -> String {
    let answer = gateway.get(&format!("/data-api/{path}"));
    if answer.status != 200 {
        return format!("{} {}", answer.status, answer.code());
    }
    answer.data()[0]["v"].as_str().unwrap().to_owned()
}

#[test]
fn the_default_is_marked_or_the_highest() {
    let tree = tree();
    for v in ["1.2.0", "1.10.0", "1.9.9"] {
        version(&tree, "highest", v, "");
    }
    version(&tree, "highest", "2.0.0", "status: draft");
    version(&tree, "highest", "1.11.0", "status: disabled");
    version(&tree, "highest", "1.10.1-rc.1", "status: deprecated");
    version(&tree, "marked", "1.0.0", "default: true");
    version(&tree, "marked", "2.0.0", "");
    version(&tree, "old", "1.0.0", "status: deprecated");
    version(&tree, "off", "1.0.0", "status: disabled");
    version(&tree, "new", "1.0.0", "status: draft");
    let gateway = tree.serve();
    for (path, expected) in [
        ("highest", "1.10.0"),
        ("highest?version=1.2.0", "1.2.0"),
        ("highest?version=1.10.1-rc.1", "1.10.1-rc.1"),
        ("highest?version=2.0.0", "404 NOT_FOUND"),
        ("highest?version=1.11.0", "404 NOT_FOUND"),
        ("highest?version=9.9.9", "404 NOT_FOUND"),
        ("marked", "1.0.0"),
        ("marked?version=2.0.0", "2.0.0"),
        ("off", "404 NOT_FOUND"),
        ("off?version=1.0.0", "404 NOT_FOUND"),
        ("new", "404 NOT_FOUND"),
        ("new?version=1.0.0", "404 NOT_FOUND"),
    ] {
        assert_eq!(said(&gateway, path), expected, "{path}");
    }
    let missing = gateway.get("/data-api/highest?version=9.9.9").json();
    assert!(missing["message"].as_str().unwrap().contains("9.9.9"), "{missing}");
    let strange = gateway.get("/data-api/highest?version=%3Cscript%3E").json();
    assert_eq!(strange["code"], "NOT_FOUND");
    assert_eq!(
        gateway.get("/data-api/highest?version=1.2.0&version=1.2.0").refusal().2[0].1,
        "repeated"
    );
}

#[test]
fn a_deprecated_version_says_so() {
    let tree = tree();
    version(
        &tree,
        "aged",
        "1.0.0",
        "status: deprecated\ndeprecated_at: 2026-01-01\nsunset_at: 2026-12-31",
    );
    version(&tree, "aged", "2.0.0", "");
    version(&tree, "alone", "1.0.0", "status: deprecated");
    let gateway = tree.serve();
    let old = gateway.get("/data-api/aged?version=1.0.0");
    assert_eq!(old.data(), json!([{"v": "1.0.0"}]));
    assert_eq!(old.header("deprecation"), Some("@1767225600"), "RFC 9745");
    assert_eq!(old.header("sunset"), Some("Thu, 31 Dec 2026 00:00:00 GMT"), "RFC 8594");
    let link = old.header("link").unwrap();
    assert!(
        link.contains("rel=\"successor-version\"") && link.contains("/data-api/aged"),
        "{link}"
    );
    let target = link.trim_start_matches('<').split('>').next().unwrap();
    let path = target.strip_prefix("/data-api/").unwrap();
    assert_eq!(said(&gateway, path), "2.0.0", "the link leads there: {link}");
    let new = gateway.get("/data-api/aged");
    assert!(
        ["deprecation", "sunset", "link"].iter().all(|name| new.header(name).is_none()),
        "{:?}",
        new.headers
    );
    // A refusal of the old one says it as well.
    let refused = gateway.get("/data-api/aged?version=1.0.0&x=1");
    assert_eq!((refused.status, refused.header("deprecation")), (400, Some("@1767225600")));
    assert_eq!(said(&gateway, "alone"), "1.0.0", "deprecated works");
    let alone = gateway.get("/data-api/alone");
    assert!(alone.header("deprecation").is_some() && alone.header("link").is_none());
}

#[test]
fn versions_may_differ_in_all_but_the_code() {
    let tree = tree();
    tree.interface("code: v\nversion: 1.0.0\ndatasource_id: lite\nparameters: [{name: a, type: integer, required: true}]\nquery_template: 'SELECT :a AS v'\n");
    tree.interface("code: v\nversion: 2.0.0\ndatasource_id: lite\nparameters: [{name: b, type: string, required: true}]\nquery_template: 'SELECT :b AS v'\n");
    let gateway = tree.serve();
    assert_eq!(gateway.get("/data-api/v?b=x").data(), json!([{"v": "x"}]));
    assert_eq!(gateway.get("/data-api/v?version=1.0.0&a=1").data(), json!([{"v": 1}]));
    let refused = gateway.get("/data-api/v?version=1.0.0&b=x").refusal();
    assert_eq!(
        refused.2,
        [("a".to_owned(), "required".to_owned()), ("b".to_owned(), "unknown".to_owned())]
    );
}

#[test]
fn messages_are_in_the_callers_language() {
    let tree = tree();
    tree.interface("code: v\ndatasource_id: lite\nmethod: POST\nparameters: [{name: a, type: integer, required: true}, {name: d, type: date}]\nquery_template: 'SELECT :a AS v, :d AS d'\n");
    let gateway = tree.serve();
    let message = |language: &str, path: &str, body: &str| {
        let headers = [
            ("x-api-key", KEY),
            ("content-type", "application/json"),
            ("accept-language", language),
        ];
        let answer = gateway.post_with(path, body, &headers);
        let json = answer.json();
        (json["code"].as_str().unwrap().to_owned(), json["message"].as_str().unwrap().to_owned())
    };
    let is_chinese = |text: &str| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
    for (path, body, code) in [
        ("/data-api/v", "{\"a\": 1}", "OK"),
        ("/data-api/v", "{}", "INVALID_PARAM"),
        ("/data-api/v", "{\"a\": \"x\", \"d\": \"x\"}", "INVALID_PARAM"),
        ("/data-api/v", "{", "INVALID_PARAM"),
        ("/data-api/v?version=9.0.0", "{}", "NOT_FOUND"),
        ("/data-api/nowhere", "{}", "NOT_FOUND"),
    ] {
        for (language, chinese) in [
            ("zh", true),
            ("zh-Hans-CN, en;q=0.1", true),
            ("en", false),
            ("fr", false),
            ("en;q=0.2, zh;q=0.3", true),
        ] {
            let (found, message) = message(language, path, body);
            assert_eq!(found, code, "codes never change");
            assert_eq!(is_chinese(&message), chinese, "{language}: {message}");
        }
    }
    let two = gateway
        .post_with(
            "/data-api/v",
            "{\"d\": \"x\"}",
            &[("x-api-key", KEY), ("accept-language", "zh")],
        )
        .json();
    let details: Vec<_> =
        two["details"].as_array().unwrap().iter().map(|d| d["message"].as_str().unwrap()).collect();
    assert_eq!(details, ["参数 a 必填", "参数 d 必须为 yyyy-MM-dd 格式"]);
}
