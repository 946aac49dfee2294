//! The Prometheus metrics. Labels are bounded by the configuration: no value a caller sends becomes one.
//!
//! Series labelled by interface or datasource are kept here rather than in the crate's vectors, whose key is a hash
//! of the label values run together: `sales`/`11.0.0` and `sales1`/`1.0.0` would be one series.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use jiff::Timestamp;
use parking_lot::Mutex;
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, Registry, TextEncoder};

use super::code::Code;
use super::connections::Connections;
use super::event::{CacheState, DefinitionCounts, Denial, QueryOutcome, ReloadFinished};
use super::exposition::Family;
pub use super::gauges::{AuditStats, CacheGauges, DatasourceGauges, Snapshot};
use super::key_sets;
use super::series::{DatasourceMetrics, InterfaceMetrics, UNKNOWN_INTERFACE};
use crate::pace::paced;

/// Content type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// All metrics of the process. Cheap to share: wrap it in an [`Arc`].
pub struct Metrics {
    registry: Registry,
    /// Calls being answered now.
    pub(super) in_flight: AtomicUsize,
    pub(super) connections: Connections,
    denials: [IntCounter; Denial::COUNT],
    unknown: Arc<InterfaceMetrics>,
    interfaces: Mutex<BTreeMap<(String, String), Arc<InterfaceMetrics>>>,
    datasources: Mutex<BTreeMap<String, Arc<DatasourceMetrics>>>,
    config: Mutex<ConfigState>,
}

/// The outcome of the reloads so far.
#[derive(Default)]
struct ConfigState {
    reloads_ok: u64,
    reloads_failed: u64,
    last_duration_seconds: f64,
    last: Option<Timestamp>,
    last_success: Option<Timestamp>,
    problems: usize,
    revision: String,
    hash: String,
    counts: DefinitionCounts,
}

impl Metrics {
    /// Metrics at zero, in a registry of their own.
    pub fn new() -> Self {
        let denials = Denial::ALL.map(|reason| {
            let opts = prometheus::Opts::new(
                "tidegate_auth_failures_total",
                "Callers turned away, by reason.",
            )
            .const_label("reason", reason.as_str());
            IntCounter::with_opts(opts).expect("the name and the label are valid")
        });
        let registry = Registry::new();
        let register =
            |collector| registry.register(collector).expect("each family is registered once");
        for denial in &denials {
            register(Box::new(denial.clone()));
        }
        register(Box::new(ProcessCollector::for_self()));
        Self {
            connections: Connections::new(&registry),
            registry,
            in_flight: AtomicUsize::new(0),
            denials,
            unknown: Arc::new(InterfaceMetrics::new(UNKNOWN_INTERFACE, UNKNOWN_INTERFACE)),
            interfaces: Mutex::default(),
            datasources: Mutex::default(),
            config: Mutex::default(),
        }
    }

    /// The handle of one version of an interface; the same one across reloads. Call it when a generation is prepared,
    /// never with a value from a request.
    pub fn interface(&self, code: &str, version: &str) -> Arc<InterfaceMetrics> {
        let key = (code.to_owned(), version.to_owned());
        let mut interfaces = self.interfaces.lock();
        interfaces
            .entry(key)
            .or_insert_with(|| Arc::new(InterfaceMetrics::new(code, version)))
            .clone()
    }

    /// The handle shared by every call that no interface matched.
    pub fn unknown_interface(&self) -> &Arc<InterfaceMetrics> {
        &self.unknown
    }

    /// The handle of a datasource; the same one across reloads.
    pub fn datasource(&self, id: &str) -> Arc<DatasourceMetrics> {
        let mut datasources = self.datasources.lock();
        datasources
            .entry(id.to_owned())
            .or_insert_with(|| Arc::new(DatasourceMetrics::new(id)))
            .clone()
    }

