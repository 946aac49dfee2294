//! The functions that safe mode refuses, by engine, with a reason each. The database account stays the second wall.

use std::sync::LazyLock;

use super::list::groups;
use crate::sql::dialect::Dialect;

pub(super) const POSTGRES: &str = include_str!("refused/postgres.txt");
pub(super) const MYSQL: &str = include_str!("refused/mysql.txt");
pub(super) const SQLITE: &str = include_str!("refused/sqlite.txt");

/// A name or its beginning, and why it is refused.
struct Refused {
    name: &'static str,
    is_start: bool,
    reason: &'static str,
}

type All = LazyLock<Vec<Refused>>;

static OF_POSTGRES: All = LazyLock::new(|| all(POSTGRES));
static OF_MYSQL: All = LazyLock::new(|| all(MYSQL));
static OF_SQLITE: All = LazyLock::new(|| all(SQLITE));

fn all(list: &'static str) -> Vec<Refused> {
    let entry = |name: &'static str, reason| match name.strip_suffix('*') {
        Some(name) => Refused { name, is_start: true, reason },
        None => Refused { name, is_start: false, reason },
    };
    groups(list)
        .flat_map(|(reason, names)| names.into_iter().map(move |name| entry(name, reason)))
        .collect()
}

/// Why safe mode refuses a function, by its schema, where it is called with one, and its name, both in lower case.
pub fn refusal(schema: Option<&str>, called: &str, dialect: Dialect) -> Option<&'static str> {
    let list = match dialect {
        Dialect::Postgres => &OF_POSTGRES,
        Dialect::MySql => &OF_MYSQL,
        Dialect::Sqlite => &OF_SQLITE,
    };
    let is_named = |refused: &Refused, name: &str| {
        if refused.is_start { name.starts_with(refused.name) } else { name == refused.name }
    };
    let found = list.iter().find(|refused| match (refused.name.split_once('.'), schema) {
        (Some(_), Some(schema)) => is_named(refused, &format!("{schema}.{called}")),
        (Some(_), None) => false,
        (None, _) => is_named(refused, called),
    });
    found.map(|refused| refused.reason)
}
