//! Parameters of every type at every place: the same text is taken or refused wherever it stands, and the database reads back
//! what was taken.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::cases;
use crate::support::{Answer, KEY, Tidegate, Tree};

/// Types with what is given for them: texts that fit, most of the time.
const TYPES: [(&str, &str); 10] = [
    ("integer", "-?[1-9][0-9]{0,17}|0|-?[0-9]{1,20}|[0-9]{1,3}\\.0"),
    ("number", "-?(0|[1-9][0-9]{0,8})(\\.[0-9]{1,6})?([eE][-+]?[0-9]{1,2})?"),
    ("boolean", "true|false|True|1|0|yes"),
    ("date", "20[0-9]{2}-[01][0-9]-[0-3][0-9]"),
    (
        "datetime",
        "20[0-9]{2}-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-6][0-9](\\.[0-9]{1,6})?(Z|[+-]0[0-9]:00)?",
    ),
    ("string", "[!-~]([ -~]{0,20}[!-~])?"),
    ("string, format: uuid", "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-fA-F]{11,12}"),
    ("string, format: ipv4", "[0-9]{1,3}\\.[0-9]{1,2}\\.[0-9]{1,2}\\.[0-9]{1,3}"),
    ("string, format: email", "[a-z.]{1,8}@[a-z.-]{1,12}"),
    ("array, items: {type: integer}", "-?[0-9]{1,3}(,-?[0-9]{1,3}){0,4},?"),
];

/// Serves an interface for each type and place, named `PLACE_NUMBER`.
fn serve() -> (Tree, Tidegate) {
    let tree = Tree::new();
    tree.sqlite("SELECT 1");
    for (i, (kind, _)) in TYPES.iter().enumerate() {
        for place in ["query", "header", "path", "body"] {
            let method = if place == "body" { "POST" } else { "GET" };
            let path = if place == "path" {
                format!("path: /data-api/at/p{i}/{{x}}\n")
            } else {
                String::new()
            };
            let value =
                if kind.starts_with("array") { "(SELECT COUNT(*) WHERE 5 IN (:x))" } else { ":x" };
            tree.interface(&format!(
                "code: {place}_{i}\n{path}method: {method}\ndatasource_id: lite\n\
                 parameters: [{{name: x, in: {place}, required: true, type: {kind}}}]\n\
                 query_template: \"SELECT {value} AS x, typeof({value}) AS kind\"\n"
            ));
        }
    }
    let gateway = tree.serve();
    (tree, gateway)
}

/// What a call says of a value: the row, or that it is refused.
fn outcome(answer: &Answer) -> Result<Value, u16> {
    if answer.status == 200 { Ok(answer.data()[0].clone()) } else { Err(answer.status) }
}

#[test]
fn a_value_is_the_same_wherever_it_stands() {
    let (_tree, gateway) = serve();
    let strategy = (0..TYPES.len()).prop_flat_map(|i| {
        let any = prop_oneof![
            6 => proptest::string::string_regex(TYPES[i].1).unwrap(),
            1 => "[!-~]{1,12}",
            1 => select(vec!["-0", "1e400", "9223372036854775808", "NaN", "null", "[]", "''", "2024-02-30", "0x1"])
                .prop_map(str::to_owned),
        ];
        (Just(i), any)
    });
    let property = |(i, text): (usize, String)| {
        let encoded = utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string();
        let query = outcome(&gateway.get(&format!("/data-api/query_{i}?x={encoded}")));
        let path = outcome(&gateway.get(&format!("/data-api/at/p{i}/{encoded}")));
        let header = outcome(
            &gateway
                .get_with(&format!("/data-api/header_{i}"), &[("x-api-key", KEY), ("x", &text)]),
        );
        prop_assert_eq!(&query, &header, "query and header: {}", text);
        // `.` and `..` are steps of a path.
        if !matches!(text.as_str(), "." | "..") {
            prop_assert_eq!(&query, &path, "query and path: {}", text);
        }
        prop_assert!(matches!(query, Ok(_) | Err(400)), "{query:?}");
        let kind = TYPES[i].0;
        let given = match kind {
            "integer" | "number" | "boolean" => text.clone(),
            "array, items: {type: integer}" => format!("[{text}]"),
            _ => json!(text).to_string(),
        };
        let is_json = serde_json::from_str::<&RawValue>(&given).is_ok();
        let body =
            outcome(&gateway.post(&format!("/data-api/body_{i}"), &format!("{{\"x\": {given}}}")));
        // To JSON 1.0 and 1e0 are whole numbers, and 1 is not `true`; a query has it the other way round.
        let differs = kind == "integer" && given.contains(['.', 'e', 'E'])
            || kind == "boolean" && matches!(given.as_str(), "0" | "1");
        if is_json && given != "null" && differs {
            prop_assert!(matches!(body, Ok(_) | Err(400)), "{body:?}");
        } else if is_json && given != "null" {
            prop_assert_eq!(&query, &body, "query and body: {}", text);
        } else {
            prop_assert_eq!(body, Err(400), "body: {}", text);
        }
        if let Ok(row) = query {
            prop_assert!(reads_back(kind, &text, &row), "{kind}: {text} became {row}");
        }
        Ok(())
    };
    TestRunner::new(cases(200)).run(&strategy, property).unwrap();
}

/// Whether the database has what was given.
fn reads_back(kind: &str, text: &str, row: &Value) -> bool {
    let x = &row["x"];
    match kind {
        // Beyond what the database's integers hold it has the digits or the nearest number.
        "integer" => match text.parse::<i64>() {
            Ok(number) => *x == json!(number),
            Err(_) => *x == json!(text) || x.as_f64() == text.parse().ok(),
        },
        "number" => x.as_f64() == text.parse().ok() || *x == json!(text),
        "boolean" => {
            let is_true = matches!(text, "true" | "1");
            *x == json!(i64::from(is_true)) || *x == json!(is_true)
        }
        "array, items: {type: integer}" => {
            let hit = text.split(',').any(|item| item.parse() == Ok(5));
            *x == json!(i64::from(hit))
        }
        "datetime" => {
            x.as_str().is_some_and(|x| x.starts_with(&text[..4]) || text.contains(['+', '-']))
        }
        _ => *x == json!(text),
    }
}
