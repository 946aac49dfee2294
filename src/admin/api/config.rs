//! `/api/config…`: the files of the definitions, as they are and as they are to be.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::http::header::{ETAG, IF_MATCH};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::task::spawn_blocking;

use super::body::Body;
use super::envelope::{conflict, failure, failure_with, success, summarised};
use super::located::put;
use crate::admin::Admin;
use crate::admin::edit::{self, Author, Change, ChangeError, Mode, Seen, Written, etag};
use crate::admin::person::Person;
use crate::definitions::load::load_beside;
use crate::live::history::Changed;
use crate::live::reload::LastReload;
use crate::observe::code::Code;

/// Commits of one list.
const MAX_COMMITS: usize = 100;

/// What a file is to hold.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Writing {
    text: String,
    #[serde(default)]
    message: String,
    branch: Option<String>,
}

/// Shows what the definitions stand in.
pub async fn show(State(admin): State<Arc<Admin>>) -> Response {
    let edit = match admin.edits.mode {
        Mode::Direct => "direct",
        Mode::ReadOnly => "readonly",
    };
    let found = spawn_blocking(move || {
        let root = admin.gateway.live.root().to_owned();
        (load_beside(&root), edit::state(&root), edit::uncommitted(&root))
    });
    let Ok((tree, git, uncommitted)) = found.await else {
        return failure(Code::InternalError, "The files cannot be read.");
    };
    let files: Vec<Value> =
        tree.files.iter().map(|(path, text)| json!({ "path": path, "size": text.len() })).collect();
    let (branch, commit) = git.clone().unzip();
    let data = json!({
        "edit": edit,
        "git": git.is_some(),
        "branch": branch,
        "commit": commit,
        "uncommitted": uncommitted,
        "files": files,
    });
    success(data, json!({}))
}

/// Shows a file.
pub async fn file(
    State(admin): State<Arc<Admin>>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let path = query.get("path").cloned().unwrap_or_default();
    match read(&admin, &path).await {
        Some(text) => {
            let tag = etag(&text);
            let mut response =
                success(json!({ "path": path, "text": text, "etag": tag }), json!({}));
            set_etag(&mut response, &tag);
            response
        }
        None => failure(Code::NotFound, "There is no such file among the definitions."),
    }
}

/// Replaces a file, or makes it.
pub async fn write(
    State(admin): State<Arc<Admin>>,
    Extension(person): Extension<Person>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    Body(body): Body<Writing>,
) -> Response {
    let path = query.get("path").cloned().unwrap_or_default();
    let seen = match seen(&headers) {
        Some(seen) => seen,
        None if read(&admin, &path).await.is_none() => Seen::Nothing,
        None => return precondition_required(),
    };
    let tag = etag(&body.text);
    let author = Author {
        username: person.username.clone(),
        message: or_else(body.message, || format!("Change {path}")),
        branch: body.branch,
    };
    let change = Change { path: path.clone(), text: Some(body.text), seen };
    match apply(&admin, vec![change], author).await {
        Ok(written) => {
            let data = json!({ "path": path, "etag": tag, "commit": written.commit, "revision": written.revision });
            let mut response = success(data, json!({}));
            set_etag(&mut response, &tag);
            summarised(response, format!("wrote {path}"))
        }
        Err(error) => refused(&error),
    }
}

/// What a file would hold, and where given, the interface that one of its documents would be.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trying {
    text: String,
    /// Of the documents of the file, from 0; where there is none yet, the definition comes at the end.
    #[serde(default)]
    index: usize,
    definition: Option<Map<String, Value>>,
}

/// Says which problems the definitions would have with a file, and what it would read with another definition in it.
pub async fn check(
    State(admin): State<Arc<Admin>>,
    Query(query): Query<HashMap<String, String>>,
    Body(body): Body<Trying>,
) -> Response {
    let path = query.get("path").cloned().unwrap_or_default();
    let checked = spawn_blocking(move || {
        let text = match body.definition {
            Some(given) => put(&body.text, body.index, given)?,
            None => body.text,
        };
        let change = Change { path, text: Some(text.clone()), seen: Seen::Any };
        let problems = edit::check(&admin.gateway.live, &[change])?;
        Ok((text, problems))
    });
    match checked.await {
        Ok(Ok((text, problems))) => {
            success(json!({ "text": text, "problems": problems }), json!({}))
        }
        Ok(Err(error)) => refused(&error),
        Err(_) => failure(Code::InternalError, "The check broke off."),
    }
}

