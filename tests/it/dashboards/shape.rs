//! Dashboards can be imported as they are, panels say what to do, alerts lead to their runbook.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use serde_json::Value;

use super::files::{alerts, dashboards, text};

fn panels(dashboard: &Value) -> &Vec<Value> {
    dashboard["panels"].as_array().unwrap()
}

fn variables(dashboard: &Value) -> BTreeSet<&str> {
    let list = dashboard["templating"]["list"].as_array().unwrap();
    list.iter().map(|variable| variable["name"].as_str().unwrap()).collect()
}

#[test]
fn dashboards_have_fixed_names_and_no_fixed_source() {
    let source = Regex::new(r#""uid":"([^"]*)""#).unwrap();
    let mut titles = BTreeSet::new();
    for (file, dashboard) in dashboards() {
        let uid = dashboard["uid"].as_str().unwrap();
        assert_eq!(file, format!("{}.json", uid.strip_prefix("tidegate-").unwrap()));
        assert!(titles.insert(dashboard["title"].to_string()), "{file}");
        assert!(dashboard["id"].is_null(), "{file}: an id belongs to one Grafana");
        assert!(
            variables(&dashboard).is_superset(&BTreeSet::from(["datasource", "instance"])),
            "{file}"
        );
        // Each leads to the others.
        assert_eq!(dashboard["links"][0]["tags"], dashboard["tags"], "{file}");
        let rest = serde_json::to_string(&serde_json::json!([
            dashboard["panels"],
            dashboard["templating"],
            dashboard["annotations"]
        ]));
        for uid in source.captures_iter(&rest.unwrap()) {
            assert_eq!(&uid[1], "${datasource}", "{file}: a source of its own");
        }
    }
}

#[test]
fn variables_are_defined() {
    let named = Regex::new(r"\$\{?([a-zA-Z_]+)").unwrap();
    for (file, dashboard) in dashboards() {
        let defined = variables(&dashboard);
        let mut used = BTreeSet::new();
        let text = dashboard.to_string();
        for name in named.captures_iter(&text) {
            let name = name.get(1).unwrap().as_str();
            if !name.starts_with("__") {
                assert!(defined.contains(name), "{file}: ${name} is not defined");
                used.insert(name);
            }
        }
        assert_eq!(used, defined, "{file}: not used");
    }
}

#[test]
fn panels_have_places_units_and_say_what_to_do() {
    for (file, dashboard) in dashboards() {
        let mut ids = BTreeSet::new();
        let mut taken: BTreeMap<(u64, u64), &Value> = BTreeMap::new();
        for panel in panels(&dashboard) {
            let title = panel["title"].as_str().unwrap();
            assert!(
                ids.insert(panel["id"].as_u64().unwrap()),
                "{file}: {title}: its id is another's"
            );
            let place = |side: &str| panel["gridPos"][side].as_u64().unwrap();
            for x in place("x")..place("x") + place("w") {
                assert!(x < 24, "{file}: {title} is too wide");
                for y in place("y")..place("y") + place("h") {
                    let other = taken.insert((x, y), &panel["title"]);
                    assert!(other.is_none(), "{file}: {title} covers {other:?}");
                }
            }
            if panel["type"] == "row" {
                continue;
            }
            let description = panel["description"].as_str().unwrap_or_default();
            assert!(
                description.len() > 30 && description.ends_with(['.', '?']),
                "{file}: {title}: {description}"
            );
            let defaults = &panel["fieldConfig"]["defaults"];
            assert!(
                defaults["unit"].is_string() && defaults["thresholds"].is_object(),
                "{file}: {title}"
            );
        }
    }
}

#[test]
fn every_alert_has_a_runbook_and_cases() {
    let guide = text("docs/monitoring.md");
    let headings: BTreeSet<&str> =
        guide.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let cases = text("tests/prometheus/alerts.yml");
    let case = |name: &str, what: &str| {
        let pattern = format!(r"alertname: {name}\s*,?\s*eval_time: \w+\s*,?\s*exp_alerts:{what}");
        Regex::new(&pattern).unwrap().is_match(&cases)
    };
    let mut names = BTreeSet::new();
    for alert in alerts() {
        let name = alert.alert.unwrap();
        for annotation in ["summary", "description"] {
            assert!(alert.annotations[annotation].ends_with('.'), "{name}: {annotation}");
        }
        assert!(["critical", "warning"].contains(&alert.labels["severity"].as_str()), "{name}");
        let anchor = format!("docs/monitoring.md#{}", name.to_lowercase());
        assert_eq!(alert.annotations["runbook"], anchor);
        assert!(headings.contains(name.as_str()), "{name} is not explained in docs/monitoring.md");
        assert!(case(&name, r"\s+- exp_labels"), "{name}: no case fires it");
        assert!(case(&name, r" \[\]"), "{name}: in no case it is silent");
        assert!(names.insert(name));
    }
    let strange: Vec<_> = headings
        .iter()
        .filter(|heading| heading.starts_with("Tidegate") && !names.contains(**heading))
        .collect();
    assert!(strange.is_empty(), "no such alerts: {strange:?}");
}
