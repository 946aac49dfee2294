//! The config path: files to documents to specs to a snapshot, with every problem on the way.

pub mod advice;
pub mod check;
pub mod coerce;
pub mod compile;
pub mod datasource;
pub mod document;
pub mod fault;
pub mod flaw;
pub mod format;
pub mod grant;
pub mod interface;
pub mod issuer;
pub mod load;
pub mod parameter;
pub mod pattern;
pub mod policy;
pub mod problem;
pub mod query;
pub mod response;
pub mod route;
pub mod rule;
pub mod scalar;
pub mod schema;
pub mod secret;
pub mod snapshot;
pub mod spec;
