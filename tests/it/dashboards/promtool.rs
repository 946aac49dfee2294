//! Prometheus' own checks of rules, of the example configuration, and of cases.

use std::process::Command;

use super::files::path;

fn promtool(args: &[&str]) {
    let done = Command::new("promtool").args(args).current_dir(path("")).output();
    let done = done.expect("promtool is there: `tests/need clients`");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(done.status.success(), "{args:?}: {}{}", text(&done.stdout), text(&done.stderr));
}

#[test]
fn rules_and_the_example_configuration_are_good() {
    // The configuration names the rules, which are checked with it.
    promtool(&["check", "config", "dashboards/prometheus/prometheus.yml"]);
}

#[test]
fn alerts_fire_when_they_should() {
    promtool(&["test", "rules", "tests/prometheus/alerts.yml"]);
}

#[test]
fn recorded_series_are_right() {
    promtool(&["test", "rules", "tests/prometheus/recording.yml"]);
}