/// Lists the last reloads, the newest first.
pub async fn reloads(State(admin): State<Arc<Admin>>) -> Response {
    let file = |file: &Changed| json!({ "path": file.path, "diff": file.diff });
    let row = |(reload, changed): &(LastReload, Vec<Changed>)| {
        let mut row = super::status::last_reload(reload);
        row["changed"] = changed.iter().map(file).collect();
        row
    };
    success(admin.gateway.live.history().iter().map(row).collect::<Vec<_>>(), json!({}))
}

/// Lists the commits of a file, or of all.
pub async fn log(
    State(admin): State<Arc<Admin>>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let path = query.get("path").filter(|path| !path.is_empty()).cloned();
    if path.as_ref().is_some_and(|path| !edit::is_definition(path)) {
        return failure(Code::NotFound, "There is no such file among the definitions.");
    }
    commits(&admin, path).await
}

/// Shows what a commit changed.
pub async fn commit(
    State(admin): State<Arc<Admin>>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let id = query.get("id").cloned().unwrap_or_default();
    let found = spawn_blocking(move || edit::changes(admin.gateway.live.root(), &id));
    match found.await {
        Ok(Ok(Some((commit, diff)))) => {
            let mut row = shown(&commit);
            row["diff"] = diff.into();
            success(row, json!({}))
        }
        Ok(Ok(None)) => failure(Code::NotFound, "There is no such commit."),
        Ok(Err(error)) => refused(&error),
        Err(_) => failure(Code::InternalError, "The commit cannot be read."),
    }
}

fn shown(commit: &edit::Commit) -> Value {
    json!({ "commit": commit.id, "author": commit.author, "at": commit.at, "message": commit.message })
}

/// The commits of a path as an answer.
pub async fn commits(admin: &Arc<Admin>, path: Option<String>) -> Response {
    let admin = admin.clone();
    let found =
        spawn_blocking(move || edit::log(admin.gateway.live.root(), path.as_deref(), MAX_COMMITS));
    match found.await {
        Ok(Ok(commits)) => success(commits.iter().map(shown).collect::<Vec<_>>(), json!({})),
        Ok(Err(error)) => refused(&error),
        Err(_) => failure(Code::InternalError, "The log cannot be read."),
    }
}

/// The text of a file of the definitions.
pub async fn read(admin: &Arc<Admin>, path: &str) -> Option<String> {
    let (admin, path) = (admin.clone(), path.to_owned());
    let read = spawn_blocking(move || {
        let is_one = edit::is_definition(&path);
        is_one.then(|| load_beside(admin.gateway.live.root()).files.get(&path).cloned()).flatten()
    });
    read.await.ok().flatten()
}

/// Makes changes away from the threads that answer.
///
/// # Errors
/// Why not.
pub async fn apply(
    admin: &Arc<Admin>,
    changes: Vec<Change>,
    author: Author,
) -> Result<Written, ChangeError> {
    let admin = admin.clone();
    let applied = spawn_blocking(move || admin.edits.apply(&admin.gateway.live, &changes, &author));
    applied.await.unwrap_or_else(|_| Err(ChangeError::Git("the change broke off".to_owned())))
}

/// What `If-Match` says.
pub fn seen(headers: &HeaderMap) -> Option<Seen> {
    let text = headers.get(IF_MATCH)?.to_str().ok()?.trim();
    Some(if text == "*" { Seen::Any } else { Seen::Etag(text.trim_start_matches("W/").to_owned()) })
}

/// The answer to a change that was not made.
pub fn refused(error: &ChangeError) -> Response {
    match error {
        ChangeError::ReadOnly => failure(Code::Forbidden, &format!("{error}.")),
        ChangeError::Path(_) => failure(Code::InvalidParam, &format!("{error}.")),
        ChangeError::Stale(_) => conflict(412, &format!("{error}.")),
        ChangeError::Problems(problems) => {
            failure_with(Code::InvalidParam, "The definitions would not load.", json!(problems))
        }
        ChangeError::Edit(error) => {
            conflict(409, &format!("The file cannot be edited here: {error}."))
        }
        ChangeError::Git(text) => {
            tracing::warn!(text, "git refused a change");
            conflict(409, &format!("git refused the change: {text}"))
        }
        ChangeError::Io(_) => {
            tracing::error!(%error, "a change was not written");
            failure(Code::InternalError, &format!("{error}."))
        }
    }
}

/// The answer to a change without `If-Match`.
pub fn precondition_required() -> Response {
    conflict(428, "Send `If-Match` with the ETag that you saw, so that nobody's change gets lost.")
}

/// An answer with the etag of what it shows.
pub fn set_etag(response: &mut Response, tag: &str) {
    if let Ok(tag) = tag.parse() {
        response.headers_mut().insert(ETAG, tag);
    }
}

/// A text, or another one where it is empty.
pub fn or_else(text: String, other: impl FnOnce() -> String) -> String {
    if text.trim().is_empty() { other() } else { text }
}
