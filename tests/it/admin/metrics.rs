//! `/metrics` and the probes.

use std::collections::{BTreeMap, HashSet};

use regex::Regex;

use crate::support::{KEY, Tidegate, Tree, eventually};

fn served() -> (Tree, Tidegate) {
    let tree = Tree::new();
    tree.sqlite("SELECT 1");
    tree.interface("code: n\ndatasource_id: lite\ncache: {ttl_seconds: 60}\naudit: true\nquery_template: SELECT 1 AS n\n");
    let gateway = tree.serve();
    (tree, gateway)
}

/// Every series with its value; fails where the text is no exposition.
fn scrape(gateway: &Tidegate) -> BTreeMap<String, f64> {
    let answer = gateway.admin_get_with("/metrics", &[]);
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    let line = Regex::new(
        r#"^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*\})? (\S+)$"#,
    );
    let line = line.unwrap();
    let (mut series, mut typed) = (BTreeMap::new(), HashSet::new());
    for text in answer.text().lines() {
        if let Some(rest) = text.strip_prefix("# TYPE ") {
            let name = rest.split(' ').next().unwrap().to_owned();
            assert!(typed.insert(name), "a family stands there twice: {text}");
            continue;
        }
        if text.starts_with("# HELP ") {
            continue;
        }
        let parts = line.captures(text).unwrap_or_else(|| panic!("no sample: {text}"));
        let family = parts[1].to_owned();
        let base = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|end| family.strip_suffix(end))
            .unwrap_or(&family);
        assert!(typed.contains(&family) || typed.contains(base), "{family} has no type");
        let name = format!("{family}{}", parts.get(2).map_or("", |labels| labels.as_str()));
        let value = parts[3].parse().unwrap_or_else(|_| panic!("no number: {text}"));
        assert!(series.insert(name, value).is_none(), "twice: {text}");
    }
    series
}

#[test]
fn every_part_has_its_series() {
    let (_tree, gateway) = served();
    assert_eq!(gateway.get("/data-api/n").status, 200);
    assert_eq!(gateway.get("/data-api/n").status, 200);
    assert_eq!(gateway.get("/data-api/n?x=1").status, 400);
    let series = scrape(&gateway);
    let of = "interface=\"n\",version=\"1.0.0\"";
    for (name, expected) in [
        (format!("tidegate_requests_total{{code=\"OK\",{of}}}"), 2.0),
        (format!("tidegate_requests_total{{code=\"INVALID_PARAM\",{of}}}"), 1.0),
        (format!("tidegate_request_duration_seconds_count{{{of}}}"), 3.0),
        (format!("tidegate_response_rows_total{{{of}}}"), 2.0),
        (
            "tidegate_cache_requests_total{interface=\"n\",state=\"HIT\",version=\"1.0.0\"}"
                .to_owned(),
            1.0,
        ),
        ("tidegate_datasource_queries_total{datasource=\"lite\",outcome=\"ok\"}".to_owned(), 1.0),
        ("tidegate_datasource_up{datasource=\"lite\"}".to_owned(), 1.0),
        ("tidegate_datasource_breaker{datasource=\"lite\",state=\"closed\"}".to_owned(), 1.0),
        ("tidegate_cache_entries".to_owned(), 1.0),
        ("tidegate_audit_written_total".to_owned(), 3.0),
        ("tidegate_config_last_reload_successful".to_owned(), 1.0),
        ("tidegate_config_interfaces".to_owned(), 1.0),
        ("tidegate_requests_in_flight".to_owned(), 0.0),
    ] {
        assert_eq!(series.get(&name), Some(&expected), "{name}");
    }
    for present in
        ["process_resident_memory_bytes", "process_open_fds", "process_cpu_seconds_total"]
    {
        assert!(series.get(present).is_some_and(|value| *value >= 0.0), "{present}");
    }
    let now = jiff::Timestamp::now().as_second() as f64;
    let loaded = series["tidegate_config_last_reload_success_timestamp_seconds"];
    assert!((now - 120.0..=now + 1.0).contains(&loaded), "{loaded}");
}

#[test]
fn callers_cannot_make_series() {
    let (_tree, gateway) = served();
    assert_eq!(gateway.get("/data-api/n").status, 200);
    assert_eq!(gateway.get("/data-api/nothing").status, 404);
    assert_eq!(gateway.get_with("/data-api/n", &[("x-api-key", "wrong")]).status, 401);
    assert_eq!(gateway.get("/data-api/n?version=9.9.9").status, 404);
    let before: Vec<String> = scrape(&gateway).into_keys().collect();
    for i in 0..200 {
        let random: u64 = rand::random();
        gateway.get(&format!("/data-api/x{random:x}/{i}"));
        gateway.get(&format!("/{random:x}"));
        gateway.get_with(&format!("/data-api/n?version={i}.0.0"), &[("x-api-key", KEY)]);
        gateway.get_with("/data-api/n", &[("x-api-key", &format!("{random:x}"))]);
    }
    let after: Vec<String> = scrape(&gateway).into_keys().collect();
    assert_eq!(after, before);
}

#[test]
fn what_is_gone_leaves_no_series() {
    let (tree, gateway) = served();
    tree.interface("code: gone\ndatasource_id: lite\nquery_template: SELECT 1 AS n\n");
    gateway.reload();
    assert_eq!(gateway.get("/data-api/gone").status, 200);
    let has = || scrape(&gateway).keys().any(|name| name.contains("interface=\"gone\""));
    assert!(has());
    std::fs::remove_file(tree.root().join("definitions/gone-1.0.0.yaml")).unwrap();
    gateway.reload();
    assert!(!has());
    eventually("the config counts follow", || {
        gateway.metric("tidegate_config_interfaces") == Some(1.0)
    });
}

#[test]
fn probes_are_open_to_all() {
    let (_tree, gateway) = served();
    for path in ["/livez", "/readyz"] {
        let answer = gateway.admin_get_with(path, &[]);
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok\n"), "{path}");
    }
}
