//! `/api/logs/…`: what was called, and what people did, in pages or as a CSV download.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Query, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::envelope::{failure, store_failed, success};
use crate::admin::Admin;
use crate::observe::code::Code;
use crate::store::audit::{AuditEntry, AuditFilter};
use crate::store::{JournalFilter, Login, MAX_PAGE, Operation};

/// Rows of a page, usually and at most.
const PAGE_SIZE: u32 = 50;
const MAX_PAGE_SIZE: u32 = 1_000;

/// Calls of interfaces, as the audit keeps them.
pub async fn calls(State(admin): State<Arc<Admin>>, asked: Asked) -> Response {
    let state = asked.text("state");
    let code = state.as_deref().and_then(Code::parse).filter(|code| *code != Code::Ok);
    let is_failed = match state.as_deref() {
        Some("ok") => Some(false),
        Some("failed") => Some(true),
        Some(_) if code.is_none() => {
            let text = "`state` is `ok`, `failed`, or a code such as `INVALID_PARAM`.";
            return failure(Code::InvalidParam, text);
        }
        _ => None,
    };
    let filter = AuditFilter {
        interface: asked.text("code"),
        principal: asked.text("principal"),
        request_id: asked.text("request_id"),
        text: asked.text("q"),
        is_failed,
        code,
        from: asked.from,
        to: asked.to,
        ..AuditFilter::default()
    };
    match admin.store.audit_page(&filter, asked.offset(), asked.limit()).await {
        Ok((entries, total)) => {
            let rows = entries.iter().map(call).collect();
            asked.answer("calls", rows, total)
        }
        Err(error) => store_failed(&error),
    }
}

/// Requests of the admin API that changed something.
pub async fn operations(State(admin): State<Arc<Admin>>, asked: Asked) -> Response {
    match admin.store.operations(&asked.journal()).await {
        Ok((rows, total)) => {
            asked.answer("operations", rows.iter().map(operation).collect(), total)
        }
        Err(error) => store_failed(&error),
    }
}

/// Attempts to log in.
pub async fn logins(State(admin): State<Arc<Admin>>, asked: Asked) -> Response {
    match admin.store.logins(&asked.journal()).await {
        Ok((rows, total)) => asked.answer("logins", rows.iter().map(login).collect(), total),
        Err(error) => store_failed(&error),
    }
}

/// What every log is asked with.
pub struct Asked {
    query: HashMap<String, String>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    page: u32,
    size: u32,
    is_csv: bool,
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let query = Query::from_request_parts(parts, state).await;
        let Query(query) = query.map_err(IntoResponse::into_response)?;
        Self::of(query).map_err(|text| failure(Code::InvalidParam, &text))
    }
}

impl Asked {
    /// Takes the query of an address.
    fn of(query: HashMap<String, String>) -> Result<Self, String> {
        let time = |name: &str| match query.get(name).filter(|text| !text.is_empty()) {
            None => Ok(None),
            Some(text) => {
                let wrong = |_| format!("`{name}` is a time such as 2025-01-31T08:00:00Z.");
                text.parse::<Timestamp>().map(Some).map_err(wrong)
            }
        };
        let number = |name: &str, usual: u32| match query.get(name) {
            None => Ok(usual),
            Some(text) => {
                let number = text.parse::<u32>().ok().filter(|number| *number >= 1);
                number.ok_or_else(|| format!("`{name}` is a whole number from 1."))
            }
        };
        let (from, to) = (time("from")?, time("to")?);
        let (page, size) = (number("page", 1)?, number("pageSize", PAGE_SIZE)?.min(MAX_PAGE_SIZE));
        let is_csv = query.get("format").is_some_and(|format| format == "csv");
        Ok(Self { query, from, to, page, size, is_csv })
    }

    /// A filter of the address, where it says something.
    pub fn text(&self, name: &str) -> Option<String> {
        self.query.get(name).filter(|text| !text.is_empty()).cloned()
    }

