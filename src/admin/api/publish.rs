//! Changes of interfaces: `POST`, `PUT` and `DELETE` below `/api/dataservice/interfaces`. Each edits the document in its file.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::body::Body;
use super::config::{apply, or_else, precondition_required, refused, seen, set_etag};
use super::envelope::{conflict, failure, success, summarised, with_status};
use super::located::{Located, meant, of_kind};
use crate::admin::Admin;
use crate::admin::edit::{Author, Change, ChangeError, Seen, Written, etag};
use crate::admin::person::Person;
use crate::definitions::edit::{append, excerpt, remove, replace};
use crate::live::generation::Generation;
use crate::observe::code::Code;

/// Characters of a code that becomes the name of a file.
const MAX_NAME_CHARS: usize = 100;

/// What goes with every change.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Note {
    message: Option<String>,
    branch: Option<String>,
    version: Option<String>,
}

/// Makes an interface.
pub async fn create(
    State(admin): State<Arc<Admin>>,
    Extension(person): Extension<Person>,
    Query(note): Query<Note>,
    Body(given): Body<Map<String, Value>>,
) -> Response {
    match add(&admin, &person, note, given, None).await {
        Ok((path, written)) => {
            let meta =
                json!({ "file": path, "commit": written.commit, "revision": written.revision });
            summarised(with_status(201, success(json!({}), meta)), format!("made {path}"))
        }
        Err(response) => response,
    }
}

/// Replaces an interface.
pub async fn replace_one(
    State(admin): State<Arc<Admin>>,
    Extension(person): Extension<Person>,
    Path(code): Path<String>,
    Query(note): Query<Note>,
    headers: HeaderMap,
    Body(given): Body<Map<String, Value>>,
) -> Response {
    let located = match Located::find(&admin, &code, note.version.as_deref()).await {
        Ok(located) => located,
        Err(response) => return response,
    };
    let Some(seen) = seen(&headers) else { return precondition_required() };
    let document = meant(&located.document, given);
    store(&admin, &person, note, &located, &document, seen, "Change").await
}

/// Removes an interface.
pub async fn remove_one(
    State(admin): State<Arc<Admin>>,
    Extension(person): Extension<Person>,
    Path(code): Path<String>,
    Query(note): Query<Note>,
    headers: HeaderMap,
) -> Response {
    let located = match Located::find(&admin, &code, note.version.as_deref()).await {
        Ok(located) => located,
        Err(response) => return response,
    };
    let Some(seen) = seen(&headers) else { return precondition_required() };
    let text = match remove(&located.text, located.index) {
        Ok(text) => text,
        Err(error) => return refused(&error.into()),
    };
    let change = Change { path: located.path(), text, seen };
    let author = author(&person, &note, format!("Remove {}", located.interface.label()));
    match apply(&admin, vec![change], author).await {
        Ok(written) => done(&written, format!("removed {}", located.interface.label())),
        Err(error) => refused(&error),
    }
}

/// A new status.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusChange {
    status: String,
}

/// Changes the status of an interface: that one field of its file.
pub async fn set_status(
    State(admin): State<Arc<Admin>>,
    Extension(person): Extension<Person>,
    Path(code): Path<String>,
    Query(note): Query<Note>,
    headers: HeaderMap,
    Body(given): Body<StatusChange>,
) -> Response {
    let located = match Located::find(&admin, &code, note.version.as_deref()).await {
        Ok(located) => located,
        Err(response) => return response,
    };
    let mut document = located.document.clone();
    document.insert("status".to_owned(), given.status.clone().into());
    let seen = seen(&headers).unwrap_or_else(|| Seen::Etag(etag(&located.text)));
    let what = format!("Make {}", given.status);
    store(&admin, &person, note, &located, &document, seen, &what).await
}

/// The version that calls without one are to get.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DefaultVersion {
    version: String,
}

