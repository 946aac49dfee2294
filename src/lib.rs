//! Tidegate: a data-API gateway with config-as-code.

pub mod access;
pub mod definitions;
pub mod engines;
pub mod observe;
pub mod sql;
pub mod store;
