//! `POST /api/reload`: looks at the definitions now.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde_json::json;

use super::envelope::{failure, failure_with, success, with_status};
use super::status::last_reload;
use crate::admin::Admin;
use crate::observe::code::Code;

/// Definitions that do not load are not processable.
const UNPROCESSABLE: u16 = 422;

/// Reloads; with problems the old generation keeps serving and the answer lists them.
pub async fn run(State(admin): State<Arc<Admin>>) -> Response {
    let live = admin.gateway.live.clone();
    let Ok(last) = tokio::task::spawn_blocking(move || live.reload()).await else {
        return failure(Code::InternalError, "The reload did not end.");
    };
    if last.ok {
        return success(last_reload(&last), json!({}));
    }
    let message = "The definitions have problems; the old ones keep serving.";
    with_status(UNPROCESSABLE, failure_with(Code::InvalidParam, message, json!(last.problems)))
}
