//! `/openapi.json`: `OpenAPI` 3.1 of what the caller may call.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::access::authorize::authorize;
use crate::access::principal::Principal;
use crate::definitions::snapshot::{Interface, Route};
use crate::definitions::spec::interface::{Location, Method as CallMethod, Status};
use crate::gateway::body::{Body, compress};
use crate::gateway::error::ApiError;
use crate::gateway::exchange::Exchange;
use crate::gateway::head::Reply;
use crate::gateway::headers::Headers;
use crate::gateway::messages::Message;
use crate::gateway::{negotiate, respond};

mod inputs;
mod outputs;

/// What every reader of the document should know.
const ABOUT: &str = "The data interfaces that the caller may call. Send `X-API-Key` or `Authorization: Bearer`. \
    `?format=` or `Accept` picks the form of an answer, `Accept-Language` (`en`, `zh`) the language of its messages. \
    Where an interface has several versions, an operation describes the one that answers without `version`; \
    `x-versions` describes the others.";

/// Answers `/openapi.json` for a caller.
///
/// # Errors
/// 405 for anything but GET and HEAD.
pub async fn answer(
    exchange: &Exchange,
    method: &Method,
    headers: Headers<'_>,
    principal: &Arc<Principal>,
) -> Result<Reply, ApiError> {
    const ALLOWED: &str = "GET, HEAD, OPTIONS";
    if method == Method::OPTIONS {
        let mut head = respond::base(exchange, StatusCode::NO_CONTENT);
        head.put("allow", ALLOWED);
        return Ok(Reply::new(head, Body::empty()));
    }
    if method != Method::GET && method != Method::HEAD {
        let mut error = ApiError::not_found(Message::MethodNotAllowed("GET")).with_status(405);
        error.allow = Some(ALLOWED);
        return Err(error);
    }
    let document = document(exchange, principal).to_string();
    let encoding = negotiate::encoding(headers);
    let (body, encoding) = compress(Body::Full(document.into()), encoding).await;
    let mut head = respond::base(exchange, StatusCode::OK);
    head.put("content-type", "application/json");
    // It differs from caller to caller and from revision to revision.
    head.put("cache-control", "private, no-cache");
    head.put("vary", "Accept-Encoding, Authorization, X-API-Key");
    respond::put_encoding(&mut head, encoding);
    Ok(Reply::new(head, body))
}

fn document(exchange: &Exchange, principal: &Arc<Principal>) -> Value {
    let snapshot = &exchange.generation().snapshot;
    let rights = &exchange.generation().rights;
    let may_call = |interface: &Interface| {
        authorize(principal, interface, &snapshot.policies).is_ok()
            && rights.of(principal, interface, &snapshot.policies).is_ok()
    };
    let (mut paths, mut schemas, mut tags) = (Map::new(), Map::new(), BTreeSet::new());
    for route in &snapshot.routes.entries {
        let versions = versions(&snapshot.interfaces, route);
        let versions: Vec<&Interface> =
            versions.into_iter().filter(|interface| may_call(interface)).collect();
        let item = path_item(&versions, route.default);
        if item.is_empty() {
            continue;
        }
        for interface in versions {
            tags.extend(interface.tags.iter());
            outputs::own_schema(interface, &mut schemas);
        }
        paths.insert(route.path.clone(), item.into());
    }
    schemas.insert("Error".into(), outputs::error_schema());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tidegate data API",
            "version": &*exchange.generation().revision,
            "description": ABOUT,
        },
        "servers": [{ "url": "/" }],
        "tags": tags.into_iter().map(|tag| json!({ "name": tag })).collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "securitySchemes": {
                "apiKey": { "type": "apiKey", "in": "header", "name": "X-API-Key" },
                "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" },
            },
            "schemas": schemas,
            "headers": outputs::headers(),
            "responses": outputs::refusals(),
        },
    })
}

/// The versions behind a path, the one that answers without `version` first, then the highest first.
fn versions<'a>(interfaces: &'a [Arc<Interface>], route: &Route) -> Vec<&'a Interface> {
    let rest = route.versions.iter().rev().copied().filter(|index| Some(*index) != route.default);
    route.default.into_iter().chain(rest).map(|index| &*interfaces[index]).collect()
}

/// One operation a method: the first version that answers it, with the others of that method in `x-versions`.
fn path_item(versions: &[&Interface], default: Option<usize>) -> Map<String, Value> {
    let mut item = Map::new();
    for (method, word) in [(CallMethod::Get, "get"), (CallMethod::Post, "post")] {
        let mut of_method = versions.iter().filter(|interface| interface.method == method);
        let Some(first) = of_method.next() else { continue };
        let mut described = operation(first);
        let mut alike = vec![first.version.to_string()];
        let mut others = Map::new();
        for other in of_method {
            let described_other = operation(other);
            if described_other["parameters"] == described["parameters"]
                && described_other.get("requestBody") == described.get("requestBody")
            {
                alike.push(other.version.to_string());
            }
            others.insert(other.version.to_string(), described_other);
        }
        // A call without a version goes to the default, whose method may be another.
        let is_default = default == Some(first.index);
        if !is_default {
            described["operationId"] = format!("{}_{word}", first.code).into();
        }
        inputs::add_reserved(&mut described, &alike, !is_default);
        for (version, other) in &mut others {
            inputs::add_reserved(other, std::slice::from_ref(version), true);
        }
        if !others.is_empty() {
            described["x-versions"] = others.into();
        }
        item.insert(word.into(), described);
    }
    item
}

fn operation(interface: &Interface) -> Value {
    let parameters = interface.parameters.iter().filter(|p| p.location != Location::Body);
    let parameters: Vec<Value> = parameters.map(|p| inputs::parameter(interface, p)).collect();
    let mut operation = json!({
        "operationId": interface.code,
        "summary": interface.name.clone().unwrap_or_else(|| interface.code.clone()),
        "description": interface.description.clone().unwrap_or_default(),
        "tags": interface.tags,
        "deprecated": interface.status == Status::Deprecated,
        "parameters": parameters,
        "responses": outputs::responses(interface),
        "x-version": interface.version.to_string(),
    });
    if interface.auth_required {
        operation["security"] = json!([{ "apiKey": [] }, { "bearer": [] }]);
    }
    if interface.method == CallMethod::Post {
        operation["requestBody"] = inputs::request_body(interface);
    }
    operation
}
