//! Tidegate: a data-API gateway with config-as-code.

pub mod access;
pub mod admin;
pub mod cli;
pub mod definitions;
pub mod engines;
pub mod gateway;
pub mod live;
pub mod observe;
pub mod pace;
pub mod query;
pub mod server;
pub mod settings;
pub mod sql;
pub mod store;
