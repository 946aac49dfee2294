//! The config path: files to documents to specs to a snapshot, with every problem on the way.

pub mod check;
pub mod document;
pub mod load;
pub mod problem;
pub mod schema;
pub mod secret;
pub mod spec;
