//! The metrics that are read from their owners at scrape time: cache, audit, datasources.

use super::event::BreakerState;
use super::exposition::Family;
use super::key_sets::KeySetGauges;

/// What is read from its owners at scrape time.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub cache: CacheGauges,
    pub audit: AuditStats,
    pub datasources: Vec<DatasourceGauges>,
    pub key_sets: Vec<KeySetGauges>,
    /// Lines of the log that nobody took.
    pub log_lines_left_out: u64,
}

/// What the answer cache holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheGauges {
    pub bytes: u64,
    pub entries: u64,
}

/// What the audit log did since the start, in records unless said otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditStats {
    /// Waiting to be written now, and how many may.
    pub queued: u64,
    pub queue_limit: u64,
    /// Committed.
    pub written: u64,
    /// Transactions that wrote them.
    pub transactions: u64,
    /// Buffered records given up because the queue was full.
    pub dropped: u64,
    /// Strict records whose caller got an error.
    pub failed: u64,
    /// Deleted because they were older than the retention.
    pub expired: u64,
}

/// The state of a datasource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasourceGauges {
    pub id: String,
    /// Connections that wait for work, and those that have some.
    pub idle_connections: u64,
    pub busy_connections: u64,
    /// Queries that run, and queries that wait to; how many may.
    pub in_flight: u64,
    pub in_flight_limit: u64,
    pub queued: u64,
    pub queue_limit: u64,
    /// Whether the last contact succeeded.
    pub up: bool,
    pub breaker: BreakerState,
}

impl Snapshot {
    pub(super) fn families(&self) -> Vec<Family> {
        let gauge =
            |name: &str, help: &str, value: u64| Family::gauge(name, help).with(&[], value as f64);
        let counter = |name: &str, help: &str, value: u64| {
            Family::counter(name, help).with(&[], value as f64)
        };
        let (cache, audit) = (self.cache, self.audit);
        let mut families = vec![
            gauge("tidegate_cache_bytes", "Bytes that the answer cache holds.", cache.bytes),
            gauge("tidegate_cache_entries", "Answers that the cache holds.", cache.entries),
            gauge("tidegate_audit_queue", "Audit records waiting to be written.", audit.queued),
            gauge("tidegate_audit_queue_limit", "How many may wait.", audit.queue_limit),
            counter("tidegate_audit_written_total", "Audit records committed.", audit.written),
            counter(
                "tidegate_audit_transactions_total",
                "Transactions that committed them.",
                audit.transactions,
            ),
            counter(
                "tidegate_audit_dropped_total",
                "Buffered audit records given up.",
                audit.dropped,
            ),
            counter("tidegate_audit_failed_total", "Strict audit records refused.", audit.failed),
            counter(
                "tidegate_audit_expired_total",
                "Audit records deleted by retention.",
                audit.expired,
            ),
            counter(
                "tidegate_log_lines_left_out_total",
                "Lines of the log that were left out since nobody took them.",
                self.log_lines_left_out,
            ),
        ];
        families.extend(self.datasource_families());
        families
    }

    fn datasource_families(&self) -> [Family; 7] {
        let mut connections =
            Family::gauge("tidegate_datasource_connections", "Open connections, by state.");
        let mut in_flight = Family::gauge("tidegate_datasource_in_flight", "Queries that run now.");
        let mut in_flight_limit =
            Family::gauge("tidegate_datasource_in_flight_limit", "Queries that may run at once.");
        let mut queue = Family::gauge("tidegate_datasource_queue", "Queries that wait to run.");
        let mut queue_limit =
            Family::gauge("tidegate_datasource_queue_limit", "Queries that may wait to run.");
        let mut up = Family::gauge("tidegate_datasource_up", "Whether the last contact succeeded.");
        let mut breaker =
            Family::gauge("tidegate_datasource_breaker", "1 for the state the breaker is in.");
        for datasource in &self.datasources {
            let label = ("datasource", datasource.id.as_str());
            connections.sample(&[label, ("state", "busy")], datasource.busy_connections as f64);
            connections.sample(&[label, ("state", "idle")], datasource.idle_connections as f64);
            in_flight.sample(&[label], datasource.in_flight as f64);
            in_flight_limit.sample(&[label], datasource.in_flight_limit as f64);
            queue.sample(&[label], datasource.queued as f64);
            queue_limit.sample(&[label], datasource.queue_limit as f64);
            up.sample(&[label], f64::from(u8::from(datasource.up)));
            for state in BreakerState::ALL {
                let is_state = f64::from(u8::from(state == datasource.breaker));
                breaker.sample(&[label, ("state", state.as_str())], is_state);
            }
        }
        [connections, in_flight, in_flight_limit, queue, queue_limit, up, breaker]
    }
}
