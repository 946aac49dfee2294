//! What a scrape shows, read back with a parser of the text format.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::observe::event::{BreakerState, RequestFinished};
use crate::observe::key_sets::KeySetGauges;
use crate::observe::{Event, Observer};

/// A parsed scrape: sample (name with labels) → value.
struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    /// Parses the text format strictly: HELP and TYPE once before a family's samples, families in one piece, every
    /// series once, values that are numbers.
    fn parse(text: &str) -> Self {
        let mut samples = BTreeMap::new();
        let mut families = HashSet::new();
        let mut current = (String::new(), String::new());
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, help) = help.split_once(' ').expect("a help text");
                assert!(!help.is_empty() && families.insert(name.to_owned()), "{line}");
                current = (name.to_owned(), String::new());
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').expect("a type");
                assert_eq!(name, current.0);
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                kind.clone_into(&mut current.1);
            } else {
                let (series, value) = line.rsplit_once(' ').expect("a value");
                let name = series.split('{').next().unwrap_or_default();
                let suffixes: &[&str] =
                    if current.1 == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
                let belongs =
                    suffixes.iter().any(|suffix| name == format!("{}{suffix}", current.0));
                assert!(belongs, "{line} in {}", current.0);
                let value: f64 = value.parse().expect("a number");
                assert!(samples.insert(series.to_owned(), value).is_none(), "twice: {series}");
            }
        }
        Self(samples)
    }

    fn get(&self, series: &str) -> Option<f64> {
        self.0.get(series).copied()
    }

    /// The series that mention `text`.
    fn mentioning(&self, text: &str) -> Vec<&String> {
        self.0.keys().filter(|series| series.contains(text)).collect()
    }
}

fn observer() -> Observer {
    Observer::new(Arc::new(Metrics::new()))
}

fn scrape(observer: &Observer) -> Scrape {
    Scrape::parse(&observer.metrics().render(&Snapshot::default()))
}

fn finish(observer: &Observer, interface: &InterfaceMetrics, code: Code, path: &str) {
    observer.report(&Event::RequestFinished(finished(interface, code, path)));
}

fn finished<'a>(interface: &'a InterfaceMetrics, code: Code, path: &'a str) -> RequestFinished<'a> {
    RequestFinished {
        is_counted: true,
        measures_latency: true,
        measures_codes: true,
        interface,
        request_id: "r-1",
        principal: "",
        ip: None,
        method: "GET",
        path,
        code,
        status: code.http_status(),
        cache: (code == Code::Ok).then_some(CacheState::Hit),
        duration: Duration::from_millis(3),
        rows: 7,
        bytes: 100,
        error: None,
    }
}

fn reload(observer: &Observer, revision: &str, problems: &[String]) {
    observer.report(&Event::ReloadFinished(ReloadFinished {
        revision,
        hash: "h",
        duration: Duration::from_millis(20),
        problems,
        counts: DefinitionCounts { interfaces: 3, ..DefinitionCounts::default() },
    }));
}

