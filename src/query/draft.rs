//! A definition proposed from a query that somebody wrote by hand: its parameters from what it names, their types from the values
//! at hand, its fields from the columns.

use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::civil::Date;
use regex::Regex;
use serde_json::{Map, Value, json};

use crate::definitions::flaw;
use crate::engines::{Column, ColumnKind};
use crate::sql::bind::Bind;
use crate::sql::dialect::Dialect;
use crate::sql::page::Paging;
use crate::sql::template::{Flaw, Name, Options, Template};
use crate::sql::text;

/// Characters of a value that its template is tried with.
const MAX_SAMPLE_CHARS: usize = 200;

/// What a draft is made from.
#[derive(Clone, Copy, Debug)]
pub struct Material<'a> {
    pub code: &'a str,
    pub name: Option<&'a str>,
    pub datasource_id: &'a str,
    pub dialect: Dialect,
    /// As it was written.
    pub sql: &'a str,
    pub params: &'a Map<String, Value>,
    /// What it gives; empty where that is not known.
    pub columns: &'a [Column],
}

/// A definition, and what still keeps it from being loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    pub definition: Value,
    pub problems: Vec<String>,
}

/// Proposes a definition.
///
/// # Errors
/// Where the template does more than one written by hand may, or has more.
pub fn propose(material: &Material<'_>) -> Result<Draft, Flaw> {
    text::check(material.sql, material.params)?;
    let template = as_template(material.sql);
    let names = names(&template, material.dialect);
    let parameters: Vec<Value> =
        names.iter().map(|name| parameter(name, &template, material.params)).collect();
    let fields: Vec<Value> = material
        .columns
        .iter()
        .map(|column| json!({ "name": column.name, "type": field_type(column.kind) }))
        .collect();
    let problems = problems(&template, &names, material);
    let mut definition = json!({
        "code": material.code,
        "name": material.name,
        "version": "1.0.0",
        "status": "draft",
        "datasource_id": material.datasource_id,
        "parameters": parameters,
        "query_template": template,
        "pagination": { "enabled": true },
        "fields": fields,
    });
    if let Some(map) = definition.as_object_mut() {
        map.retain(|_, value| !value.is_null() && *value != json!([]));
    }
    Ok(Draft { definition, problems })
}

/// The text as a definition's template, whose values are bound: no quotes around them, and names of tables and columns
/// marked as such.
fn as_template(sql: &str) -> String {
    static QUOTED: LazyLock<Regex> = LazyLock::new(|| pattern(r"'(\{\{[^{}']*\}\})'"));
    static NAMED: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)(\b(?:from|join|into|table|(?:order|group)\s+by)\s+|\.\s*)\{\{\s*([a-z_]\w*)\s*\}\}",
        )
    });
    let unquoted = QUOTED.replace_all(sql, "$1");
    NAMED.replace_all(&unquoted, "$1{{ $2 | ident }}").into_owned()
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern that compiles")
}

/// The names that the template uses, by their first place.
fn names(template: &str, dialect: Dialect) -> Vec<String> {
    let nothing = options(Vec::new(), dialect);
    let errors = Template::compile(template, nothing).err().unwrap_or_default();
    let mut names: Vec<String> = Vec::new();
    for error in errors {
        if let Flaw::Unbound(name) = error.flaw
            && !names.contains(&name)
        {
            names.push(name);
        }
    }
    let place = |name: &String| pattern(&format!(r"\b{}\b", regex::escape(name))).find(template);
    names.sort_by_key(|name| place(name).map_or(usize::MAX, |found| found.start()));
    names
}

fn parameter(name: &str, template: &str, params: &Map<String, Value>) -> Value {
    let value = params.get(name).filter(|value| !value.is_null());
    let kind = value.map_or("string", type_of);
    let mut parameter = json!({ "name": name, "type": kind });
    if let Some(Value::Array(items)) = value {
        parameter["items"] = json!({ "type": items.first().map_or("string", type_of) });
    }
    let asked = format!(r"\{{%-?\s*(?:el)?if\b[^%]*\b{}\b", regex::escape(name));
    // What a condition asks for may be absent.
    if pattern(&asked).is_match(template) {
        parameter["required"] = false.into();
    } else {
        parameter["required"] = true.into();
    }
    if let Some(value) = value {
        parameter["example"] = value.clone();
        if is_identifier(name, template) {
            parameter["enum"] = json!([value]);
        }
    }
    parameter
}

