//! `/api/dataservice/query`: queries that people write by hand. Each run is logged, however it ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::HeaderValue;
use axum::response::Response;
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::datasources::{failed, unknown};
use super::envelope::{conflict, download, failure, failure_with, success, summarised};
use super::page::{MAX_PAGE_SIZE, PAGE_SIZE};
use crate::admin::Admin;
use crate::admin::person::Person;
use crate::admin::running::{NotNow, Query};
use crate::definitions::snapshot::Datasource;
use crate::engines::EngineError;
use crate::engines::registry::Source;
use crate::observe::code::Code;
use crate::query::by_hand::{ByHandError, HandQuery, Table};
use crate::query::draft::{Draft, Material, propose};
use crate::sql::template::Flaw;
use crate::store::{QueryRun, QueryState, Role, Store};

/// Longest id of a query, in characters.
const MAX_ID_CHARS: usize = 64;
/// What says that a download is not all there is.
const TRUNCATED: &str = "x-truncated";

/// What is asked for; not every route takes everything.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    datasource_id: String,
    sql: String,
    #[serde(default)]
    params: Map<String, Value>,
    page: Option<u64>,
    /// Rows to pass over, in place of `page`.
    offset: Option<u64>,
    #[serde(rename = "pageSize")]
    page_size: Option<u64>,
    /// Made by the page, to cancel by.
    id: Option<String>,
    code: Option<String>,
    name: Option<String>,
}

impl Asked {
    /// Rows to pass over; `page` counts those of full pages, as large as the datasource allows.
    fn offset(&self, size: u64) -> u64 {
        self.offset.unwrap_or_else(|| (self.page.unwrap_or(1) - 1).saturating_mul(size))
    }

    fn page_size(&self) -> u64 {
        self.page_size.unwrap_or(PAGE_SIZE as u64).min(MAX_PAGE_SIZE as u64)
    }
}

/// A datasource with what is asked of it.
struct Question {
    asked: Asked,
    source: Arc<Source>,
    datasource: Arc<Datasource>,
    sees_all: bool,
}

