//! Whatever callers send as a value stays one: it comes back exactly or is refused, and shows no row that is not asked for.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::lines;
use crate::support::databases::{Bench, on_each};
use crate::support::{Answer, KEY, Tidegate};

/// The texts of `tests/safety/injections.txt`, and some too long for a line.
fn texts() -> Vec<String> {
    let mut texts: Vec<String> = lines("injections").into_iter().map(|(_, text)| text).collect();
    assert!(texts.len() > 150, "the texts are gone");
    texts.extend(["'".repeat(2_000), "%".repeat(3_000), "\\".repeat(999), "(".repeat(5_000)]);
    texts.push(format!("{}' OR '1'='1", "a".repeat(4_000)));
    texts.push("{{".repeat(1_500));
    texts.push("' OR 1=1 OR ".repeat(300));
    texts
}

fn definitions(bench: &Bench) {
    bench.sql("CREATE TABLE t (id integer, name VARCHAR(50)); INSERT INTO t VALUES (1, 'hidden'), (2, 'shown');");
    let x = "parameters: [{name: x, type: string, required: true}]";
    let text = bench.pick("CAST(:x AS TEXT)", "CAST(:x AS text)", ":x");
    let echo = format!("query_template: \"SELECT {text} AS x, {{{{ x }}}} AS y\"");
    bench.interface(&format!("code: query\n{x}\n{echo}\n"));
    bench.interface(&format!("code: body\nmethod: POST\n{x}\n{echo}\n"));
    bench.interface(&format!(
        "code: segment\npath: /data-api/segment/{{x}}\nparameters: [{{name: x, in: path, type: string}}]\n{echo}\n"
    ));
    bench.interface(&format!(
        "code: header\nparameters: [{{name: X-Value, in: header, type: string, required: true}}]\n\
         param_binding: {{x: $.parameters.X-Value}}\nquery_template: 'SELECT {text} AS x, :x AS y'\n"
    ));
    // Each of these sees the hidden row only where the value has become SQL.
    bench.interface(&format!(
        "code: find\nmethod: POST\n{x}\nquery_template: \"SELECT name FROM t WHERE name <> 'hidden' AND (name = :x OR name = {{{{ x }}}})\"\n"
    ));
    bench.interface(&format!(
        "code: like\nmethod: POST\n{x}\nquery_template: \"SELECT name FROM t WHERE name LIKE :x AND name <> 'hidden'\"\n"
    ));
    let regex = bench.pick("name GLOB :x", "name ~ :x", "name REGEXP :x");
    bench.interface(&format!(
        "code: regex\nmethod: POST\n{x}\nquery_template: \"SELECT name FROM t WHERE {regex} AND name <> 'hidden'\"\n"
    ));
    bench.interface(
        "code: list\nmethod: POST\nparameters: [{name: x, type: string, required: true}, {name: list, type: array, required: true}]\n\
         query_template: \"SELECT name FROM t WHERE name IN (:list) AND name <> 'hidden' UNION ALL SELECT 'itself' FROM t WHERE id = 2 AND :x IN (:list)\"\n",
    );
    bench.interface(
        "code: closed\nmethod: POST\nparameters: [{name: x, type: string, enum: [id, name], required: true}]\n\
         query_template: \"SELECT {{ x | ident }} AS x FROM t WHERE id = 2\"\n",
    );
    for kind in ["integer", "number", "boolean", "date", "datetime"] {
        bench.interface(&format!(
            "code: {kind}\nmethod: POST\nparameters: [{{name: x, type: {kind}, required: true}}]\nquery_template: SELECT name FROM t WHERE name = 'none' AND :x IS NOT NULL\n"
        ));
    }
}

/// The value comes back exactly, or is refused as one.
fn assert_echo(answer: &Answer, text: &str, way: &str) {
    if text.contains(['\0', '\u{1}']) {
        assert_eq!(answer.status, 400, "{way} {text:?}: {}", answer.text());
    } else {
        assert_eq!(answer.status, 200, "{way} {text:?}: {}", answer.text());
        assert_eq!(answer.data(), json!([{"x": text, "y": text}]), "{way}");
    }
}

