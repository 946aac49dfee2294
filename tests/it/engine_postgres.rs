//! The engine for `postgres` against a real server, named by `TIDEGATE_TEST_POSTGRES_URL`.

mod binds;
mod cancel;
mod compare;
mod own_types;
mod pool;
mod recovery;
mod support;
mod tls;
mod types;
