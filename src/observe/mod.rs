//! The observing side: stages report events, and only this module turns them into metrics and log lines.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

pub mod code;
pub mod connections;
pub mod event;
mod exposition;
mod gauges;
pub mod history;
pub mod host;
pub mod key_sets;
mod label;
pub mod log;
pub mod metrics;
pub mod per_second;
pub mod series;

pub use code::Code;
pub use event::Event;
pub(crate) use label::label_enum;
pub use metrics::Metrics;
pub use series::{DatasourceMetrics, InterfaceMetrics};

use event::{BreakerState, ReloadFinished};
use per_second::PerSecond;

/// How many problems of a failed reload are logged one by one.
const MAX_LOGGED_PROBLEMS: usize = 50;

/// How many calls that failed on our side are logged within a second, each with a line.
const MAX_FAILURES_PER_SECOND: u32 = 100;

/// Where stages report to. Cloning shares the metrics.
#[derive(Clone)]
pub struct Observer {
    metrics: Arc<Metrics>,
    /// Lines of calls that failed on our side.
    failures: Arc<PerSecond>,
}

impl Observer {
    /// An observer that counts into `metrics`.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, failures: Arc::new(PerSecond::new(MAX_FAILURES_PER_SECOND)) }
    }

    /// The metrics behind it: for handles, for retention and for the scrape.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// A call came in: how many are being answered now, with this one. It counts until [`Self::request_ended`].
    pub fn request_started(&self) -> usize {
        self.metrics.in_flight.fetch_add(1, Relaxed) + 1
    }

    /// A call has ended, however.
    pub fn request_ended(&self) {
        self.metrics.in_flight.fetch_sub(1, Relaxed);
    }

    /// Counts and logs one event.
    pub fn report(&self, event: &Event<'_>) {
        match event {
            Event::RequestFinished(request) => {
                if request.is_counted {
                    request.interface.finished(request);
                }
                log::access_line(request, &self.failures);
            }
            Event::AccessDenied { reason, request_id, ip } => {
                self.metrics.denied(*reason);
                let (reason, ip) = (reason.as_str(), ip.map(tracing::field::display));
                tracing::debug!(target: "access", reason, request_id, ip, "access denied");
            }
            Event::RateLimited { interface } => interface.rate_limited(),
            Event::QueryFinished { datasource, outcome, duration, rows } => {
                datasource.finished(*outcome, *duration, *rows);
            }
            Event::SchemaMismatch { interface, request_id, detail } => {
                interface.schema_mismatch();
                let (code, version) = (interface.code(), interface.version());
                tracing::warn!(
                    interface = code,
                    version,
                    request_id,
                    detail,
                    "answer does not fit its response schema"
                );
            }
            Event::AuditLost { interface, request_id, error } => {
                tracing::error!(
                    interface = interface.code(),
                    request_id,
                    error,
                    "audit record lost"
                );
            }
            Event::BreakerChanged { datasource, state, cause } => {
                let (datasource, breaker) = (datasource.id(), state.as_str());
                if *state == BreakerState::Open {
                    tracing::warn!(datasource, breaker, cause, "datasource breaker changed");
                } else {
                    tracing::info!(datasource, breaker, cause, "datasource breaker changed");
                }
            }
            Event::ReloadFinished(reload) => {
                self.metrics.reloaded(reload);
                log_reload(reload);
            }
        }
    }
}

fn log_reload(reload: &ReloadFinished<'_>) {
    let ReloadFinished { revision, hash, duration, problems, counts } = reload;
    let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if problems.is_empty() {
        let (interfaces, datasources) = (counts.interfaces, counts.datasources);
        tracing::info!(revision, hash, duration_ms, interfaces, datasources, "definitions loaded");
        return;
    }
    tracing::error!(
        revision,
        duration_ms,
        problems = problems.len(),
        "definitions not loaded: the old ones keep serving"
    );
    for problem in problems.iter().take(MAX_LOGGED_PROBLEMS) {
        tracing::error!(problem, "problem");
    }
}