/// Makes a version the default of its code; the others lose the mark.
pub async fn set_default(
    State(admin): State<Arc<Admin>>,
    Extension(person): Extension<Person>,
    Path(code): Path<String>,
    Query(note): Query<Note>,
    Body(given): Body<DefaultVersion>,
) -> Response {
    let versions = versions_of(&admin.gateway.live.current(), &code);
    if !versions.contains(&given.version) {
        return failure(Code::NotFound, "There is no such version.");
    }
    // Versions may stand in one file or in many.
    let mut texts: HashMap<String, (String, String)> = HashMap::new();
    for version in versions {
        let located = match Located::find(&admin, &code, Some(&version)).await {
            Ok(located) => located,
            Err(response) => return response,
        };
        let mut document = located.document.clone();
        document.shift_remove("default");
        if version == given.version {
            document.insert("default".to_owned(), true.into());
        }
        if document == located.document {
            continue;
        }
        let (_, text) = texts
            .entry(located.path())
            .or_insert_with(|| (etag(&located.text), located.text.clone()));
        match replace(text, located.index, &document) {
            Ok(edited) => *text = edited,
            Err(error) => return refused(&error.into()),
        }
    }
    let change = |(path, (tag, text))| Change { path, text: Some(text), seen: Seen::Etag(tag) };
    let changes: Vec<Change> = texts.into_iter().map(change).collect();
    let summary = format!("Make {} the default of {code}", given.version);
    match apply(&admin, changes, author(&person, &note, summary.clone())).await {
        Ok(written) => done(&written, summary),
        Err(error) => refused(&error),
    }
}

/// Where a copy goes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Copy {
    code: String,
    version: Option<String>,
    name: Option<String>,
}

/// Copies an interface under another code or version, as a draft.
pub async fn copy(
    State(admin): State<Arc<Admin>>,
    Extension(person): Extension<Person>,
    Path(code): Path<String>,
    Query(note): Query<Note>,
    Body(given): Body<Copy>,
) -> Response {
    let located = match Located::find(&admin, &code, note.version.as_deref()).await {
        Ok(located) => located,
        Err(response) => return response,
    };
    let mut document = located.document.clone();
    let is_other_code = given.code != code;
    document.insert("code".to_owned(), given.code.clone().into());
    document.insert("status".to_owned(), "draft".into());
    if let Some(version) = &given.version {
        document.insert("version".to_owned(), version.clone().into());
    }
    if let Some(name) = &given.name {
        document.insert("name".to_owned(), name.clone().into());
    }
    for own in ["default", "deprecated_at", "sunset_at"] {
        document.shift_remove(own);
    }
    if is_other_code {
        // The address goes with the code.
        document.shift_remove("path");
    }
    let note = Note { message: note.message, branch: note.branch, version: None };
    match add(&admin, &person, note, document, Some(&located)).await {
        Ok((path, written)) => {
            let meta =
                json!({ "file": path, "commit": written.commit, "revision": written.revision });
            let summary = format!("copied {} to {path}", located.interface.label());
            summarised(with_status(201, success(json!({}), meta)), summary)
        }
        Err(response) => response,
    }
}

/// Adds an entry to the `tests` of an interface.
pub async fn add_test(
    State(admin): State<Arc<Admin>>,
    Extension(person): Extension<Person>,
    Path(code): Path<String>,
    Query(note): Query<Note>,
    Body(given): Body<Map<String, Value>>,
) -> Response {
    let located = match Located::find(&admin, &code, note.version.as_deref()).await {
        Ok(located) => located,
        Err(response) => return response,
    };
    let mut document = located.document.clone();
    match document.entry("tests").or_insert_with(|| json!([])) {
        Value::Array(tests) => tests.push(Value::Object(given)),
        _ => return conflict(409, "`tests` of the file is no list."),
    }
    let seen = Seen::Etag(etag(&located.text));
    store(&admin, &person, note, &located, &document, seen, "Add a test to").await
}