fn is_identifier(name: &str, template: &str) -> bool {
    template.contains(&format!("{{{{ {name} | ident }}}}"))
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        Value::String(text) if text.len() == 10 && text.parse::<Date>().is_ok() => "date",
        Value::String(text) if text.parse::<Timestamp>().is_ok() => "datetime",
        Value::Null | Value::String(_) => "string",
    }
}

fn field_type(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Boolean => "boolean",
        ColumnKind::Integer => "integer",
        ColumnKind::Number => "number",
        ColumnKind::Date => "date",
        ColumnKind::DateTime => "datetime",
        ColumnKind::Json => "json",
        ColumnKind::Text | ColumnKind::Binary | ColumnKind::Any => "string",
    }
}

/// What is wrong with the template once its names are parameters.
fn problems(template: &str, names: &[String], material: &Material<'_>) -> Vec<String> {
    let name = |name: &String| {
        let value = material.params.get(name);
        let sample = match value {
            None | Some(Value::Null) => Bind::Text("sample".to_owned()),
            Some(Value::Bool(b)) => Bind::Bool(*b),
            Some(Value::Number(n)) => {
                n.as_i64().map_or_else(|| Bind::Number(n.to_string()), Bind::Int)
            }
            Some(Value::String(text)) => Bind::Text(text.chars().take(MAX_SAMPLE_CHARS).collect()),
            Some(Value::Array(_)) => Bind::Array(vec![Bind::Text("sample".to_owned())]),
            Some(Value::Object(_)) => Bind::Json("{}".to_owned()),
        };
        Name {
            name: name.clone(),
            is_array: matches!(value, Some(Value::Array(_))),
            is_closed: value.is_some() && is_identifier(name, template),
            samples: vec![sample],
        }
    };
    let options = options(names.iter().map(name).collect(), material.dialect);
    let errors = Template::compile(template, options).err().unwrap_or_default();
    errors.iter().map(|error| flaw::describe(&error.flaw).1).collect()
}

fn options(names: Vec<Name>, dialect: Dialect) -> Options {
    Options {
        dialect,
        names: names.into(),
        is_safe: true,
        is_procedure: false,
        // Only that there are pages matters here.
        paging: Paging::Own { count: false },
        is_governed: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drafted(sql: &str, params: Value) -> Draft {
        let params = params.as_object().unwrap();
        let columns = [Column { name: "n".to_owned(), kind: ColumnKind::Integer }];
        propose(&Material {
            code: "c",
            name: None,
            datasource_id: "d",
            dialect: Dialect::Postgres,
            sql,
            params,
            columns: &columns,
        })
        .unwrap()
    }

    #[test]
    fn parameters_come_from_names_and_values() {
        let sql = "SELECT n FROM t WHERE a = :text AND n IN :list{% if day %} AND d >= '{{ day }}'{% endif %} AND x < :x";
        let params =
            json!({"text": "a", "list": [1, 2], "day": "2024-05-01", "x": 1.5, "unused": 1});
        let Draft { definition, problems } = drafted(sql, params);
        assert_eq!(problems, [""; 0]);
        assert_eq!(
            definition["parameters"],
            json!([
                {"name": "text", "type": "string", "required": true, "example": "a"},
                {"name": "list", "type": "array", "items": {"type": "integer"}, "required": true, "example": [1, 2]},
                {"name": "day", "type": "date", "required": false, "example": "2024-05-01"},
                {"name": "x", "type": "number", "required": true, "example": 1.5},
            ])
        );
        assert!(definition["query_template"].as_str().unwrap().contains(">= {{ day }}"));
        assert_eq!(definition["fields"], json!([{"name": "n", "type": "integer"}]));
        assert_eq!(definition["status"], "draft");
    }

    #[test]
    fn names_of_tables_are_marked() {
        let draft = drafted("select * from {{ table }}", json!({"table": "user"}));
        assert_eq!(draft.problems, [""; 0]);
        assert_eq!(draft.definition["query_template"], "select * from {{ table | ident }}");
        assert_eq!(draft.definition["parameters"][0]["enum"], json!(["user"]));
    }

    #[test]
    fn what_is_left_to_do_is_said() {
        let draft = drafted("SELECT 1 AS n WHERE 'a' LIKE '%{{ part }}%'", json!({"part": "a"}));
        assert!(draft.problems[0].contains("inside a quoted string"), "{:?}", draft.problems);
        assert!(!drafted("DELETE FROM t WHERE n = :n", json!({})).problems.is_empty());
        assert!(!drafted("SELECT {{ n", json!({})).problems.is_empty());
    }
}
