//! `/api/logs/queries`: the queries that people ran by hand.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use super::envelope::{failure, store_failed};
use super::logs::Asked;
use crate::admin::Admin;
use crate::observe::code::Code;
use crate::store::{QueryFilter, QueryRun, QueryState};

/// Lists them in pages, newest first, or all as CSV.
pub async fn list(State(admin): State<Arc<Admin>>, asked: Asked) -> Response {
    let state = asked.text("state").map(|word| QueryState::parse(&word).ok_or(()));
    let Ok(state) = state.transpose() else {
        return failure(Code::InvalidParam, "`state` is `ok`, `failed` or `cancelled`.");
    };
    let filter = QueryFilter {
        username: asked.text("username"),
        datasource: asked.text("datasource_id"),
        state,
        text: asked.text("q"),
        from: asked.from,
        to: asked.to,
    };
    match admin.store.query_runs(&filter, asked.offset().into(), asked.limit()).await {
        Ok((runs, total)) => asked.answer("queries", runs.iter().map(shown).collect(), total),
        Err(error) => store_failed(&error),
    }
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
