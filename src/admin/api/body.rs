//! JSON bodies: what does not fit is refused in the envelope.

use axum::extract::{FromRequest, Request};
use axum::response::Response;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::envelope::{failure, failure_with, with_status};
use crate::observe::code::Code;

/// A body of this shape.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let bytes = Bytes::from_request(request, state).await.map_err(|refused| {
            with_status(
                refused.status().as_u16(),
                failure(Code::InvalidParam, "The body cannot be read."),
            )
        })?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            let details = json!([{ "field": "body", "error": error.to_string() }]);
            failure_with(
                Code::InvalidParam,
                "The body is not the JSON object that this address takes.",
                details,
            )
        })
    }
}
