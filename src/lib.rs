//! Tidegate: a data-API gateway with config-as-code.

pub mod access;
pub mod cli;
pub mod definitions;
pub mod engines;
pub mod live;
pub mod observe;
pub mod query;
pub mod sql;
pub mod store;