impl Question {
    fn read(admin: &Admin, person: &Person, body: &Bytes) -> Result<Self, Box<Response>> {
        let bad = |text: &str| Box::new(failure(Code::InvalidParam, text));
        let asked: Asked = serde_json::from_slice(body)
            .map_err(|error| bad(&format!("The body is not what is asked for: {error}.")))?;
        if asked.page == Some(0) || asked.page_size == Some(0) {
            return Err(bad("`page` and `pageSize` are whole numbers from 1."));
        }
        let is_id = |id: &String| {
            (1..=MAX_ID_CHARS).contains(&id.len())
                && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if !asked.id.as_ref().is_none_or(is_id) {
            return Err(bad("`id` is of letters, digits, `-` and `_`, at most 64."));
        }
        let generation = admin.gateway.live.current();
        let datasource = generation.snapshot.datasources.get(&asked.datasource_id);
        let source = generation.registry.get(&asked.datasource_id);
        let (Some(datasource), Some(source)) = (datasource, source) else {
            return Err(Box::new(unknown()));
        };
        Ok(Self {
            sees_all: person.role >= Role::Admin,
            source: source.clone(),
            datasource: datasource.clone(),
            asked,
        })
    }

    fn query(&self) -> Result<HandQuery, ByHandError> {
        let Asked { sql, params, .. } = &self.asked;
        HandQuery::new(self.source.clone(), self.datasource.clone(), sql, params, self.sees_all)
    }
}

/// `data` of a run: columns, and the rows as they were written.
#[derive(Serialize)]
struct Rows {
    columns: Vec<Value>,
    rows: Box<RawValue>,
}

/// Runs a query and answers with a page of its rows.
pub async fn run(
    State(admin): State<Arc<Admin>>,
    Extension(person): Extension<Person>,
    body: Bytes,
) -> Response {
    let question = match Question::read(&admin, &person, &body) {
        Ok(question) => question,
        Err(refusal) => return *refusal,
    };
    let size = question.asked.page_size().min(question.datasource.spec.limits.max_rows);
    let offset = question.asked.offset(size);
    let work = move |query: HandQuery| async move {
        let table = query.page(offset, size).await?;
        let rows = table.rows;
        Ok(((table, query.text), rows))
    };
    let ran = logged(&admin, &person, &question, "", work).await;
    let ((table, sql), took) = match ran {
        Ok(ran) => ran,
        Err(refusal) => return *refusal,
    };
    let Table { columns, bytes, rows: count, has_next, is_truncated } = table;
    let rows = String::from_utf8(bytes).ok().and_then(|text| RawValue::from_string(text).ok());
    let Some(rows) = rows else {
        return failure(Code::DatasourceError, "The database gave text that is no JSON as JSON.");
    };
    let columns = columns.iter().map(|c| json!({ "name": c.name, "type": c.kind.as_str() }));
    let meta = json!({
        "page": offset / size.max(1) + 1,
        "pageSize": size,
        "offset": offset,
        "rows": count,
        "hasNext": has_next,
        "duration_ms": ms(took),
        "sql": sql,
        "truncated": is_truncated,
    });
    let summary = format!("queried {}", question.asked.datasource_id);
    summarised(success(Rows { columns: columns.collect(), rows }, meta), summary)
}

/// Runs a query and answers with its first rows as CSV.
pub async fn export(
    State(admin): State<Arc<Admin>>,
    Extension(person): Extension<Person>,
    body: Bytes,
) -> Response {
    let question = match Question::read(&admin, &person, &body) {
        Ok(question) => question,
        Err(refusal) => return *refusal,
    };
    let work = move |query: HandQuery| async move {
        let table = query.export().await?;
        let rows = table.rows;
        Ok((table, rows))
    };
    let ran = logged(&admin, &person, &question, "", work).await;
    match ran {
        Ok((table, _)) => {
            let mut answer = download("query.csv", "text/csv; charset=utf-8", table.bytes);
            if table.has_next {
                answer.headers_mut().insert(TRUNCATED, HeaderValue::from_static("true"));
            }
            summarised(answer, format!("exported rows of {}", question.asked.datasource_id))
        }
        Err(refusal) => *refusal,
    }
}

/// Asks what the database would do.
pub async fn explain(
    State(admin): State<Arc<Admin>>,
    Extension(person): Extension<Person>,
    body: Bytes,
) -> Response {
    let question = match Question::read(&admin, &person, &body) {
        Ok(question) => question,
        Err(refusal) => return *refusal,
    };
    let size = question.asked.page_size();
    let work = move |query: HandQuery| async move {
        let plan = query.explain(size).await?;
        Ok(((plan, query.text), 0))
    };
    let ran = logged(&admin, &person, &question, "EXPLAIN ", work).await;
    match ran {
        Ok(((plan, sql), _)) => {
            let summary = format!("explained a query of {}", question.asked.datasource_id);
            summarised(success(json!({ "sql": sql, "plan": plan }), json!({})), summary)
        }
        Err(refusal) => *refusal,
    }
}

/// Proposes a definition. Nothing is run; the database is asked for the columns, and where it does not say there are none.
pub async fn draft(
    State(admin): State<Arc<Admin>>,
    Extension(person): Extension<Person>,
    body: Bytes,
) -> Response {
    let question = match Question::read(&admin, &person, &body) {
        Ok(question) => question,
        Err(refusal) => return *refusal,
    };
    let Some(code) = &question.asked.code else {
        return failure(Code::InvalidParam, "`code` is missing.");
    };
    let described = match question.query() {
        Ok(query) => query.describe().await,
        Err(error) => Err(error),
    };
    let (columns, problem) = match described {
        Ok(columns) => (columns, None),
        Err(ByHandError::Governed) => return refused(&ByHandError::Governed, ""),
        Err(error) => (Vec::new(), Some(format!("The columns are not known: {error}"))),
    };
    let Asked { sql, params, name, datasource_id, .. } = &question.asked;
    let proposed = propose(&Material {
        code,
        name: name.as_deref(),
        datasource_id,
        dialect: question.datasource.dialect,
        sql,
        params,
        columns: &columns,
    });
    let Draft { definition, problems } = match proposed {
        Ok(draft) => draft,
        Err(flaw) => return refused(&ByHandError::Flaw(flaw, None), sql),
    };
    let problems: Vec<String> = problems.into_iter().chain(problem).collect();
    let summary = format!("drafted {code}");
    summarised(success(definition, json!({ "problems": problems })), summary)
}

/// Lists the queries that people are running, the longest first.
pub async fn running(State(admin): State<Arc<Admin>>) -> Response {
    let now = Timestamp::now();
    let row = |query: &Query| {
        let elapsed = now.duration_since(query.started_at).as_millis();
        json!({
            "id": query.id,
            "username": query.username,
            "datasource_id": query.datasource,
            "sql": query.sql,
            "started_at": query.started_at.to_string(),
            "elapsed_ms": u64::try_from(elapsed).unwrap_or_default(),
        })
    };
    success(admin.running.list().iter().map(row).collect::<Vec<_>>(), json!({}))
}

/// Cancels a query of one's own; of anybody, for an operator.
pub async fn cancel(
    State(admin): State<Arc<Admin>>,
    Extension(person): Extension<Person>,
    Path(id): Path<String>,
) -> Response {
    let whose = if admin.running.cancel(&person.username, &id) {
        Some(person.username)
    } else if person.role >= Role::Operator {
        admin.running.cancel_any(&id)
    } else {
        None
    };
    match whose {
        Some(whose) => {
            let answer = success(json!({ "cancelled": true }), json!({}));
            summarised(answer, format!("cancelled a query of {whose}"))
        }
        None => failure(Code::NotFound, "There is no query with this id to cancel."),
    }
}

/// A result with the number of its rows.
type Outcome<T> = Result<(T, u64), ByHandError>;

/// Runs a query in a task of its own, which ends with its caller, by a cancel, or by itself, and is logged in each case.
async fn logged<T: Send + 'static, F: Future<Output = Outcome<T>> + Send>(
    admin: &Admin,
    person: &Person,
    question: &Question,
    prefix: &str,
    work: impl FnOnce(HandQuery) -> F + Send + 'static,
) -> Result<(T, Duration), Box<Response>> {
    let asked = &question.asked;
    let entered = admin.running.enter(
        &person.username,
        asked.id.as_deref(),
        &asked.datasource_id,
        &asked.sql,
    );
    let (ticket, cancelled) = entered.map_err(|not_now| match not_now {
        NotNow::SameId => Box::new(conflict(409, "You are running a query with this id.")),
        NotNow::TooMany => Box::new(failure(Code::Overloaded, "Too many queries are running.")),
    })?;
    let mut entry = QueryRun {
        at: Timestamp::now(),
        username: person.username.to_string(),
        datasource: asked.datasource_id.clone(),
        sql: format!("{prefix}{}", asked.sql),
        params: (!asked.params.is_empty()).then(|| Value::from(asked.params.clone()).to_string()),
        state: QueryState::Cancelled,
        error: None,
        rows: 0,
        duration_us: 0,
    };
    let (store, query) = (admin.store.clone(), question.query());
    let task = tokio::spawn(async move {
        let started = Instant::now();
        let running = async move { work(query?).await };
        let outcome = tokio::select! {
            outcome = running => Some(outcome),
            // Also where the caller has gone, and its ticket with it.
            _ = cancelled => None,
        };
        let took = started.elapsed();
        entry.duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        match &outcome {
            Some(Ok((_, rows))) => (entry.state, entry.rows) = (QueryState::Ok, *rows),
            Some(Err(error)) => {
                (entry.state, entry.error) = (QueryState::Failed, Some(error.to_string()));
            }
            None => {}
        }
        keep(&store, &entry).await;
        (outcome, took)
    });
    let ended = task.await;
    drop(ticket);
    let refusal = match ended {
        Ok((Some(Ok((result, _))), took)) => return Ok((result, took)),
        Ok((Some(Err(error)), _)) => refused(&error, &asked.sql),
        Ok((None, _)) => conflict(409, "The query was cancelled."),
        Err(_) => failure(Code::InternalError, "The query did not end."),
    };
    Err(Box::new(refusal))
}

