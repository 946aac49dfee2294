//! `/api/dataservice/interfaces`: the interfaces that serve, and test runs of them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::Response;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::envelope::{failure, success};
use super::page;
use crate::access::principal::Principal;
use crate::admin::Admin;
use crate::definitions::interface::without_kind;
use crate::definitions::snapshot::Interface;
use crate::definitions::spec::interface::Caller;
use crate::gateway::explain;
use crate::gateway::pipeline::{TestRun, handle};
use crate::gateway::testing::request;
use crate::live::generation::Generation;
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
    match find(&admin.gateway.live.current(), &code, query.get("version")) {
        Some(interface) => success(
            definition(&interface),
            json!({ "file": interface.place.file, "line": interface.place.line }),
        ),
        None => failure(Code::NotFound, "There is no such interface."),
    }
}

/// Runs an interface, whatever its status, with the parameters of the body, as an operator with every role or as the caller that the
/// body names. Answers as the data address would.
pub async fn test(
    State(admin): State<Arc<Admin>>,
    Path(code): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    body: Bytes,
) -> Response {
    let generation = admin.gateway.live.current();
    let Some(interface) = find(&generation, &code, query.get("version")) else {
        return failure(Code::NotFound, "There is no such interface.");
    };
    let (question, principal) = match Question::ask(&body, &generation) {
        Ok(asked) => asked,
        Err(text) => return failure(Code::InvalidParam, text),
    };
    let request = request(&interface, &question.parameters);
    let run = TestRun { generation, principal, interface };
    let answer = handle(&admin.gateway, request, IpAddr::V4(Ipv4Addr::LOCALHOST), Some(&run)).await;
    answer.map(axum::body::Body::new)
}

/// Explains what a caller would get of an interface, and why.
pub async fn explain(
    State(admin): State<Arc<Admin>>,
    Path(code): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    body: Bytes,
) -> Response {
    let generation = admin.gateway.live.current();
    let Some(interface) = find(&generation, &code, query.get("version")) else {
        return failure(Code::NotFound, "There is no such interface.");
    };
    let (question, principal) = match Question::ask(&body, &generation) {
        Ok(asked) => asked,
        Err(text) => return failure(Code::InvalidParam, text),
    };
    let explanation =
        explain::explain(&generation, &interface, &principal, &question.parameters).await;
    success(serde_json::to_value(explanation).unwrap_or_default(), json!({}))
}

/// What a test run or an explanation is asked with.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Question {
    /// A consumer or role by name, or a token with `roles` and `claims`.
    #[serde(rename = "as")]
    caller: Option<Caller>,
    /// Claims of the caller, over those it has.
    claims: Map<String, Value>,
    parameters: Map<String, Value>,
}

impl Question {
    /// The question of a body, and who asks it.
    fn ask(body: &Bytes, generation: &Generation) -> Result<(Self, Arc<Principal>), &'static str> {
        let question = Self::parse(body)?;
        let principal = question.principal(generation)?;
        Ok((question, principal))
    }

    /// Takes a body: an object with these keys, or the parameters themselves.
    fn parse(body: &Bytes) -> Result<Self, &'static str> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        let map = serde_json::from_slice::<Map<String, Value>>(body)
            .map_err(|_| "The body is not a JSON object.")?;
        let is_question = map.get("parameters").is_none_or(Value::is_object)
            && map.get("as").is_none_or(|caller| caller.is_string() || caller.is_object())
            && map.keys().all(|key| ["as", "claims", "parameters"].contains(&key.as_str()));
        if !is_question {
            return Ok(Self { parameters: map, ..Self::default() });
        }
        serde_json::from_value(map.into()).map_err(|_| {
            "`as` is a name or an object with `roles` and `claims`; `claims` and `parameters` are objects."
        })
    }

    /// Who asks: the operator with every role where nobody is named.
    fn principal(&self, generation: &Generation) -> Result<Arc<Principal>, &'static str> {
        if self.caller.is_none() && self.claims.is_empty() {
            return Ok(Arc::new(Principal {
                kind: PrincipalKind::Admin,
                name: "admin".into(),
                issuer: None,
                roles: (0..generation.snapshot.policies.roles.len()).collect(),
                claims: Map::new(),
            }));
        }
        explain::caller(generation, self.caller.as_ref(), &self.claims)
            .ok_or("`as` names no consumer and no role.")
    }
}

fn find(generation: &Generation, code: &str, version: Option<&String>) -> Option<Arc<Interface>> {
    generation.snapshot.find(code, version.map(String::as_str)).cloned()
}

fn definition(interface: &Interface) -> Value {
    let mut map = without_kind(&interface.source);
    map.entry("version").or_insert_with(|| interface.version.to_string().into());
    map.entry("path").or_insert_with(|| interface.path.clone().into());
    Value::Object(map)
}
