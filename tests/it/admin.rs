//! The admin address: probes, metrics, management.

mod api;
mod metrics;
pub mod people;
mod publish;
