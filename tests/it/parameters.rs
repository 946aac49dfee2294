//! Parameters: where they stand, what they are coerced to, and everything that is refused.

use serde_json::{Value, json};

use crate::support::{Answer, KEY, Tidegate, Tree};

/// Percent codes for everything but letters and digits.
fn encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// A SQLite tree where one interface gives back the parameter `x` as the database saw it.
fn echo(parameter: &str) -> (Tree, Tidegate) {
    let tree = Tree::new();
    tree.sqlite("CREATE TABLE t (id INTEGER);");
    tree.interface(&format!(
        "code: echo\ndatasource_id: lite\nparameters:\n  - {{name: x, {parameter}}}\n\
         query_template: 'SELECT :x AS x, typeof(:x) AS type'\n"
    ));
    let gateway = tree.serve();
    (tree, gateway)
}

fn take(gateway: &Tidegate, text: &str) -> Answer {
    gateway.get(&format!("/data-api/echo?x={}", encode(text)))
}

/// The one refused parameter and why.
fn fault(answer: &Answer) -> (u16, String) {
    let (status, code, faults) = answer.refusal();
    assert_eq!(code, "INVALID_PARAM", "{}", answer.text());
    let [(field, error)] = faults.as_slice() else { panic!("{}", answer.text()) };
    assert_eq!(field, "x");
    (status, error.clone())
}

