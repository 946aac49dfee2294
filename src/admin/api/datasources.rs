//! `/api/datasources`: what there is to query, whether it is well, and which tables it has.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde_json::{Value, json};

use super::envelope::{failure, success, summarised, with_status};
use super::page;
use crate::admin::Admin;
use crate::definitions::snapshot::Datasource;
use crate::definitions::spec::datasource::EngineKind;
use crate::engines::catalog::listing::{self, Completion, Table, TableColumn};
use crate::engines::registry::Source;
use crate::engines::{EngineError, reach};
use crate::observe::code::Code;

/// Longest wait for what a database says of its tables.
const CATALOGUE_TIMEOUT: Duration = Duration::from_secs(10);
/// Status of a datasource that takes no more queries now.
const UNAVAILABLE: u16 = 503;

/// Lists the datasources by id; `q` searches id and name.
pub async fn list(
    State(admin): State<Arc<Admin>>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let generation = admin.gateway.live.current();
    let snapshot = &generation.snapshot;
    let mut interfaces: HashMap<&str, usize> = HashMap::new();
    for interface in &snapshot.interfaces {
        *interfaces.entry(&interface.datasource.spec.id).or_default() += 1;
    }
    let known = snapshot.datasources.values();
    let mut found: Vec<(&Arc<Datasource>, &Arc<Source>)> = known
        .filter_map(|known| Some((known, generation.registry.get(&known.spec.id)?)))
        .filter(|(known, _)| {
            let texts = [known.spec.id.as_str()].into_iter().chain(known.spec.name.as_deref());
            page::fits(&query, texts)
        })
        .collect();
    if query.get("sort").is_some_and(|sort| sort == "-name") {
        found.reverse();
    }
    page::answer(&query, &found, |(known, source)| {
        let used = interfaces.get(known.spec.id.as_str()).copied().unwrap_or_default();
        shown(known, source, used)
    })
}

fn shown(known: &Datasource, source: &Source, interfaces: usize) -> Value {
    let (spec, gauges, standing) = (&known.spec, source.gauges(), source.standing());
    json!({
        "id": spec.id,
        "name": spec.name,
        "description": spec.description,
        "type": type_name(spec.engine),
        "host": spec.host,
        "port": spec.port,
        "database": spec.database,
        "path": spec.path,
        "governed": spec.governed,
        "read_only": spec.read_only,
        "up": gauges.up,
        "breaker": gauges.breaker.as_str(),
        "since": standing.since.to_string(),
        "error": standing.error,
        "retry_at": standing.retry_at.map(|at| at.to_string()),
        "in_flight": gauges.in_flight,
        "queued": gauges.queued,
        "connections": {
            "idle": gauges.idle_connections,
            "busy": gauges.busy_connections,
            "max": spec.pool.max_connections,
        },
        "interfaces": interfaces,
    })
}

fn type_name(engine: EngineKind) -> &'static str {
    match engine {
        EngineKind::Sqlite => "sqlite",
        EngineKind::Postgres => "postgres",
        EngineKind::Mysql => "mysql",
        EngineKind::Presto => "presto",
        EngineKind::Trino => "trino",
        EngineKind::Starrocks => "starrocks",
        EngineKind::Hive => "hive",
    }
}

/// Tests the way to a datasource, step by step.
pub async fn test(State(admin): State<Arc<Admin>>, Path(id): Path<String>) -> Response {
    let generation = admin.gateway.live.current();
    let known = generation.snapshot.datasources.get(&id);
    let (Some(known), Some(source)) = (known, generation.registry.get(&id)) else {
        return unknown();
    };
    let started = Instant::now();
    let outcomes = reach::test(source, &known.spec).await;
    let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let steps: Vec<Value> = outcomes
        .iter()
        .map(|outcome| {
            json!({
                "step": outcome.step.as_str(),
                "ok": outcome.error.is_none(),
                "error": outcome.error,
                "duration_ms": ms(outcome.duration),
            })
        })
        .collect();
    let data = json!({
        "ok": outcomes.iter().all(|outcome| outcome.error.is_none()),
        "duration_ms": ms(started.elapsed()),
        "steps": steps,
    });
    let failed = outcomes.iter().find(|outcome| outcome.error.is_some());
    let summary = match failed {
        Some(outcome) => format!("tested {id}: {} failed", outcome.step.as_str()),
        None => format!("tested {id}: well"),
    };
    summarised(success(data, json!({})), summary)
}

