//! The admin address: probes, metrics, management, and how the process starts and stops.

mod api;
mod metrics;
mod process;
