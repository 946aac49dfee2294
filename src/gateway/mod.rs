//! The request path.

pub mod xlsx;
