//! The files of `dashboards/`, read.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

/// A path of the repository.
pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

pub fn text(name: &str) -> String {
    let path = path(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A rule of Prometheus, `record` or `alert`.
#[derive(Deserialize)]
pub struct Rule {
    #[serde(default)]
    pub record: Option<String>,
    #[serde(default)]
    pub alert: Option<String>,
    pub expr: String,
    #[serde(default)]
    pub labels: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    pub annotations: std::collections::BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

fn rules(name: &str) -> Vec<Rule> {
    let rules: Rules = serde_saphyr::from_str(&text(name)).unwrap();
    rules.groups.into_iter().flat_map(|group| group.rules).collect()
}

pub fn recording_rules() -> Vec<Rule> {
    rules("dashboards/prometheus/recording.yml")
}

pub fn alerts() -> Vec<Rule> {
    rules("dashboards/prometheus/alerts.yml")
}

/// The dashboards, by file name.
pub fn dashboards() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path("dashboards")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            found.push((name, serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap()));
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(found.len(), 4, "one file a dashboard");
    found
}

/// A query of a dashboard: where it stands, its text, the legend that goes with it.
pub struct Asked {
    pub place: String,
    pub expr: String,
    pub legend: String,
}

/// The queries of the panels and annotations of a dashboard.
pub fn asked(name: &str, dashboard: &Value) -> Vec<Asked> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut found = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            found.push(Asked {
                place: format!("{name}: {}", text(&panel["title"])),
                expr: text(&target["expr"]),
                legend: text(&target["legendFormat"]),
            });
        }
    }
    for annotation in dashboard["annotations"]["list"].as_array().unwrap() {
        found.push(Asked {
            place: format!("{name}: {}", text(&annotation["name"])),
            expr: text(&annotation["expr"]),
            legend: text(&annotation["textFormat"]),
        });
    }
    assert!(found.iter().all(|asked| !asked.expr.is_empty()), "{name}: a panel without a query");
    found
}