/// A parameter, texts that it takes, and texts that it refuses with the word that says why.
type Coerced = (&'static str, &'static [&'static str], &'static [(&'static str, &'static str)]);

const COERCED: &[Coerced] = &[
    (
        "type: integer",
        &["0", "-1", "9223372036854775807", "007"],
        &[
            ("", "type"),
            ("1.0", "type"),
            ("+1", "type"),
            ("1e3", "type"),
            ("0x10", "type"),
            ("１", "type"),
            (" 1", "type"),
            ("1;DROP", "type"),
        ],
    ),
    (
        "type: number",
        &["0", "-1.5", "1e3", "12.500"],
        &[
            ("", "type"),
            ("NaN", "type"),
            ("inf", "type"),
            (".5", "type"),
            ("1.", "type"),
            ("1,5", "type"),
            ("1e99999", "type"),
        ],
    ),
    (
        "type: boolean",
        &["true", "false", "1", "0"],
        &[("", "type"), ("yes", "type"), ("TRUE", "type"), ("2", "type")],
    ),
    (
        "type: date",
        &["2024-02-29", "0001-01-01", "9999-12-31"],
        &[
            ("", "type"),
            ("2023-02-29", "format"),
            ("2024-2-9", "format"),
            ("20240229", "format"),
            ("2024-02-29T00:00:00", "format"),
        ],
    ),
    (
        "type: datetime",
        &[
            "2025-01-31T10:00:00",
            "2025-01-31 10:00:00.5",
            "2025-01-31T10:00:00+08:00",
            "2025-01-31T10:00:00Z",
        ],
        &[
            ("", "type"),
            ("2025-01-31", "format"),
            ("2025-01-31T24:00:01", "format"),
            ("1738317600", "format"),
        ],
    ),
    (
        "type: string, min_length: 1, max_length: 3",
        &["a", "潮闸x", " ' "],
        &[("", "min_length"), ("abcd", "max_length"), ("a\0b", "type")],
    ),
    (
        "type: string, pattern: '^[a-z]+$'",
        &["abc"],
        &[("aB", "pattern"), ("", "pattern"), ("a\nb", "pattern")],
    ),
    ("type: string, enum: [a, b]", &["a"], &[("c", "enum"), ("A", "enum"), ("a,b", "enum")]),
    ("type: string, format: email", &["a@b.cn"], &[("a", "format")]),
    (
        "type: string, format: uuid",
        &["f47ac10b-58cc-4372-a567-0e02b2c3d479"],
        &[("f47ac10b", "format")],
    ),
    ("type: string, format: yyyy-MM", &["2025-01"], &[("2025-13", "format"), ("2025-1", "format")]),
    (
        "type: integer, minimum: -5, maximum: 5",
        &["5", "-5"],
        &[("6", "maximum"), ("-6", "minimum"), ("99999999999999999999", "maximum")],
    ),
    ("type: number, minimum: 0.5", &["0.5"], &[("0.49", "minimum"), ("-1e300", "minimum")]),
    (
        "type: date, minimum: '2025-01-01', maximum: '2025-12-31'",
        &["2025-06-01"],
        &[("2024-12-31", "minimum"), ("2026-01-01", "maximum")],
    ),
    ("type: integer, enum: [1, 2]", &["1"], &[("3", "enum")]),
    (
        "type: object",
        &["{\"a\": [1, null]}"],
        &[("[1]", "type"), ("1", "type"), ("{", "type"), ("{\"a\":\"\\u0000\"}", "type")],
    ),
    (
        "type: array, items: {type: integer}, min_length: 2, max_length: 3",
        &["1,2", "1,2,3"],
        &[
            ("1", "min_items"),
            ("1,2,3,4", "max_items"),
            ("1,,2", "type"),
            ("1,x", "type"),
            ("1, 2", "type"),
        ],
    ),
    ("type: array, enum: [a, b]", &["a,b,a"], &[("a,c", "enum")]),
];

#[test]
fn values_are_coerced_strictly() {
    for (parameter, well, ill) in COERCED {
        let (_tree, gateway) = echo(parameter);
        for text in *well {
            let answer = take(&gateway, text);
            assert_eq!(answer.status, 200, "{parameter} takes {text}: {}", answer.text());
        }
        for (text, error) in *ill {
            let found = fault(&take(&gateway, text));
            assert_eq!(found, (400, (*error).to_owned()), "{parameter} refuses {text:?}");
        }
    }
}

#[test]
fn absent_parameters_take_their_defaults() {
    for (parameter, value) in [
        ("type: integer, default: 7", json!({"x": 7, "type": "integer"})),
        ("type: string, default: ''", json!({"x": "", "type": "text"})),
        ("type: date, default: '2025-01-31'", json!({"x": "2025-01-31", "type": "text"})),
        (
            "type: array, items: {type: integer}, default: [1, 2]",
            json!({"x": "[1,2]", "type": "text"}),
        ),
        ("type: string", json!({"x": null, "type": "null"})),
    ] {
        let (_tree, gateway) = echo(parameter);
        assert_eq!(gateway.get("/data-api/echo").data(), json!([value]), "{parameter}");
    }
    let (_tree, gateway) = echo("type: integer, required: true");
    assert_eq!(fault(&gateway.get("/data-api/echo")), (400, "required".into()));
}

#[test]
fn every_place_of_a_call_is_read() {
    let tree = Tree::new();
    tree.sqlite("CREATE TABLE t (id INTEGER);");
    tree.interface(
        "code: places\ndatasource_id: lite\nmethod: POST\npath: /data-api/shops/{shop}/days/{day}\nparameters:\n\
         \x20 - {name: shop, in: path, type: string}\n  - {name: day, in: path, type: date}\n\
         \x20 - {name: q, in: query, type: integer}\n  - {name: X-Region, in: header, type: string, enum: [east, 西]}\n\
         \x20 - {name: b, in: body, type: number}\nparam_binding: {region: $.parameters.X-Region}\n\
         query_template: 'SELECT :shop AS shop, :day AS day, :q AS q, :region AS region, :b AS b'\n",
    );
    let gateway = tree.serve();
    let call = |path: &str, body: &str, region: &str| {
        let headers =
            [("x-api-key", KEY), ("content-type", "application/json"), ("x-region", region)];
        gateway.post_with(path, body, &headers)
    };
    let well =
        call("/data-api/shops/S%2F1%20%E9%97%A8/days/2025-01-31?q=3", "{\"b\": 1.5}", "east");
    let row = json!({"shop": "S/1 门", "day": "2025-01-31", "q": 3, "region": "east", "b": 1.5});
    assert_eq!(well.data(), json!([row]));
    assert_eq!(call("/data-api/shops/a/days/2025-01-31", "", "西").data()[0]["region"], "西");

    let ill = call(
        "/data-api/shops/a/days/2025-1-1?q=x&b=1&shop=2",
        "{\"b\": \"1\", \"q\": 1, \"z\": 0}",
        "north",
    );
    let faults = [
        ("day", "format"),
        ("q", "type"),
        ("X-Region", "enum"),
        ("b", "type"),
        ("shop", "unknown"),
        ("z", "unknown"),
    ];
    let (status, code, found) = ill.refusal();
    assert_eq!((status, code.as_str()), (400, "INVALID_PARAM"));
    let found: Vec<_> = found.iter().map(|(f, e)| (f.as_str(), e.as_str())).collect();
    for fault in &faults[..4] {
        assert!(found.contains(fault), "{fault:?} in {found:?}");
    }
    assert!(found.contains(&("shop", "unknown")) && found.contains(&("z", "unknown")), "{found:?}");
    let json = ill.json();
    let messages = json["details"].as_array().unwrap();
    assert!(messages.iter().all(|d| !d["message"].as_str().unwrap().is_empty()), "{json}");
    for path in
        ["/data-api/shops//days/2025-01-31", "/data-api/shops/a/days/", "/data-api/shops/a/days"]
    {
        assert_eq!(call(path, "", "east").status, 404, "{path}");
    }
}

#[test]
fn unknown_and_repeated_parameters() {
    let (tree, gateway) = echo("type: integer");
    assert_eq!(fault(&gateway.get("/data-api/echo?x=1&x=1")), (400, "repeated".into()));
    let (_, _, faults) = gateway.get("/data-api/echo?y=1&y=2&z=3&x=q").refusal();
    let pair = |f: &str, e: &str| (f.to_owned(), e.to_owned());
    assert_eq!(faults, [pair("x", "type"), pair("y", "unknown"), pair("z", "unknown")]);
    for reserved in ["format=json", "version=1.0.0"] {
        assert_eq!(gateway.get(&format!("/data-api/echo?x=1&{reserved}")).status, 200);
        let twice = gateway.get(&format!("/data-api/echo?x=1&{reserved}&{reserved}"));
        assert_eq!(twice.refusal().2[0].1, "repeated");
    }
    assert_eq!(gateway.get("/data-api/echo?&&x=1&").status, 200, "empty pairs are nothing");
    assert_eq!(gateway.get("/data-api/echo?X=1").refusal().2, [pair("X", "unknown")]);
    tree.interface(
        "code: open\ndatasource_id: lite\nallow_unknown: true\nmethod: POST\n\
         parameters: [{name: x, type: integer}]\nquery_template: 'SELECT :x AS x'\n",
    );
    drop(gateway);
    let gateway = tree.serve();
    let answer = gateway.post("/data-api/open?utm=1", "{\"x\": 5, \"y\": [1], \"x2\": null}");
    assert_eq!(answer.data(), json!([{"x": 5}]));
    let twice = gateway.post("/data-api/open", "{\"x\": 5, \"x\": 6}");
    assert_eq!(fault(&twice), (400, "repeated".into()));
    assert_eq!(gateway.post("/data-api/open", "{\"x\": null}").data()[0]["x"], Value::Null);
}

#[test]
fn bodies_are_taken_by_their_json_types() {
    let tree = Tree::new();
    tree.sqlite("CREATE TABLE t (id INTEGER);");
    tree.interface(
        "code: body\ndatasource_id: lite\nmethod: POST\nparameters:\n  - {name: i, type: integer}\n\
         \x20 - {name: n, type: number}\n  - {name: s, type: string}\n  - {name: b, type: boolean}\n\
         \x20 - {name: o, type: object}\n  - {name: a, type: array, items: {type: integer}}\n\
         query_template: 'SELECT :i AS i, :n AS n, :s AS s, :b AS b, :o AS o, :a AS a'\n",
    );
    let gateway = tree.serve();
    let well = gateway.post(
        "/data-api/body",
        r#"{"i": 9007199254740993, "n": 12.50, "s": "\u6f6e", "b": true, "o": {"k": [1, {"d": 0.10}]}, "a": [1, 2]}"#,
    );
    let row = json!({"i": 9_007_199_254_740_993_i64, "n": 12.5, "s": "潮", "b": 1, "o": "{\"k\": [1, {\"d\": 0.10}]}", "a": "[1,2]"});
    assert_eq!(well.data(), json!([row]));
    for (body, field) in [
        (r#"{"i": "1"}"#, "i"),
        (r#"{"i": 1.5}"#, "i"),
        (r#"{"i": true}"#, "i"),
        (r#"{"n": "1"}"#, "n"),
        (r#"{"s": 1}"#, "s"),
        (r#"{"s": "a\u0000b"}"#, "s"),
        (r#"{"b": 1}"#, "b"),
        (r#"{"b": "true"}"#, "b"),
        (r#"{"o": [1]}"#, "o"),
        (r#"{"a": "1,2"}"#, "a"),
        (r#"{"a": [1, "2"]}"#, "a"),
        (r#"{"a": [1, null]}"#, "a"),
        (r#"{"a": [[1]]}"#, "a"),
    ] {
        let faults = gateway.post("/data-api/body", body).refusal().2;
        assert_eq!(faults, [(field.to_owned(), "type".to_owned())], "{body}");
    }
    for whole in ["1000.0", "1e3"] {
        let row = gateway.post("/data-api/body", &format!("{{\"i\": {whole}}}")).data();
        assert_eq!(row[0]["i"], 1_000, "JSON knows one kind of number: {whole}");
    }
    assert_eq!(gateway.post("/data-api/body", "").data()[0]["i"], Value::Null, "a body of nothing");
}
