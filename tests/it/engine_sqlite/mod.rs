//! The SQLite engine, on real files.

mod ending;
mod file;
mod support;
mod values;
