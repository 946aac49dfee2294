//! `POST /api/reload`: looks at the definitions now.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use serde_json::json;

use super::envelope::{failure, failure_with, success, summarised, with_status};
use super::status::last_reload;
use crate::admin::Admin;
use crate::admin::person::Person;
use crate::observe::code::Code;

/// Definitions that do not load are not processable.
const UNPROCESSABLE: u16 = 422;

/// Reloads; with problems the old generation keeps serving and the answer lists them.
pub async fn run(
    State(admin): State<Arc<Admin>>,
    Extension(person): Extension<Person>,
) -> Response {
    let live = admin.gateway.live.clone();
    let by = person.username.to_string();
    let Ok(last) = tokio::task::spawn_blocking(move || live.reload(&by)).await else {
        return failure(Code::InternalError, "The reload did not end.");
    };
    if last.ok {
        let summary = format!("loaded the definitions: revision {}", last.revision);
        return summarised(success(last_reload(&last), json!({})), summary);
    }
    let message = "The definitions have problems; the old ones keep serving.";
    with_status(UNPROCESSABLE, failure_with(Code::InvalidParam, message, json!(last.problems)))
}
