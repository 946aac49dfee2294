//! `tidegate test`.

use serde_json::{Value, json};

use super::on;
use crate::support::Tree;

fn tree() -> Tree {
    let tree = Tree::new();
    tree.sqlite(
        "CREATE TABLE t (n INTEGER, amount TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b');",
    );
    tree.interface(
        "code: good\ndatasource_id: lite\nparameters: [{name: n, type: integer, required: true}]\n\
         query_template: SELECT n, amount FROM t WHERE n <= :n\ntests:\n\
         \x20 - {name: two rows, as: tester, parameters: {n: 2}, expect: {status: 200, code: OK, rows: 2}}\n\
         \x20 - {name: a role, as: all, parameters: {n: 1}, expect: {data: [{n: 1, amount: a}]}}\n\
         \x20 - {name: nobody, parameters: {n: 1}, expect: {status: 401, code: UNAUTHORIZED}}\n\
         \x20 - {name: a path, as: tester, parameters: {n: 2}, expect: {json_path: {\"$.data[1].amount\": b}}}\n\
         \x20 - {name: no number, as: tester, parameters: {n: x}, expect: {status: 400, json_path: {\"$.details[0].error\": type}}}\n",
    );
    tree
}

fn with_failures() -> Tree {
    let tree = tree();
    tree.interface(
        "code: wrong\ndatasource_id: lite\nquery_template: SELECT n FROM t WHERE n = 1\ntests:\n\
         \x20 - {name: \"<rows> & \\\"more\\\"\", as: tester, expect: {rows: 7, json_path: {\"$.data[0].n\": 2}}}\n\
         \x20 - {name: fine, as: tester, expect: {rows: 1}}\n",
    );
    tree
}

#[test]
fn passing_tests() {
    let tree = tree();
    let (code, out, error) = on(&tree, &["test"]);
    assert_eq!(code, 0, "{out}{error}");
    assert!(out.ends_with("5 passed, 0 failed\n"), "{out}");
    assert!(
        out.lines().all(|line| line.starts_with("ok ") || line.starts_with("5 passed")),
        "{out}"
    );
}

#[test]
fn a_failing_test_says_what_it_got() {
    let tree = with_failures();
    let (code, out, _) = on(&tree, &["test"]);
    assert_eq!(code, 1, "{out}");
    for line in [
        "FAILED wrong@1.0.0: <rows> & \"more\"",
        "rows: expected 7, got 1",
        "$.data[0].n: expected 2, got 1",
        "6 passed, 1 failed",
    ] {
        assert!(out.contains(line), "no {line:?} in:\n{out}");
    }
    let (code, out, _) = on(&tree, &["test", "--format", "json"]);
    assert_eq!(code, 1);
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&json["passed"], &json["failed"]), (&json!(6), &json!(1)));
    let failed: Vec<&Value> =
        json["tests"].as_array().unwrap().iter().filter(|test| test["passed"] == false).collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["interface"], "wrong@1.0.0");
    assert_eq!(failed[0]["differences"].as_array().unwrap().len(), 2);
}

#[test]
fn only_what_the_filter_names() {
    let tree = with_failures();
    let passed = |filter: &str| {
        let (code, out, _) = on(&tree, &["test", "--filter", filter]);
        (code, out.lines().last().unwrap_or_default().to_owned())
    };
    assert_eq!(passed("go*"), (0, "5 passed, 0 failed".to_owned()));
    assert_eq!(passed("wrong"), (1, "1 passed, 1 failed".to_owned()));
    assert_eq!(passed("nothing*"), (0, "0 passed, 0 failed".to_owned()));
    assert_eq!(on(&tree, &["test", "--filter", "["]).0, 2);
}

#[test]
fn what_cannot_run() {
    let tree = tree();
    tree.interface("code: broken\ndatasource_id: nowhere\nquery_template: SELECT 1\n");
    let (code, _, error) = on(&tree, &["test"]);
    assert_eq!(code, 2);
    assert!(error.contains("DANGLING_REFERENCE"), "{error}");
}

#[test]
fn the_junit_report_is_well_formed() {
    let tree = with_failures();
    let (code, out, _) = on(&tree, &["test", "--format", "junit"]);
    assert_eq!(code, 1);
    let elements = elements(&out);
    let named =
        |name: &str| elements.iter().filter(|(element, _)| element == name).collect::<Vec<_>>();
    assert_eq!(elements[0].0, "testsuite");
    assert_eq!(attribute(&elements[0].1, "tests"), Some("7"));
    assert_eq!(attribute(&elements[0].1, "failures"), Some("1"));
    assert_eq!((named("testcase").len(), named("failure").len()), (7, 1));
    assert!(out.contains("name=\"&lt;rows&gt; &amp; &quot;more&quot;\""), "{out}");
}

/// The elements of an XML text with their attributes; fails where it is not well-formed.
fn elements(text: &str) -> Vec<(String, String)> {
    let tag = regex::Regex::new(r#"^<(/?)([a-z]+)((?: [a-z]+="[^"<]*")*)(/?)>"#).unwrap();
    let entity = regex::Regex::new("^&(amp|lt|gt|quot|apos|#[0-9]+);").unwrap();
    let (mut open, mut found, mut at) = (Vec::new(), Vec::new(), 0);
    let start = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
    let text = text.strip_prefix(start).expect("an XML declaration");
    while let Some(step) = text[at..].find(['<', '&', '>']) {
        at += step;
        if let Some(captures) = entity.captures(&text[at..]) {
            at += captures[0].len();
            continue;
        }
        let captures =
            tag.captures(&text[at..]).unwrap_or_else(|| panic!("no tag: {}", &text[at..]));
        at += captures[0].len();
        let name = captures[2].to_owned();
        match (&captures[1], &captures[4]) {
            ("/", _) => assert_eq!(open.pop(), Some(name)),
            (_, "/") => found.push((name, captures[3].to_owned())),
            _ => {
                open.push(name.clone());
                found.push((name, captures[3].to_owned()));
            }
        }
    }
    assert!(open.is_empty(), "{open:?} stays open");
    found
}

fn attribute<'a>(attributes: &'a str, name: &str) -> Option<&'a str> {
    attributes.split_once(&format!(" {name}=\""))?.1.split('"').next()
}
