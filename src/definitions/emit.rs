//! JSON values as the YAML that people would write: short things on one line, long texts as blocks, quotes only where needed.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::document::{self, Content};

/// Characters of a line that is still written in one piece.
const MAX_FLOW_CHARS: usize = 110;

/// The members of a mapping as block YAML, each line indented by `indent` spaces.
pub fn mapping(map: &Map<String, Value>, indent: usize) -> String {
    let mut out = String::new();
    for (key, value) in map {
        out.push_str(&member(key, value, indent));
    }
    out
}

/// One member of a block mapping, with its line break.
pub fn member(key: &str, value: &Value, indent: usize) -> String {
    let lead = " ".repeat(indent);
    format!("{lead}{}:{}", scalar_text(key, false), after_mark(value, indent))
}

/// One item of a block sequence, with its line break.
pub fn item(value: &Value, indent: usize) -> String {
    let lead = " ".repeat(indent);
    match value {
        Value::Object(map) if !map.is_empty() && flow_fitting(value, indent + 2).is_none() => {
            // The first member stands beside the dash.
            let block = mapping(map, indent + 2);
            format!("{lead}- {}", block.trim_start())
        }
        value => format!("{lead}-{}", after_mark(value, indent)),
    }
}

/// A value on one line.
pub fn flow(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(map) => {
            let member = |(key, value): (&String, &Value)| {
                format!("{}: {}", scalar_text(key, true), flow(value))
            };
            let members: Vec<String> = map.iter().map(member).collect();
            format!("{{{}}}", members.join(", "))
        }
        Value::String(text) => scalar_text(text, true),
        other => other.to_string(),
    }
}

/// What follows `key:` or `-`, to the end of the line or of the block.
fn after_mark(value: &Value, indent: usize) -> String {
    if let Some(text) = value.as_str() {
        return text_after_mark(text, indent);
    }
    let fitting = flow_fitting(value, indent);
    match (value, fitting) {
        (_, Some(flow)) => format!(" {flow}\n"),
        (Value::Object(map), None) => format!("\n{}", mapping(map, indent + 2)),
        (Value::Array(items), None) => {
            let items: Vec<String> = items.iter().map(|value| item(value, indent + 2)).collect();
            format!("\n{}", items.concat())
        }
        (other, None) => format!(" {other}\n"),
    }
}

fn text_after_mark(text: &str, indent: usize) -> String {
    if !is_block_text(text) {
        return format!(" {}\n", scalar_text(text, false));
    }
    let chomp = match text.len() - text.trim_end_matches('\n').len() {
        0 => "-",
        1 => "",
        _ => "+",
    };
    let mut out = format!(" |{chomp}\n");
    let body = text.strip_suffix('\n').unwrap_or(text);
    for line in body.split('\n') {
        let lead = if line.is_empty() { 0 } else { indent + 2 };
        let _ = writeln!(out, "{:lead$}{line}", "");
    }
    out
}

/// Whether a text of several lines can stand as a block.
fn is_block_text(text: &str) -> bool {
    let begins_plainly = text
        .lines()
        .find(|line| !line.is_empty())
        .is_some_and(|line| !line.starts_with([' ', '\t']));
    let is_plain = |c: char| {
        c == '\n'
            || !c.is_control()
                && c != '\u{feff}'
                && !matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}')
    };
    text.contains('\n') && begins_plainly && text.chars().all(is_plain)
}

/// The value on one line, where that is short and without texts that want a block.
fn flow_fitting(value: &Value, indent: usize) -> Option<String> {
    let has_long_text = |value: &Value| value.as_str().is_some_and(|text| text.contains('\n'));
    let is_flat = match value {
        Value::Array(items) => {
            items.is_empty()
                || items
                    .iter()
                    .all(|item| !item.is_object() && !item.is_array() && !has_long_text(item))
        }
        Value::Object(map) => {
            let is_simple = |value: &Value| match value {
                Value::Array(items) => {
                    items.iter().all(|item| !item.is_object() && !item.is_array())
                }
                value => !value.is_object() && !has_long_text(value),
            };
            map.values().all(is_simple)
        }
        _ => true,
    };
    let text = is_flat.then(|| flow(value))?;
    (text.chars().count() + indent <= MAX_FLOW_CHARS).then_some(text)
}