/// An answer does not depend on the log.
async fn keep(store: &Store, entry: &QueryRun) {
    if let Err(error) = store.log_query(entry).await {
        tracing::error!(%error, username = entry.username, "a query is missing in the log");
    }
}

/// Why a query has no answer, with the place in its text as it was typed.
fn refused(error: &ByHandError, sql: &str) -> Response {
    let text = error.to_string();
    let field = match error {
        ByHandError::Governed => return failure(Code::Forbidden, &text),
        ByHandError::Flaw(..) | ByHandError::Engine(EngineError::Statement { .. }) => "sql",
        ByHandError::Value(_) | ByHandError::Engine(EngineError::BadValue { .. }) => "params",
        ByHandError::Engine(error) => return failed(error),
    };
    let hint = match error {
        ByHandError::Flaw(Flaw::Unbound(_), _) => "Give it a value in `params`.",
        ByHandError::Flaw(Flaw::Unsafe(_), _) => "Write one query that only reads.",
        _ => "",
    };
    let mut detail = json!({ "field": field, "error": text, "hint": hint });
    if let Some(before) = error.offset(sql).and_then(|offset| sql.get(..offset)) {
        let line = before.rsplit('\n').next().unwrap_or_default();
        detail["line"] = (before.matches('\n').count() + 1).into();
        detail["column"] = (line.chars().count() + 1).into();
    }
    let details = json!([detail]);
    failure_with(Code::InvalidParam, &text, details)
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
