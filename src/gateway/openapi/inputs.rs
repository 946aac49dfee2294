//! What a caller sends, as `OpenAPI` says it: parameters, body, and the schema of a value.

use serde_json::{Map, Value, json};

use crate::definitions::coerce::{MAX_ARRAY_ITEMS, Parameter};
use crate::definitions::format::Format;
use crate::definitions::snapshot::Interface;
use crate::definitions::spec::interface::{Location, ParamType};
use crate::sql::bind::Bind;

/// A parameter in the path, the query or a header.
pub fn parameter(interface: &Interface, parameter: &Parameter) -> Value {
    let location = match parameter.location {
        Location::Path => "path",
        Location::Header => "header",
        Location::Query | Location::Body => "query",
    };
    let written = written(interface, parameter);
    let schema = schema(parameter, written);
    let mut out = json!({
        "name": parameter.name,
        "in": location,
        "required": parameter.required,
    });
    for key in ["description", "example"] {
        copy(written, key, &mut out);
    }
    match parameter.kind {
        // As a list with commas; a repeated key works too.
        ParamType::Array if parameter.location == Location::Query => {
            out["style"] = "form".into();
            out["explode"] = true.into();
        }
        ParamType::Object => {
            out["content"] = json!({ "application/json": { "schema": schema } });
            return out;
        }
        _ => {}
    }
    out["schema"] = schema;
    out
}

/// Adds the parameters that every interface has.
pub fn add_reserved(operation: &mut Value, versions: &[String], is_version_required: bool) {
    let Some(parameters) = operation["parameters"].as_array_mut() else { return };
    parameters.push(json!({
        "name": "version", "in": "query", "required": is_version_required,
        "description": "Version of the interface.",
        "schema": { "type": "string", "enum": versions },
    }));
    parameters.push(json!({
        "name": "format", "in": "query", "required": false,
        "description": "Form of the answer, before the Accept header.",
        "schema": { "type": "string", "enum": ["json", "csv", "ndjson", "xlsx"] },
    }));
}

/// The JSON body of a POST.
pub fn request_body(interface: &Interface) -> Value {
    let in_body: Vec<&Parameter> =
        interface.parameters.iter().filter(|p| p.location == Location::Body).collect();
    let mut properties = Map::new();
    for parameter in &in_body {
        let written = written(interface, parameter);
        let mut schema = schema(parameter, written);
        copy(written, "description", &mut schema);
        if let Some(example) = written.and_then(|written| written.get("example")) {
            schema["examples"] = json!([example]);
        }
        if !parameter.required {
            allow_null(&mut schema);
        }
        properties.insert(parameter.name.clone(), schema);
    }
    let required: Vec<&str> =
        in_body.iter().filter(|p| p.required).map(|p| p.name.as_str()).collect();
    let mut schema = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        schema["required"] = required.clone().into();
    }
    if !interface.allow_unknown {
        schema["additionalProperties"] = false.into();
    }
    json!({ "required": !required.is_empty(), "content": { "application/json": { "schema": schema } } })
}

/// The parameter as it is written in the definition; none for those that the gateway adds.
fn written<'a>(interface: &'a Interface, parameter: &Parameter) -> Option<&'a Value> {
    interface.source.get("parameters")?.as_array()?.iter().find(|p| p["name"] == parameter.name)
}

fn copy(written: Option<&Value>, key: &str, out: &mut Value) {
    let value = written.and_then(|written| written.get(key)).filter(|value| !value.is_null());
    if let Some(value) = value {
        out[key] = value.clone();
    }
}

/// An explicit null in a body is the same as nothing.
fn allow_null(schema: &mut Value) {
    schema["type"] = json!([schema["type"], "null"]);
    if let Some(allowed) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        allowed.push(Value::Null);
    }
}

fn schema(parameter: &Parameter, written: Option<&Value>) -> Value {
    let is_array = parameter.kind == ParamType::Array;
    let mut scalar = scalar(if is_array { parameter.items } else { parameter.kind });
    restrict(&mut scalar, parameter, written);
    let rules = &parameter.rules;
    let lengths = [("max", rules.max_length), ("min", rules.min_length)];
    let unit = if is_array { "Items" } else { "Length" };
    let mut schema = if is_array { json!({ "type": "array", "items": scalar }) } else { scalar };
    for (key, length) in lengths {
        if let Some(length) = length {
            schema[format!("{key}{unit}")] = length.into();
        }
    }
    if is_array && rules.max_length.is_none_or(|most| most > MAX_ARRAY_ITEMS as u64) {
        schema["maxItems"] = MAX_ARRAY_ITEMS.into();
    }
    copy(written, "title", &mut schema);
    if let Some(default) = &parameter.default {
        schema["default"] = as_written(written, "default", default);
    }
    schema
}

fn scalar(kind: ParamType) -> Value {
    match kind {
        ParamType::String => json!({ "type": "string" }),
        ParamType::Number => json!({ "type": "number" }),
        ParamType::Integer => json!({ "type": "integer" }),
        ParamType::Boolean => json!({ "type": "boolean" }),
        ParamType::Date => json!({ "type": "string", "format": "date" }),
        ParamType::Datetime => json!({ "type": "string", "format": "date-time" }),
        ParamType::Object | ParamType::Array => json!({ "type": "object" }),
    }
}

fn restrict(scalar: &mut Value, parameter: &Parameter, written: Option<&Value>) {
    let rules = &parameter.rules;
    match &rules.format {
        Some(Format::Pattern { shown, regex, .. }) if shown != "yyyy-MM-dd" => {
            scalar["format"] = shown.as_str().into();
            scalar["pattern"] = regex.as_str().into();
        }
        Some(Format::Pattern { .. }) => scalar["format"] = "date".into(),
        Some(named) => scalar["format"] = named.shown().into(),
        None => {}
    }
    if let Some(allowed) = &rules.allowed {
        let as_sent = written.and_then(|written| written.get("enum")).cloned();
        scalar["enum"] = as_sent.unwrap_or_else(|| allowed.iter().map(as_value).collect());
    }
    if let Some(pattern) = &rules.pattern {
        // Where others read the pattern differently it is a note for people.
        let key = if is_portable(pattern.as_str()) { "pattern" } else { "x-pattern" };
        scalar[key] = pattern.as_str().into();
    }
    let is_number = matches!(scalar["type"].as_str(), Some("integer" | "number"));
    // JSON Schema bounds numbers only; these are the usual words for dates.
    let words = if is_number { ["maximum", "minimum"] } else { ["formatMaximum", "formatMinimum"] };
    let bounds = [("maximum", &rules.maximum), ("minimum", &rules.minimum)];
    for (word, (key, bound)) in words.into_iter().zip(bounds) {
        if let Some(bound) = bound {
            scalar[word] = as_written(written, key, bound);
        }
    }
}

/// Whether a pattern means the same to those who read regular expressions as ECMAScript does.
fn is_portable(pattern: &str) -> bool {
    let foreign =
        ["(?P", "(?i", "(?s", "(?m", "(?x", "(?u", "(?U", "(?-", "[[", "&&", "\\A", "\\z"];
    !foreign.iter().any(|word| pattern.contains(word))
}

/// A value as the definition writes it, which is how a caller sends it.
fn as_written(written: Option<&Value>, key: &str, bind: &Bind) -> Value {
    let value = written.and_then(|written| written.get(key)).filter(|value| !value.is_null());
    value.cloned().unwrap_or_else(|| as_value(bind))
}

fn as_value(bind: &Bind) -> Value {
    serde_json::from_str(&bind.to_json()).unwrap_or(Value::Null)
}
