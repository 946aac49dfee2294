//! Changes below `/api/consumers`: consumers are made, and their keys made and revoked, in the files of the definitions.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::task::spawn_blocking;

use super::body::Body;
use super::config::{apply, refused};
use super::envelope::{conflict, failure, success, summarised, with_status};
use crate::admin::Admin;
use crate::admin::auth::secret;
use crate::admin::edit::{Author, Change, Seen, etag};
use crate::admin::person::Person;
use crate::definitions::document;
use crate::definitions::edit::{EditError, append, replace};
use crate::definitions::load::load;
use crate::observe::code::Code;
use crate::pace;

/// The file that new consumers are added to.
const FILE: &str = "policies/consumers.yaml";
/// Characters of a name or an id.
const MAX_NAME_CHARS: usize = 100;

/// A new consumer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct New {
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    roles: Vec<String>,
}

/// A new key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    id: String,
    expires_at: Option<String>,
}

/// Makes a consumer, yet without keys.
pub async fn add(
    State(admin): State<Arc<Admin>>,
    Extension(person): Extension<Person>,
    Body(new): Body<New>,
) -> Response {
    if !is_name(&new.name) {
        return failure(
            Code::InvalidParam,
            "`name` has 1 to 100 characters, none of them a space.",
        );
    }
    if Document::find(&admin, &new.name).await.is_some() {
        return conflict(409, "There is a consumer of this name.");
    }
    let mut document = Map::new();
    document.insert("kind".to_owned(), "consumer".into());
    document.insert("name".to_owned(), new.name.clone().into());
    if !new.description.is_empty() {
        document.insert("description".to_owned(), new.description.into());
    }
    document.insert("roles".to_owned(), new.roles.into());
    let before = super::config::read(&admin, FILE).await;
    let seen = before.as_deref().map_or(Seen::Nothing, |text| Seen::Etag(etag(text)));
    let text = append(before.as_deref().unwrap_or_default(), &document);
    let summary = format!("made the consumer {}", new.name);
    let written = write(&admin, &person, FILE, text, seen, &summary).await;
    written.unwrap_or_else(|| summarised(with_status(201, success(json!({}), json!({}))), summary))
}

/// Makes a key, which is shown this once: the definitions hold its hash.
pub async fn add_key(
    State(admin): State<Arc<Admin>>,
    Extension(person): Extension<Person>,
    Path(name): Path<String>,
    Body(new): Body<NewKey>,
) -> Response {
    if !is_name(&new.id) {
        return failure(Code::InvalidParam, "`id` has 1 to 100 characters, none of them a space.");
    }
    let Some(mut found) = Document::find(&admin, &name).await else { return unknown() };
    if found.keys().iter().any(|key| key["id"] == new.id.as_str()) {
        return conflict(409, "The consumer has a key of this id.");
    }
    let Ok(secret) = secret::fresh() else {
        return failure(Code::InternalError, "The system gives no random bytes.");
    };
    let secret = format!("{}{secret}", secret::KEY_PREFIX);
    let mut key = json!({ "id": new.id, "sha256": secret::hash(&secret) });
    if let Some(end) = &new.expires_at {
        key["expires_at"] = end.as_str().into();
    }
    let mut keys = found.keys();
    keys.push(key);
    found.fields.insert("api_keys".to_owned(), keys.into());
    let summary = format!("made the key {} of {name}", new.id);
    found.write(&admin, &person, &summary).await.unwrap_or_else(|| {
        let data = json!({ "id": new.id, "key": secret });
        summarised(with_status(201, success(data, json!({}))), summary)
    })
}

/// Revokes a key.
pub async fn remove_key(
    State(admin): State<Arc<Admin>>,
    Extension(person): Extension<Person>,
    Path((name, id)): Path<(String, String)>,
) -> Response {
    let Some(mut found) = Document::find(&admin, &name).await else { return unknown() };
    let mut keys = found.keys();
    let count = keys.len();
    keys.retain(|key| key["id"] != id.as_str());
    if keys.len() == count {
        return failure(Code::NotFound, "The consumer has no such key.");
    }
    if keys.is_empty() {
        found.fields.shift_remove("api_keys");
    } else {
        found.fields.insert("api_keys".to_owned(), keys.into());
    }
    let summary = format!("revoked the key {id} of {name}");
    let written = found.write(&admin, &person, &summary).await;
    written.unwrap_or_else(|| summarised(success(json!({}), json!({})), summary))
}

/// A consumer's document in its file.
struct Document {
    path: String,
    text: String,
    index: usize,
    fields: Map<String, Value>,
}

impl Document {
    async fn find(admin: &Arc<Admin>, name: &str) -> Option<Self> {
        let (admin, name) = (admin.clone(), name.to_owned());
        let find = move || {
            let tree = load(admin.gateway.live.root());
            tree.yaml().find_map(|(path, text)| {
                let (documents, _) = document::parse(path, text);
                let roots = documents.iter().map(|document| document.root.to_json());
                let mut objects = roots.enumerate().filter_map(|(index, root)| match root {
                    Value::Object(fields) => Some((index, fields)),
                    _ => None,
                });
                let (index, fields) = objects.find(|(_, fields)| {
                    let is = |key: &str, text: &str| fields.get(key) == Some(&text.into());
                    is("kind", "consumer") && is("name", &name)
                })?;
                Some(Self { path: path.to_owned(), text: text.to_owned(), index, fields })
            })
        };
        spawn_blocking(|| pace::beside_calls(find)).await.ok().flatten()
    }

    fn keys(&self) -> Vec<Value> {
        self.fields.get("api_keys").and_then(Value::as_array).cloned().unwrap_or_default()
    }

    async fn write(&self, admin: &Arc<Admin>, person: &Person, summary: &str) -> Option<Response> {
        let text = replace(&self.text, self.index, &self.fields);
        write(admin, person, &self.path, text, Seen::Etag(etag(&self.text)), summary).await
    }
}

/// Writes a file; gives back the refusal, if there is one.
async fn write(
    admin: &Arc<Admin>,
    person: &Person,
    path: &str,
    text: Result<String, EditError>,
    seen: Seen,
    summary: &str,
) -> Option<Response> {
    let text = match text {
        Ok(text) => text,
        Err(error) => return Some(refused(&error.into())),
    };
    let change = Change { path: path.to_owned(), text: Some(text), seen };
    let username = person.username.clone();
    let author = Author { username, message: sentence(summary), branch: None };
    apply(admin, vec![change], author).await.err().map(|error| refused(&error))
}

/// The message of a commit begins with a capital, as git's own do.
fn sentence(summary: &str) -> String {
    let mut chars = summary.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

fn is_name(text: &str) -> bool {
    (1..=MAX_NAME_CHARS).contains(&text.chars().count())
        && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

fn unknown() -> Response {
    failure(Code::NotFound, "There is no such consumer.")
}
