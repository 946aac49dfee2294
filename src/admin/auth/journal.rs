//! Keeps what people do: every request that changes something, or tried to.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use jiff::Timestamp;

use super::person::{Person, address};
use crate::admin::Admin;
use crate::store::Operation;

/// What a handler says of what it did, as an extension of its answer.
#[derive(Clone, Debug)]
pub struct Summary(pub String);

/// What changes nothing though it is no `GET`, and comes with every pause in the typing.
const UNKEPT: &str = "/api/config/check";

/// Keeps the request, unless it only reads.
pub async fn keep(State(admin): State<Arc<Admin>>, request: Request, next: Next) -> Response {
    if request.method().is_safe() || request.uri().path() == UNKEPT {
        return next.run(request).await;
    }
    let started = Instant::now();
    let person = request.extensions().get::<Person>();
    let username = person.map(|person| person.username.to_string()).unwrap_or_default();
    let ip = address(request.extensions());
    let (method, path) = (request.method().to_string(), request.uri().to_string());
    let response = next.run(request).await;
    let operation = Operation {
        at: Timestamp::now(),
        username,
        ip,
        method,
        path,
        status: response.status().as_u16(),
        duration_us: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        summary: response
            .extensions()
            .get::<Summary>()
            .map(|text| text.0.clone())
            .unwrap_or_default(),
    };
    if let Err(error) = admin.store.add_operation(&operation).await {
        tracing::error!(%error, method = operation.method, path = operation.path, "an operation is not in the journal");
    }
    response
}
