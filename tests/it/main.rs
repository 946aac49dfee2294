//! The integration tests: one binary, one module a subject. Servers are named by `TIDEGATE_TEST_*_URL`; see `tests/run`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::pedantic, clippy::type_complexity, reason = "tests read as the contract does")]

mod access;
mod admin;
mod admin_workspace;
mod audit;
mod bad_input;
mod binds;
mod cache;
mod cli;
mod cors;
mod dashboards;
mod demo;
mod engine_mysql;
mod engine_postgres;
mod engine_sqlite;
mod failures;
mod faults;
mod faults_process;
mod fixtures;
mod forms;
mod governed;
mod limits;
mod manners;
mod openapi;
mod overload;
mod pages;
mod parameters;
mod process;
mod properties;
mod reload;
mod safety;
mod seed;
mod smoke;
mod sql_dialects;
mod store;
mod support;
mod templates;
mod tidy;
mod transform;
mod values;
mod versions;
mod wire;
