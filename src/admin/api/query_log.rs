//! `/api/logs/queries`: the queries that people ran by hand.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::envelope::{download, failure, success};
use super::page;
use crate::admin::Admin;
use crate::observe::code::Code;
use crate::query::cells::write_csv_text;
use crate::store::{QueryFilter, QueryRun, QueryState};

/// Rows of a download.
const MAX_DOWNLOAD_ROWS: u32 = 10_000;

/// Lists them in pages, newest first, or all as CSV.
pub async fn list(
    State(admin): State<Arc<Admin>>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let filter = match filter(&query) {
        Ok(filter) => filter,
        Err(text) => return failure(Code::InvalidParam, text),
    };
    let (page, size) = match page::asked(&query) {
        Ok(asked) => asked,
        Err(refusal) => return *refusal,
    };
    let is_csv = query.get("format").is_some_and(|format| format == "csv");
    let before = (page - 1).saturating_mul(size) as u64;
    let (skip, limit) = if is_csv {
        (0, MAX_DOWNLOAD_ROWS)
    } else {
        (before, u32::try_from(size).unwrap_or(u32::MAX))
    };
    match admin.store.query_runs(&filter, skip, limit).await {
        Ok((runs, _)) if is_csv => download("queries.csv", "text/csv; charset=utf-8", csv(&runs)),
        Ok((runs, total)) => {
            let total = usize::try_from(total).unwrap_or(usize::MAX);
            let rows: Vec<Value> = runs.iter().map(shown).collect();
            success(rows, page::meta(page, size, total))
        }
        Err(error) => {
            tracing::error!(%error, "the query log cannot be read");
            failure(Code::InternalError, "The log cannot be read.")
        }
    }
}

fn filter(query: &HashMap<String, String>) -> Result<QueryFilter, &'static str> {
    let text = |name: &str| query.get(name).filter(|text| !text.is_empty()).cloned();
    let time = |name: &str| {
        let parsed = text(name).map(|text| text.parse::<Timestamp>()).transpose();
        parsed.map_err(|_| "`from` and `to` are times such as 2030-01-31T12:00:00Z.")
    };
    let state = text("state")
        .map(|word| QueryState::parse(&word).ok_or("`state` is `ok`, `failed` or `cancelled`."));
    Ok(QueryFilter {
        username: text("username"),
        datasource: text("datasource_id"),
        state: state.transpose()?,
        text: text("q"),
        from: time("from")?,
        to: time("to")?,
    })
}

fn shown(run: &QueryRun) -> Value {
    let params = run.params.as_deref().map(|params| {
        // What was cut is text.
        serde_json::from_str::<Value>(params).unwrap_or_else(|_| params.into())
    });
    json!({
        "at": run.at.to_string(),
        "username": run.username,
        "datasource_id": run.datasource,
        "sql": run.sql,
        "params": params,
        "state": run.state.as_str(),
        "error": run.error,
        "rows": run.rows,
        "duration_ms": run.duration_us / 1_000,
    })
}

fn csv(runs: &[QueryRun]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut line = |cells: [&str; 9]| {
        for (i, cell) in cells.into_iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            write_csv_text(&mut out, cell);
        }
        out.extend_from_slice(b"\r\n");
    };
    line([
        "at",
        "username",
        "datasource_id",
        "sql",
        "params",
        "state",
        "error",
        "rows",
        "duration_ms",
    ]);
    for run in runs {
        line([
            &run.at.to_string(),
            &run.username,
            &run.datasource,
            &run.sql,
            run.params.as_deref().unwrap_or_default(),
            run.state.as_str(),
            run.error.as_deref().unwrap_or_default(),
            &run.rows.to_string(),
            &(run.duration_us / 1_000).to_string(),
        ]);
    }
    out
}
