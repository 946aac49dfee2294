//! `/api/dataservice/interfaces`: the interfaces that serve, and test runs of them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::config::{read, set_etag};
use super::envelope::{failure, success, summarised};
use super::page;
use crate::access::principal::Principal;
use crate::admin::Admin;
use crate::admin::edit::etag;
use crate::definitions::diff::unified;
use crate::definitions::emit;
use crate::definitions::interface::without_kind;
use crate::definitions::snapshot::Interface;
use crate::definitions::spec::interface::{Caller, Visibility};
use crate::gateway::exchange::Pinned;
use crate::gateway::explain;
use crate::gateway::pipeline::{TestRun, handle};
use crate::gateway::testing::{request, try_case};
use crate::live::generation::Generation;
use crate::observe::code::Code;
use crate::store::audit::PrincipalKind;

/// Bytes of an answer that a detailed test run shows.
const MAX_SHOWN_BYTES: usize = 8 << 20;

/// Lists interfaces in pages; `q` searches code, name, description, address, owner and tags.
pub async fn list(
    State(admin): State<Arc<Admin>>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let generation = admin.gateway.live.current();
    let fits = |interface: &&Arc<Interface>| {
        let said = ["description", "owner"].map(|key| interface.source.get(key));
        let said = said.into_iter().flatten().filter_map(Value::as_str);
        let own = [interface.code.as_str(), interface.path.as_str()].into_iter();
        let tags = interface.tags.iter().map(String::as_str);
        page::fits(&query, own.chain(interface.name.as_deref()).chain(said).chain(tags))
    };
    let asked = |name: &str| query.get(name).filter(|text| !text.is_empty());
    let is_asked = |interface: &&Arc<Interface>| {
        let status = interface.source.get("status").and_then(Value::as_str).unwrap_or("active");
        asked("status").is_none_or(|wanted| wanted == status)
            && asked("datasource_id").is_none_or(|wanted| *wanted == interface.datasource.spec.id)
            && asked("tag").is_none_or(|wanted| interface.tags.contains(wanted))
    };
    let mut found: Vec<&Arc<Interface>> =
        generation.snapshot.interfaces.iter().filter(fits).filter(is_asked).collect();
    if let Some(sort) = asked("sort") {
        let key = sort.strip_prefix('-').unwrap_or(sort);
        found.sort_by_cached_key(|interface| text_of(interface, key));
        if sort.starts_with('-') {
            found.reverse();
        }
    }
    let root = admin.gateway.live.root();
    page::answer(&query, &found, |interface| row(interface, &generation, root))
}

/// A definition in the list: with whether calls without a version get it, and when its file was written, unless it says so itself.
fn row(interface: &Interface, generation: &Generation, root: &std::path::Path) -> Value {
    let usual = find(generation, &interface.code, None);
    let written = || {
        let modified = std::fs::metadata(root.join(&interface.place.file)).ok()?.modified().ok()?;
        Timestamp::try_from(modified).ok().map(|at| at.to_string())
    };
    let mut row = definition(interface);
    row["is_default"] = usual.is_some_and(|usual| usual.version == interface.version).into();
    if row.get("updated_at").is_none() {
        row["updated_at"] = written().into();
    }
    row
}

