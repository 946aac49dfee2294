//! Tables and views by name, as each dialect tells names apart, and what is known of their columns.

use sqlparser::ast::{Ident, ObjectName};

use super::dialect::Dialect;

/// A table or view as a statement names it, folded as the dialect folds names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Relation {
    /// Schema on PostgreSQL, database on MySQL; `None`: wherever the session looks first.
    pub schema: Option<String>,
    pub name: String,
}

impl Relation {
    /// The relation that `name` means; `None` for what is no table's name in the dialect (`catalogue.schema.table`).
    pub fn of(name: &ObjectName, dialect: Dialect) -> Option<Self> {
        let part = |at: usize| Some(fold(name.0.get(at)?.as_ident()?, dialect));
        match name.0.len() {
            1 => Some(Self { schema: None, name: part(0)? }),
            2 => Some(Self { schema: Some(part(0)?), name: part(1)? }),
            _ => None,
        }
    }
}

impl std::fmt::Display for Relation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// A name as the dialect compares it: PostgreSQL makes lower case of what is not quoted, SQLite knows no case at all, MySQL
/// keeps what is written.
pub fn fold(ident: &Ident, dialect: Dialect) -> String {
    match dialect {
        Dialect::Postgres if ident.quote_style.is_some() => ident.value.clone(),
        Dialect::Postgres | Dialect::Sqlite => ident.value.to_ascii_lowercase(),
        Dialect::MySql => ident.value.clone(),
    }
}

/// What a column holds, as far as masks care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    Text,
    Number,
    Date,
    DateTime,
    Other,
}

/// A table or view as the database knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    pub schema: String,
    pub name: String,
    /// An unqualified name means this one.
    pub is_default_schema: bool,
    /// Belongs to the engine itself: its catalogue, statistics or inner tables.
    pub is_system: bool,
    /// SQLite's virtual tables, such as a full-text index.
    pub is_virtual: bool,
    /// Names and types of the columns that `*` gives, in order.
    pub columns: Vec<(String, ColumnType)>,
}

impl Shape {
    /// The name to write so that nothing else can be meant: with its schema, in quotes.
    pub fn quoted(&self, dialect: Dialect) -> ObjectName {
        ObjectName::from(vec![quoted(&self.schema, dialect), quoted(&self.name, dialect)])
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// A name in the dialect's quotes.
pub fn quoted(name: &str, dialect: Dialect) -> Ident {
    Ident::with_quote(if dialect == Dialect::MySql { '`' } else { '"' }, name)
}

/// Whether two columns have one name: on PostgreSQL by the letter, elsewhere whatever their case.
pub fn is_same_column(a: &str, b: &str, dialect: Dialect) -> bool {
    match dialect {
        Dialect::Postgres => a == b,
        Dialect::Sqlite | Dialect::MySql => a.to_lowercase() == b.to_lowercase(),
    }
}

/// MySQL's `DUAL`, which holds nothing; in quotes it is a table like others.
pub fn is_dual(name: &ObjectName, dialect: Dialect) -> bool {
    let [part] = name.0.as_slice() else { return false };
    dialect == Dialect::MySql
        && part.as_ident().is_some_and(|ident| {
            ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("dual")
        })
}
