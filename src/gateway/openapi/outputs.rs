//! What a caller gets, as `OpenAPI` says it: answers with their headers, the envelope, errors.

use serde_json::{Map, Value, json};

use crate::definitions::snapshot::Interface;
use crate::definitions::spec::interface::{
    Aggregate, Field, FieldType, Method as CallMethod, QueryType,
};
use crate::observe::code::Code;
use crate::query::encode::Format;

/// An answer that is not well: status, name below `components`, description, and its own headers.
type Refusal = (&'static str, &'static str, &'static str, &'static [&'static str]);

const REFUSALS: [Refusal; 13] = [
    ("400", "InvalidParameters", "Parameters are not valid.", &[]),
    ("401", "Unauthorized", "Credentials are missing or not valid.", &["WWW-Authenticate"]),
    ("403", "Forbidden", "The caller has no grant, or its address is not allowed.", &[]),
    ("404", "NotFound", "There is no such interface or version.", &[]),
    ("405", "MethodNotAllowed", "The interface does not answer this method.", &["Allow"]),
    ("408", "BodyTimeout", "The body did not arrive in time.", &[]),
    ("413", "BodyTooLarge", "The body is too large.", &[]),
    ("415", "UnsupportedMedia", "The body is not JSON.", &[]),
    ("429", "RateLimited", "Too many calls.", &["Retry-After"]),
    ("500", "Failed", "The gateway failed, or the answer does not fit its schema.", &[]),
    ("502", "DatasourceFailed", "The datasource failed.", &[]),
    ("503", "Busy", "The datasource or the gateway is busy.", &["Retry-After"]),
    ("504", "Timeout", "The query did not end in time.", &[]),
];
const ONLY_WITH_BODY: [&str; 3] = ["408", "413", "415"];

/// Headers of answers: name, type, whether every answer that lists it has it, description.
const HEADERS: [(&str, &str, bool, &str); 17] = [
    (
        "X-Request-Id",
        "string",
        true,
        "Names the call; the caller's own id where it sends a sane one.",
    ),
    ("X-Definitions-Revision", "string", true, "Revision of the definitions that served the call."),
    ("X-Cache", "string", false, "HIT, MISS, STALE or BYPASS."),
    ("Age", "integer", false, "Age of a cached answer, in seconds."),
    ("Cache-Control", "string", false, "How long the answer may be kept."),
    ("ETag", "string", false, "For `If-None-Match`."),
    (
        "X-Truncated",
        "string",
        false,
        "`true` where a limit cut the rows, as `meta.truncated` says.",
    ),
    ("RateLimit-Limit", "integer", false, "Calls at once at most."),
    ("RateLimit-Remaining", "integer", false, "Calls left now."),
    (
        "RateLimit-Reset",
        "integer",
        false,
        "Seconds until all calls are back, or until the next one.",
    ),
    (
        "Deprecation",
        "string",
        false,
        "When the version was deprecated: `@` and seconds since 1970.",
    ),
    ("Sunset", "string", false, "When the version will end."),
    ("Link", "string", false, "The successor of a deprecated version."),
    ("Retry-After", "integer", true, "Seconds to wait."),
    ("Allow", "string", true, "The methods that the interface answers."),
    ("WWW-Authenticate", "string", true, "`Bearer`."),
    ("Content-Disposition", "string", false, "File name of a CSV or XLSX answer."),
];

/// All headers, for `components`.
pub fn headers() -> Value {
    let described = HEADERS.iter().map(|(name, kind, required, description)| {
        let header = json!({
            "description": description, "required": required, "schema": { "type": kind },
        });
        ((*name).to_owned(), header)
    });
    Value::Object(described.collect())
}

/// All answers that are not well, for `components`.
pub fn refusals() -> Value {
    let described = REFUSALS.iter().map(|(_, name, description, own)| {
        let names = ["X-Request-Id", "X-Definitions-Revision"].iter().chain(*own);
        let refusal = json!({
            "description": description,
            "headers": header_references(names.copied()),
            "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } },
        });
        ((*name).to_owned(), refusal)
    });
    Value::Object(described.collect())
}

fn header_references<'a>(names: impl Iterator<Item = &'a str>) -> Value {
    let references = names
        .map(|name| (name.to_owned(), json!({ "$ref": format!("#/components/headers/{name}") })));
    Value::Object(references.collect())
}

/// The answers of an interface by status.
pub fn responses(interface: &Interface) -> Value {
    let mut json_body = json!({ "schema": success_schema(interface) });
    if let Some(example) = &interface.response.example {
        json_body["example"] = example.clone();
    }
    let headers = header_references(success_headers(interface).into_iter());
    let mut responses = json!({
        "200": {
            "description": "Rows.",
            "headers": headers,
            "content": {
                "application/json": json_body,
                "text/csv": { "schema": { "type": "string" } },
                Format::Ndjson.media_type(): { "schema": { "type": "string" } },
                Format::Xlsx.media_type(): { "schema": { "type": "string", "format": "binary" } },
            },
        },
    });
    if interface.cache.is_some() {
        responses["304"] =
            json!({ "description": "The answer has not changed.", "headers": headers });
    }
    for (status, name, ..) in REFUSALS {
        let with_body = interface.method == CallMethod::Post || !ONLY_WITH_BODY.contains(&status);
        if with_body {
            responses[status] = json!({ "$ref": format!("#/components/responses/{name}") });
        }
    }
    responses
}

fn success_headers(interface: &Interface) -> Vec<&'static str> {
    let mut names =
        vec!["X-Request-Id", "X-Definitions-Revision", "X-Truncated", "Content-Disposition"];
    if interface.cache.is_some() {
        names.extend(["X-Cache", "Age", "Cache-Control", "ETag"]);
    }
    if interface.rate_limit.is_some() {
        names.extend(["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"]);
    }
    if interface.deprecation.is_some() {
        names.extend(["Deprecation", "Sunset", "Link"]);
    }
    names
}