/// Writes a definition in place of the one that was located.
async fn store(
    admin: &Arc<Admin>,
    person: &Person,
    note: Note,
    located: &Located,
    document: &Map<String, Value>,
    seen: Seen,
    what: &str,
) -> Response {
    let text = match located.with(document) {
        Ok(text) => text,
        Err(error) => return refused(&error.into()),
    };
    let tag = etag(&text);
    let summary = format!("{what} {}", located.interface.label());
    let change = Change { path: located.path(), text: Some(text), seen };
    match apply(admin, vec![change], author(person, &note, summary.clone())).await {
        Ok(written) => {
            let mut response = done(&written, summary);
            set_etag(&mut response, &tag);
            response
        }
        Err(error) => refused(&error),
    }
}

/// Makes a file for a new definition.
async fn add(
    admin: &Arc<Admin>,
    person: &Person,
    note: Note,
    given: Map<String, Value>,
    from: Option<&Located>,
) -> Result<(String, Written), Response> {
    let code = given.get("code").and_then(Value::as_str).unwrap_or_default().to_owned();
    let version = given.get("version").and_then(Value::as_str).unwrap_or("1.0.0").to_owned();
    let beside = from.map(Located::path);
    let path = place(admin, &code, &version, beside.as_deref()).map_err(|response| *response)?;
    let text = match from {
        // As it was written, with its comments; and beside it, since files of queries are named from there.
        Some(from) => {
            excerpt(&from.text, from.index).and_then(|text| replace(&text, 0, &of_kind(given)))
        }
        None => append("", &of_kind(given)),
    };
    let text = text.map_err(|error| refused(&error.into()))?;
    let change = Change { path: path.clone(), text: Some(text), seen: Seen::Nothing };
    let author = author(person, &note, format!("Add {code}@{version}"));
    let written = apply(admin, vec![change], author).await.map_err(|error| match error {
        ChangeError::Stale(path) => conflict(409, &format!("There is a file `{path}` already.")),
        error => refused(&error),
    })?;
    Ok((path, written))
}

/// The file of a new definition.
///
/// # Errors
/// An answer that says why it can have none.
pub fn place(
    admin: &Admin,
    code: &str,
    version: &str,
    beside: Option<&str>,
) -> Result<String, Box<Response>> {
    let others = versions_of(&admin.gateway.live.current(), code);
    if others.iter().any(|other| other == version) {
        let refused = conflict(409, "There is an interface of this code and version.");
        return Err(Box::new(refused));
    }
    let is_name = |text: &str| {
        (1..=MAX_NAME_CHARS).contains(&text.len())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
            && !text.starts_with('.')
    };
    if !(is_name(code) && is_name(version)) {
        let text =
            "`code` is 1 to 100 letters, digits, `_`, `-` and `.`; `version` is such as 1.0.0.";
        return Err(Box::new(failure(Code::InvalidParam, text)));
    }
    let folder =
        beside.and_then(|path| path.rsplit_once('/')).map_or("definitions", |(dir, _)| dir);
    Ok(if others.is_empty() {
        format!("{folder}/{code}.yaml")
    } else {
        format!("{folder}/{code}-{version}.yaml")
    })
}

fn versions_of(generation: &Generation, code: &str) -> Vec<String> {
    let own = generation.snapshot.interfaces.iter().filter(|interface| interface.code == code);
    own.map(|interface| interface.version.to_string()).collect()
}

fn author(person: &Person, note: &Note, usual: String) -> Author {
    let message = or_else(note.message.clone().unwrap_or_default(), || usual);
    Author {
        username: person.username.clone(),
        message,
        branch: note.branch.clone().filter(|name| !name.is_empty()),
    }
}

fn done(written: &Written, summary: String) -> Response {
    let meta = json!({ "commit": written.commit, "revision": written.revision });
    summarised(success(json!({}), meta), summary)
}
