//! `/openapi.json`: `OpenAPI` 3.1 of what the caller may call.

use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Response, StatusCode};
use serde_json::{Map, Value, json};

use super::body::Body;
use super::error::ApiError;
use super::exchange::Exchange;
use super::messages::Message;
use super::respond;
use crate::access::authorize::authorize;
use crate::access::principal::Principal;
use crate::definitions::coerce::{Format as TextFormat, Parameter};
use crate::definitions::snapshot::Interface;
use crate::definitions::spec::interface::{Location, Method as CallMethod, ParamType, Status};
use crate::query::encode::Format;
use crate::sql::bind::Bind;

/// Answers `/openapi.json` for a caller.
///
/// # Errors
/// 405 for anything but GET and HEAD.
pub fn answer(
    exchange: &Exchange,
    method: &Method,
    principal: &Principal,
) -> Result<Response<Body>, ApiError> {
    const ALLOWED: &str = "GET, HEAD, OPTIONS";
    if method == Method::OPTIONS {
        let mut response = respond::base(exchange, StatusCode::NO_CONTENT, Body::empty());
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(ALLOWED));
        return Ok(response);
    }
    if method != Method::GET && method != Method::HEAD {
        let mut error = ApiError::not_found(Message::MethodNotAllowed("GET")).with_status(405);
        error.allow = Some(ALLOWED);
        return Err(error);
    }
    let document = document(exchange, principal).to_string();
    let mut response = respond::base(exchange, StatusCode::OK, Body::Full(document.into()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

fn document(exchange: &Exchange, principal: &Principal) -> Value {
    let snapshot = &exchange.generation.snapshot;
    let mut paths = Map::new();
    for route in &snapshot.routes.entries {
        let Some(default) = route.default.map(|index| &snapshot.interfaces[index]) else {
            continue;
        };
        if authorize(principal, default, &snapshot.policies).is_err() {
            continue;
        }
        let versions: Vec<String> = route
            .versions
            .iter()
            .map(|index| snapshot.interfaces[*index].version.to_string())
            .collect();
        let method = match default.method {
            CallMethod::Get => "get",
            CallMethod::Post => "post",
        };
        paths.insert(route.path.clone(), json!({ method: operation(default, &versions) }));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tidegate data API",
            "version": &*exchange.generation.revision,
            "description": "The data interfaces that the caller may call.",
        },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "apiKey": { "type": "apiKey", "in": "header", "name": "X-API-Key" },
                "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" },
            },
            "schemas": { "Error": error_schema() },
        },
    })
}

fn operation(interface: &Interface, versions: &[String]) -> Value {
    let mut parameters: Vec<Value> = interface
        .parameters
        .iter()
        .filter(|p| p.location != Location::Body)
        .map(|p| parameter(interface, p))
        .collect();
    parameters.push(json!({
        "name": "version", "in": "query", "description": "Version of the interface.",
        "schema": { "type": "string", "enum": versions },
    }));
    parameters.push(json!({
        "name": "format", "in": "query", "description": "Form of the answer, before the Accept header.",
        "schema": { "type": "string", "enum": ["json", "csv", "ndjson", "xlsx"] },
    }));
    let mut operation = json!({
        "operationId": interface.code,
        "summary": interface.name.clone().unwrap_or_else(|| interface.code.clone()),
        "description": interface.description.clone().unwrap_or_default(),
        "tags": interface.tags,
        "deprecated": interface.status == Status::Deprecated,
        "parameters": parameters,
        "responses": responses(interface),
        "x-version": interface.version.to_string(),
    });
    if interface.auth_required {
        operation["security"] = json!([{ "apiKey": [] }, { "bearer": [] }]);
    }
    if interface.method == CallMethod::Post {
        operation["requestBody"] = request_body(interface);
    }
    operation
}

fn parameter(interface: &Interface, parameter: &Parameter) -> Value {
    let location = match parameter.location {
        Location::Path => "path",
        Location::Header => "header",
        Location::Query | Location::Body => "query",
    };
    let mut out = json!({
        "name": parameter.name,
        "in": location,
        "required": parameter.required,
        "schema": schema(parameter),
    });
    let written = written(interface, &parameter.name);
    for key in ["description", "example"] {
        if let Some(value) =
            written.and_then(|written| written.get(key)).filter(|value| !value.is_null())
        {
            out[key] = value.clone();
        }
    }
    match parameter.kind {
        // As a list with commas; a repeated key works too.
        ParamType::Array if parameter.location == Location::Query => {
            out["style"] = "form".into();
            out["explode"] = true.into();
        }
        ParamType::Object => {
            let schema = out["schema"].take();
            out.as_object_mut().map(|map| map.remove("schema"));
            out["content"] = json!({ "application/json": { "schema": schema } });
        }
        _ => {}
    }
    out
}

/// The parameter as it is written in the definition.
fn written<'a>(interface: &'a Interface, name: &str) -> Option<&'a Value> {
    interface.source.get("parameters")?.as_array()?.iter().find(|p| p["name"] == name)
}

