//! A real Prometheus reads a real gateway, and answers every query of the dashboards and rules.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::files::{asked, dashboards, path, text};
use super::scrape;
use crate::support::{PATIENCE, Tidegate, eventually, free_port};

/// A Prometheus of the test. Killed when dropped.
struct Prometheus {
    child: Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    /// Starts it with the example configuration, the test's gateway in the place of the example's, and no patience.
    fn start(gateway: &Tidegate) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = text("dashboards/prometheus/prometheus.yml")
            .replace("127.0.0.1:8081", &format!("127.0.0.1:{}", gateway.admin_port))
            .replace("interval: 10s", "interval: 500ms")
            .replace("interval: 15s", "interval: 500ms")
            .replace("global:", "global:\n  scrape_timeout: 500ms");
        assert_eq!(config.matches(": 500ms").count(), 4, "{config}");
        std::fs::write(dir.path().join("prometheus.yml"), config).unwrap();
        for rules in ["recording.yml", "alerts.yml"] {
            std::fs::copy(path("dashboards/prometheus").join(rules), dir.path().join(rules))
                .unwrap();
        }
        let at = |name: &str| dir.path().join(name).display().to_string();
        // Another process may take the port meanwhile.
        for _ in 0..5 {
            let port = free_port();
            let child = Command::new("prometheus")
                .arg(format!("--config.file={}", at("prometheus.yml")))
                .arg(format!("--storage.tsdb.path={}", at("data")))
                .arg(format!("--web.listen-address=127.0.0.1:{port}"))
                .arg("--log.level=error")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::inherit())
                .spawn()
                .expect("prometheus is there: `tests/need clients`");
            let mut started = (child, port);
            if is_up(&mut started) {
                return Self { child: started.0, port, _dir: dir };
            }
        }
        panic!("Prometheus does not start");
    }

    /// The result of a query now.
    fn ask(&self, query: &str) -> Vec<Value> {
        let query = utf8_percent_encode(query, NON_ALPHANUMERIC);
        let answer = get(self.port, &format!("/api/v1/query?query={query}")).unwrap();
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        answer["data"]["result"].as_array().unwrap().clone()
    }
}

fn get(port: u16, path: &str) -> Option<Value> {
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    let agent: ureq::Agent = config.timeout_global(Some(Duration::from_secs(20))).build().into();
    let mut answer = agent.get(format!("http://127.0.0.1:{port}{path}")).call().ok()?;
    answer.body_mut().read_json().ok()
}

fn is_up((child, port): &mut (Child, u16)) -> bool {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until && child.try_wait().unwrap().is_none() {
        if get(*port, "/api/v1/status/buildinfo")
            .is_some_and(|answer| answer["status"] == "success")
        {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let _ = child.kill();
    let _ = child.wait();
    false
}

/// A query with Grafana's variables filled in as Grafana does for "All" and one interface.
fn filled_in(query: &str) -> String {
    let filled = query
        .replace("=\"$interface\"", "=\"n\"")
        .replace("$__rate_interval", "1m")
        .replace("\"$instance\"", "\".*\"")
        .replace("\"$interface\"", "\".*\"")
        .replace("\"$source\"", "\".*\"");
    assert!(!filled.contains('$'), "{filled}");
    filled
}

#[test]
fn prometheus_answers_every_query() {
    let (_tree, gateway) = scrape::gateway();
    let prometheus = Prometheus::start(&gateway);
    // Rates need two samples between which there were calls, and the rules a turn after these.
    eventually("the recorded series are there", || {
        gateway.get("/data-api/n");
        let ratio = prometheus.ask("instance:tidegate_cache_hits:ratio_rate5m > 0");
        !ratio.is_empty() && !prometheus.ask("job:tidegate_errors:ratio_rate5m >= 0").is_empty()
    });

    let mut silent = Vec::new();
    for (name, dashboard) in dashboards() {
        for query in asked(&name, &dashboard) {
            if prometheus.ask(&filled_in(&query.expr)).is_empty() {
                silent.push(query.place);
            }
        }
    }
    // Of what did not happen there is nothing to show.
    let expected = |place: &String| QUIET.iter().any(|title| place.ends_with(title));
    silent.retain(|place| !expected(place));
    assert!(silent.is_empty(), "nothing to see: {silent:#?}");

    let rules = get(prometheus.port, "/api/v1/rules").unwrap();
    let groups = rules["data"]["groups"].as_array().unwrap();
    let rules: Vec<&Value> =
        groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).collect();
    assert!(rules.len() > 30);
    for rule in rules {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
}

/// Panels that show what went wrong or is rare, by the end of their place.
const QUIET: [&str; 4] = [
    ": Definitions changed",
    ": Callers turned away",
    ": Interfaces with failures",
    ": Not well, by outcome",
];
