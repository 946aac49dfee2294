//! The workspace of the admin address: datasources and their tables, queries by hand, their log, live figures.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Answer, Tidegate};

mod figures;
mod queries;
mod reach;
mod roles;
mod tables;

/// A query by hand on `db`.
fn query(gateway: &Tidegate, sql: &str, params: Value) -> Answer {
    let body = json!({"datasource_id": "db", "sql": sql, "params": params});
    gateway.admin_post("/api/dataservice/query", &body.to_string())
}

/// A body for the other routes of a query on `db`.
fn asked(sql: &str, more: Value) -> String {
    let mut body = json!({"datasource_id": "db", "sql": sql});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body.to_string()
}

/// A DELETE with the admin token: status and JSON.
fn delete(gateway: &Tidegate, path: &str) -> (u16, Value) {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(30)));
    let agent: ureq::Agent = config.build().into();
    let mut answer = agent
        .delete(gateway.admin_url(path))
        .header("authorization", format!("Bearer {}", gateway.token))
        .call()
        .unwrap();
    (answer.status().as_u16(), answer.body_mut().read_json().unwrap())
}

/// The newest entries of the query log.
fn log(gateway: &Tidegate, filter: &str) -> Vec<Value> {
    let rows = gateway.admin_get(&format!("/api/logs/queries{filter}")).data();
    rows.as_array().unwrap().clone()
}
