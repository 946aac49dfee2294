//! The integration tests: one binary, against real servers.

mod engine_postgres;