#[test]
fn a_call_is_counted_by_interface_version_and_code() {
    let observer = observer();
    let interface = observer.metrics().interface("sales", "1.0.0");
    finish(&observer, &interface, Code::Ok, "/");
    finish(&observer, &interface, Code::Ok, "/");
    finish(&observer, &interface, Code::Timeout, "/");
    observer.report(&Event::RateLimited { interface: &interface });
    observer.report(&Event::SchemaMismatch { interface: &interface, request_id: "r", detail: "d" });

    let scrape = scrape(&observer);
    let labels = r#"interface="sales",version="1.0.0""#;
    for (series, value) in [
        (format!(r#"tidegate_requests_total{{code="OK",{labels}}}"#), 2.0),
        (format!(r#"tidegate_requests_total{{code="TIMEOUT",{labels}}}"#), 1.0),
        (format!(r#"tidegate_requests_total{{code="FORBIDDEN",{labels}}}"#), 0.0),
        (
            r#"tidegate_cache_requests_total{interface="sales",state="HIT",version="1.0.0"}"#
                .into(),
            2.0,
        ),
        (format!("tidegate_response_rows_total{{{labels}}}"), 21.0),
        (format!("tidegate_response_bytes_total{{{labels}}}"), 300.0),
        (format!("tidegate_rate_limited_total{{{labels}}}"), 1.0),
        (format!("tidegate_schema_mismatch_total{{{labels}}}"), 1.0),
        (format!(r#"tidegate_request_duration_seconds_bucket{{{labels},le="0.0025"}}"#), 0.0),
        (format!(r#"tidegate_request_duration_seconds_bucket{{{labels},le="0.005"}}"#), 3.0),
        (format!(r#"tidegate_request_duration_seconds_bucket{{{labels},le="30"}}"#), 3.0),
        (format!(r#"tidegate_request_duration_seconds_bucket{{{labels},le="+Inf"}}"#), 3.0),
        (format!("tidegate_request_duration_seconds_count{{{labels}}}"), 3.0),
    ] {
        assert_eq!(scrape.get(&series), Some(value), "{series}");
    }
}

#[test]
fn labels_that_read_alike_when_joined_are_kept_apart() {
    let observer = observer();
    for (code, version, calls) in [("sales", "11.0.0", 1), ("sales1", "1.0.0", 2)] {
        let interface = observer.metrics().interface(code, version);
        (0..calls).for_each(|_| finish(&observer, &interface, Code::Ok, "/"));
    }
    let scrape = scrape(&observer);
    let count =
        |labels: &str| scrape.get(&format!(r#"tidegate_requests_total{{code="OK",{labels}}}"#));
    assert_eq!(count(r#"interface="sales",version="11.0.0""#), Some(1.0));
    assert_eq!(count(r#"interface="sales1",version="1.0.0""#), Some(2.0));
}

#[test]
fn ten_thousand_unknown_routes_are_one_label() {
    let observer = observer();
    let unknown = observer.metrics().unknown_interface().clone();
    finish(&observer, &unknown, Code::NotFound, "/data-api/probe-0");
    let before: Vec<_> = scrape(&observer).0.into_keys().collect();
    for n in 0..10_000 {
        finish(&observer, &unknown, Code::NotFound, &format!("/data-api/probe-{n}"));
    }
    let after = scrape(&observer);
    let unknown_calls = r#"tidegate_requests_total{code="NOT_FOUND",interface="-",version="-"}"#;
    assert_eq!(after.get(unknown_calls), Some(10_001.0));
    assert!(after.mentioning("probe").is_empty());
    assert_eq!(after.0.into_keys().collect::<Vec<_>>(), before);
}

#[test]
fn what_left_the_configuration_leaves_the_scrape_and_handles_outlive_reloads() {
    let observer = observer();
    let metrics = observer.metrics();
    let (old, kept) = (metrics.interface("sales", "1.0.0"), metrics.interface("sales", "2.0.0"));
    let source = metrics.datasource("dw");
    let gone = metrics.datasource("old_dw");
    for interface in [&old, &kept] {
        finish(&observer, interface, Code::Ok, "/");
    }
    for datasource in [&source, &gone] {
        let outcome = QueryOutcome::Ok;
        observer.report(&Event::QueryFinished {
            datasource,
            outcome,
            duration: Duration::ZERO,
            rows: 1,
        });
    }
    metrics.retain([("sales", "2.0.0")], ["dw"]);
    // A call of the old generation ends after the swap.
    finish(&observer, &old, Code::Ok, "/");

    let after = scrape(&observer);
    assert!(after.mentioning(r#"version="1.0.0""#).is_empty());
    assert!(after.mentioning("old_dw").is_empty());
    assert_eq!(
        after.get(r#"tidegate_datasource_queries_total{datasource="dw",outcome="ok"}"#),
        Some(1.0)
    );
    assert!(Arc::ptr_eq(&kept, &metrics.interface("sales", "2.0.0")));
    assert!(Arc::ptr_eq(&source, &metrics.datasource("dw")));
    assert!(!Arc::ptr_eq(&old, &metrics.interface("sales", "1.0.0")), "a return starts at zero");
}

#[test]
fn uncalled_interfaces_have_no_series() {
    let observer = observer();
    for n in 0..1000 {
        observer.metrics().interface(&format!("idle_{n}"), "1.0.0");
    }
    assert!(scrape(&observer).mentioning("idle_").is_empty());
}

#[test]
fn what_an_interface_does_not_measure_has_no_series() {
    let observer = observer();
    for (code, measures_latency, measures_codes) in
        [("codes", false, true), ("latency", true, false), ("neither", false, false)]
    {
        let interface = observer.metrics().interface(code, "1.0.0");
        observer.report(&Event::RequestFinished(RequestFinished {
            measures_latency,
            measures_codes,
            ..finished(&interface, Code::Ok, "/")
        }));
    }
    let scrape = scrape(&observer);
    let shown = |code: &str, family: &str| {
        let of = scrape.mentioning(&format!("interface=\"{code}\""));
        of.iter().any(|series| series.starts_with(family))
    };
    assert!(shown("codes", "tidegate_requests_total"));
    assert!(!shown("codes", "tidegate_request_duration_seconds"));
    assert!(!shown("latency", "tidegate_requests_total"));
    assert!(shown("latency", "tidegate_request_duration_seconds"));
    assert!(!shown("neither", "tidegate_"));
}

#[test]
fn a_refused_query_is_counted_but_has_no_latency() {
    let observer = observer();
    let datasource = &*observer.metrics().datasource("dw");
    for outcome in [QueryOutcome::Refused, QueryOutcome::Error] {
        observer.report(&Event::QueryFinished {
            datasource,
            outcome,
            duration: Duration::from_secs(1),
            rows: 0,
        });
    }
    let scrape = scrape(&observer);
    assert_eq!(
        scrape.get(r#"tidegate_datasource_queries_total{datasource="dw",outcome="refused"}"#),
        Some(1.0)
    );
    assert_eq!(
        scrape.get(r#"tidegate_datasource_query_duration_seconds_count{datasource="dw"}"#),
        Some(1.0)
    );
}

#[test]
fn calls_in_flight_are_counted() {
    let observer = observer();
    assert_eq!((observer.request_started(), observer.request_started()), (1, 2));
    assert_eq!(scrape(&observer).get("tidegate_requests_in_flight"), Some(2.0));
    (0..2).for_each(|_| observer.request_ended());
    assert_eq!(scrape(&observer).get("tidegate_requests_in_flight"), Some(0.0));
}

#[test]
fn a_failed_reload_keeps_what_is_known_of_the_generation_that_serves() {
    let observer = observer();
    let first = scrape(&observer);
    assert_eq!(first.get("tidegate_config_last_reload_successful"), Some(0.0));
    assert!(first.mentioning("tidegate_config_info").is_empty());

    reload(&observer, "one", &[]);
    reload(&observer, "two", &["a.yaml:1:1 wrong".into(), "b.yaml:1:1 wrong".into()]);
    let after = scrape(&observer);
    for (series, value) in [
        ("tidegate_config_last_reload_successful", 0.0),
        ("tidegate_config_problems", 2.0),
        ("tidegate_config_interfaces", 3.0),
        (r#"tidegate_config_info{hash="h",revision="one"}"#, 1.0),
        (r#"tidegate_config_reloads_total{result="ok"}"#, 1.0),
        (r#"tidegate_config_reloads_total{result="failed"}"#, 1.0),
    ] {
        assert_eq!(after.get(series), Some(value), "{series}");
    }
    let loaded = after.get("tidegate_config_last_reload_success_timestamp_seconds");
    assert!(loaded > Some(1.7e9));
    assert!(after.get("tidegate_config_last_reload_timestamp_seconds") >= loaded);

    reload(&observer, "three", &[]);
    let mended = scrape(&observer);
    assert_eq!(mended.get("tidegate_config_last_reload_successful"), Some(1.0));
    assert_eq!(mended.mentioning("tidegate_config_info").len(), 1);
}

#[test]
fn the_snapshot_the_denials_and_the_process_are_shown() {
    let observer = observer();
    let (reason, ip) = (Denial::ExpiredKey, None);
    observer.report(&Event::AccessDenied { reason, request_id: "r", ip });
    let snapshot = Snapshot {
        cache: CacheGauges { bytes: 10, entries: 2 },
        audit: AuditStats {
            queued: 1,
            queue_limit: 7,
            written: 2,
            transactions: 3,
            dropped: 4,
            failed: 5,
            expired: 6,
        },
        datasources: vec![DatasourceGauges {
            id: "dw \"1\"".into(),
            idle_connections: 1,
            busy_connections: 2,
            in_flight: 3,
            in_flight_limit: 5,
            queued: 4,
            queue_limit: 6,
            up: true,
            breaker: BreakerState::HalfOpen,
        }],
        key_sets: vec![KeySetGauges {
            issuer: "sso".into(),
            keys: 2,
            fetched: 7,
            failed: 1,
            fetched_at_seconds: Some(1.5),
        }],
        log_lines_left_out: 8,
    };
    let scrape = Scrape::parse(&observer.metrics().render(&snapshot));
    for (series, value) in [
        ("tidegate_cache_bytes", 10.0),
        ("tidegate_cache_entries", 2.0),
        ("tidegate_audit_queue", 1.0),
        ("tidegate_audit_queue_limit", 7.0),
        ("tidegate_audit_written_total", 2.0),
        ("tidegate_audit_dropped_total", 4.0),
        ("tidegate_audit_failed_total", 5.0),
        (r#"tidegate_jwks_keys{issuer="sso"}"#, 2.0),
        (r#"tidegate_jwks_fetches_total{issuer="sso",result="failed"}"#, 1.0),
        (r#"tidegate_jwks_fetches_total{issuer="sso",result="ok"}"#, 7.0),
        (r#"tidegate_jwks_last_success_timestamp_seconds{issuer="sso"}"#, 1.5),
        (r#"tidegate_auth_failures_total{reason="expired_key"}"#, 1.0),
        (r#"tidegate_auth_failures_total{reason="not_granted"}"#, 0.0),
        (r#"tidegate_datasource_connections{datasource="dw \"1\"",state="busy"}"#, 2.0),
        (r#"tidegate_datasource_in_flight{datasource="dw \"1\""}"#, 3.0),
        (r#"tidegate_datasource_in_flight_limit{datasource="dw \"1\""}"#, 5.0),
        (r#"tidegate_datasource_queue{datasource="dw \"1\""}"#, 4.0),
        (r#"tidegate_datasource_queue_limit{datasource="dw \"1\""}"#, 6.0),
        (r#"tidegate_datasource_up{datasource="dw \"1\""}"#, 1.0),
        (r#"tidegate_datasource_breaker{datasource="dw \"1\"",state="half_open"}"#, 1.0),
        (r#"tidegate_datasource_breaker{datasource="dw \"1\"",state="open"}"#, 0.0),
    ] {
        assert_eq!(scrape.get(series), Some(value), "{series}");
    }
    assert!(scrape.get("process_resident_memory_bytes") > Some(0.0));
    let version = format!("tidegate_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(scrape.get(&version), Some(1.0));
}
