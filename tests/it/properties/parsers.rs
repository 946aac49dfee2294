//! Parsers of what callers send take anything without a panic, and what they accept they accept exactly.

use http::header::{ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;
use tidegate::definitions::compile::compile;
use tidegate::definitions::load::Tree;
use tidegate::definitions::snapshot::Snapshot;
use tidegate::gateway::headers::Headers;
use tidegate::gateway::negotiate;
use tidegate::query::params::{decode, parse_body, parse_query};
use tidegate::sql::bind::Bind;

use super::cases;

/// An interface with parameters of every type and format.
fn parameters() -> Snapshot {
    let types = [
        "type: string",
        "type: string, format: email",
        "type: string, format: uuid",
        "type: string, format: ipv4",
        "type: string, format: ipv6",
        "type: string, format: uri",
        "type: string, format: yyyy-MM",
        "type: string, pattern: \"^[a-z]+$\", max_length: 5, min_length: 2",
        "type: string, enum: [a, b]",
        "type: integer",
        "type: integer, minimum: -5, maximum: 5",
        "type: number",
        "type: number, maximum: 1.5",
        "type: boolean",
        "type: date",
        "type: date, format: yyyy/MM/dd, minimum: 2020/01/01",
        "type: datetime",
        "type: datetime, format: \"yyyy-MM-dd HH:mm:ss\"",
        "type: object",
        "type: array",
        "type: array, items: {type: integer}, max_length: 3",
        "type: array, items: {type: date}",
        "type: array, items: {type: number}, enum: [1, 2.5]",
    ];
    let parameters: Vec<String> = types
        .iter()
        .enumerate()
        .map(|(i, rules)| format!("  - {{name: p{i}, {rules}}}\n"))
        .collect();
    let interface = format!(
        "kind: interface\ncode: all\nmethod: POST\ndatasource_id: d\nquery_template: SELECT 1 AS n\nparameters:\n{}",
        parameters.concat()
    );
    let datasource = "kind: datasource\nid: d\ntype: sqlite\npath: d.db\n".to_owned();
    let files = [
        ("datasources/d.yaml".to_owned(), datasource),
        ("definitions/all.yaml".to_owned(), interface),
    ];
    compile(&Tree::from_files(files)).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// Texts, among them many that are nearly what is wanted.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[-+]?[0-9]{0,400}(\\.[0-9]{0,30})?([eE][-+]?[0-9]{0,5})?",
        "[0-9]{1,5}[-/][0-9]{1,2}[-/][0-9]{1,2}([T ][0-9]{1,2}:[0-9]{2}(:[0-9]{2}(\\.[0-9]{1,12})?)?(Z|[-+][0-9:]{1,6})?)?",
        "[a-zA-Z0-9@.:-]{0,40}",
        "[,a1]{0,60}",
        Just(",".repeat(2_000)),
    ]
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        texts().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec(("[a-z]{0,3}", inner), 0..6)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

#[test]
fn coercion() {
    let snapshot = parameters();
    let parameters = &snapshot.interfaces[0].parameters;
    let run = |config, strategy: &dyn Fn(&mut proptest::test_runner::TestRunner)| {
        strategy(&mut proptest::test_runner::TestRunner::new(config));
    };
    run(cases(400), &|runner| {
        let property = |(text, value): (String, Value)| {
            for parameter in parameters {
                let taken = parameter.from_text(&text);
                let _ = parameter.from_texts(&[text.clone(), text.clone()]);
                let _ = parameter.from_value(&value);
                if let Ok(raw) = serde_json::value::RawValue::from_string(text.clone()) {
                    let _ = parameter.from_json(&raw);
                }
                // What is taken for a text is that text.
                if let Ok(Bind::Text(kept)) = taken {
                    prop_assert_eq!(kept, text.clone());
                }
            }
            let string = &parameters[0];
            if !text.contains('\0') {
                prop_assert_eq!(string.from_text(&text), Ok(Bind::Text(text.clone())));
                prop_assert_eq!(
                    string.from_value(&Value::from(text.as_str())),
                    Ok(Bind::Text(text.clone()))
                );
            }
            Ok(())
        };
        runner.run(&(texts(), json()), property).unwrap();
    });
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn queries(text in ".*", bytes in vec(any::<u8>(), 0..80)) {
        let _ = parse_query(&text);
        let _ = parse_query(&String::from_utf8_lossy(&bytes));
        let _ = decode(&text, true);
        let _ = decode(&text.replace('a', "%"), false);
    }

    #[test]
    fn encoded_queries_come_back(pairs in vec((any::<String>(), any::<String>()), 0..6)) {
        let text: Vec<String> = pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        let text = text.join("&");
        let found = parse_query(&text).unwrap();
        let found: Vec<(String, String)> =
            found.into_iter().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        prop_assert_eq!(found, pairs);
    }

    #[test]
    fn bodies(bytes in vec(any::<u8>(), 0..120), text in "[\\[\\]{}\",:\\\\a0 .e-]{0,60}", value in json()) {
        let _ = parse_body(&bytes);
        let _ = parse_body(text.as_bytes());
        let whole = parse_body(value.to_string().as_bytes());
        if let (Value::Object(map), Ok(members)) = (&value, &whole) {
            prop_assert_eq!(members.len(), map.len());
        }
        prop_assert_eq!(whole.is_ok(), value.is_object());
    }

    #[test]
    fn headers(bytes in vec(any::<u8>(), 0..80), text in "[a-z*;/=q.,0-9 -]{0,60}") {
        for value in [HeaderValue::from_bytes(&bytes), HeaderValue::from_bytes(text.as_bytes())].into_iter().flatten() {
            let with = |name: HeaderName| HeaderMap::from_iter([(name, value.clone())]);
            let _ = negotiate::format(Headers::of(&with(ACCEPT)));
            let _ = negotiate::language(Headers::of(&with(ACCEPT_LANGUAGE)));
            let _ = negotiate::encoding(Headers::of(&with(ACCEPT_ENCODING)));
        }
    }
}
