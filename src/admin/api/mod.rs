//! The admin API: one file a resource.

pub mod consumers;
pub mod envelope;
pub mod interfaces;
pub mod metrics;
pub mod page;
pub mod probes;
pub mod reload;
pub mod status;