    /// Forgets the series of every interface (code, version) and datasource (id) that is not listed. Handles still held
    /// by requests of an older generation keep counting, unseen.
    pub fn retain<'a>(
        &self,
        interfaces: impl IntoIterator<Item = (&'a str, &'a str)>,
        datasources: impl IntoIterator<Item = &'a str>,
    ) {
        let interfaces: HashSet<_> = paced(interfaces).collect();
        let datasources: BTreeSet<_> = datasources.into_iter().collect();
        self.interfaces
            .lock()
            .retain(|(code, version), _| interfaces.contains(&(code.as_str(), version.as_str())));
        self.datasources.lock().retain(|id, _| datasources.contains(id.as_str()));
    }

    /// What `read` makes of each interface, by code and version.
    pub(super) fn read_interfaces<T>(
        &self,
        read: impl Fn(&InterfaceMetrics) -> T,
    ) -> BTreeMap<(String, String), T> {
        let interfaces = self.interfaces.lock();
        interfaces.iter().map(|(key, interface)| (key.clone(), read(interface))).collect()
    }

    pub(super) fn denied(&self, reason: Denial) {
        self.denials[reason.index()].inc();
    }

    pub(super) fn reloaded(&self, reload: &ReloadFinished<'_>) {
        let mut config = self.config.lock();
        config.problems = reload.problems.len();
        config.last = Some(Timestamp::now());
        config.last_duration_seconds = reload.duration.as_secs_f64();
        if !reload.problems.is_empty() {
            config.reloads_failed += 1;
            return;
        }
        config.reloads_ok += 1;
        config.last_success = config.last;
        reload.revision.clone_into(&mut config.revision);
        reload.hash.clone_into(&mut config.hash);
        config.counts = reload.counts;
    }

    fn in_flight_family(&self) -> Family {
        let mut family = Family::gauge("tidegate_requests_in_flight", "Calls being answered now.");
        family.sample(&[], self.in_flight.load(Relaxed) as f64);
        family
    }

    /// Everything as Prometheus text. Interfaces that were never called have no series.
    pub fn render(&self, snapshot: &Snapshot) -> String {
        let mut families = self.registry.gather();
        let own = self.interface_families().into_iter();
        let own = own
            .chain(self.datasource_families())
            .chain(self.config_families())
            .chain([self.in_flight_family()])
            .chain(snapshot.families());
        families.extend(own.filter_map(Family::finish));
        families.extend(key_sets::families(&snapshot.key_sets));
        families.sort_by(|a, b| a.name().cmp(b.name()));
        encode(&families)
    }

    fn interface_families(&self) -> [Family; 7] {
        let mut requests = Family::counter("tidegate_requests_total", "Calls, by outcome code.");
        let mut duration = Family::histogram(
            "tidegate_request_duration_seconds",
            "From the first byte of a call to the end of its answer.",
        );
        let mut bytes = Family::counter("tidegate_response_bytes_total", "Body bytes sent.");
        let mut rows = Family::counter("tidegate_response_rows_total", "Rows sent.");
        let mut cache = Family::counter(
            "tidegate_cache_requests_total",
            "Calls that met the cache, by its state.",
        );
        let mut limited =
            Family::counter("tidegate_rate_limited_total", "Calls refused by a rate limit.");
        let mut mismatch = Family::counter(
            "tidegate_schema_mismatch_total",
            "Answers that did not fit their response schema.",
        );
        let interfaces: Vec<_> = self.interfaces.lock().values().cloned().collect();
        for interface in
            paced(interfaces.iter().chain([&self.unknown])).filter(|interface| interface.is_used())
        {
            let labels = [("interface", interface.code()), ("version", interface.version())];
            let reading = interface.read();
            // What an interface does not measure has no series, not series of zeros.
            if reading.requests.iter().any(|count| *count > 0) {
                for (code, count) in Code::ALL.iter().zip(reading.requests) {
                    // Alphabetical, as in every other family of the scrape.
                    requests.sample(&[("code", code.as_str()), labels[0], labels[1]], count as f64);
                }
            }
            if reading.cache.iter().any(|count| *count > 0) {
                for (state, count) in CacheState::ALL.iter().zip(reading.cache) {
                    cache.sample(&[labels[0], ("state", state.as_str()), labels[1]], count as f64);
                }
            }
            if interface.duration.is_used() {
                duration.durations(&labels, &interface.duration);
            }
            bytes.sample(&labels, reading.bytes as f64);
            rows.sample(&labels, reading.rows as f64);
            limited.sample(&labels, reading.rate_limited as f64);
            mismatch.sample(&labels, reading.schema_mismatch as f64);
        }
        [requests, duration, bytes, rows, cache, limited, mismatch]
    }

    fn datasource_families(&self) -> [Family; 3] {
        let mut queries =
            Family::counter("tidegate_datasource_queries_total", "Queries, by outcome.");
        let mut rows = Family::counter("tidegate_datasource_rows_total", "Rows read.");
        let mut duration = Family::histogram(
            "tidegate_datasource_query_duration_seconds",
            "From the admission of a query to its last row.",
        );
        let datasources: Vec<_> = self.datasources.lock().values().cloned().collect();
        for datasource in datasources {
            let label = ("datasource", datasource.id());
            let (outcomes, row_count) = datasource.read();
            for (outcome, count) in QueryOutcome::ALL.iter().zip(outcomes) {
                queries.sample(&[label, ("outcome", outcome.as_str())], count as f64);
            }
            rows.sample(&[label], row_count as f64);
            duration.durations(&[label], &datasource.duration);
        }
        [queries, rows, duration]
    }

    fn config_families(&self) -> Vec<Family> {
        let config = self.config.lock();
        let gauge = |name: &str, help: &str, value: f64| Family::gauge(name, help).with(&[], value);
        let mut families = vec![
            Family::gauge("tidegate_build_info", "The version that runs; always 1.")
                .with(&[("version", env!("CARGO_PKG_VERSION"))], 1.0),
            Family::counter("tidegate_config_reloads_total", "Reloads, by result.")
                .with(&[("result", "failed")], config.reloads_failed as f64)
                .with(&[("result", "ok")], config.reloads_ok as f64),
            gauge(
                "tidegate_config_problems",
                "Problems of the last reload.",
                config.problems as f64,
            ),
            gauge(
                "tidegate_config_last_reload_successful",
                "Whether the last reload found no problem.",
                f64::from(u8::from(config.problems == 0 && config.last_success.is_some())),
            ),
            gauge(
                "tidegate_config_last_reload_duration_seconds",
                "How long the last reload took.",
                config.last_duration_seconds,
            ),
        ];
        let unix_seconds = |at: Timestamp| at.as_millisecond() as f64 / 1e3;
        families.extend(config.last.map(|at| {
            gauge(
                "tidegate_config_last_reload_timestamp_seconds",
                "When the last reload ended, well or badly, in Unix time.",
                unix_seconds(at),
            )
        }));
        // Before the first generation serves there is nothing to say about it.
        let Some(last_success) = config.last_success else { return families };
        let counts = config.counts;
        families.extend([
            Family::gauge("tidegate_config_info", "The definitions that serve; always 1.")
                .with(&[("hash", &config.hash), ("revision", &config.revision)], 1.0),
            gauge(
                "tidegate_config_last_reload_success_timestamp_seconds",
                "When the definitions that serve were loaded, in Unix time.",
                unix_seconds(last_success),
            ),
            gauge(
                "tidegate_config_interfaces",
                "Interface versions defined.",
                counts.interfaces as f64,
            ),
            gauge("tidegate_config_datasources", "Datasources defined.", counts.datasources as f64),
            gauge("tidegate_config_consumers", "Consumers defined.", counts.consumers as f64),
            gauge("tidegate_config_roles", "Roles defined.", counts.roles as f64),
            gauge("tidegate_config_jwt_issuers", "JWT issuers defined.", counts.jwt_issuers as f64),
        ]);
        families
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn encode(families: &[MetricFamily]) -> String {
    let text = TextEncoder::new().encode_to_string(families);
    text.expect("families without samples were left out, and writing to a string cannot fail")
}

#[cfg(test)]
mod tests;
