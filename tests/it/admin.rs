//! The admin address: probes, metrics, management.

mod api;
mod metrics;
mod openapi;
pub mod people;
mod publish;
