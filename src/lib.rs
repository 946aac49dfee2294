//! Tidegate: a data-API gateway with config-as-code.

pub mod definitions;
pub mod engines;
pub mod gateway;
