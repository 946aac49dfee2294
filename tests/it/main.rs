//! The integration tests: one binary, one module a subject. Servers are named by `TIDEGATE_TEST_*_URL`; see `tests/run`.

mod engine_mysql;
mod engine_postgres;
mod store;
