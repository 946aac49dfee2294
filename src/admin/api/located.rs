//! A definition in its file, found by what the API calls it.

use std::sync::Arc;

use axum::response::Response;
use serde_json::{Map, Value};

use super::config::read;
use super::envelope::{conflict, failure};
use crate::admin::Admin;
use crate::definitions::document;
use crate::definitions::edit::{EditError, append, replace};
use crate::definitions::snapshot::Interface;
use crate::observe::code::Code;

/// A definition where it stands.
pub struct Located {
    pub interface: Arc<Interface>,
    /// Text of the file.
    pub text: String,
    /// Of the documents of the file, from 0.
    pub index: usize,
    /// The document as it is written.
    pub document: Map<String, Value>,
}

impl Located {
    /// The interface of this code and version, in its file as it is now.
    ///
    /// # Errors
    /// An answer that says what is missing.
    pub async fn find(
        admin: &Arc<Admin>,
        code: &str,
        version: Option<&str>,
    ) -> Result<Self, Response> {
        let generation = admin.gateway.live.current();
        let found = generation.snapshot.find(code, version).cloned();
        let interface =
            found.ok_or_else(|| failure(Code::NotFound, "There is no such interface."))?;
        let gone = || conflict(409, "The file has changed; reload the definitions first.");
        let text = read(admin, &interface.place.file).await.ok_or_else(gone)?;
        let (documents, _) = document::parse(&interface.place.file, &text);
        let wanted = interface.version.to_string();
        let is_it = |document: &Map<String, Value>| {
            let text = |key: &str| document.get(key).and_then(Value::as_str);
            text("kind") == Some("interface")
                && text("code") == Some(code)
                && text("version").unwrap_or("1.0.0") == wanted
        };
        let objects = documents.iter().map(|document| match document.root.to_json() {
            Value::Object(map) => map,
            _ => Map::new(),
        });
        let found = objects.enumerate().find(|(_, document)| is_it(document));
        let (index, document) = found.ok_or_else(gone)?;
        Ok(Self { interface, text, index, document })
    }

    /// Its file.
    pub fn path(&self) -> String {
        self.interface.place.file.clone()
    }

    /// The file with another definition in place of this one.
    ///
    /// # Errors
    /// Where it cannot be edited.
    pub fn with(&self, document: &Map<String, Value>) -> Result<String, EditError> {
        replace(&self.text, self.index, document)
    }
}

/// The text of a file with an interface as the document at `index` (from 0), or after all others where there is none.
///
/// # Errors
/// Where the text cannot be edited.
pub fn put(text: &str, index: usize, given: Map<String, Value>) -> Result<String, EditError> {
    let (documents, _) = document::parse("", text);
    match documents.get(index).map(|document| document.root.to_json()) {
        Some(Value::Object(written)) => replace(text, index, &meant(&written, given)),
        Some(_) => Err(EditError::Unreadable),
        None => append(text, &of_kind(given)),
    }
}

/// What a definition means that came without `kind`, and with what the API shows though the file does not say it.
pub fn meant(written: &Map<String, Value>, mut given: Map<String, Value>) -> Map<String, Value> {
    let code = given.get("code").and_then(Value::as_str).unwrap_or_default();
    let shown = [
        ("version", "1.0.0".to_owned()),
        ("path", format!("/data-api/{code}")),
        ("status", "active".to_owned()),
    ];
    for (key, value) in shown {
        if !written.contains_key(key) && given.get(key).and_then(Value::as_str) == Some(&value) {
            given.shift_remove(key);
        }
    }
    of_kind(given)
}

/// With the kind, which the API leaves out, first.
pub fn of_kind(given: Map<String, Value>) -> Map<String, Value> {
    let kind = ("kind".to_owned(), Value::from("interface"));
    std::iter::once(kind).chain(given.into_iter().filter(|(key, _)| key != "kind")).collect()
}
