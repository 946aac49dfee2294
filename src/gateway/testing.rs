//! Test runs: requests made from parameters, on the same path as a caller's but without a socket, and what their answers should be.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request};
use http_body_util::{BodyExt, Full};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::Gateway;
use super::exchange::Pinned;
use super::explain::caller;
use super::pipeline::{TestRun, handle};
use crate::access::principal::Principal;
use crate::definitions::snapshot::Interface;
use crate::definitions::spec::interface::{Expect, Location, Method as CallMethod, TestCase};
use crate::live::generation::Generation;

/// How one test ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its interface, with version.
    pub interface: String,
    pub name: String,
    pub duration: Duration,
    /// What was not as expected; empty: passed.
    pub differences: Vec<String>,
}

/// The request that calls `interface` with `parameters`: each goes where its definition says, unknown ones into the
/// query or, for a POST, the body.
pub fn request(interface: &Interface, parameters: &Map<String, Value>) -> Request<Full<Bytes>> {
    let mut path = interface.path.clone();
    let mut query: Vec<String> = Vec::new();
    let mut body = Map::new();
    let mut request = Request::new(Full::new(Bytes::new()));
    for (name, value) in parameters {
        let declared = interface.parameters.iter().find(|parameter| parameter.name == *name);
        let usual =
            if interface.method == CallMethod::Post { Location::Body } else { Location::Query };
        match declared.map_or(usual, |parameter| parameter.location) {
            Location::Path => path = path.replace(&format!("{{{name}}}"), &encode(&text(value))),
            Location::Query => match value {
                Value::Array(items) => query.extend(items.iter().map(|item| pair(name, item))),
                value => query.push(pair(name, value)),
            },
            Location::Header => {
                let parsed = (
                    name.parse::<http::HeaderName>(),
                    HeaderValue::from_bytes(text(value).as_bytes()),
                );
                if let (Ok(name), Ok(value)) = parsed {
                    request.headers_mut().insert(name, value);
                }
            }
            Location::Body => {
                body.insert(name.clone(), value.clone());
            }
        }
    }
    if !query.is_empty() {
        path = format!("{path}?{}", query.join("&"));
    }
    // A definition's path and encoded values are always an address.
    *request.uri_mut() = path.parse().unwrap_or_default();
    if interface.method == CallMethod::Post {
        *request.method_mut() = Method::POST;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *request.body_mut() = Full::new(Value::Object(body).to_string().into());
    }
    request
}

fn pair(name: &str, value: &Value) -> String {
    format!("{}={}", encode(name), encode(&text(value)))
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Runs one of the tests of an interface.
pub async fn try_case(
    gateway: &Arc<Gateway>,
    generation: &Arc<Generation>,
    interface: &Arc<Interface>,
    test: &TestCase,
) -> Outcome {
    let started = Instant::now();
    // Names that nothing defines are problems at load.
    let principal = caller(generation, test.caller.as_ref(), &test.claims)
        .unwrap_or_else(|| Arc::new(Principal::anonymous()));
    let pinned = Arc::new(Pinned { gateway: gateway.clone(), generation: generation.clone() });
    let run = TestRun { principal, interface: interface.clone() };
    let (parts, body) = request(interface, &test.parameters).into_parts();
    let reply = handle(&pinned, &parts, body, IpAddr::V4(Ipv4Addr::LOCALHOST), Some(&run)).await;
    let status = reply.head.status.as_u16();
    let differences = match reply.body.collect().await {
        Ok(body) => {
            let envelope = serde_json::from_slice(&body.to_bytes()).unwrap_or(Value::Null);
            differences(&test.expect, status, &envelope)
        }
        Err(error) => vec![format!("the answer broke off: {error}")],
    };
    Outcome {
        interface: interface.label(),
        name: test.name.clone(),
        duration: started.elapsed(),
        differences,
    }
}

fn differences(expect: &Expect, status: u16, envelope: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut compare = |what: &str, wanted: Option<Value>, got: Value| {
        if let Some(wanted) = wanted.filter(|wanted| !same(wanted, &got)) {
            found.push(format!("{what}: expected {wanted}, got {got}"));
        }
    };
    compare("status", expect.status.map(Value::from), status.into());
    compare("code", expect.code.clone().map(Value::from), envelope["code"].clone());
    let rows = envelope["data"].as_array().map(|rows| Value::from(rows.len()));
    compare("rows", expect.rows.map(Value::from), rows.unwrap_or(Value::Null));
    compare("data", expect.data.clone(), envelope["data"].clone());
    for (path, wanted) in &expect.json_path {
        compare(
            path,
            Some(wanted.clone()),
            at_path(envelope, path).cloned().unwrap_or(Value::Null),
        );
    }
    if !found.is_empty() && envelope["success"] == json!(false) {
        found.push(format!("the answer: {} {}", envelope["message"], envelope["details"]));
    }
    found
}

/// Equality in which numbers count by value.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        (a, b) => a == b,
    }
}

/// The value at `$.data[0].name`.
fn at_path<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let mut at = value;
    for step in path
        .trim_start_matches('$')
        .replace('[', ".")
        .replace(']', "")
        .split('.')
        .filter(|s| !s.is_empty())
    {
        at = match at {
            Value::Array(items) => items.get(step.parse::<usize>().ok()?)?,
            other => other.get(step.trim_matches(['"', '\'']))?,
        };
    }
    Some(at)
}
