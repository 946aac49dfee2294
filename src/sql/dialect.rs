//! SQL dialects: what differs between engines in the text of a statement.

/// The SQL dialect of an engine: decides placeholders, quoting and how a page is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    Sqlite,
    Postgres,
    MySql,
}

impl Dialect {
    /// Columns that every table has and `*` does not give.
    pub fn system_columns(self) -> &'static [&'static str] {
        match self {
            Self::Sqlite => &["rowid", "_rowid_", "oid"],
            Self::Postgres => &["ctid", "tableoid", "xmin", "xmax", "cmin", "cmax"],
            Self::MySql => &[],
        }
    }

    /// Quotes an identifier so that any text is safe inside it.
    pub fn quote(self, identifier: &str) -> String {
        let quote = if self == Self::MySql { '`' } else { '"' };
        let mut quoted = String::with_capacity(identifier.len() + 2);
        quoted.push(quote);
        for c in identifier.chars() {
            if c == quote {
                quoted.push(quote);
            }
            quoted.push(c);
        }
        quoted.push(quote);
        quoted
    }
}
