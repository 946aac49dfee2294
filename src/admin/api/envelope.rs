//! The envelope of the admin API, the same as that of the data API.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

use crate::admin::auth::journal::Summary;
use crate::observe::code::Code;
use crate::store::StoreError;

/// The envelope of an answer that is well.
#[derive(Serialize)]
struct Envelope<T> {
    code: &'static str,
    message: &'static str,
    success: bool,
    data: T,
    meta: Value,
}

/// An answer that is well.
pub fn success(data: impl Serialize, meta: Value) -> Response {
    let code = Code::Ok.as_str();
    Json(Envelope { code, message: code, success: true, data, meta }).into_response()
}

/// A text as a file to keep.
pub fn download(file: &str, media_type: &'static str, body: Vec<u8>) -> Response {
    let disposition = format!("attachment; filename=\"{file}\"");
    ([(CONTENT_TYPE, media_type.to_owned()), (CONTENT_DISPOSITION, disposition)], body)
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
    refusal(code.http_status(), message, body)
}

/// What cannot be done as things are.
pub fn conflict(status: u16, message: &str) -> Response {
    let body = json!({ "code": "CONFLICT", "message": message, "success": false, "details": [] });
    refusal(status, message, body)
}

/// The journal says of a refusal what its caller was told.
fn refusal(status: u16, message: &str, body: Value) -> Response {
    summarised(with_status(status, Json(body).into_response()), message.to_owned())
}

/// The store did not do what it was asked.
pub fn store_failed(error: &StoreError) -> Response {
    tracing::error!(%error, "the store failed a request of the admin API");
    failure(Code::InternalError, "The store does not answer.")
}

/// An answer with what the journal says of it.
pub fn summarised(mut response: Response, text: String) -> Response {
    response.extensions_mut().insert(Summary(text));
    response
}

/// What was done, where it was.
pub fn done_as(response: Response, text: impl FnOnce() -> String) -> Response {
    if response.status().is_success() { summarised(response, text()) } else { response }
}

/// The same with another status.
pub fn with_status(status: u16, mut response: Response) -> Response {
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}
