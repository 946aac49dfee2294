//! The functions that are known to only compute, by engine.
//!
//! They are built into the engine. They read no table or catalogue by name, run no statement, open no file or connection,
//! change nothing, wait for nothing, and tell nothing of other rows, of other sessions or of the server's files. What is in
//! doubt is not here.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::list::groups;
use crate::sql::dialect::Dialect;

pub(super) const POSTGRES: &str = include_str!("known/postgres.txt");
pub(super) const MYSQL: &str = include_str!("known/mysql.txt");
pub(super) const SQLITE: &str = include_str!("known/sqlite.txt");

type Names = LazyLock<HashSet<&'static str>>;

static OF_POSTGRES: Names = LazyLock::new(|| names(POSTGRES));
static OF_MYSQL: Names = LazyLock::new(|| names(MYSQL));
static OF_SQLITE: Names = LazyLock::new(|| names(SQLITE));

fn names(list: &'static str) -> HashSet<&'static str> {
    groups(list).flat_map(|(_, names)| names).collect()
}

/// Whether a function only computes, by its last name in lower case. It is the engine's own only where it is called
/// without a schema, or in PostgreSQL's `pg_catalog`: see [`super::is_known_call`].
pub fn is_known(called: &str, dialect: Dialect) -> bool {
    match dialect {
        Dialect::Postgres => OF_POSTGRES.contains(called),
        Dialect::MySql => OF_MYSQL.contains(called),
        Dialect::Sqlite => OF_SQLITE.contains(called),
    }
}
