//! The SQLite engine, on real files.

mod demo;
mod ending;
mod file;
mod inline;
mod support;
mod values;