/// What an interface is sorted by: the text of one of its members.
fn text_of(interface: &Interface, key: &str) -> String {
    match definition(interface).get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

/// Lists the versions of a code.
pub async fn versions(State(admin): State<Arc<Admin>>, Path(code): Path<String>) -> Response {
    let generation = admin.gateway.live.current();
    let usual = find(&generation, &code, None).map(|interface| interface.version.clone());
    let own = generation.snapshot.interfaces.iter().filter(|interface| interface.code == code);
    let row = |interface: &Arc<Interface>| {
        json!({
            "version": interface.version.to_string(),
            "status": interface.source.get("status").cloned().unwrap_or_else(|| "active".into()),
            "is_default": usual.as_ref() == Some(&interface.version),
            "is_marked": interface.is_default,
            "file": interface.place.file,
        })
    };
    let rows: Vec<Value> = own.map(row).collect();
    if rows.is_empty() {
        return failure(Code::NotFound, "There is no such interface.");
    }
    success(rows, json!({}))
}

/// Shows what is different between two versions.
pub async fn differences(
    State(admin): State<Arc<Admin>>,
    Path(code): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let generation = admin.gateway.live.current();
    let written = |name: &str| {
        let interface = find(&generation, &code, query.get(name))?;
        let text = interface.source.as_object().map(|map| emit::mapping(map, 0));
        Some((interface.version.to_string(), text.unwrap_or_default()))
    };
    let (Some((from, old)), Some((to, new))) = (written("from"), written("to")) else {
        return failure(Code::NotFound, "There is no such version.");
    };
    success(json!({ "from": from, "to": to, "diff": unified(&old, &new) }), json!({}))
}

/// Lists the commits of the file that a version stands in.
pub async fn changes(
    State(admin): State<Arc<Admin>>,
    Path(code): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    match find(&admin.gateway.live.current(), &code, query.get("version")) {
        Some(interface) => super::config::commits(&admin, Some(interface.place.file.clone())).await,
        None => failure(Code::NotFound, "There is no such interface."),
    }
}

/// Shows the version of a code that `version` names, or the one that a call without version gets.
pub async fn show(
    State(admin): State<Arc<Admin>>,
    Path(code): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    match find(&admin.gateway.live.current(), &code, query.get("version")) {
        Some(interface) => {
            let file = &interface.place.file;
            let tag = read(&admin, file).await.map(|text| etag(&text));
            let meta = json!({ "file": file, "line": interface.place.line, "etag": tag });
            let mut response = success(definition(&interface), meta);
            if let Some(tag) = tag {
                set_etag(&mut response, &tag);
            }
            response
        }
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
    let (generation, interface) = match named(&admin, &code, &query) {
        Ok(found) => found,
        Err(refusal) => return *refusal,
    };
    let (question, principal) = match Question::ask(&body, &generation) {
        Ok(asked) => asked,
        Err(text) => return failure(Code::InvalidParam, text),
    };
    let (parts, body) = request(&interface, &question.parameters).into_parts();
    let whom = if principal.name.is_empty() { "nobody" } else { &*principal.name };
    let summary = format!("tried {} as {whom}", interface.label());
    let pinned = Arc::new(Pinned { gateway: admin.gateway.clone(), generation });
    let run = TestRun { principal, interface };
    let started = Instant::now();
    let reply = handle(&pinned, &parts, body, IpAddr::V4(Ipv4Addr::LOCALHOST), Some(&run)).await;
    let answer = reply.into_response();
    let summary = format!("{summary}: {}", answer.status().as_u16());
    let answer = if query.get("detail").is_none_or(|detail| detail != "true") {
        answer.map(axum::body::Body::new)
    } else {
        detailed(&pinned, &run, &question.parameters, answer, started).await
    };
    summarised(answer, summary)
}

/// Runs the tests that stand in the definition.
pub async fn run_tests(
    State(admin): State<Arc<Admin>>,
    Path(code): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let (generation, interface) = match named(&admin, &code, &query) {
        Ok(found) => found,
        Err(refusal) => return *refusal,
    };
    let mut outcomes = Vec::with_capacity(interface.tests.len());
    for test in &interface.tests {
        outcomes.push(try_case(&admin.gateway, &generation, &interface, test).await);
    }
    let failed = outcomes.iter().filter(|outcome| !outcome.differences.is_empty()).count();
    let rows: Vec<Value> = outcomes
        .iter()
        .map(|outcome| {
            json!({
                "name": outcome.name,
                "ok": outcome.differences.is_empty(),
                "problems": outcome.differences,
                "duration_ms": u64::try_from(outcome.duration.as_millis()).unwrap_or(u64::MAX),
            })
        })
        .collect();
    let summary = format!("ran {} tests of {}: {failed} failed", rows.len(), interface.label());
    summarised(success(rows, json!({})), summary)
}

/// Says who may call an interface: the roles that grant it, and who has them.
pub async fn callers(
    State(admin): State<Arc<Admin>>,
    Path(code): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let (generation, interface) = match named(&admin, &code, &query) {
        Ok(found) => found,
        Err(refusal) => return *refusal,
    };
    let policies = &generation.snapshot.policies;
    let granting =
        policies.roles.iter().enumerate().filter(|(_, role)| role.grants(interface.index));
    let rows: Vec<Value> = granting
        .map(|(index, role)| {
            let having = policies.consumers.iter().filter(|one| one.roles.contains(&index));
            let names: Vec<&str> = having.map(|consumer| consumer.name.as_str()).collect();
            json!({ "name": role.name, "consumers": names })
        })
        .collect();
    let open = json!({
        // Nobody need say who it is; or whoever says so may.
        "open": !interface.auth_required,
        "any_caller": interface.visibility == Visibility::Public,
        "roles": rows,
    });
    success(open, json!({}))
}

/// A test run with all that helps to understand it.
async fn detailed(
    pinned: &Pinned,
    run: &TestRun,
    parameters: &Map<String, Value>,
    answer: axum::http::Response<crate::gateway::body::Body>,
    started: Instant,
) -> Response {
    let status = answer.status().as_u16();
    let header = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.to_string(), Value::from(String::from_utf8_lossy(value.as_bytes())))
    };
    let headers: Map<String, Value> = answer.headers().iter().map(header).collect();
    let body = Limited::new(answer.into_body(), MAX_SHOWN_BYTES).collect().await;
    let duration_ms = started.elapsed().as_secs_f64() * 1e3;
    let Ok(body) = body else {
        return failure(
            Code::InvalidParam,
            "The answer broke off, or is larger than a test run shows.",
        );
    };
    let body = body.to_bytes();
    let text = || Value::from(String::from_utf8_lossy(&body));
    let shown = serde_json::from_slice(&body).unwrap_or_else(|_| text());
    let plan = explain::plan(&pinned.generation, &run.interface, &run.principal, parameters)
        .await
        .unwrap_or_default();
    let data = json!({
        "status": status,
        "headers": headers,
        "answer": shown,
        "sql": plan.sql,
        "binds": plan.binds,
        "plan": plan.lines,
        "duration_ms": duration_ms,
    });
    success(data, json!({}))
}

