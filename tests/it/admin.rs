//! The admin address: probes, metrics, management.

mod api;
mod metrics;
mod people;
mod publish;
