//! Masks: what a caller sees in place of a column's value, as an expression of each dialect. NULL stays NULL.

use std::sync::Arc;

use sqlparser::ast::Expr;

use super::dialect::Dialect;
use super::fragment::{Fragment, Reference};
use super::relation::{ColumnType, Shape};

/// Stands for what is hidden.
const STARS: &str = "****";

/// A way to hide a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mask {
    /// NULL, of the column's type.
    Null,
    /// `****`; NULL in columns that are not text.
    Redact,
    /// The first or last characters of a longer text.
    Partial { prefix: u32, suffix: u32 },
    /// HMAC-SHA-256 with the appliance's mask key, in hexadecimal digits: equal values stay equal.
    Hash,
    /// `j****@example.com`.
    Email,
    /// The first day of the year.
    Year,
    /// A multiple of `step`; `None`: without its fraction, and where it has none in tens.
    Round { step: Option<u32> },
    /// What a policy says itself.
    Sql(Arc<Fragment>),
}

impl Mask {
    /// Whether it makes text of whatever it masks.
    pub fn makes_text(&self, column: ColumnType) -> bool {
        match self {
            Self::Partial { .. } | Self::Hash | Self::Email => true,
            Self::Redact => is_texty(column),
            Self::Null | Self::Year | Self::Round { .. } | Self::Sql(_) => false,
        }
    }

    /// The expression that takes the place of a column of `shape`.
    ///
    /// # Errors
    /// Where an expression of the policy's own does not fit the table.
    pub fn over(
        &self,
        (column, kind): (&str, ColumnType),
        shape: &Shape,
        dialect: Dialect,
        references: &mut Vec<Reference>,
    ) -> Result<Expr, String> {
        let c = format!("{}.{}", dialect.quote(&shape.name), dialect.quote(column));
        let text = text(&c, dialect);
        let sql = match self {
            Self::Sql(fragment) => return fragment.over(shape, dialect, references),
            Self::Hash => {
                let fragment = hash(&c, &text, dialect)?;
                return fragment.over(shape, dialect, references);
            }
            Self::Redact if is_texty(kind) => {
                format!("CASE WHEN {c} IS NOT NULL THEN '{STARS}' END")
            }
            Self::Null | Self::Redact => nothing(&c),
            Self::Partial { prefix, suffix } => partial(&c, &text, *prefix, *suffix, dialect),
            Self::Email => email(&c, &text, dialect),
            Self::Year => year(&c, kind, dialect),
            Self::Round { step } => round(&c, kind, *step),
        };
        Ok(Fragment::plain(&sql, dialect)?.expr)
    }
}

/// Columns without a type hold anything on SQLite, so they count as text.
fn is_texty(column: ColumnType) -> bool {
    column == ColumnType::Text
}

/// A column as text.
pub fn text(column: &str, dialect: Dialect) -> String {
    let kind = if dialect == Dialect::MySql { "CHAR" } else { "TEXT" };
    format!("CAST({column} AS {kind})")
}

/// NULL of the column's own type.
fn nothing(c: &str) -> String {
    format!("CASE WHEN 1 = 0 THEN {c} END")
}

fn join(parts: &[&str], dialect: Dialect) -> String {
    match dialect {
        Dialect::MySql => format!("CONCAT({})", parts.join(", ")),
        Dialect::Postgres | Dialect::Sqlite => parts.join(" || "),
    }
}

fn length(text: &str, dialect: Dialect) -> String {
    match dialect {
        Dialect::Sqlite => format!("LENGTH({text})"),
        Dialect::Postgres | Dialect::MySql => format!("CHAR_LENGTH({text})"),
    }
}

fn left(text: &str, count: u32, dialect: Dialect) -> String {
    match dialect {
        Dialect::Sqlite => format!("SUBSTR({text}, 1, {count})"),
        Dialect::Postgres | Dialect::MySql => format!("LEFT({text}, {count})"),
    }
}

fn right(text: &str, count: u32, dialect: Dialect) -> String {
    match dialect {
        Dialect::Sqlite => format!("SUBSTR({text}, -{count})"),
        Dialect::Postgres | Dialect::MySql => format!("RIGHT({text}, {count})"),
    }
}

