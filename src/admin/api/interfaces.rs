//! `/api/dataservice/interfaces`: the interfaces that serve, and test runs of them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::Response;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::envelope::{failure, success};
use super::page;
use crate::access::principal::Principal;
use crate::admin::Admin;
use crate::definitions::interface::without_kind;
use crate::definitions::snapshot::Interface;
use crate::gateway::pipeline::{TestRun, handle};
use crate::gateway::testing::request;
use crate::observe::code::Code;
use crate::store::audit::PrincipalKind;

/// Lists interfaces in pages; `q` searches code and name.
pub async fn list(
    State(admin): State<Arc<Admin>>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let generation = admin.gateway.live.current();
    let fits = |interface: &&Arc<Interface>| {
        page::fits(&query, [interface.code.as_str()].into_iter().chain(interface.name.as_deref()))
    };
    let found: Vec<&Arc<Interface>> = generation.snapshot.interfaces.iter().filter(fits).collect();
    page::answer(&query, &found, |interface| definition(interface))
}

/// Shows the version of a code that `version` names, or the one that a call without version gets.
pub async fn show(
    State(admin): State<Arc<Admin>>,
    Path(code): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    match find(&admin, &code, query.get("version")) {
        Some(interface) => success(
            definition(&interface),
            json!({ "file": interface.place.file, "line": interface.place.line }),
        ),
        None => failure(Code::NotFound, "There is no such interface."),
    }
}

/// Runs an interface, whatever its status, with the parameters of the body. Answers as the data address would.
pub async fn test(
    State(admin): State<Arc<Admin>>,
    Path(code): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    body: Bytes,
) -> Response {
    let Some(interface) = find(&admin, &code, query.get("version")) else {
        return failure(Code::NotFound, "There is no such interface.");
    };
    let parameters: Map<String, Value> = if body.is_empty() {
        Map::new()
    } else {
        match serde_json::from_slice::<Map<String, Value>>(&body) {
            // Either the parameters themselves, or an object that holds them.
            Ok(map) => match map.get("parameters") {
                Some(Value::Object(inner)) if map.len() == 1 => inner.clone(),
                _ => map,
            },
            Err(_) => return failure(Code::InvalidParam, "The body is not a JSON object."),
        }
    };
    let policies = &admin.gateway.live.current().snapshot.policies;
    let principal = Principal {
        kind: PrincipalKind::Admin,
        name: "admin".into(),
        issuer: None,
        roles: (0..policies.roles.len()).collect(),
        claims: Map::new(),
    };
    let run = TestRun { principal: principal.into(), interface: interface.clone() };
    let request = request(&interface, &parameters);
    let answer = handle(&admin.gateway, request, IpAddr::V4(Ipv4Addr::LOCALHOST), Some(&run)).await;
    answer.map(axum::body::Body::new)
}

fn find(admin: &Admin, code: &str, version: Option<&String>) -> Option<Arc<Interface>> {
    let generation = admin.gateway.live.current();
    let versions: Vec<&Arc<Interface>> = generation.snapshot.versions(code).collect();
    let found = if let Some(version) = version {
        versions.iter().find(|interface| interface.version.to_string() == *version)
    } else {
        let marked = versions.iter().find(|interface| interface.is_default);
        let callable = || versions.iter().rfind(|interface| interface.is_callable());
        marked.or_else(callable).or(versions.last())
    };
    found.map(|interface| Arc::clone(interface))
}

fn definition(interface: &Interface) -> Value {
    let mut map = without_kind(&interface.source);
    map.entry("version").or_insert_with(|| interface.version.to_string().into());
    map.entry("path").or_insert_with(|| interface.path.clone().into());
    Value::Object(map)
}