    /// Rows to pass over; a download begins at the first.
    pub fn offset(&self) -> u32 {
        if self.is_csv { 0 } else { (self.page - 1).saturating_mul(self.size) }
    }

    /// Rows to read.
    pub fn limit(&self) -> u32 {
        if self.is_csv { MAX_PAGE } else { self.size }
    }

    fn journal(&self) -> JournalFilter {
        JournalFilter {
            username: self.text("username"),
            text: self.text("q"),
            from: self.from,
            to: self.to,
            offset: self.offset(),
            limit: self.limit(),
        }
    }

    /// Answers with rows, which all have the same members, as a page or as a file of this name.
    pub fn answer(&self, name: &str, rows: Vec<Value>, total: u64) -> Response {
        if !self.is_csv {
            let seen = u64::from(self.offset()) + rows.len() as u64;
            let meta = json!({ "page": self.page, "pageSize": self.size, "total": total, "hasNext": seen < total });
            return success(rows, meta);
        }
        let file = format!("attachment; filename=\"{name}.csv\"");
        let headers =
            [(CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (CONTENT_DISPOSITION, file)];
        (headers, csv(&rows)).into_response()
    }
}

/// Objects of the same members as CSV, with a mark that tells Excel it is UTF-8.
fn csv(rows: &[Value]) -> String {
    let mut out = String::from('\u{feff}');
    let objects: Vec<&Map<String, Value>> = rows.iter().filter_map(Value::as_object).collect();
    let Some(first) = objects.first() else { return out };
    let mut line = |cells: &mut dyn Iterator<Item = String>| {
        out.push_str(&cells.collect::<Vec<_>>().join(","));
        out.push_str("\r\n");
    };
    line(&mut first.keys().cloned());
    for object in &objects {
        line(&mut object.values().map(cell));
    }
    out
}

fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    // A spreadsheet must not take what a caller sent for a formula.
    let is_formula = value.is_string() && text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if is_formula { format!("'{text}") } else { text };
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

fn ms(us: u64) -> f64 {
    us as f64 / 1e3
}

fn call(entry: &AuditEntry) -> Value {
    let record = &entry.record;
    let params = record.params.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
    json!({
        "at": record.at.to_string(),
        "request_id": record.request_id,
        "interface": record.interface,
        "version": record.version,
        "principal_kind": record.principal_kind.as_str(),
        "principal": record.principal,
        "roles": record.roles,
        "ip": record.ip.map(|ip| ip.to_string()),
        "method": record.method,
        "path": record.path,
        "params": params,
        "code": record.code.as_str(),
        "status": record.status,
        "rows": record.rows,
        "bytes": record.bytes,
        "duration_ms": ms(record.duration_us),
        "cache": record.cache.map(crate::observe::event::CacheState::as_str),
        "revision": record.revision,
        "kind": record.kind.as_str(),
        "error": record.error,
    })
}

fn operation(operation: &Operation) -> Value {
    json!({
        "at": operation.at.to_string(),
        "username": operation.username,
        "ip": operation.ip,
        "method": operation.method,
        "path": operation.path,
        "status": operation.status,
        "duration_ms": ms(operation.duration_us),
        "summary": operation.summary,
    })
}

fn login(login: &Login) -> Value {
    json!({
        "at": login.at.to_string(),
        "username": login.username,
        "ip": login.ip,
        "user_agent": login.user_agent,
        "ok": login.is_ok,
        "reason": login.reason,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_download_is_safe_to_open() {
        let rows = [
            json!({ "a": "x,\"y\"", "b": "=1+1", "c": 3 }),
            json!({ "a": null, "b": "plain", "c": -4.5 }),
        ];
        assert_eq!(csv(&rows), "\u{feff}a,b,c\r\n\"x,\"\"y\"\"\",'=1+1,3\r\n,plain,-4.5\r\n");
        assert_eq!(csv(&[]), "\u{feff}");
    }
}
