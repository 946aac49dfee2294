//! `/metrics` for Prometheus.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use crate::admin::Admin;
use crate::observe::metrics::{self, Snapshot};

/// Renders all metrics, with what is read from its owners now.
pub async fn render(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    let gateway = &admin.gateway;
    let generation = gateway.live.current();
    let snapshot = Snapshot {
        cache: gateway.cache.gauges(),
        audit: gateway.audit.as_ref().map(crate::store::audit::AuditLog::stats).unwrap_or_default(),
        datasources: generation.registry.iter().map(|(_, source)| source.gauges()).collect(),
    };
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], gateway.observer.metrics().render(&snapshot))
}
