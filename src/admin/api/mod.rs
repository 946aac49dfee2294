//! The admin API: one file a resource.

pub mod consumers;
pub mod datasources;
pub mod envelope;
pub mod interfaces;
pub mod metrics;
pub mod monitor;
pub mod page;
pub mod probes;
pub mod query;
pub mod query_log;
pub mod reload;
pub mod status;
