//! `/metrics` for Prometheus.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use tokio::task::spawn_blocking;

use super::envelope::failure;
use crate::access::jwks::RemoteKeys;
use crate::admin::Admin;
use crate::observe::code::Code;
use crate::observe::key_sets::KeySetGauges;
use crate::observe::metrics::{self, Snapshot};
use crate::pace;

/// Renders all metrics, with what is read from its owners now.
pub async fn render(State(admin): State<Arc<Admin>>) -> Response {
    let gateway = &admin.gateway;
    let generation = gateway.live.current();
    let snapshot = Snapshot {
        cache: gateway.cache.gauges(),
        audit: gateway.audit.as_ref().map(crate::store::audit::AuditLog::stats).unwrap_or_default(),
        key_sets: generation.authenticator.tokens.remotes().map(key_set).collect(),
        log_lines_left_out: admin.log.lines(),
        datasources: generation.registry.iter().map(|(_, source)| source.gauges()).collect(),
    };
    // Many interfaces take a while, which neither calls nor other questions of operators wait for.
    let observer = gateway.observer.clone();
    let render = move || pace::beside_calls(|| observer.metrics().render(&snapshot));
    match spawn_blocking(render).await {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(_) => failure(Code::InternalError, "The metrics cannot be read."),
    }
}

fn key_set((issuer, keys): (&str, &Arc<RemoteKeys>)) -> KeySetGauges {
    KeySetGauges {
        issuer: issuer.to_owned(),
        keys: keys.keys(Instant::now()).len() as u64,
        fetched: keys.fetched.load(Relaxed),
        failed: keys.failed.load(Relaxed),
        fetched_at_seconds: keys.fetched_at().map(|at| at.as_millisecond() as f64 / 1e3),
    }
}
