//! The integration tests: one binary, a module a subject.
#![allow(clippy::unwrap_used)]

mod engine_sqlite;
