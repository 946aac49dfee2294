//! The config path: files to documents to specs to a snapshot, with every problem on the way.

pub mod secret;
pub mod spec;
