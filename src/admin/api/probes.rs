//! Probes: whether the process lives, and whether it wants calls.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::admin::Admin;

/// The process answers.
pub async fn live() -> &'static str {
    "ok\n"
}

/// Calls are welcome: a generation serves, and nobody has asked the process to stop.
pub async fn ready(State(admin): State<Arc<Admin>>) -> Response {
    if admin.is_draining.load(Relaxed) {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response();
    }
    "ok\n".into_response()
}