/// The databases that tables can be listed of.
pub async fn databases(State(admin): State<Arc<Admin>>, Path(id): Path<String>) -> Response {
    let Some(source) = find(&admin, &id) else { return unknown() };
    match listing::databases(&source, deadline()).await {
        Ok(names) => success(names, json!({})),
        Err(error) => failed(&error),
    }
}

/// The tables and views of a database in pages; `q` searches names and comments.
pub async fn tables(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let Some(source) = find(&admin, &id) else { return unknown() };
    let database = query.get("database").filter(|name| !name.is_empty());
    let part = query.get("q").map_or("", String::as_str);
    match listing::tables(&source, database.map(String::as_str), part, deadline()).await {
        Ok(mut tables) => {
            match query.get("sort").map(String::as_str) {
                Some("name") => tables.sort_by(|a, b| a.name.cmp(&b.name)),
                Some("-name") => tables.sort_by(|a, b| b.name.cmp(&a.name)),
                _ => {}
            }
            page::answer(&query, &tables, table)
        }
        Err(error) => failed(&error),
    }
}

fn table(table: &Table) -> Value {
    json!({
        "schema": table.schema,
        "name": table.name,
        "kind": if table.is_view { "view" } else { "table" },
        "comment": table.comment,
        "created_at": table.created_at,
        "updated_at": table.updated_at,
        "rows_estimate": table.rows_estimate,
    })
}

/// The columns of a table.
pub async fn columns(
    State(admin): State<Arc<Admin>>,
    Path((id, name)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let Some(source) = find(&admin, &id) else { return unknown() };
    let schema = query.get("schema").filter(|name| !name.is_empty());
    match listing::columns(&source, schema.map(String::as_str), &name, deadline()).await {
        Ok(columns) if columns.is_empty() => failure(Code::NotFound, "There is no such table."),
        Ok(columns) => {
            let columns: Vec<Value> = columns.iter().map(column).collect();
            success(json!({ "columns": columns }), json!({}))
        }
        Err(error) => failed(&error),
    }
}

fn column(column: &TableColumn) -> Value {
    json!({
        "position": column.position,
        "name": column.name,
        "type": column.kind,
        "primary_key": column.is_primary_key,
        "not_null": column.is_not_null,
        "default": column.default,
        "comment": column.comment,
    })
}

/// The names that an editor completes.
pub async fn completion(State(admin): State<Arc<Admin>>, Path(id): Path<String>) -> Response {
    let Some(source) = find(&admin, &id) else { return unknown() };
    match listing::completion(&source, deadline()).await {
        Ok(tables) => {
            let shown =
                |table: &Completion| json!({ "name": table.name, "columns": table.columns });
            success(json!({ "tables": tables.iter().map(shown).collect::<Vec<_>>() }), json!({}))
        }
        Err(error) => failed(&error),
    }
}

fn find(admin: &Admin, id: &str) -> Option<Arc<Source>> {
    admin.gateway.live.current().registry.get(id).cloned()
}

fn deadline() -> Instant {
    Instant::now() + CATALOGUE_TIMEOUT
}

/// The answer where no datasource has the id.
pub fn unknown() -> Response {
    failure(Code::NotFound, "There is no such datasource.")
}

/// The answer to what a datasource did not do, in its own words.
pub fn failed(error: &EngineError) -> Response {
    let text = error.to_string();
    match error {
        EngineError::Timeout => failure(Code::Timeout, &text),
        EngineError::BadValue { .. } => failure(Code::InvalidParam, &text),
        EngineError::Busy { .. } | EngineError::Shut { .. } => {
            with_status(UNAVAILABLE, failure(Code::DatasourceError, &text))
        }
        _ => failure(Code::DatasourceError, &text),
    }
}
