//! Dashboards, rules and alerts: what they ask for exists, and what they say is right.

mod files;
mod promql;
mod promtool;
mod queries;
mod scrape;
mod server;
mod shape;
