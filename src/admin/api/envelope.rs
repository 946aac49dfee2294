//! The envelope of the admin API, the same as that of the data API.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::observe::code::Code;

/// An answer that is well.
pub fn success(data: Value, meta: Value) -> Response {
    Json(json!({ "code": "OK", "message": "OK", "success": true, "data": data, "meta": meta }))
        .into_response()
}

/// An answer that is not.
pub fn failure(code: Code, message: &str) -> Response {
    failure_with(code, message, json!([]))
}

/// The same with details.
pub fn failure_with(code: Code, message: &str, details: Value) -> Response {
    let body =
        json!({ "code": code.as_str(), "message": message, "success": false, "details": details });
    with_status(code.http_status(), Json(body).into_response())
}

/// The same with another status.
pub fn with_status(status: u16, mut response: Response) -> Response {
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}
