//! The SQLite engine, on real files.

mod demo;
mod ending;
mod file;
mod support;
mod values;