/// A text as a scalar: plain where it reads back as the same text, else in double quotes.
fn scalar_text(text: &str, is_in_flow: bool) -> String {
    let quoted = || serde_json::to_string(text).unwrap_or_default();
    let starts_plainly =
        text.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '/' | '$' | '_' | '.'));
    let is_special = |c: char| {
        c.is_control()
            || matches!(c, '"' | '\\' | '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}')
            || is_in_flow && matches!(c, ',' | '[' | ']' | '{' | '}')
    };
    let is_plain = starts_plainly
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.contains(is_special);
    if is_plain && reads_back(text) { text.to_owned() } else { quoted() }
}

/// Whether YAML takes the plain text for just that text, and not for a number, a date or the like.
fn reads_back(text: &str) -> bool {
    let (documents, problems) = document::parse("", &format!("v: {text}\n"));
    let value = documents.first().and_then(|document| document.root.get("v"));
    problems.is_empty()
        && value.is_some_and(
            |node| matches!(&node.content, Content::Scalar(Value::String(read)) if read == text),
        )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn round(value: &Value) -> String {
        let map = value.as_object().unwrap();
        let text = mapping(map, 0);
        let (documents, problems) = document::parse("a.yaml", &text);
        assert!(problems.is_empty(), "{problems:?}\n{text}");
        assert_eq!(documents[0].root.to_json(), *value, "{text}");
        text
    }

    #[test]
    fn what_is_written_reads_back() {
        let odd = vec![
            "",
            " ",
            "yes",
            "true",
            "null",
            "~",
            "1.0",
            "0x10",
            "2025-01-01",
            "a: b",
            "a #b",
            "#a",
            "- a",
            "[a",
            "{a",
            "*a",
            "&a",
            "!a",
            "%a",
            "@a",
            "`a",
            "'a'",
            "\"a\"",
            "a\\b",
            "a\tb",
            "a\u{1}b",
            "每日",
            "é: ",
            "a,b",
            "a]b",
            "line\n",
            "two\nlines",
            " x\ny",
            "end\n\n",
            "\n",
            "a\r\nb",
            "1e3",
            ".5",
            "-",
            "?",
            "=",
            "<<",
            "x:",
        ];
        let texts: Map<String, Value> =
            odd.iter().enumerate().map(|(i, text)| (format!("k{i}"), json!(text))).collect();
        let keys: Map<String, Value> =
            odd.iter().map(|text| ((*text).to_owned(), json!(1))).collect();
        round(&json!({ "texts": texts, "list": odd, "deep": [odd, {"a": odd}], "keys": keys }));
        round(
            &json!({ "n": -1.5e300, "i": -3, "u": u64::MAX, "b": true, "e": {}, "l": [], "ll": [[1, 2], []], "lo": [{"a": {"b": [{}]}}] }),
        );
    }

    #[test]
    fn it_looks_like_written_by_people() {
        let value = json!({
            "name": "每日销售汇总",
            "rate_limit": { "rps": 20, "burst": 100 },
            "tags": ["sales", "report"],
            "parameters": [{ "name": "startDate", "type": "date", "required": true, "example": "2025-01-01" }],
            "query_template": "SELECT 1\nFROM t\n",
        });
        let expected = "name: 每日销售汇总\nrate_limit: {rps: 20, burst: 100}\ntags: [sales, report]\nparameters:\n  \
            - {name: startDate, type: date, required: true, example: 2025-01-01}\nquery_template: |\n  SELECT 1\n  FROM t\n";
        assert_eq!(round(&value), expected);
    }
}