fn assert_rows(gateway: &Tidegate, code: &str, body: &Value, wanted: &[&[&str]]) {
    let answer = gateway.post(&format!("/data-api/{code}"), &body.to_string());
    if answer.status == 400 {
        return;
    }
    assert_eq!(answer.status, 200, "{code} {body}: {}", answer.text());
    let data = answer.data();
    let names: Vec<&str> =
        data.as_array().unwrap().iter().filter_map(|row| row["name"].as_str()).collect();
    assert!(wanted.contains(&&*names), "{code} {body}: {names:?}");
}

#[test]
fn values_stay_values() {
    on_each(|bench| {
        definitions(bench);
        let gateway = bench.serve();
        for text in texts() {
            let encoded = utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string();
            if encoded.len() < 6_000 {
                assert_echo(&gateway.get(&format!("/data-api/query?x={encoded}")), &text, "query");
                // A segment that names a folder is none of a path.
                if !text.is_empty() {
                    assert_echo(
                        &gateway.get(&format!("/data-api/segment/{encoded}")),
                        &text,
                        "segment",
                    );
                }
            }
            let body = json!({"x": text});
            assert_echo(&gateway.post("/data-api/body", &body.to_string()), &text, "body");
            if text.bytes().all(|b| (0x20..0x7f).contains(&b))
                && text.trim() == text
                && text.len() < 6_000
            {
                let headers = [("x-api-key", KEY), ("x-value", &*text)];
                assert_echo(&gateway.get_with("/data-api/header", &headers), &text, "header");
            }
            assert_rows(&gateway, "find", &body, &[&[]]);
            assert_rows(&gateway, "like", &body, &[&[], &["shown"]]);
            assert_rows(
                &gateway,
                "list",
                &json!({"x": text, "list": [text, "other"]}),
                &[&["itself"]],
            );
            assert_rows(&gateway, "list", &json!({"x": "none", "list": [text, text]}), &[&[]]);
            let closed = gateway.post("/data-api/closed", &body.to_string());
            assert_eq!(closed.status, 400, "{text:?}: {}", closed.text());
            for kind in ["integer", "number", "boolean", "date", "datetime"] {
                assert_rows(&gateway, kind, &body, &[&[]]);
            }
        }
        let rows = bench.sql("SELECT id, name FROM t ORDER BY id;");
        assert_eq!(rows, "1\thidden\n2\tshown\n");
    });
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    on_each(|bench| {
        definitions(bench);
        let gateway = bench.serve();
        for raw in [
            "%C0%A7",
            "%BF%27",
            "%FF",
            "%ED%A0%80",
            "%F4%90%80%80",
            "%E2%82",
            "%00",
            "a%00b",
            "%01",
        ] {
            for path in [format!("/data-api/query?x={raw}"), format!("/data-api/segment/{raw}")] {
                let answer = gateway.get(&path);
                assert!(matches!(answer.status, 400 | 404), "{path}: {}", answer.text());
            }
        }
        // What is no code stays as it is written.
        for raw in ["%u0027", "%", "%2", "%zz", "%%27"] {
            let answer = gateway.get(&format!("/data-api/query?x={raw}"));
            assert!(matches!(answer.status, 200 | 400), "{raw}: {}", answer.text());
        }
        for body in [
            "{\"x\": \"\\u0000\"}",
            "{\"x\": \"\\ud800\"}",
            "{\"x\": {\"a\": 1}}",
            "{\"x\": [\"a\"]}",
        ] {
            assert_eq!(gateway.post("/data-api/find", body).status, 400, "{body}");
        }
        let twice = gateway.get("/data-api/query?x=a&x=hidden");
        assert_eq!(twice.status, 400, "{}", twice.text());
    });
}