/// Explains what a caller would get of an interface, and why.
pub async fn explain(
    State(admin): State<Arc<Admin>>,
    Path(code): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    body: Bytes,
) -> Response {
    let (generation, interface) = match named(&admin, &code, &query) {
        Ok(found) => found,
        Err(refusal) => return *refusal,
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

/// The interface of this code and the `version` asked for, with the generation that it is of.
fn named(
    admin: &Admin,
    code: &str,
    query: &HashMap<String, String>,
) -> Result<(Arc<Generation>, Arc<Interface>), Box<Response>> {
    let generation = admin.gateway.live.current();
    match find(&generation, code, query.get("version")) {
        Some(interface) => Ok((generation, interface)),
        None => Err(Box::new(failure(Code::NotFound, "There is no such interface."))),
    }
}

fn find(generation: &Generation, code: &str, version: Option<&String>) -> Option<Arc<Interface>> {
    generation.snapshot.find(code, version.map(String::as_str)).cloned()
}

/// A definition as people see it: with its version, address and status, written or not.
pub fn definition(interface: &Interface) -> Value {
    let mut map = without_kind(&interface.source);
    map.entry("version").or_insert_with(|| interface.version.to_string().into());
    map.entry("path").or_insert_with(|| interface.path.clone().into());
    map.entry("status").or_insert_with(|| "active".into());
    Value::Object(map)
}
