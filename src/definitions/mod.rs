//! The config path: files to documents to specs to a snapshot, with every problem on the way.

pub mod check;
pub mod coerce;
pub mod compile;
pub mod decimal;
pub mod document;
pub mod interface;
pub mod load;
pub mod parameter;
pub mod pattern;
pub mod policy;
pub mod problem;
pub mod query;
pub mod response;
pub mod schema;
pub mod secret;
pub mod snapshot;
pub mod spec;