/// Puts the schema that the definition itself gives below `components`, its references made to fit that place.
pub fn own_schema(interface: &Interface, schemas: &mut Map<String, Value>) {
    let Some(schema) = &interface.response.schema else { return };
    let name = schema_name(interface);
    let mut source = schema.source.clone();
    relocate(&mut source, &format!("#/components/schemas/{name}"));
    schemas.insert(name, source);
}

fn schema_name(interface: &Interface) -> String {
    let version = interface.version.to_string().replace('+', "_");
    format!("{}-{version}", interface.code)
}

/// References to the schema's own parts say `#/…`; they are to hold from the document's root.
fn relocate(schema: &mut Value, base: &str) {
    match schema {
        // A schema with an identity of its own is what its references start from.
        Value::Object(members) if members.contains_key("$id") => {}
        Value::Object(members) => {
            for (key, member) in members {
                match member {
                    Value::String(reference) if key == "$ref" => {
                        let own = reference.strip_prefix('#');
                        if let Some(own) = own.filter(|own| own.is_empty() || own.starts_with('/'))
                        {
                            *reference = format!("{base}{own}");
                        }
                    }
                    member => relocate(member, base),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| relocate(item, base)),
        _ => {}
    }
}

fn success_schema(interface: &Interface) -> Value {
    if interface.response.schema.is_some() {
        return json!({ "$ref": format!("#/components/schemas/{}", schema_name(interface)) });
    }
    json!({
        "type": "object",
        "required": ["code", "message", "success", "data", "meta"],
        "properties": {
            "code": { "const": "OK" },
            "message": { "type": "string" },
            "success": { "const": true },
            "data": data_schema(interface),
            "meta": meta_schema(interface),
        },
    })
}

fn data_schema(interface: &Interface) -> Value {
    let fields = &interface.response.fields;
    let properties: Map<String, Value> =
        fields.iter().map(|field| (field.name.clone(), column(interface, field))).collect();
    let mut rows = json!({ "type": "array", "items": { "type": "object" } });
    if !properties.is_empty() {
        rows["items"]["properties"] = properties.into();
    }
    // A query in safe mode always has columns.
    if interface.query.kind == QueryType::Sql && interface.caps.is_some() {
        return rows;
    }
    let changed = json!({
        "type": "object",
        "required": ["affected_rows"],
        "properties": { "affected_rows": { "type": "integer", "minimum": 0 } },
    });
    json!({ "anyOf": [rows, changed] })
}

/// A column of the answer. Any may be NULL; what the definition does not say of its type is left open.
fn column(interface: &Interface, field: &Field) -> Value {
    let mut column = Map::new();
    if let Some(title) = &field.title {
        column.insert("title".into(), title.as_str().into());
    }
    if let Some(text) = &field.description {
        column.insert("description".into(), text.as_str().into());
    }
    // Labels are of any type, and `type` left out in a field says nothing.
    let is_labelled = interface.response.value_map.keys().any(|from| {
        from == &field.name || interface.response.rename.get(from) == Some(&field.name)
    });
    let written = interface.source.get("fields").and_then(Value::as_array);
    let is_typed = written.into_iter().flatten().any(|written| {
        written["name"] == field.name.as_str() && written.get("type").is_some_and(|t| !t.is_null())
    });
    if is_typed && !is_labelled {
        column.extend(column_type(field.kind));
    }
    column.into()
}

fn column_type(kind: FieldType) -> Map<String, Value> {
    let of = |types: &[&str]| Map::from_iter([("type".to_owned(), json!(types))]);
    match kind {
        FieldType::Integer | FieldType::PlainInteger => of(&["integer", "null"]),
        FieldType::Decimal
        | FieldType::Percent
        | FieldType::PlainDecimal
        | FieldType::PlainPercent
        | FieldType::Percent1
        | FieldType::Decimal1
        | FieldType::Number => of(&["number", "null"]),
        // Databases keep a year as a number or as text, and a truth as 0 or 1.
        FieldType::Year => of(&["integer", "string", "null"]),
        FieldType::Boolean => of(&["boolean", "integer", "null"]),
        FieldType::String | FieldType::Month | FieldType::Datetime | FieldType::Date => {
            of(&["string", "null"])
        }
        FieldType::Json => Map::new(),
    }
}

fn meta_schema(interface: &Interface) -> Value {
    let mut properties = Map::from_iter([(
        "truncated".to_owned(),
        json!({ "const": true, "description": "A limit cut the rows." }),
    )]);
    let mut required = Vec::new();
    if let Some(page) = interface.query.page {
        properties.insert("page".into(), json!({ "type": "integer", "minimum": 1 }));
        properties.insert("pageSize".into(), json!({ "type": "integer", "minimum": 1 }));
        properties.insert("hasNext".into(), json!({ "type": "boolean" }));
        required.extend(["page", "pageSize", "hasNext"]);
        if page.count {
            properties.insert("total".into(), json!({ "type": "integer", "minimum": 0 }));
            required.push("total");
        }
    }
    if interface.query.total.is_some() {
        properties.insert("totals".into(), json!({ "type": "object" }));
        required.push("totals");
    }
    if !interface.response.summary.is_empty() {
        properties.insert("summary".into(), summary_schema(&interface.response.summary));
        required.push("summary");
    }
    let mut meta = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        meta["required"] = required.into();
    }
    meta
}

fn summary_schema(summary: &[(String, Aggregate)]) -> Value {
    let figures = summary.iter().map(|(name, aggregate)| {
        let figure = match aggregate {
            Aggregate::Count => json!({ "type": "integer", "minimum": 0 }),
            Aggregate::Sum | Aggregate::Avg => json!({ "type": ["number", "null"] }),
            Aggregate::Min | Aggregate::Max => json!({}),
        };
        (name.clone(), figure)
    });
    let properties: Map<String, Value> = figures.collect();
    json!({ "type": "object", "properties": properties })
}

/// The envelope of an answer that is not well.
pub fn error_schema() -> Value {
    let codes = Code::ALL.iter().map(|code| code.as_str()).filter(|code| *code != "OK");
    let text = || json!({ "type": "string" });
    json!({
        "type": "object",
        "required": ["code", "message", "success", "details"],
        "properties": {
            "code": { "enum": codes.collect::<Vec<_>>() },
            "message": text(),
            "success": { "const": false },
            "details": {
                "type": "array",
                "description": "Every parameter that is not valid.",
                "items": {
                    "type": "object",
                    "required": ["field", "error", "message"],
                    "properties": { "field": text(), "error": text(), "message": text() },
                },
            },
        },
    })
}
