//! The admin API: one file a resource.

pub mod accounts;
pub mod body;
pub mod config;
pub mod consumers;
pub mod datasources;
pub mod envelope;
pub mod interfaces;
pub mod keys;
pub mod located;
pub mod logs;
pub mod metrics;
pub mod monitor;
pub mod openapi;
pub mod page;
pub mod probes;
pub mod publish;
pub mod query;
pub mod query_log;
pub mod reload;
pub mod session;
pub mod setup;
pub mod sheet;
pub mod status;
pub mod tokens;
pub mod transfer;