/// Shows nothing of a value that would be shown whole.
fn partial(c: &str, text: &str, prefix: u32, suffix: u32, dialect: Dialect) -> String {
    let stars = format!("'{STARS}'");
    let (first, last) = (left(text, prefix, dialect), right(text, suffix, dialect));
    let mut parts = Vec::with_capacity(3);
    if prefix > 0 {
        parts.push(first.as_str());
    }
    parts.push(stars.as_str());
    if suffix > 0 {
        parts.push(last.as_str());
    }
    let shown = join(&parts, dialect);
    let (length, most) = (length(text, dialect), prefix.saturating_add(suffix));
    format!("CASE WHEN {c} IS NULL THEN NULL WHEN {length} > {most} THEN {shown} ELSE {stars} END")
}

fn email(c: &str, text: &str, dialect: Dialect) -> String {
    let (at, domain) = match dialect {
        Dialect::Postgres => {
            let at = format!("STRPOS({text}, '@')");
            (at.clone(), format!("SUBSTR({text}, {at})"))
        }
        Dialect::Sqlite | Dialect::MySql => {
            let at = format!("INSTR({text}, '@')");
            (at.clone(), format!("SUBSTR({text}, {at})"))
        }
    };
    let stars = format!("'{STARS}'");
    let shown = join(&[&left(text, 1, dialect), &stars, &domain], dialect);
    format!("CASE WHEN {c} IS NULL THEN NULL WHEN {at} > 1 THEN {shown} ELSE {stars} END")
}

/// Dates keep their type; of text that begins like a date the year is kept, of anything else nothing.
fn year(c: &str, kind: ColumnType, dialect: Dialect) -> String {
    match (kind, dialect) {
        (ColumnType::Date, Dialect::Postgres) => format!("CAST(DATE_TRUNC('year', {c}) AS DATE)"),
        (ColumnType::DateTime, Dialect::Postgres) => format!("DATE_TRUNC('year', {c})"),
        (ColumnType::Date, Dialect::MySql) => format!("MAKEDATE(YEAR({c}), 1)"),
        (ColumnType::DateTime, Dialect::MySql) => {
            format!("CAST(MAKEDATE(YEAR({c}), 1) AS DATETIME)")
        }
        (ColumnType::Text, _)
        | (ColumnType::Date | ColumnType::DateTime | ColumnType::Other, Dialect::Sqlite) => {
            let text = text(c, dialect);
            let shown = join(&[&left(&text, 4, dialect), "'-01-01'"], dialect);
            format!("CASE WHEN {text} LIKE '____-__-__%' THEN {shown} END")
        }
        _ => nothing(c),
    }
}

fn round(c: &str, kind: ColumnType, step: Option<u32>) -> String {
    if kind != ColumnType::Number {
        return nothing(c);
    }
    // By a fraction, so that whole numbers are not divided as such.
    match step {
        Some(step) => format!("ROUND({c} / {step}.0) * {step}"),
        // Whatever the column's type is called: a whole number must not be shown as it is.
        None => {
            format!("CASE WHEN {c} = ROUND({c}) THEN ROUND({c} / 10.0) * 10 ELSE ROUND({c}) END")
        }
    }
}

/// HMAC-SHA-256 as its definition has it, since the key must not be text: the pads are bound.
fn hash(c: &str, text: &str, dialect: Dialect) -> Result<Fragment, String> {
    let (inner, outer) = (":g0", ":g1");
    let sql = match dialect {
        Dialect::Postgres => format!(
            "CASE WHEN {c} IS NOT NULL THEN ENCODE(SHA256(DECODE({outer}, 'hex') || \
             SHA256(DECODE({inner}, 'hex') || CONVERT_TO({text}, 'UTF8'))), 'hex') END"
        ),
        Dialect::MySql => format!(
            "CASE WHEN {c} IS NOT NULL THEN SHA2(CONCAT(UNHEX({outer}), \
             UNHEX(SHA2(CONCAT(UNHEX({inner}), CONVERT({text} USING utf8mb4)), 256))), 256) END"
        ),
        Dialect::Sqlite => {
            format!("CASE WHEN {c} IS NOT NULL THEN TIDEGATE_HMAC({inner}, {outer}, {text}) END")
        }
    };
    let mut fragment = Fragment::plain(&sql, dialect)?;
    // In the order in which they stand in the text of each dialect, which does not matter: they are numbered.
    fragment.references = vec![Reference::InnerPad, Reference::OuterPad];
    Ok(fragment)
}
