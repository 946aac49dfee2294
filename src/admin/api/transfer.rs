//! `/api/dataservice/export` and `/import`: many definitions at once, as JSON or YAML.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::config::{apply, refused};
use super::envelope::{failure, failure_with, success, summarised};
use super::located::{Located, of_kind};
use super::publish::place;
use crate::admin::Admin;
use crate::admin::edit::{Author, Change, Seen, etag};
use crate::admin::person::Person;
use crate::definitions::edit::{append, replace};
use crate::definitions::snapshot::Interface;
use crate::definitions::{document, emit};
use crate::observe::code::Code;

/// Definitions of one import.
const MAX_IMPORTED: usize = 1_000;

/// Gives the definitions of the codes that are named, or all, as a file.
pub async fn export(
    State(admin): State<Arc<Admin>>,
    Query(query): Query<Vec<(String, String)>>,
) -> Response {
    let generation = admin.gateway.live.current();
    let codes: Vec<&str> =
        query.iter().filter(|(key, _)| key == "code").map(|(_, code)| code.as_str()).collect();
    let is_asked =
        |interface: &&Arc<Interface>| codes.is_empty() || codes.contains(&interface.code.as_str());
    let found = generation.snapshot.interfaces.iter().filter(is_asked);
    let documents = found
        .map(|interface| interface.source.as_object().cloned().unwrap_or_default())
        .map(of_kind);
    let format =
        query.iter().find(|(key, _)| key == "format").map_or("json", |(_, format)| format.as_str());
    let (name, kind, text) = match format {
        "json" => {
            let all: Vec<Value> = documents.map(Value::Object).collect();
            let text = serde_json::to_string_pretty(&all).unwrap_or_default();
            ("interfaces.json", "application/json", text)
        }
        "yaml" => {
            let all: Vec<String> = documents.map(|document| emit::mapping(&document, 0)).collect();
            ("interfaces.yaml", "application/yaml", all.join("---\n"))
        }
        _ => return failure(Code::InvalidParam, "`format` is `json` or `yaml`."),
    };
    let file = format!("attachment; filename=\"{name}\"");
    ([(CONTENT_TYPE, kind.to_owned()), (CONTENT_DISPOSITION, file)], text).into_response()
}

/// Makes or replaces the interfaces of a body, all or none.
pub async fn import(
    State(admin): State<Arc<Admin>>,
    Extension(person): Extension<Person>,
    Query(query): Query<HashMap<String, String>>,
    body: Bytes,
) -> Response {
    let Ok(text) = std::str::from_utf8(&body) else {
        return failure(Code::InvalidParam, "The body is not UTF-8.");
    };
    // JSON is YAML too; either way a list, or documents one after the other.
    let (documents, problems) = document::parse("body", text);
    if !problems.is_empty() {
        return failure_with(Code::InvalidParam, "The body does not parse.", json!(problems));
    }
    let mut given: Vec<Map<String, Value>> = Vec::new();
    for document in documents {
        match document.root.to_json() {
            Value::Object(map) => given.push(map),
            Value::Array(items) if items.iter().all(Value::is_object) => {
                given.extend(items.into_iter().filter_map(|item| item.as_object().cloned()));
            }
            Value::Null => {}
            _ => {
                return failure(
                    Code::InvalidParam,
                    "The body holds something that is no definition.",
                );
            }
        }
    }
    if given.is_empty() || given.len() > MAX_IMPORTED {
        return failure(Code::InvalidParam, "Send 1 to 1000 definitions.");
    }
    let (mut created, mut replaced) = (Vec::new(), Vec::new());
    let mut files: BTreeMap<String, (Seen, String)> = BTreeMap::new();
    for map in given {
        let text = |key: &str| map.get(key).and_then(Value::as_str).map(str::to_owned);
        let (code, version) = (
            text("code").unwrap_or_default(),
            text("version").unwrap_or_else(|| "1.0.0".to_owned()),
        );
        if text("kind").is_some_and(|kind| kind != "interface") {
            return failure(Code::InvalidParam, "Only interfaces are imported.");
        }
        let label = format!("{code}@{version}");
        let document = of_kind(map);
        let is_known = admin.gateway.live.current().snapshot.find(&code, Some(&version)).is_some();
        let edited = if is_known {
            let located = match Located::find(&admin, &code, Some(&version)).await {
                Ok(located) => located,
                Err(response) => return response,
            };
            replaced.push(label);
            let (_, text) = files
                .entry(located.path())
                .or_insert_with(|| (Seen::Etag(etag(&located.text)), located.text.clone()));
            replace(text, located.index, &document).map(|edited| *text = edited)
        } else {
            let path = match place(&admin, &code, &version, None) {
                Ok(path) => path,
                Err(response) => return *response,
            };
            created.push(label);
            let (_, text) = files.entry(path).or_insert((Seen::Nothing, String::new()));
            append(text, &document).map(|edited| *text = edited)
        };
        if let Err(error) = edited {
            return refused(&error.into());
        }
    }
    let change = |(path, (seen, text))| Change { path, text: Some(text), seen };
    let summary = format!("Import {} interfaces", created.len() + replaced.len());
    let author = Author {
        username: person.username.clone(),
        message: summary.clone(),
        branch: query.get("branch").filter(|name| !name.is_empty()).cloned(),
    };
    match apply(&admin, files.into_iter().map(change).collect(), author).await {
        Ok(written) => {
            let meta = json!({ "commit": written.commit, "revision": written.revision });
            summarised(success(json!({ "created": created, "replaced": replaced }), meta), summary)
        }
        Err(error) => refused(&error),
    }
}
