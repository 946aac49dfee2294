//! Every query of a dashboard or rule names metrics, labels and label values that a gateway shows.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

use super::files::{alerts, asked, dashboards, recording_rules, text};
use super::promql::{self, Named};
use super::scrape::{self, Shown};

/// Labels whose values are fixed by the gateway: each value that a query names must be one of them.
const CLOSED: [&str; 5] = ["code", "outcome", "state", "reason", "result"];

/// What is wrong with what a query names.
fn faults(named: &Named, shown: &Shown) -> Vec<String> {
    let mut faults = Vec::new();
    for selector in &named.selectors {
        let Some(labels) = shown.get(&selector.name) else {
            faults.push(format!("there is no metric `{}`", selector.name));
            continue;
        };
        let of = |label: &str| format!("`{}` has no label `{label}`", selector.name);
        for (label, operator, value) in &selector.matchers {
            let Some(values) = labels.get(label) else {
                faults.push(of(label));
                continue;
            };
            let alternatives: Vec<&str> =
                if operator.contains('~') { value.split('|').collect() } else { vec![value] };
            for value in alternatives {
                if CLOSED.contains(&label.as_str()) && !values.contains(value) {
                    faults.push(format!("`{label}` of `{}` is never `{value}`", selector.name));
                }
            }
        }
        faults
            .extend(named.grouped_by(selector).filter(|l| !labels.contains_key(*l)).map(|l| of(l)));
    }
    faults
}

/// The labels of what a query gives.
fn result(named: &Named, shown: &Shown) -> BTreeSet<String> {
    match named.result() {
        Some(labels) => labels.iter().cloned().collect(),
        None => shown[&named.selectors[0].name].keys().cloned().collect(),
    }
}

/// What a gateway shows, and what the recording rules make of it. Fails where a rule asks for what is not there.
fn with_recorded(mut shown: Shown) -> Shown {
    for rule in recording_rules() {
        let name = rule.record.unwrap();
        let named = promql::read(&rule.expr);
        assert_eq!(faults(&named, &shown), Vec::<String>::new(), "{name}");
        let labels = result(&named, &shown).into_iter().filter(|label| label != "le");
        let labels = labels.map(|label| (label, BTreeSet::new())).collect();
        assert!(shown.insert(name.clone(), labels).is_none(), "{name} is recorded twice");
    }
    shown
}

#[test]
fn every_query_names_what_a_gateway_shows() {
    let (_tree, gateway) = scrape::gateway();
    let shown = with_recorded(scrape::shown(&gateway));
    let in_braces = Regex::new(r"\{\{\s*\$?(?:labels\.)?([a-z_]+)").unwrap();
    let mut wrong = Vec::new();
    let mut check = |place: &str, expr: &str, texts: &[&str]| {
        let named = promql::read(expr);
        let found = faults(&named, &shown);
        wrong.extend(found.iter().map(|fault| format!("{place}: {fault}")));
        if found.is_empty() {
            let labels = result(&named, &shown);
            for text in in_braces.captures_iter(&texts.concat()) {
                if &text[1] != "value" && !labels.contains(&text[1]) {
                    wrong.push(format!("{place}: the result has no label `{}`", &text[1]));
                }
            }
        }
    };
    let mut read = 0;
    for (name, dashboard) in dashboards() {
        for query in asked(&name, &dashboard) {
            check(&query.place, &query.expr, &[&query.legend]);
            read += 1;
        }
    }
    for alert in alerts() {
        let texts: Vec<&str> = alert.annotations.values().map(String::as_str).collect();
        check(alert.alert.as_deref().unwrap(), &alert.expr, &texts);
    }
    let metric = Regex::new(r"`(tidegate_[a-z_]+)").unwrap();
    for guide in ["docs/monitoring.md", "docs/operating.md"] {
        for name in metric.captures_iter(&text(guide)) {
            let name = &name[1];
            if !shown.contains_key(name) && !shown.contains_key(&format!("{name}_bucket")) {
                wrong.push(format!("{guide}: there is no metric `{name}`"));
            }
        }
    }
    assert!(read > 60, "only {read} queries");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_no_gateway_shows_is_found() {
    let labels = |labels: &[(&str, &[&str])]| {
        let own = |(label, values): &(&str, &[&str])| {
            ((*label).to_owned(), values.iter().map(|value| (*value).to_owned()).collect())
        };
        labels.iter().map(own).collect::<BTreeMap<_, _>>()
    };
    let shown = Shown::from([("calls".to_owned(), labels(&[("code", &["OK"]), ("job", &[])]))]);
    for (query, expected) in [
        ("calls{code=\"OK\"}", None),
        ("call", Some("there is no metric `call`")),
        ("rate(calls{code=~\"OK|BAD\"}[5m])", Some("`code` of `calls` is never `BAD`")),
        ("calls{cod=\"OK\"}", Some("`calls` has no label `cod`")),
        ("sum by (jobs) (calls)", Some("`calls` has no label `jobs`")),
    ] {
        let found = faults(&promql::read(query), &shown);
        assert_eq!(found.first().map(String::as_str), expected, "{query}");
    }
}