fn schema(parameter: &Parameter) -> Value {
    let rules = &parameter.rules;
    let scalar_kind =
        if parameter.kind == ParamType::Array { parameter.items } else { parameter.kind };
    let mut scalar = match scalar_kind {
        ParamType::String => json!({ "type": "string" }),
        ParamType::Number => json!({ "type": "number" }),
        ParamType::Integer => json!({ "type": "integer" }),
        ParamType::Boolean => json!({ "type": "boolean" }),
        ParamType::Date => json!({ "type": "string", "format": "date" }),
        ParamType::Datetime => json!({ "type": "string", "format": "date-time" }),
        ParamType::Object | ParamType::Array => json!({ "type": "object" }),
    };
    match &rules.format {
        Some(TextFormat::Email) => scalar["format"] = "email".into(),
        Some(TextFormat::Uuid) => scalar["format"] = "uuid".into(),
        Some(TextFormat::Ipv4) => scalar["format"] = "ipv4".into(),
        Some(TextFormat::Ipv6) => scalar["format"] = "ipv6".into(),
        Some(TextFormat::Uri) => scalar["format"] = "uri".into(),
        Some(TextFormat::Pattern { shown, .. }) if shown != "yyyy-MM-dd" => {
            scalar["format"] = shown.as_str().into();
        }
        _ => {}
    }
    if let Some(allowed) = &rules.allowed {
        scalar["enum"] = allowed.iter().map(as_value).collect();
    }
    if let Some(pattern) = &rules.pattern {
        scalar["pattern"] = pattern.as_str().into();
    }
    if matches!(scalar_kind, ParamType::Integer | ParamType::Number) {
        for (key, bound) in [("maximum", &rules.maximum), ("minimum", &rules.minimum)] {
            if let Some(bound) = bound {
                scalar[key] = as_value(bound);
            }
        }
    }
    let lengths = [("max", rules.max_length), ("min", rules.min_length)];
    let mut schema = if parameter.kind == ParamType::Array {
        let mut array = json!({ "type": "array", "items": scalar });
        for (key, length) in lengths {
            if let Some(length) = length {
                array[format!("{key}Items")] = length.into();
            }
        }
        array
    } else {
        for (key, length) in lengths {
            if let (Some(length), ParamType::String) = (length, parameter.kind) {
                scalar[format!("{key}Length")] = length.into();
            }
        }
        scalar
    };
    if let Some(default) = &parameter.default {
        schema["default"] = as_value(default);
    }
    schema
}

fn as_value(bind: &Bind) -> Value {
    serde_json::from_str(&bind.to_json()).unwrap_or(Value::Null)
}

fn request_body(interface: &Interface) -> Value {
    let in_body: Vec<&Parameter> =
        interface.parameters.iter().filter(|p| p.location == Location::Body).collect();
    let mut properties = Map::new();
    for parameter in &in_body {
        let mut schema = schema(parameter);
        let text =
            written(interface, &parameter.name).and_then(|written| written.get("description"));
        if let Some(text) = text.filter(|text| !text.is_null()) {
            schema["description"] = text.clone();
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

fn responses(interface: &Interface) -> Value {
    let mut json_body = json!({ "schema": success_schema(interface) });
    if let Some(example) = &interface.response.example {
        json_body["example"] = example.clone();
    }
    let mut responses = json!({
        "200": {
            "description": "Rows.",
            "content": {
                "application/json": json_body,
                "text/csv": { "schema": { "type": "string" } },
                Format::Ndjson.media_type(): { "schema": { "type": "string" } },
                Format::Xlsx.media_type(): { "schema": { "type": "string", "format": "binary" } },
            },
        },
    });
    let mut errors = vec![
        ("400", "Parameters are not valid."),
        ("401", "Credentials are missing or not valid."),
        ("403", "The caller has no grant, or its address is not allowed."),
        ("404", "There is no such interface or version."),
        ("405", "The interface does not answer this method."),
        ("408", "The body did not arrive in time."),
        ("429", "Too many calls."),
        ("500", "The gateway failed, or the answer does not fit its schema."),
        ("502", "The datasource failed."),
        ("503", "The datasource is busy."),
        ("504", "The query did not end in time."),
    ];
    if interface.method == CallMethod::Post {
        errors.extend([("413", "The body is too large."), ("415", "The body is not JSON.")]);
    }
    if interface.cache.is_some() {
        responses["304"] = json!({ "description": "The answer has not changed." });
    }
    for (status, description) in errors {
        responses[status] = json!({
            "description": description,
            "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } },
        });
    }
    responses
}

fn success_schema(interface: &Interface) -> Value {
    if let Some(schema) = &interface.response.schema {
        return schema.source.clone();
    }
    json!({
        "type": "object",
        "required": ["code", "message", "success", "data", "meta"],
        "properties": {
            "code": { "const": "OK" },
            "message": { "type": "string" },
            "success": { "const": true },
            "data": { "type": ["array", "object"] },
            "meta": {
                "type": "object",
                "properties": {
                    "page": { "type": "integer" },
                    "pageSize": { "type": "integer" },
                    "total": { "type": "integer" },
                    "hasNext": { "type": "boolean" },
                    "truncated": { "type": "boolean" },
                    "totals": { "type": "object" },
                    "summary": { "type": "object" },
                },
            },
        },
    })
}

fn error_schema() -> Value {
    let codes: Vec<&str> = crate::observe::code::Code::ALL
        .iter()
        .map(|code| code.as_str())
        .filter(|c| *c != "OK")
        .collect();
    json!({
        "type": "object",
        "required": ["code", "message", "success", "details"],
        "properties": {
            "code": { "enum": codes },
            "message": { "type": "string" },
            "success": { "const": false },
            "details": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "field": { "type": "string" },
                        "error": { "type": "string" },
                        "message": { "type": "string" },
                    },
                },
            },
        },
    })
}
