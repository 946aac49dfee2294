//! `/api/status`: what serves, and what the last reload found.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use super::envelope::success;
use crate::admin::Admin;
use crate::live::reload::LastReload;

/// Shows the state of the appliance.
pub async fn show(State(admin): State<Arc<Admin>>) -> Response {
    let gateway = &admin.gateway;
    let generation = gateway.live.current();
    let snapshot = &generation.snapshot;
    let datasources: Vec<Value> = generation
        .registry
        .iter()
        .map(|(id, source)| {
            let (gauges, standing) = (source.gauges(), source.standing());
            json!({
                "id": id,
                "up": gauges.up,
                "breaker": gauges.breaker.as_str(),
                "since": standing.since.to_string(),
                "error": standing.error,
                "retry_at": standing.retry_at.map(|at| at.to_string()),
                "connections": { "idle": gauges.idle_connections, "busy": gauges.busy_connections },
                "in_flight": gauges.in_flight,
                "queued": gauges.queued,
            })
        })
        .collect();
    let data = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": admin.started.elapsed().as_secs(),
        "data_address": admin.data_address,
        "draining": admin.is_draining.load(Relaxed),
        "revision": snapshot.revision,
        "hash": snapshot.hash,
        "counts": {
            "interfaces": snapshot.interfaces.len(),
            "datasources": snapshot.datasources.len(),
            "consumers": snapshot.policies.consumers.len(),
            "roles": snapshot.policies.roles.len(),
            "jwt_issuers": snapshot.policies.issuers.len(),
        },
        "datasources": datasources,
        "last_reload": last_reload(&gateway.live.last()),
    });
    success(data, json!({}))
}

/// A reload as JSON.
pub fn last_reload(last: &LastReload) -> Value {
    json!({
        "at": last.at.to_string(),
        "ok": last.ok,
        "revision": last.revision,
        "hash": last.hash,
        "duration_ms": u64::try_from(last.duration.as_millis()).unwrap_or(u64::MAX),
        "problems": last.problems,
        "by": last.by,
    })
}
