//! `/api/monitor`: figures of the machine, and of the interfaces over the last hour.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::envelope::{failure, success};
use super::page;
use crate::admin::Admin;
use crate::observe::code::Code;
use crate::observe::history::{Counts, MAX_STEPS, Point, STEP_SECONDS};

/// Minutes that figures may cover.
const MAX_MINUTES: i64 = MAX_STEPS * STEP_SECONDS / 60;

/// Figures of the machine and the process.
pub async fn server(State(admin): State<Arc<Admin>>) -> Response {
    // Files of the kernel are read at once, those of a network file system may take their time.
    match tokio::task::spawn_blocking(move || admin.host.figures()).await {
        Ok(figures) => success(figures, json!({})),
        Err(_) => failure(Code::InternalError, "The figures cannot be read."),
    }
}

/// What each interface version did within the last hour, or as many `minutes` of it; `q` searches codes, and `sort` is `code`,
/// `requests`, `p95_ms` or `error_ratio`, with `-` before it for the largest first.
pub async fn interfaces(
    State(admin): State<Arc<Admin>>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let now = sampled(&admin);
    let minutes = query.get("minutes").map_or(Some(MAX_MINUTES), |text| text.parse().ok());
    let Some(minutes) = minutes.filter(|minutes| (1..=MAX_MINUTES).contains(minutes)) else {
        return failure(Code::InvalidParam, "`minutes` is a whole number from 1 to 60.");
    };
    let (mut rows, seconds) = admin.history.interfaces(minutes, now);
    rows.retain(|((code, _), _)| page::fits(&query, [code.as_str()]));
    let sort = query.get("sort").map_or("code", String::as_str);
    let by = |figure: fn(&Counts) -> f64| {
        move |a: &(_, Counts), b: &(_, Counts)| figure(&a.1).total_cmp(&figure(&b.1))
    };
    match sort.trim_start_matches('-') {
        "requests" => rows.sort_by(by(|counts| counts.requests as f64)),
        "p95_ms" => rows.sort_by(by(|counts| counts.quantile_ms(0.95).unwrap_or_default())),
        "error_ratio" => rows.sort_by(by(|counts| counts.error_ratio().unwrap_or_default())),
        _ => {}
    }
    if sort.starts_with('-') {
        rows.reverse();
    }
    page::answer(&query, &rows, |((code, version), counts)| {
        json!({
            "code": code,
            "version": version,
            "requests": counts.requests,
            "rate": rounded(counts.requests as f64 / seconds as f64),
            "p50_ms": quantile(counts, 0.5),
            "p95_ms": quantile(counts, 0.95),
            "p99_ms": quantile(counts, 0.99),
            "outcomes": counts.outcomes,
            "errors": counts.errors,
            "failures": counts.failures,
            "error_ratio": counts.error_ratio().map(rounded),
            "failure_ratio": counts.failure_ratio().map(rounded),
            "cache_asked": counts.cache_asked,
            "cache_hits": counts.cache_hits,
            "cache_ratio": counts.cache_ratio().map(rounded),
        })
    })
}

/// The last hour in steps, of all interfaces or of the versions of one.
pub async fn traffic(
    State(admin): State<Arc<Admin>>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let now = sampled(&admin);
    let points = admin.history.points(query.get("code").map(String::as_str), now);
    let point = |Point { at, counts }: &Point| {
        json!({
            "at": at.to_string(),
            "requests": counts.requests,
            "errors": counts.errors,
            "failures": counts.failures,
            "p50_ms": quantile(counts, 0.5),
            "p95_ms": quantile(counts, 0.95),
            "p99_ms": quantile(counts, 0.99),
        })
    };
    let mut points: Vec<Value> = points.iter().map(point).collect();
    if let Some(last) = points.last_mut() {
        // It would look as if the calls had stopped.
        last["partial"] = true.into();
    }
    success(json!({ "step_seconds": STEP_SECONDS, "points": points }), json!({}))
}

/// The time now, up to which everything is counted.
fn sampled(admin: &Admin) -> Timestamp {
    let now = Timestamp::now();
    admin.history.sample(admin.gateway.observer.metrics(), now);
    now
}

fn quantile(counts: &Counts, share: f64) -> Option<f64> {
    counts.quantile_ms(share).map(rounded)
}

/// To the thousandth.
fn rounded(figure: f64) -> f64 {
    (figure * 1e3).round() / 1e3
}
