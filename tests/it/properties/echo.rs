//! From end to end: what is sent is what comes back, whatever it is.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::json;

use super::cases;
use crate::support::{KEY, Tree};

fn tree() -> Tree {
    let tree = Tree::new();
    tree.sqlite("SELECT 1");
    let echo = "datasource_id: lite\nparameters: [{name: x, type: string}, {name: n, type: number}]\n\
                query_template: \"SELECT :x AS x, {{ x }} AS y, :n AS n\"\n";
    tree.interface(&format!("code: get\n{echo}"));
    tree.interface(&format!("code: post\nmethod: POST\n{echo}"));
    tree
}

#[test]
fn texts_come_back_exactly() {
    let tree = tree();
    let gateway = tree.serve();
    let property = |text: String| {
        let encoded = utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string();
        let got = gateway.get(&format!("/data-api/get?x={encoded}"));
        let posted = gateway.post("/data-api/post", &json!({"x": text}).to_string());
        for answer in [got, posted] {
            // No database takes a NUL; U+0001 marks places in templates.
            if text.contains(['\0', '\u{1}']) {
                prop_assert_eq!(answer.status, 400);
                continue;
            }
            prop_assert_eq!(answer.status, 200, "{}", answer.text());
            prop_assert_eq!(answer.data(), json!([{"x": text, "y": text, "n": null}]));
        }
        Ok(())
    };
    TestRunner::new(cases(150))
        .run(&prop_oneof![any::<String>(), "[\u{0}-\u{7f}]{0,8}"], property)
        .unwrap();
}

#[test]
fn odd_headers_are_no_failure() {
    let tree = tree();
    let gateway = tree.serve();
    let visible = "[ -~]{0,60}";
    let trace = "[0-9a-g]{0,3}-[0-9a-f]{30,34}-[0-9a-f]{14,18}-[0-9a-f]{1,3}(-x)?";
    let strategy = (visible, visible, visible, prop_oneof![visible, trace], visible);
    let property =
        |(accept, language, encoding, trace, id): (String, String, String, String, String)| {
            let headers = [
                ("x-api-key", KEY),
                ("accept", &accept),
                ("accept-language", &language),
                ("accept-encoding", &encoding),
                ("traceparent", &trace),
                ("x-request-id", &id),
            ];
            let answer = gateway.get_with("/data-api/get?x=1", &headers);
            prop_assert_eq!(answer.status, 200);
            let given = answer.header("x-request-id").unwrap();
            prop_assert!(
                (1..=128).contains(&given.len()) && given.bytes().all(|b| b.is_ascii_graphic()),
                "{}",
                given
            );
            Ok(())
        };
    TestRunner::new(cases(150)).run(&strategy, property).unwrap();
}
